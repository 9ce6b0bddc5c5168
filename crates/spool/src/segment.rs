//! The segment that is being written.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::entry::Entry;
use crate::format::{self, SEGMENT_HEAD};

/// Entries up to this many bytes are gathered into one write.
const GATHERED: u64 = 64 << 10;

pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) file: Arc<File>,
    path: PathBuf,
}

impl Segment {
    /// Makes a new one.
    pub(crate) fn create(dir: &Path, spool: Uuid, first: u64) -> io::Result<Self> {
        let path = format::segment_path(dir, first);
        // One of that number that is there holds no entry: a number is given out once its entry is written.
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        let begun = file.write_all_at(&format::segment_head(spool, first), 0);
        if let Err(error) = begun {
            // Without its head it is none.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { first, end: SEGMENT_HEAD as u64, file: Arc::new(file), path })
    }

    /// Goes on with one whose blocks end here; what stands behind is cut off.
    pub(crate) fn resume(dir: &Path, first: u64, end: u64) -> io::Result<Self> {
        let path = format::segment_path(dir, first);
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        file.set_len(end)?;
        Ok(Self { first, end, file: Arc::new(file), path })
    }

    /// Appends blocks, all of them or none.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let written = match entries {
            [one] => self.write_one(one),
            many => self.write_many(many),
        };
        match written {
            Ok(end) => {
                self.end = end;
                Ok(())
            }
            Err(error) => {
                // What was written of it goes; where even that fails the next block is written over it.
                if let Err(why) = self.file.set_len(self.end) {
                    tracing::warn!(%why, path = %self.path.display(), "a block that was begun could not be cut off");
                }
                Err(error)
            }
        }
    }

    fn write_one(&self, entry: &Entry) -> io::Result<u64> {
        let mut at = self.end;
        for part in entry.parts() {
            self.file.write_all_at(part, at)?;
            at += part.len() as u64;
        }
        Ok(at)
    }

    fn write_many(&self, entries: &[Entry]) -> io::Result<u64> {
        let mut at = self.end;
        let mut gathered = Vec::new();
        for entry in entries {
            for part in entry.parts() {
                if part.len() as u64 > GATHERED {
                    self.file.write_all_at(&gathered, at)?;
                    at += gathered.len() as u64;
                    gathered.clear();
                    self.file.write_all_at(part, at)?;
                    at += part.len() as u64;
                } else {
                    gathered.extend_from_slice(part);
                }
            }
        }
        self.file.write_all_at(&gathered, at)?;
        Ok(at + gathered.len() as u64)
    }
}
