//! A crash-safe queue on local disk: an append-only log in segments, checksummed, read in order by one reader whose cursor
//! lasts. It carries bytes and knows nothing of what they say.
//!
//! ```
//! use tachograph_spool::{Entry, Options, Spool};
//!
//! # let dir = std::env::temp_dir().join(format!("spool-{}", uuid::Uuid::now_v7()));
//! let (spool, mut reader) = Spool::open(Options::new(&dir))?;
//! let ticket = spool.append(Entry::copied(b"hello").unwrap());
//! assert!(ticket.is_kept()); // or await it: then it is written, and survives the death of this process
//!
//! let blocks = reader.read(100, 1 << 20)?;
//! assert_eq!(blocks[0].entry, "hello");
//! reader.acknowledge(Vec::new())?; // once they are safe elsewhere; until then they are read again after a crash
//! # spool.close();
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok::<_, tachograph_spool::SpoolError>(())
//! ```
//!
//! - *Kept* means given to the operating system: `kill -9` loses nothing. When the machine dies, [`Fsync`] says how much.
//! - *Full* means at [`Options::max_bytes`], or a disk without room: [`WhenFull`] says what happens then.
//! - *Damaged* blocks are put aside in `quarantine/` and counted; the blocks around them are read. A block that was begun
//!   when the process died is cut off at the next start: nobody was told that it was kept.
//! - *Numbers* count up by one over all runs, so what is missing shows.
//!
//! # On disk
//!
//! `lock` keeps other processes out, `id` names the spool for good, `cursor` says how far the reader is, `reserve` holds a
//! little room for a full disk (1 MiB at most, beside `max_bytes`), and the segments hold the entries:
//!
//! ```text
//! segment   "TGSPOOL1" | spool's id (16) | first sequence number u64 | crc32 of these 32 bytes
//!           then blocks, one behind the other
//! block     magic "TgBk" | length u32 | sequence number u64 | written at, µs since the epoch, i64
//!           | crc32 of the entry | crc32 of these 28 bytes | the entry: so many bytes as `length` says
//! ```

mod entry;
mod format;
mod options;
mod reader;
mod recover;
mod reserve;
mod scan;
mod segment;
mod ticket;
mod writer;

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use thiserror::Error;
use uuid::Uuid;

pub use entry::{Entry, TooLong};
pub use format::BLOCK_HEAD;
pub use options::{Fsync, Options, WhenFull};
pub use reader::{Block, Position, Reader};
pub use ticket::Ticket;

use writer::Shared;

/// Why a spool cannot be opened or read.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// Another process has it open.
    #[error("the spool in {0} is in use by another process")]
    InUse(PathBuf),
    /// The disk says no.
    #[error("the spool's disk: {0}")]
    Io(#[from] io::Error),
}

/// The writing side; cheap to clone.
#[derive(Clone)]
pub struct Spool {
    shared: Arc<Shared>,
    first: u64,
    // Held for as long as the spool is open.
    lock: Arc<File>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What a spool is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolState {
    /// The next number that will be given out.
    pub next: u64,
    /// Everything before this number is done with.
    pub acknowledged: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Entries that wait in memory for the disk.
    pub waiting: usize,
    /// Whether it takes no entries now: it is at its limit, or the disk is full or failing.
    pub full: bool,
    /// Entries lost because it was full.
    pub dropped: u64,
    /// Damaged blocks that were put aside since it was opened.
    pub quarantined: u64,
    /// Blocks that were begun when a process died, and were cut off: nobody was told that they were kept.
    pub torn: u64,
    /// How often the disk said no.
    pub failures: u64,
}

impl Spool {
    /// Opens a spool, makes it where it is missing, and repairs what a crash left.
    ///
    /// # Errors
    /// [`SpoolError::InUse`] where another process has it, [`SpoolError::Io`] where the disk says no.
    pub fn open(options: Options) -> Result<(Self, Reader), SpoolError> {
        let dir = options.dir.clone();
        recover::make_dir(&dir)?;
        let lock = File::create(dir.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SpoolError::InUse(dir)),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let id = recover::id(&dir)?;
        let found = recover::recover(&dir, id)?;
        let shared = Arc::new(Shared::new(options, id, found.segment, found.next, found.behind));
        shared.gauges.torn.store(found.torn, Ordering::Relaxed);
        shared.gauges.quarantined.store(found.quarantined, Ordering::Relaxed);
        let reader = Reader::open(shared.clone())?;
        shared.reserve.keep();
        let running = shared.clone();
        let thread = std::thread::Builder::new().name("spool".to_owned()).spawn(move || running.run())?;
        let thread = Arc::new(Mutex::new(Some(thread)));
        Ok((Self { shared, first: found.next, lock: Arc::new(lock), thread }, reader))
    }

    /// Appends an entry. It never waits long: where the disk is slow or full the ticket does.
    #[must_use = "the entry is kept once the ticket says so"]
    pub fn append(&self, entry: Entry) -> Ticket {
        self.shared.append(entry)
    }

    /// The spool's id, which it keeps for good.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.shared.id
    }

    /// The first number of this run: entries before it are of processes that have ended.
    #[must_use]
    pub fn first_of_run(&self) -> u64 {
        self.first
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> SpoolState {
        let gauges = &self.shared.gauges;
        SpoolState {
            next: self.shared.head().next,
            acknowledged: gauges.acknowledged.load(Ordering::Relaxed),
            bytes: gauges.bytes.load(Ordering::Relaxed),
            waiting: gauges.waiting.load(Ordering::Relaxed),
            full: gauges.full.load(Ordering::Relaxed),
            dropped: gauges.dropped.load(Ordering::Relaxed),
            quarantined: gauges.quarantined.load(Ordering::Relaxed),
            torn: gauges.torn.load(Ordering::Relaxed),
            failures: gauges.failures.load(Ordering::Relaxed),
        }
    }

    /// Writes what waits if it can, forces it onto the disk as configured, stops the spool's thread and lets
    /// others open it. Blocks for as long
    /// as the disk takes.
    pub fn close(&self) {
        self.shared.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the spool's thread ended early");
        }
        // It goes with the process at the latest.
        let _ = self.lock.unlock();
    }
}
