//! A little room that is kept on the disk for when it is full.
//!
//! To make room, room is needed: before the segment that is written may go, another must be begun, and what calls under
//! way say in the end must have been written there. So a file of nothing stands by, which gives its place for that.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes that are kept. What calls under way at the time say in the end fits into it, too.
const MOST: u64 = 1 << 20;

pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// A part of what the spool may take, at most.
    pub(crate) fn new(dir: &Path, max_bytes: u64) -> Self {
        Self { path: dir.join("reserve"), bytes: (max_bytes / 16).min(MOST) }
    }

    /// Takes the room, where it is not taken and there is some. It is written, as a hole would take none.
    pub(crate) fn keep(&self) {
        if std::fs::metadata(&self.path).is_ok_and(|held| held.len() >= self.bytes) {
            return;
        }
        let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path);
        let piece = [0; 64 << 10];
        let written = opened.and_then(|mut file| {
            let mut left = self.bytes;
            while left > 0 {
                let now = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                file.write_all(&piece[..now])?;
                left -= now as u64;
            }
            Ok(())
        });
        if written.is_err() {
            // Half of it helps nobody.
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// Does something that needs a little room, with this room where there is no other.
    pub(crate) fn with<T>(&self, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match act() {
            Err(error) if is_full(&error) && std::fs::remove_file(&self.path).is_ok() => act(),
            done => done,
        }
    }
}

/// Whether the disk, or what this user may take of it, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
