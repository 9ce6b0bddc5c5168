//! Whatever a crash or a bad disk does to the file: what was kept and is whole is read exactly once, in order.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic; helpers of a test are the test")]

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tachograph_spool::{BLOCK_HEAD, Entry, Fsync, Options, Spool, SpoolError, WhenFull};

struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("tachograph-spool-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn options(&self) -> Options {
        Options { max_bytes: 1 << 20, fsync: Fsync::Never, ..Options::new(&self.0) }
    }

    fn segments(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "seg")).collect();
        files.sort();
        files
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn entry(bytes: &[u8]) -> Entry {
    Entry::copied(bytes).unwrap()
}

/// All entries from here on, with their numbers.
fn drain(dir: &Dir) -> (Vec<(u64, Bytes)>, tachograph_spool::SpoolState) {
    let (spool, mut reader) = Spool::open(dir.options()).unwrap();
    let mut all = Vec::new();
    while !reader.is_at_the_end() {
        all.extend(reader.read(7, 1 << 20).unwrap().into_iter().map(|block| (block.sequence, block.entry)));
    }
    let state = spool.state();
    spool.close();
    (all, state)
}

fn write(dir: &Dir, entries: &[Vec<u8>]) {
    let (spool, _reader) = Spool::open(dir.options()).unwrap();
    for bytes in entries {
        assert!(spool.append(entry(bytes)).is_kept());
    }
    spool.close();
}

fn entries() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_a_crash_at_every_byte_every_whole_entry_is_there_once_and_in_order(entries in entries()) {
        let dir = Dir::new();
        write(&dir, &entries);
        let path = dir.segments().remove(0);
        let whole = std::fs::read(&path).unwrap();
        let mut ends = vec![36];
        entries.iter().for_each(|bytes| ends.push(ends.last().unwrap() + BLOCK_HEAD + bytes.len()));
        prop_assert_eq!(*ends.last().unwrap(), whole.len());
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let kept = ends.iter().filter(|&&end| end <= cut).count().saturating_sub(1);
            let (read, state) = drain(&dir);
            prop_assert_eq!(read.len(), kept, "cut at {}", cut);
            for (at, (sequence, bytes)) in read.iter().enumerate() {
                prop_assert_eq!((*sequence, &bytes[..]), (at as u64 + 1, &entries[at][..]));
            }
            prop_assert_eq!(state.quarantined, 0, "a block that was never kept is no damage");
            prop_assert_eq!(state.next, kept as u64 + 1);
        }
    }

    #[test]
    fn a_flipped_byte_costs_the_entry_that_it_stands_in_and_no_other(entries in entries(), flip in 1..=255_u8) {
        let dir = Dir::new();
        write(&dir, &entries);
        let path = dir.segments().remove(0);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            std::fs::write(&path, &damaged).unwrap();
            let (read, state) = drain(&dir);
            let mut end = 36;
            let hit = entries.iter().position(|bytes| {
                let begin = end;
                end += BLOCK_HEAD + bytes.len();
                (begin..end).contains(&at)
            });
            let expected: Vec<_> = entries.iter().enumerate().filter(|(n, _)| Some(*n) != hit).collect();
            prop_assert_eq!(read.len(), expected.len(), "flipped at {}", at);
            for ((sequence, bytes), (n, wanted)) in read.iter().zip(expected) {
                prop_assert_eq!((*sequence, &bytes[..]), (n as u64 + 1, &wanted[..]));
            }
            prop_assert_eq!(state.quarantined, u64::from(hit.is_some()), "flipped at {}", at);
            let aside = dir.0.join("quarantine");
            prop_assert_eq!(aside.exists(), hit.is_some());
            let _ = std::fs::remove_dir_all(aside);
            // What comes next is kept and read, too.
            let (spool, _reader) = Spool::open(dir.options()).unwrap();
            prop_assert!(spool.append(entry(b"next")).is_kept());
            spool.close();
            let (read, _) = drain(&dir);
            prop_assert_eq!(&read.last().unwrap().1[..], b"next");
            let _ = std::fs::remove_dir_all(dir.0.join("quarantine"));
        }
    }

    #[test]
    fn over_restarts_and_many_segments_all_is_read_once_and_in_order(
        runs in proptest::collection::vec((0..80_usize, 0..80_usize, any::<bool>()), 1..8),
    ) {
        let dir = Dir::new();
        let (mut appended, mut read) = (0_u64, 0_u64);
        for (appends, reads, acknowledge) in runs {
            let (spool, mut reader) = Spool::open(dir.options()).unwrap();
            prop_assert_eq!(spool.first_of_run(), appended + 1);
            for _ in 0..appends {
                appended += 1;
                prop_assert!(spool.append(entry(&[&appended.to_le_bytes()[..], &[7; 1500]].concat())).is_kept());
            }
            prop_assert_eq!(reader.next_sequence(), read + 1);
            let blocks = reader.read(reads, usize::MAX).unwrap();
            for (at, block) in blocks.iter().enumerate() {
                prop_assert_eq!(block.sequence, read + 1 + at as u64);
                prop_assert_eq!(&block.entry[..8], &block.sequence.to_le_bytes()[..]);
            }
            if acknowledge {
                reader.acknowledge(Vec::new()).unwrap();
                reader.save().unwrap();
                read += blocks.len() as u64;
            }
            spool.close();
        }
    }
}

#[test]
fn acknowledged_segments_go_and_held_blocks_stay() {
    let dir = Dir::new();
    let (spool, mut reader) = Spool::open(dir.options()).unwrap();
    for n in 0..200_u8 {
        assert!(spool.append(entry(&[n; 2000])).is_kept());
    }
    let before = dir.segments().len();
    assert!(before > 3);
    let blocks = reader.read(200, usize::MAX).unwrap();
    assert_eq!(blocks.len(), 200);
    let held = &blocks[150];
    reader.acknowledge(vec![held.position]).unwrap();
    reader.save().unwrap();
    let between = dir.segments().len();
    assert!(between < before && between > 1, "{between} of {before}");
    spool.close();
    drop((spool, reader));
    let (spool, mut reader) = Spool::open(dir.options()).unwrap();
    let found = reader.held().unwrap();
    assert_eq!((found.len(), found[0].sequence, &found[0].entry[..]), (1, 151, &[150; 2000][..]));
    assert!(reader.is_at_the_end());
    reader.acknowledge(Vec::new()).unwrap();
    assert_eq!(dir.segments().len(), 1);
    assert!(spool.state().bytes < 64 << 10);
    spool.close();
}

#[test]
fn one_process_at_a_time() {
    let dir = Dir::new();
    let (spool, _reader) = Spool::open(dir.options()).unwrap();
    assert!(matches!(Spool::open(dir.options()), Err(SpoolError::InUse(_))));
    spool.close();
}

/// Fills it to its limit.
fn full(dir: &Dir, when_full: WhenFull) -> (Spool, tachograph_spool::Reader, u64) {
    let options = Options { max_bytes: 256 << 10, when_full, waiting_bytes: 64 << 10, ..dir.options() };
    let (spool, reader) = Spool::open(options).unwrap();
    let mut kept = 0;
    while !spool.state().full {
        drop(spool.append(entry(&[1; 1000])));
        kept = spool.state().next - 1;
    }
    (spool, reader, kept)
}

#[tokio::test]
async fn block_waits_for_room_and_keeps_everything() {
    let dir = Dir::new();
    let (spool, mut reader, kept) = full(&dir, WhenFull::Block);
    let waiting: Vec<_> = (0..10).map(|n| spool.append(entry(&[n; 1000]))).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(waiting.iter().all(|ticket| !ticket.is_kept()));
    assert!(spool.state().bytes <= 256 << 10);
    let read = reader.read(usize::MAX, usize::MAX).unwrap();
    assert_eq!(read.len() as u64, kept);
    reader.acknowledge(Vec::new()).unwrap();
    for ticket in waiting {
        tokio::time::timeout(Duration::from_secs(5), ticket).await.unwrap();
    }
    // The one that found it full, and the ten.
    let rest = reader.read(usize::MAX, usize::MAX).unwrap();
    assert_eq!(rest.len(), 11);
    assert_eq!((spool.state().dropped, spool.state().full), (0, false));
    spool.close();
}

#[tokio::test]
async fn what_waits_is_bounded_and_overflow_makes_nobody_wait() {
    for (policy, waits) in [(WhenFull::Block, true), (WhenFull::Overflow, false), (WhenFull::DropNewest, false)] {
        let dir = Dir::new();
        let (spool, _reader, _) = full(&dir, policy);
        assert_eq!(spool.append(entry(&[2; 1000])).is_kept(), !waits);
        let tickets: Vec<_> = (0..100).map(|_| spool.append(entry(&[2; 1000]))).collect();
        let state = spool.state();
        match policy {
            WhenFull::DropNewest => assert_eq!(state.waiting, 0),
            _ => assert!(state.waiting > 10 && state.waiting < 70, "{state:?}"),
        }
        assert_eq!(state.dropped + state.waiting as u64, 102, "{policy:?}");
        drop(tickets);
        spool.close();
    }
}

#[test]
fn many_threads_append_at_once_and_nothing_is_lost() {
    for fsync in [Fsync::Never, Fsync::Always] {
        let dir = Dir::new();
        let options = Options { fsync, max_bytes: 64 << 20, ..dir.options() };
        let (spool, mut reader) = Spool::open(options).unwrap();
        let (threads, each) = (8, if fsync == Fsync::Always { 40 } else { 2000 });
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let spool = &spool;
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                    for n in 0..each {
                        let bytes = [thread as u64, n].map(u64::to_le_bytes).concat();
                        let ticket = spool.append(Entry::new([vec![0; BLOCK_HEAD], bytes].concat(), vec![]).unwrap());
                        let kept = async { tokio::time::timeout(Duration::from_secs(20), ticket).await };
                        runtime.block_on(kept).unwrap();
                    }
                });
            }
        });
        let read = reader.read(usize::MAX, usize::MAX).unwrap();
        assert_eq!(read.len() as u64, threads as u64 * each);
        let mut next = vec![0; threads];
        for (at, block) in read.iter().enumerate() {
            assert_eq!(block.sequence, at as u64 + 1);
            let number = |at: usize| u64::from_le_bytes(block.entry[at..at + 8].try_into().unwrap());
            let thread = usize::try_from(number(0)).unwrap();
            assert_eq!(number(8), next[thread], "in the order in which one thread appended");
            next[thread] += 1;
        }
        spool.close();
    }
}

#[test]
fn large_entries_go_by_reference_and_one_larger_than_all_is_taken_when_it_stands_alone() {
    let dir = Dir::new();
    let options = Options { max_bytes: 256 << 10, ..dir.options() };
    let (spool, mut reader) = Spool::open(options).unwrap();
    let large = Bytes::from(vec![9; 1 << 20]);
    let long = Entry::new(vec![0; BLOCK_HEAD], vec![large.slice(..1 << 19), large.slice(1 << 19..)]).unwrap();
    assert!(spool.append(long).is_kept());
    assert!(!spool.append(entry(b"next")).is_kept(), "the limit holds for what comes behind it");
    assert_eq!(reader.read(10, usize::MAX).unwrap()[0].entry, large);
    spool.close();
}

#[test]
fn a_segment_that_is_gone_shows_in_the_numbers() {
    let dir = Dir::new();
    write(&dir, &vec![vec![3; 2000]; 100]);
    let lost = dir.segments().remove(1);
    std::fs::remove_file(lost).unwrap();
    let (read, _) = drain(&dir);
    let gap = read.windows(2).filter(|pair| pair[1].0 != pair[0].0 + 1).count();
    assert_eq!(gap, 1);
    assert_eq!(read.last().unwrap().0, 100);
}

#[test]
fn a_damaged_cursor_means_reading_again() {
    let dir = Dir::new();
    write(&dir, &vec![vec![3; 20]; 10]);
    let (spool, mut reader) = Spool::open(dir.options()).unwrap();
    reader.read(5, usize::MAX).unwrap();
    reader.acknowledge(Vec::new()).unwrap();
    reader.save().unwrap();
    spool.close();
    drop((spool, reader));
    assert_eq!(drain(&dir).0.len(), 5);
    flip(&dir.0.join("cursor"), 20);
    assert_eq!(drain(&dir).0.len(), 10);
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0xff], at).unwrap();
}
