//! What the file system says of price files without reading them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Each file with when it changed and how long it is; `None` for what cannot be looked at. Two that are equal mean that
/// nothing was written in between, but for what an editor wrote within one tick of the clock at the same length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint(Vec<(PathBuf, Option<Stat>)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    modified: Option<SystemTime>,
    len: u64,
    /// On Unix the inode and when it changed: a file that was renamed into place can be older than the one before.
    node: (u64, i64, i64),
}

impl Footprint {
    /// The state of these files, and of the files in these directories.
    pub(crate) fn of<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Self {
        let mut seen = Vec::new();
        for path in paths {
            seen.push((path.clone(), stat(path)));
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            files.sort();
            seen.extend(files.into_iter().map(|file| {
                let stat = stat(&file);
                (file, stat)
            }));
        }
        Self(seen)
    }
}

fn stat(path: &Path) -> Option<Stat> {
    let found = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let node = {
        use std::os::unix::fs::MetadataExt as _;
        (found.ino(), found.ctime(), found.ctime_nsec())
    };
    #[cfg(not(unix))]
    let node = (0, 0, 0);
    Some(Stat { modified: found.modified().ok(), len: found.len(), node })
}
