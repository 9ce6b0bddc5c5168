//! The writing side: many appenders, one file.
//!
//! An append writes from the caller's own thread if nobody else is writing: a write into the page cache takes a few µs,
//! less than waking another thread and being woken by it. Whoever comes while another writes leaves its entry in the
//! queue; who writes takes along what the queue holds, in one write (group commit). Once a write was slow, or where every
//! entry is forced onto the disk, nobody's thread is lent any more: the spool's own thread writes, until the disk is quick
//! again, and callers wait for their tickets without a thread.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::entry::Entry;
use crate::options::{Fsync, Options, WhenFull};
use crate::reserve::{Reserve, is_full};
use crate::segment::Segment;
use crate::ticket::{Slot, Ticket};

/// A write from a caller's thread that takes longer than this hands writing over to the spool's own thread.
const SLOW: Duration = Duration::from_millis(5);
/// How often what is written is forced onto the disk with [`Fsync::Interval`].
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How often a disk that was full or failing is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Entries of one write, at most.
const GROUP: usize = 1024;

/// What the writing side is doing.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) appended: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) waiting: AtomicUsize,
    pub(crate) waiting_bytes: AtomicUsize,
    pub(crate) bytes: AtomicU64,
    pub(crate) full: AtomicBool,
    pub(crate) failures: AtomicU64,
    pub(crate) quarantined: AtomicU64,
    pub(crate) torn: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
}

/// How far the file is written: behind the last whole block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) segment: u64,
    pub(crate) end: u64,
    pub(crate) next: u64,
}

struct Waiting {
    entry: Entry,
    slot: Option<Arc<Slot>>,
}

struct Disk {
    segment: Segment,
    next: u64,
    /// Bytes of all segments but the one that is written.
    behind: u64,
    /// Segments that are complete but not yet forced onto the disk.
    unsynced: Vec<Arc<std::fs::File>>,
    dirty: bool,
}

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) id: Uuid,
    pub(crate) reserve: Reserve,
    disk: Mutex<Disk>,
    queue: Mutex<VecDeque<Waiting>>,
    head: Mutex<Head>,
    /// Whether only the spool's own thread writes.
    own_thread: AtomicBool,
    stopping: AtomicBool,
    bell: Mutex<bool>,
    rung: Condvar,
    pub(crate) gauges: Gauges,
    /// Told after each write.
    pub(crate) appended: Notify,
}

impl Shared {
    pub(crate) fn new(options: Options, id: Uuid, segment: Segment, next: u64, behind: u64) -> Self {
        let head = Head { segment: segment.first, end: segment.end, next };
        let gauges = Gauges::default();
        gauges.bytes.store(behind + segment.end, Ordering::Relaxed);
        let own_thread = AtomicBool::new(options.fsync == Fsync::Always);
        Self {
            reserve: Reserve::new(&options.dir, options.max_bytes),
            options,
            id,
            disk: Mutex::new(Disk { segment, next, behind, unsynced: Vec::new(), dirty: false }),
            queue: Mutex::default(),
            head: Mutex::new(head),
            own_thread,
            stopping: AtomicBool::new(false),
            bell: Mutex::new(false),
            rung: Condvar::new(),
            gauges,
            appended: Notify::new(),
        }
    }

    pub(crate) fn head(&self) -> Head {
        *lock(&self.head)
    }

    pub(crate) fn append(&self, entry: Entry) -> Ticket {
        if !self.own_thread.load(Ordering::Relaxed)
            && self.gauges.waiting.load(Ordering::Relaxed) == 0
            && let Some(mut disk) = try_lock(&self.disk)
        {
            let began = Instant::now();
            let mut group = [entry];
            let written = self.write(&mut disk, &mut group);
            drop(disk);
            if began.elapsed() > SLOW {
                self.own_thread.store(true, Ordering::Relaxed);
                self.ring();
            }
            let ticket = match written {
                Ok(()) => Ticket::KEPT,
                Err(_) => {
                    let [entry] = group;
                    let ticket = self.wait_for_room(entry);
                    self.ring();
                    return ticket;
                }
            };
            self.write_what_came_meanwhile();
            return ticket;
        }
        let ticket = self.wait_in_line(entry);
        if self.own_thread.load(Ordering::Relaxed) {
            self.ring();
        } else {
            // Whoever held the file may have let go of it before it could see this entry.
            self.write_what_came_meanwhile();
        }
        ticket
    }

    /// A place in the queue, behind a write that is under way.
    fn wait_in_line(&self, entry: Entry) -> Ticket {
        if self.gauges.full.load(Ordering::Relaxed) {
            return self.wait_for_room(entry);
        }
        self.enqueue(entry, true)
    }

    /// A place in the queue until there is room, as the policy says.
    fn wait_for_room(&self, entry: Entry) -> Ticket {
        match self.options.when_full {
            WhenFull::DropNewest => self.drop_newest(),
            WhenFull::Block => self.enqueue(entry, true),
            WhenFull::Overflow => self.enqueue(entry, false),
        }
    }

    fn enqueue(&self, entry: Entry, waits: bool) -> Ticket {
        let weight = entry.weight();
        let held = self.gauges.waiting_bytes.fetch_add(weight, Ordering::Relaxed);
        if held + weight > self.options.waiting_bytes {
            self.gauges.waiting_bytes.fetch_sub(weight, Ordering::Relaxed);
            return self.drop_newest();
        }
        let (ticket, slot) = if waits {
            let (ticket, slot) = Ticket::waiting();
            (ticket, Some(slot))
        } else {
            (Ticket::KEPT, None)
        };
        let mut queue = lock(&self.queue);
        queue.push_back(Waiting { entry, slot });
        self.gauges.waiting.store(queue.len(), Ordering::Relaxed);
        ticket
    }

    fn drop_newest(&self) -> Ticket {
        let dropped = self.gauges.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        // Powers of two: the log says that and how much is lost, and does not drown in it.
        if dropped.is_power_of_two() {
            tracing::error!(dropped, "the spool is full; entries are being dropped");
        }
        Ticket::KEPT
    }

    /// Writes the queue if nobody is writing; whoever is, looks at the queue once more after letting go of the file.
    fn write_what_came_meanwhile(&self) {
        while self.gauges.waiting.load(Ordering::SeqCst) > 0
            && !self.own_thread.load(Ordering::Relaxed)
            && !self.gauges.full.load(Ordering::Relaxed)
            && let Some(mut disk) = try_lock(&self.disk)
        {
            if self.write_queue(&mut disk).is_err() {
                self.ring();
                return;
            }
        }
    }

    /// Writes what the queue holds, one group after the other.
    fn write_queue(&self, disk: &mut Disk) -> io::Result<()> {
        loop {
            let (mut entries, slots) = self.take_group();
            if entries.is_empty() {
                return Ok(());
            }
            let weight: usize = entries.iter().map(Entry::weight).sum();
            let written = self.write(disk, &mut entries);
            if let Err(error) = written {
                self.give_back(entries, slots);
                return Err(error);
            }
            if self.options.fsync == Fsync::Always {
                self.sync_held(disk);
            }
            self.gauges.waiting_bytes.fetch_sub(weight, Ordering::Relaxed);
            slots.iter().flatten().for_each(|slot| slot.done());
        }
    }

    /// The oldest entries that fit together: into one segment and one write.
    fn take_group(&self) -> (Vec<Entry>, Vec<Option<Arc<Slot>>>) {
        let (mut entries, mut slots, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut queue = lock(&self.queue);
        while let Some(waiting) = queue.front()
            && entries.len() < GROUP
            && (entries.is_empty() || bytes + waiting.entry.block_len() <= self.options.segment_bytes() / 4)
            && let Some(waiting) = queue.pop_front()
        {
            bytes += waiting.entry.block_len();
            entries.push(waiting.entry);
            slots.push(waiting.slot);
        }
        self.gauges.waiting.store(queue.len(), Ordering::SeqCst);
        (entries, slots)
    }

    fn give_back(&self, entries: Vec<Entry>, slots: Vec<Option<Arc<Slot>>>) {
        let mut queue = lock(&self.queue);
        for (entry, slot) in entries.into_iter().zip(slots).rev() {
            queue.push_front(Waiting { entry, slot });
        }
        self.gauges.waiting.store(queue.len(), Ordering::SeqCst);
    }

    /// Writes a group; all of it is in the file afterwards, or none.
    fn write(&self, disk: &mut Disk, group: &mut [Entry]) -> io::Result<()> {
        let len: u64 = group.iter().map(Entry::block_len).sum();
        let written = self.make_room(disk, len).and_then(|()| {
            let now = now();
            for (sequence, entry) in (disk.next..).zip(group.iter_mut()) {
                entry.number(sequence, now);
            }
            disk.segment.append(group)
        });
        match written {
            Ok(()) => {
                disk.next += group.len() as u64;
                disk.dirty = true;
                let head = Head { segment: disk.segment.first, end: disk.segment.end, next: disk.next };
                *lock(&self.head) = head;
                self.gauges.appended.store(disk.next, Ordering::Relaxed);
                self.gauges.bytes.store(disk.behind + disk.segment.end, Ordering::Relaxed);
                if self.gauges.full.swap(false, Ordering::Relaxed) {
                    tracing::info!("the spool has room again");
                }
                self.appended.notify_one();
                Ok(())
            }
            Err(error) => {
                if !self.gauges.full.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, policy = ?self.options.when_full, "the spool cannot take entries");
                }
                self.gauges.failures.fetch_add(1, Ordering::Relaxed);
                if is_full(&error) {
                    self.leave_what_is_read(disk);
                }
                Err(error)
            }
        }
    }

    /// Begins another segment where all of this one has been read: then it can go, and its room is there for what waits.
    fn leave_what_is_read(&self, disk: &mut Disk) {
        let all_read = self.gauges.acknowledged.load(Ordering::Relaxed) >= disk.next;
        if !all_read || disk.segment.first == disk.next {
            return;
        }
        match self.reserve.with(|| Segment::create(&self.options.dir, self.id, disk.next)) {
            Ok(next) => {
                disk.behind += disk.segment.end;
                disk.segment = next;
                *lock(&self.head) = Head { segment: disk.segment.first, end: disk.segment.end, next: disk.next };
                // The reader goes on to it, and lets go of the one before.
                self.appended.notify_one();
            }
            Err(error) => tracing::warn!(%error, "there is not even room to make room in the spool"),
        }
    }

    /// Begins another segment where this one is full, within the limit of the whole.
    fn make_room(&self, disk: &mut Disk, len: u64) -> io::Result<()> {
        // What is larger than the whole limit is taken once everything before it has been read.
        let all_read = self.gauges.acknowledged.load(Ordering::Relaxed) >= disk.next;
        if disk.behind + disk.segment.end + len > self.options.max_bytes && !all_read {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "it has reached spool.max_bytes"));
        }
        if disk.segment.end + len <= self.options.segment_bytes() || disk.segment.first == disk.next {
            return Ok(());
        }
        let next = Segment::create(&self.options.dir, self.id, disk.next)?;
        disk.behind += disk.segment.end;
        let full = std::mem::replace(&mut disk.segment, next);
        if self.options.fsync != Fsync::Never && disk.dirty {
            disk.unsynced.push(full.file);
        }
        Ok(())
    }

    /// Segments were removed; there is room for what waits.
    pub(crate) fn freed(&self, bytes: u64) {
        let mut disk = lock(&self.disk);
        disk.behind = disk.behind.saturating_sub(bytes);
        self.gauges.bytes.store(disk.behind + disk.segment.end, Ordering::Relaxed);
        drop(disk);
        self.reserve.keep();
        if self.gauges.waiting.load(Ordering::SeqCst) > 0 {
            self.ring();
        }
    }

    fn sync_held(&self, disk: &mut Disk) {
        let files = std::mem::take(&mut disk.unsynced).into_iter().chain([disk.segment.file.clone()]);
        disk.dirty = false;
        for file in files {
            if let Err(error) = file.sync_data() {
                self.gauges.failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "the spool could not be forced onto the disk");
            }
        }
    }

    /// Forces what is written onto the disk, without holding up who writes.
    pub(crate) fn sync(&self) {
        let mut disk = lock(&self.disk);
        if !std::mem::take(&mut disk.dirty) {
            return;
        }
        let mut files = std::mem::take(&mut disk.unsynced);
        files.push(disk.segment.file.clone());
        drop(disk);
        for file in files {
            if let Err(error) = file.sync_data() {
                self.gauges.failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "the spool could not be forced onto the disk");
            }
        }
    }

    fn ring(&self) {
        *lock(&self.bell) = true;
        self.rung.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.ring();
    }

    /// The spool's own thread.
    pub(crate) fn run(&self) {
        let mut synced = Instant::now();
        loop {
            let pause = match (self.gauges.full.load(Ordering::Relaxed), self.options.fsync) {
                (true, _) => RETRY,
                (false, _) => SYNC_EVERY,
            };
            let bell = lock(&self.bell);
            let waited = self.rung.wait_timeout_while(bell, pause, |rung| !*rung);
            let (mut bell, _) = waited.unwrap_or_else(PoisonError::into_inner);
            *bell = false;
            drop(bell);
            if self.gauges.waiting.load(Ordering::SeqCst) > 0 {
                let began = Instant::now();
                let wrote = self.write_queue(&mut lock(&self.disk)).is_ok();
                let quick = wrote && began.elapsed() < SLOW;
                if quick && self.options.fsync != Fsync::Always {
                    self.own_thread.store(false, Ordering::Relaxed);
                    self.write_what_came_meanwhile();
                }
            }
            if self.options.fsync != Fsync::Never && synced.elapsed() >= SYNC_EVERY {
                self.sync();
                synced = Instant::now();
            }
            if self.stopping.load(Ordering::SeqCst) {
                if self.options.fsync != Fsync::Never {
                    self.sync();
                }
                return;
            }
        }
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking thread left is whole: a block is counted only once it is written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
