//! How a spool is kept.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// When what is written is forced onto the disk. Whatever is chosen, the death of the process loses nothing: what was
/// written is the operating system's by then. It is the machine's own death that this is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fsync {
    /// When the operating system likes.
    Never,
    /// Once a second.
    #[default]
    Interval,
    /// Before an entry counts as kept; entries that come together share it.
    Always,
}

/// What happens to an entry when the spool is full: at its limit, or the disk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// It waits in memory until there is room, and whoever wants it kept (the end of an answer) waits with it. At most
    /// [`Options::waiting_bytes`] wait; beyond these the newest are dropped and counted.
    #[default]
    Block,
    /// It waits in memory in the same bounds, and nobody waits for it: the death of the process loses what waits.
    Overflow,
    /// It is dropped and counted.
    DropNewest,
}

/// How a spool is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its directory, made where it is missing, with rights for its owner alone.
    pub dir: PathBuf,
    /// The most bytes it takes on disk.
    pub max_bytes: u64,
    /// When it forces what is written onto the disk.
    pub fsync: Fsync,
    /// What happens when it is full.
    pub when_full: WhenFull,
    /// The most bytes of entries that wait in memory for the disk.
    pub waiting_bytes: usize,
}

impl Options {
    /// A spool of up to 4 GiB in this directory.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_bytes: 4 << 30,
            fsync: Fsync::default(),
            when_full: WhenFull::default(),
            waiting_bytes: 256 << 20,
        }
    }

    /// A segment is a sixteenth of the whole, so that little of what is acknowledged stays on disk, and at most 64 MiB.
    pub(crate) fn segment_bytes(&self) -> u64 {
        (self.max_bytes / 16).clamp(16 << 10, 64 << 20)
    }
}
