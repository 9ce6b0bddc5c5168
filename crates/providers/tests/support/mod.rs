//! Recorded provider traffic, where it is at hand.

#![allow(dead_code, clippy::print_stderr, reason = "each test uses a part of it, and a skipped one says so")]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;
use tachograph_providers::{Dialect, DialectId, dialect, dialect_of_api};
use tachograph_record::{Reading, Tap};

/// The folder of this name beside the workspace, or `None` after saying so. Under `CI=true` it has to be there.
pub(crate) fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{name} must be there under CI");
    eprintln!("skipped: no recorded data at {}", path.display());
    None
}

/// One recorded exchange.
pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) dialect: DialectId,
    pub(crate) stream: bool,
    pub(crate) status: u16,
    pub(crate) request: Value,
    pub(crate) response: Bytes,
    pub(crate) expected: Value,
}

impl Recording {
    pub(crate) fn codec(&self) -> &'static dyn Dialect {
        dialect(self.dialect)
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.stream && self.status < 400
    }
}

/// All recordings of dialects that are known here.
pub(crate) fn recordings() -> Vec<Recording> {
    let Some(root) = data("traffic") else { return Vec::new() };
    let mut files = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "json") {
                files.push(path);
            }
        }
    }
    files.sort();
    let found: Vec<_> = files.iter().filter_map(|file| recording(file)).collect();
    assert!(found.len() > 700, "only {} recordings", found.len());
    found
}

fn recording(file: &Path) -> Option<Recording> {
    let all: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let dialect = dialect_of_api(all["dialect"].as_str()?)?;
    let request = match &all["request"]["body"] {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        body => body.clone(),
    };
    Some(Recording {
        name: file.file_stem().unwrap().to_string_lossy().into_owned(),
        dialect,
        stream: all["stream"].as_bool().unwrap(),
        status: u16::try_from(all["response"]["status"].as_u64().unwrap()).unwrap(),
        request,
        response: Bytes::from(all["response"]["body"].as_str().unwrap().to_owned()),
        expected: all["expected"].clone(),
    })
}

/// What a tap reads from these pieces, and whether it saw content.
pub(crate) fn tapped(mut tap: Box<dyn Tap>, pieces: impl IntoIterator<Item = Bytes>) -> (Reading, bool) {
    let mut content = false;
    for piece in pieces {
        let seen = tap.see(&piece);
        assert!(seen || !content, "content cannot be unseen");
        content = seen;
    }
    (tap.finish(), content)
}

/// The bytes one by one.
pub(crate) fn singles(bytes: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    (0..bytes.len()).map(|at| bytes.slice(at..at + 1))
}

/// Where to cut bytes of this length: everywhere if they are few, else at places spread over them.
pub(crate) fn cuts(length: usize) -> impl Iterator<Item = usize> {
    const ALL_BELOW: usize = 4096;
    const PLACES: usize = 31;
    let step = if length < ALL_BELOW { 1 } else { (length / PLACES) | 1 };
    (0..=length).step_by(step)
}

/// Runs `test` on every recording, on all cores.
pub(crate) fn each(recordings: Vec<Recording>, test: impl Fn(&Recording) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        while let Some(recording) = recordings.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            test(recording);
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
}
