//! How records are kept: the spool on disk, and where it is delivered.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tachograph_spool::{Fsync, Options, WhenFull};

use super::{ByteSize, Secret, Span};

/// The spool: the queue on disk between a call's end and its row.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpoolConfig {
    /// Its directory; absent, `spool` in `data_dir`.
    pub dir: Option<PathBuf>,
    /// The most it takes on disk, while the store or the logger is away.
    pub max_bytes: ByteSize,
    /// When it is forced onto the disk: `never`, `interval` (each second), or `always` (before an answer's end). The death
    /// of the process loses nothing in any case; this is about the machine's.
    pub fsync: Fsync,
    /// What happens when it is full: `block` (the end of an answer waits, its beginning never), `overflow` (records wait in
    /// memory) or `drop_newest`.
    pub when_full: WhenFull,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            dir: None,
            max_bytes: ByteSize::mebibytes(4096),
            fsync: Fsync::default(),
            when_full: WhenFull::default(),
        }
    }
}

impl SpoolConfig {
    /// The spool of this data directory.
    #[must_use]
    pub fn options(&self, data_dir: &Path) -> Options {
        let dir = self.dir.clone().unwrap_or_else(|| data_dir.join("spool"));
        Options {
            max_bytes: self.max_bytes.bytes() as u64,
            fsync: self.fsync,
            when_full: self.when_full,
            ..Options::new(dir)
        }
    }
}

/// Where records are delivered.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoggerConfig {
    /// A logger elsewhere, `http://…` or `https://…`; absent, the store of this process.
    pub url: Option<String>,
    /// The secret that gateways show to the logger. A logger without one takes records from nobody.
    pub key: Option<Secret>,
}

/// How long what was recorded is kept; absent, for ever.
#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Rows, with their bodies.
    pub rows: Option<Span>,
    /// Bodies.
    pub bodies: Option<Span>,
}

impl RetentionConfig {
    /// How long rows, and how long bodies.
    #[must_use]
    pub fn spans(self) -> [Option<Duration>; 2] {
        [self.rows, self.bodies].map(|span| span.map(Span::duration))
    }
}
