//! Load, and what its clients saw.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tachograph_tests::{Ending, Gateway, Pace, Upstream, golden, post};
use tokio::task::JoinSet;

/// Clients that call at once.
const CLIENTS: usize = 8;

/// What the clients saw, over all rounds. A call is named by its user.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) sent: AtomicUsize,
    /// Calls whose answers were seen to their end.
    pub(crate) whole: Mutex<BTreeSet<String>>,
    pub(crate) refused: AtomicUsize,
    pub(crate) cut: AtomicUsize,
    pub(crate) latencies: Mutex<Vec<Duration>>,
}

impl Seen {
    /// The latency that all but one in a hundred stay below, since it was asked last.
    pub(crate) fn p99(&self) -> Duration {
        let mut all = std::mem::take(&mut *self.latencies.lock().unwrap());
        all.sort();
        all.get(all.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default()
    }
}

/// An upstream that answers at once, or in a stream that takes some 30 ms.
pub(crate) async fn upstream() -> Upstream {
    Upstream::answering(|seen| {
        let stream = seen.json()["stream"] == true;
        let pace = Pace::Every(Duration::from_millis(3));
        if stream { golden::OPENAI_CHAT.events().paced(pace) } else { golden::OPENAI_CHAT.reply() }
    })
    .await
}

/// Calls until it is told to stop; then calls under way are let go of, as they are.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(gateway: &Arc<Gateway>, seen: &Arc<Seen>) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(client(gateway.clone(), seen.clone(), stop.clone()));
        }
        Self { stop, clients }
    }

    /// No new calls from now on.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// No new calls; waits for those under way.
    pub(crate) async fn finish(mut self) {
        self.stop();
        while self.clients.join_next().await.is_some() {}
    }
}

async fn client(gateway: Arc<Gateway>, seen: Arc<Seen>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        let number = seen.sent.fetch_add(1, Ordering::SeqCst);
        let user = format!("call-{number}");
        let messages = json!([{ "role": "user", "content": format!("I am {user}") }]);
        let body = json!({ "model": "gpt-4o-mini", "stream": number.is_multiple_of(2), "messages": messages });
        let mut request = post("/openai/v1/chat/completions", &body);
        request.headers_mut().insert("helicone-user-id", user.parse().unwrap());
        let began = Instant::now();
        let Ok(open) = gateway.try_open(request).await else {
            seen.cut.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let answer = open.collect().await;
        seen.latencies.lock().unwrap().push(began.elapsed());
        if answer.status != 200 {
            seen.refused.fetch_add(1, Ordering::SeqCst);
        } else if answer.ending == Ending::Whole || answer.text().contains("[DONE]") {
            seen.whole.lock().unwrap().insert(user);
        } else {
            seen.cut.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Every row, once the gateway has nothing left to store.
pub(crate) async fn rows(gateway: &Gateway) -> Vec<Value> {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let health = gateway.api("/api/health").await;
        if health["queue_depth"] == 0 {
            break;
        }
        assert!(Instant::now() < until, "{health:#}\n{}", gateway.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (mut rows, mut path) = (Vec::new(), "/api/requests?limit=1000".to_owned());
    loop {
        let page = gateway.api(&path).await;
        rows.extend(page["rows"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => path = format!("/api/requests?limit=1000&before={next}"),
            None => return rows,
        }
    }
}

/// What became of the calls.
pub(crate) struct Count {
    pub(crate) lost: Vec<String>,
    pub(crate) duplicates: Vec<String>,
    pub(crate) outcomes: BTreeMap<String, usize>,
}

impl Count {
    /// A few of the lost.
    pub(crate) fn some_lost(&self) -> &[String] {
        &self.lost[..self.lost.len().min(10)]
    }
}

/// Compares what the clients saw with the rows, prints the count, and finds what is lost, double or unlike.
pub(crate) fn count(what: &str, seen: &Seen, rows: &[Value]) -> Count {
    let mut by_user: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let mut outcomes = BTreeMap::new();
    for row in rows {
        by_user.entry(row["user"].as_str().unwrap_or_default()).or_default().push(row);
        *outcomes.entry(row["outcome"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    let whole = seen.whole.lock().unwrap();
    let is_kept = |user: &&String| {
        by_user
            .get(user.as_str())
            .is_some_and(|rows| rows[0]["outcome"] == "complete" && rows[0]["cost"]["total"] == "0.000255")
    };
    let lost: Vec<String> = whole.iter().filter(|user| !is_kept(user)).cloned().collect();
    let duplicates: Vec<String> =
        by_user.iter().filter(|(_, rows)| rows.len() > 1).map(|(user, _)| (*user).to_owned()).collect();
    println!(
        "{what}: {} requests, {} answers seen to their end, {} rows {outcomes:?}, {} refused, {} cut, {} duplicates, {} lost",
        seen.sent.load(Ordering::SeqCst),
        whole.len(),
        rows.len(),
        seen.refused.load(Ordering::SeqCst),
        seen.cut.load(Ordering::SeqCst),
        duplicates.len(),
        lost.len(),
    );
    Count { lost, duplicates, outcomes }
}
