//! The console over a real store: what the feed tells is what the list shows.

use std::collections::BTreeSet;
use std::fs;

use tachograph_record::{LogRecord, Outcome, SessionRef, Timestamp};

use crate::desk::{KEY, call, desk_over};
use crate::live::Listener;

/// Calls that differ in each field a filter may name, and some that have it not at all.
fn calls(now: i64) -> Vec<LogRecord> {
    let mut records: Vec<_> = (0..6).map(|n| call(now - n * 1_000_000)).collect();
    records[0].asked.attribution.user = Some("ada".into());
    records[1].asked.attribution.user = Some("Ada".into());
    records[1].asked.attribution.session = Some(SessionRef { id: "s".into(), ..SessionRef::default() });
    records[2].asked.attribution.set_property("Team", "a:b");
    records[2].asked.attribution.set_property("team", "c");
    records[3].asked.model = Some("fast".into());
    records[3].provider_model = Some("llama".into());
    records[3].provider = Some("groq".into());
    records[4].outcome = Outcome::Refused;
    records[4].status = Some(429);
    records[4].provider = None;
    records[5].asked.model = None;
    records[5].status = None;
    records
}

#[tokio::test]
async fn the_feed_and_the_list_agree_on_every_filter() {
    let folder = std::env::temp_dir().join(format!("tachograph-console-{}", call(0).id));
    fs::create_dir_all(&folder).unwrap();
    let store = tachograph_store::open("sqlite:", &folder).await.unwrap();
    store.migrate().await.unwrap();
    let desk = desk_over(store.clone());
    let now = Timestamp::now().micros();
    let moment = format!("from={}&until={}", now - 3_000_000, now - 1_000_000);
    let filters = [
        "",
        "user=ada",
        "session=s",
        "property=Team:a:b",
        "property=team:c",
        "property=Team:c",
        "model=fast",
        "model=llama",
        "provider=groq",
        "outcome=refused",
        "status=429",
        "status=200",
        &moment,
    ];
    let mut listeners = Vec::new();
    for filter in filters {
        listeners.push(Listener::open(&desk, KEY, &format!("/api/live?{filter}")).await);
    }
    store.append(&calls(now)).await.unwrap();
    let mut picked = Vec::new();
    for (filter, listener) in filters.iter().zip(&mut listeners) {
        let (_, list) = desk.json(&format!("/api/requests?{filter}")).await;
        let listed: BTreeSet<_> =
            list["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        let mut heard = BTreeSet::new();
        for _ in &listed {
            heard.insert(listener.row().await);
        }
        assert_eq!(heard, listed, "{filter}");
        picked.push(listed.len());
    }
    assert_eq!(picked, [6, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 4, 2]);
    store.close().await.unwrap();
    fs::remove_dir_all(&folder).unwrap();
}
