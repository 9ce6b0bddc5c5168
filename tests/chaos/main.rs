//! Nothing lost: processes killed under load, stores stopped and frozen, disks full and damaged.
//!
//! ```sh
//! TACHOGRAPH_CHAOS_ROUNDS=100 TACHOGRAPH_CHAOS_SECONDS=60 cargo test -p tachograph-tests --test chaos -- --nocapture --test-threads=1
//! ```
//!
//! Rounds are how often a process is killed (4 if not told), seconds how long a store is away (3 if not told). Each test
//! prints how many requests were sent, answers seen to their end, rows, duplicates and losses there were.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "the whole crate is a test")]

mod disk;
mod limits;
mod load;
mod postgres;
mod redis;

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use disk::SmallDisk;
use load::{Load, Seen, count, rows, upstream};
use postgres::Postgres;
use tachograph_tests::{Gateway, Logger};

fn parameter(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

fn rounds() -> u64 {
    parameter("TACHOGRAPH_CHAOS_ROUNDS", 4)
}

fn away() -> Duration {
    Duration::from_secs(parameter("TACHOGRAPH_CHAOS_SECONDS", 3))
}

/// Moments that differ from round to round and from run to run.
fn some_time(round: u64) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    Duration::from_millis(100 + (u64::from(now) / 1000 + round * 7919) % 500)
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_32_kill_9_under_load_loses_no_answer_that_was_seen_to_its_end() {
    let (upstream, seen) = (upstream().await, Arc::<Seen>::default());
    let mut gateway = Arc::new(Gateway::before(&upstream).start().await);
    for round in 0..rounds() {
        let load = Load::start(&gateway, &seen);
        tokio::time::sleep(some_time(round)).await;
        load.stop();
        gateway.signal("KILL");
        load.finish().await;
        let next = gateway.again();
        drop(gateway);
        gateway = Arc::new(next.start().await);
    }
    let found = rows(&gateway).await;
    let counted = count("kill -9 of the gateway", &seen, &found);
    assert!(seen.whole.lock().unwrap().len() as u64 > rounds());
    assert!(counted.lost.is_empty(), "lost: {:?}", counted.some_lost());
    assert!(counted.duplicates.is_empty(), "double: {:?}", counted.duplicates);
    assert_eq!(seen.refused.load(Ordering::SeqCst), 0);
    assert!(
        counted.outcomes.keys().all(|outcome| ["complete", "interrupted", "client_gone"].contains(&outcome.as_str()))
    );
    let health = gateway.api("/api/health").await;
    assert_eq!((&health["quarantined"], &health["dropped"]), (&0.into(), &0.into()), "{health:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_32_a_graceful_stop_under_load_loses_nothing() {
    let (upstream, seen) = (upstream().await, Arc::<Seen>::default());
    let mut gateway = Arc::new(Gateway::before(&upstream).start().await);
    for round in 0..rounds().min(10) {
        let load = Load::start(&gateway, &seen);
        tokio::time::sleep(some_time(round)).await;
        load.stop();
        gateway.signal("TERM");
        load.finish().await;
        let mut ending = Arc::into_inner(gateway).unwrap();
        let status = ending.ended().await;
        assert!(status.success(), "{status}: {}", ending.log());
        gateway = Arc::new(ending.again().start().await);
    }
    let found = rows(&gateway).await;
    let counted = count("SIGTERM of the gateway", &seen, &found);
    assert!(counted.lost.is_empty() && counted.duplicates.is_empty());
    assert_eq!(counted.outcomes.keys().collect::<Vec<_>>(), ["complete"], "every call under way was served to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_33_a_store_that_is_stopped_or_frozen_costs_no_call_and_no_row() {
    for frozen in [false, true] {
        let Some(postgres) = Postgres::start() else { return };
        let (upstream, seen) = (upstream().await, Arc::<Seen>::default());
        let configuration = format!("store: {{ url: \"{}\" }}", postgres.url());
        let gateway = Arc::new(Gateway::before(&upstream).config(&configuration).start().await);
        let load = Load::start(&gateway, &seen);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = seen.p99();
        if frozen {
            postgres.freeze(true)
        } else {
            postgres.stop_service()
        }
        tokio::time::sleep(away()).await;
        let during = seen.p99();
        let ready = gateway.send_as_is(tachograph_tests::get("/readyz")).await.unwrap().collect().await;
        assert_eq!(ready.status, 200, "a gateway that can serve is ready");
        if frozen {
            postgres.freeze(false)
        } else {
            postgres.resume_service()
        }
        load.finish().await;
        let found = rows(&gateway).await;
        let what = if frozen { "Postgres frozen" } else { "Postgres stopped" };
        let counted = count(what, &seen, &found);
        println!("{what} for {:?}: p99 {before:?} before, {during:?} meanwhile", away());
        assert!(counted.lost.is_empty(), "lost: {:?}", counted.some_lost());
        assert!(counted.duplicates.is_empty(), "double: {:?}", counted.duplicates);
        assert_eq!((seen.refused.load(Ordering::SeqCst), seen.cut.load(Ordering::SeqCst)), (0, 0));
        assert_eq!(counted.outcomes["complete"], seen.sent.load(Ordering::SeqCst));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_32_kill_9_of_the_logger_costs_no_call_and_no_row() {
    let (upstream, seen) = (upstream().await, Arc::<Seen>::default());
    let mut logger = Logger::start();
    let gateway = Arc::new(Gateway::before(&upstream).config(&logger.configuration()).start().await);
    let load = Load::start(&gateway, &seen);
    for round in 0..rounds() {
        tokio::time::sleep(some_time(round)).await;
        logger.kill();
        tokio::time::sleep(some_time(round) / 2).await;
        logger.resume();
    }
    load.finish().await;
    let found = rows(&gateway).await;
    let counted = count("kill -9 of the logger", &seen, &found);
    assert!(counted.lost.is_empty(), "lost: {:?}", counted.some_lost());
    assert!(counted.duplicates.is_empty(), "double: {:?}", counted.duplicates);
    assert_eq!((seen.refused.load(Ordering::SeqCst), seen.cut.load(Ordering::SeqCst)), (0, 0));
    assert_eq!(counted.outcomes["complete"], seen.sent.load(Ordering::SeqCst));
    // The store knows the gateway, and that its record is complete.
    let health = gateway.api("/api/health").await;
    let number = health["complete_to_number"].as_u64().unwrap();
    let mut known = serde_json::Value::Null;
    for _ in 0..100 {
        let health = gateway.api("/api/health").await;
        let gateways = health["gateways"].as_array().cloned().unwrap_or_default();
        known = gateways.into_iter().find(|known| known["gateway"] == health["gateway"]).unwrap_or_default();
        if known["number"].as_u64() >= Some(number) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(known["number"].as_u64() >= Some(number), "{known} of {number}");
    assert_eq!(known["quarantined"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_makes_ends_wait_and_loses_nothing() {
    let Some(postgres) = Postgres::start() else { return };
    let (upstream, seen) = (upstream().await, Arc::<Seen>::default());
    let configuration =
        format!("store: {{ url: \"{}\" }}\nspool: {{ max_bytes: 300KiB, when_full: block }}", postgres.url());
    let gateway = Arc::new(Gateway::before(&upstream).config(&configuration).start().await);
    postgres.freeze(true);
    let load = Load::start(&gateway, &seen);
    let mut full = false;
    for _ in 0..400 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let ready = gateway.send_as_is(tachograph_tests::get("/readyz")).await.unwrap().collect().await.json();
        full = ready["spool"] == "full" && ready["records"]["waiting"].as_u64() > Some(0);
        if full {
            break;
        }
    }
    assert!(full, "the spool did not fill");
    postgres.freeze(false);
    load.finish().await;
    let found = rows(&gateway).await;
    let counted = count("a full spool", &seen, &found);
    assert!(counted.lost.is_empty() && counted.duplicates.is_empty(), "{:?}", counted.some_lost());
    assert_eq!((seen.refused.load(Ordering::SeqCst), seen.cut.load(Ordering::SeqCst)), (0, 0));
    assert_eq!(counted.outcomes["complete"], seen.sent.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_the_spool_itself_fills_makes_ends_wait_and_is_free_again_once_the_store_is_back() {
    let (Some(postgres), Some(disk)) = (Postgres::start(), SmallDisk::mount("4m")) else { return };
    let (upstream, seen) = (upstream().await, Arc::<Seen>::default());
    let spool = disk.path().join("spool");
    let configuration = format!("store: {{ url: \"{}\" }}\nspool: {{ dir: \"{}\" }}", postgres.url(), spool.display());
    let gateway = Arc::new(Gateway::before(&upstream).config(&configuration).start().await);
    // Twice: what stands by for a full disk is there again after the first time.
    for round in 1..=2 {
        postgres.freeze(true);
        let load = Load::start(&gateway, &seen);
        let mut full = false;
        for _ in 0..1200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let ready = gateway.send_as_is(tachograph_tests::get("/readyz")).await.unwrap().collect().await.json();
            full = ready["spool"] == "full" && ready["records"]["waiting"].as_u64() > Some(0);
            if full {
                break;
            }
        }
        assert!(full, "the disk did not fill in round {round}\n{}", gateway.log());
        assert!(disk.free() < 64 << 10, "{} bytes are free", disk.free());
        postgres.freeze(false);
        load.finish().await;
        let found = rows(&gateway).await;
        let counted = count("a full disk", &seen, &found);
        assert!(counted.lost.is_empty() && counted.duplicates.is_empty(), "{:?}", counted.some_lost());
        assert_eq!((seen.refused.load(Ordering::SeqCst), seen.cut.load(Ordering::SeqCst)), (0, 0));
        assert_eq!(counted.outcomes["complete"], seen.sent.load(Ordering::SeqCst));
    }
    let health = gateway.api("/api/health").await;
    assert_eq!(
        (&health["dropped"], &health["quarantined"], &health["spool_full"]),
        (&0.into(), &0.into(), &false.into())
    );
    assert!(health["spool_bytes"].as_u64() < Some(3 << 20), "{health:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_and_a_flipped_byte_cost_what_they_hit_and_are_reported() {
    let Some(postgres) = Postgres::start() else { return };
    let (upstream, seen) = (upstream().await, Arc::<Seen>::default());
    let configuration = format!("store: {{ url: \"{}\" }}", postgres.url());
    let gateway = Arc::new(Gateway::before(&upstream).config(&configuration).start().await);
    postgres.freeze(true);
    // What the pump had in hand when the store froze is behind this.
    let load = Load::start(&gateway, &seen);
    tokio::time::sleep(Duration::from_millis(800)).await;
    load.stop();
    gateway.signal("KILL");
    load.finish().await;
    let segment = segments(&gateway).pop().unwrap();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&segment).unwrap();
    let len = file.metadata().unwrap().len();
    // The last byte of the first entry, and a block that was begun: a head's first half.
    let mut head = [0; 32];
    file.read_exact_at(&mut head, 36).unwrap();
    let hit = 36 + 32 + u64::from(u32::from_le_bytes(head[4..8].try_into().unwrap())) - 1;
    let mut byte = [0];
    file.read_exact_at(&mut byte, hit).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], hit).unwrap();
    file.write_all_at(&head[..16], len).unwrap();
    postgres.freeze(false);
    let next = gateway.again();
    drop(gateway);
    let gateway = next.start().await;
    let found = rows(&gateway).await;
    let counted = count("a flipped byte and a torn tail", &seen, &found);
    assert!(counted.lost.len() <= 1, "more than was hit: {:?}", counted.some_lost());
    assert!(counted.duplicates.is_empty());
    let health = gateway.api("/api/health").await;
    assert_eq!((&health["quarantined"], &health["spool_full"]), (&1.into(), &false.into()), "{health:#}");
    let aside = gateway.directory().join("tachograph-data/spool/quarantine");
    assert_eq!(std::fs::read_dir(aside).unwrap().count(), 1);
}

fn segments(gateway: &Gateway) -> Vec<PathBuf> {
    let files = std::fs::read_dir(gateway.directory().join("tachograph-data/spool")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "seg"));
    files.sort();
    files
}
