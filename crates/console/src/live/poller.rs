//! Asks the store for new rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tachograph_record::{OrgId, RecordId, Timestamp};
use tachograph_store::{Filter, Marks, Row, Search, Store, StoreError};
use tokio::sync::broadcast::Sender;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::feed::{News, StoredRow};
use super::window::{ROWS, Window};
use crate::api::{Summary, cursor};

/// Between two questions.
const EVERY: Duration = Duration::from_millis(500);
/// Rows asked for at a time.
const PAGE: u32 = 500;
/// Pages read in one go; beyond that the listeners are told to reload.
const PAGES: usize = ROWS / PAGE as usize + 1;

/// One organisation's feed, as its poller sees it.
pub(super) struct Poller {
    pub(super) store: Arc<dyn Store>,
    pub(super) org: OrgId,
    pub(super) news: Sender<News>,
    /// Set once it is known which rows are old.
    pub(super) ready: watch::Sender<bool>,
}

impl Poller {
    /// Polls until nobody listens.
    pub(super) async fn run(self, nobody_listens: impl Fn() -> bool) {
        let (mut window, mut well) = (None, true);
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !nobody_listens() {
            ticks.tick().await;
            let asked = match &mut window {
                None => self.fill().await.map(|filled| window = Some(filled)),
                Some(window) => self.poll(window).await,
            };
            if asked.is_ok() != well {
                well = asked.is_ok();
                self.tell(if well { News::Recovered } else { News::Trouble });
            }
            if let Err(error) = asked {
                tracing::debug!(%error, "console: the live feed cannot read the store; it keeps trying");
            }
        }
    }

    /// Learns which rows are there already: those are no news.
    async fn fill(&self) -> Result<Window, StoreError> {
        let mut window = Window::starting(Timestamp::now());
        let mut search = self.search();
        for _ in 0..PAGES {
            let page = self.store.search(&search).await?;
            let oldest_is_outside = page.rows.iter().any(|row| !window.note(cursor(row)));
            search.before = page.next;
            if oldest_is_outside || page.next.is_none() {
                break;
            }
        }
        self.ready.send_replace(true);
        Ok(window)
    }

    /// Tells of the rows that came since.
    async fn poll(&self, window: &mut Window) -> Result<(), StoreError> {
        let mut search = self.search();
        search.after = Some(window.reach(Timestamp::now()));
        for _ in 0..PAGES {
            let page = self.store.search(&search).await?;
            let last = page.rows.len() < PAGE as usize;
            let next = page.next;
            let news: Vec<Row> = page.rows.into_iter().filter(|row| window.note(cursor(row))).collect();
            let ids: Vec<RecordId> = news.iter().map(|row| row.id).collect();
            // Feedback may be there before the row.
            let mut marks = if ids.is_empty() { HashMap::new() } else { self.store.marks(self.org, &ids).await? };
            for row in news {
                let marks = marks.remove(&row.id).unwrap_or_default();
                self.tell_of(row, marks);
            }
            if last || next.is_none() {
                return Ok(());
            }
            search.after = next;
        }
        self.tell(News::Missed);
        Ok(())
    }

    fn search(&self) -> Search {
        Search { limit: PAGE, ..Search::new(self.org, Filter::default()) }
    }

    fn tell_of(&self, row: Row, marks: Marks) {
        match serde_json::to_string(&Summary::of(&row, Some(&marks))) {
            Ok(json) => self.tell(News::Row(Arc::new(StoredRow { cursor: cursor(&row), row, marks, json }))),
            Err(error) => tracing::error!(%error, "console: a row cannot be written as JSON"),
        }
    }

    fn tell(&self, news: News) {
        // That nobody is there to hear it is no failure: they left while we asked.
        drop(self.news.send(news));
    }
}
