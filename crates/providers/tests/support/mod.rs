//! Recorded provider traffic, where it is at hand.

#![allow(dead_code, clippy::print_stderr, reason = "each test uses a part of it, and a skipped one says so")]

use std::path::{Path, PathBuf};

use base64::Engine;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tachograph_providers::{Api, Dialect, DialectId, dialect};
use tachograph_record::{Reading, Tap, UsageReading};

/// The folder of this name beside the workspace, or `None` after saying so. Under `CI=true` it has to be there.
pub(crate) fn data(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("TACHOGRAPH_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), std::path::PathBuf::from);
    let path = shared.join(name);
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
    pub(crate) api: &'static Api,
    pub(crate) dialect: DialectId,
    pub(crate) path: String,
    pub(crate) stream: bool,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
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

/// All recordings of chat dialects that are known here.
pub(crate) fn recordings() -> Vec<Recording> {
    let found: Vec<_> = all().into_iter().filter(|recording| recording.api.dialect().is_some()).collect();
    assert!(found.len() > 700 || found.is_empty(), "only {} recordings", found.len());
    found
}

/// All recordings of APIs that are known here and are no conversations.
pub(crate) fn plain_recordings() -> Vec<Recording> {
    let found: Vec<_> = all().into_iter().filter(|recording| recording.api.dialect().is_none()).collect();
    assert!(found.len() > 80 || found.is_empty(), "only {} recordings", found.len());
    found
}

fn all() -> Vec<Recording> {
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
    files.iter().filter_map(|file| recording(file)).collect()
}

fn recording(file: &Path) -> Option<Recording> {
    let all: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let api = Api::named(all["dialect"].as_str()?)?;
    let request = match &all["request"]["body"] {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        body => body.clone(),
    };
    let body = all["response"]["body"].as_str().unwrap();
    let response = match all["response"]["body_encoding"].as_str() {
        Some("base64") => Bytes::from(base64::engine::general_purpose::STANDARD.decode(body).unwrap()),
        _ => Bytes::from(body.to_owned()),
    };
    Some(Recording {
        name: file.file_stem().unwrap().to_string_lossy().into_owned(),
        api,
        dialect: api.family(),
        path: all["request"]["path"].as_str().unwrap().to_owned(),
        stream: all["stream"].as_bool().unwrap(),
        status: u16::try_from(all["response"]["status"].as_u64().unwrap()).unwrap(),
        headers: headers(&all["response"]["headers"]),
        request,
        response,
        expected: all["expected"].clone(),
    })
}

fn headers(recorded: &Value) -> HeaderMap {
    let pairs = recorded.as_object().into_iter().flatten();
    pairs
        .filter_map(|(name, value)| Some((name.parse().ok()?, value.as_str()?.parse().ok()?)))
        .collect::<Vec<(HeaderName, HeaderValue)>>()
        .into_iter()
        .collect()
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// What a reading says, in the words of the recordings' expectations.
pub(crate) fn check(recording: &Recording, reading: &Reading, how: &str) {
    let Recording { name, expected, .. } = recording;
    let text = |key: &str| expected[key].as_str().filter(|text| !text.is_empty());
    // An answer that names no model is expected to be of the model asked for; that is not the reader's to say.
    let model = reading.model.as_deref().or(text("request_model").filter(|_| reading.error.is_none()));
    assert_eq!(model, text("model"), "{how} {name}: model");
    let finish = reading.finish_reason.map(|reason| reason.code());
    assert_eq!(finish, text("finish_reason"), "{how} {name}: finish_reason");
    let native = match &expected["finish_reason_raw"] {
        Value::Number(number) => Some(number.to_string()),
        raw => raw.as_str().filter(|raw| !raw.is_empty()).map(str::to_owned),
    };
    assert_eq!(reading.native_finish_reason, native, "{how} {name}: native");
    match &reading.usage {
        UsageReading::Known(usage) => {
            let output = count(&expected["output_tokens"]);
            for (what, got, want) in [
                ("input", usage.input_total(), count(&expected["input_tokens"])),
                ("cached", usage.cache_read_total(), count(&expected["cached_input_tokens"])),
                ("written", usage.cache_write_total(), count(&expected["cache_write_tokens"])),
                ("output", usage.output_total(), output),
            ] {
                assert_eq!(got, want, "{how} {name}: {what} tokens");
            }
            // One provider reports more reasoning than output; it is a part of it, so the output bounds it. Hidden
            // reasoning that only the total tells of is reasoning all the same.
            if let Some(reasoning) = expected["reasoning_tokens"].as_u64() {
                assert_eq!(usage.reasoning_total(), reasoning.min(output), "{how} {name}: reasoning tokens");
            }
        }
        UsageReading::Absent => assert_eq!(expected["input_tokens"], Value::Null, "{how} {name}: usage"),
        // One provider says that more was cached than read.
        UsageReading::Invalid(why) => {
            assert!(count(&expected["cached_input_tokens"]) > count(&expected["input_tokens"]), "{how} {name}: {why}");
        }
    }
    let error = reading.error.as_ref();
    // An error without a type of its own goes by its status.
    let unnamed = format!("http_{}", recording.status);
    let kind = text("error_type").or(error.is_some().then_some(unnamed.as_str()));
    assert_eq!(error.map(|error| error.kind.as_str()), kind, "{how} {name}: error type");
    if let Some(error) = error {
        let code = match &expected["error_code"] {
            Value::Number(number) => Some(number.to_string()),
            code => code.as_str().map(str::to_owned),
        };
        assert_eq!(error.code, code, "{how} {name}: error code");
        assert_eq!(Some(error.message.as_str()), text("error_message"), "{how} {name}: error message");
    }
    assert!(reading.ended || error.is_some(), "{how} {name}: ended");
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
