//! Who listens, and the one poller of each organisation that is listened to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tachograph_record::OrgId;
use tachograph_store::{Cursor, Marks, Row, Store};
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::poller::Poller;
use crate::Closing;

/// News that a listener may lag behind before it is told to reload.
const BUFFERED: usize = 256;
/// Listeners of one organisation at once.
const MOST_LISTENERS: usize = 256;

/// What is told to listeners.
#[derive(Clone)]
pub(super) enum News {
    /// A row was stored.
    Row(Arc<StoredRow>),
    /// There was more than could be told.
    Missed,
    /// The store does not answer.
    Trouble,
    /// The store answers again.
    Recovered,
}

/// A row, written as JSON once for all who listen.
pub(super) struct StoredRow {
    pub(super) cursor: Cursor,
    pub(super) row: Row,
    pub(super) marks: Marks,
    pub(super) json: String,
}

/// All feeds. Dropping the last handle stops their pollers.
#[derive(Clone)]
pub(crate) struct Live(Arc<Feeds>);

struct Feeds {
    store: Arc<dyn Store>,
    closing: Closing,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    by_org: HashMap<OrgId, Feed>,
    pollers: JoinSet<()>,
}

struct Feed {
    news: Sender<News>,
    ready: watch::Receiver<bool>,
}

/// One listener's end of a feed.
pub(super) struct Subscription {
    pub(super) news: Receiver<News>,
    /// True from when every row that is stored will come as news.
    pub(super) ready: watch::Receiver<bool>,
}

impl Live {
    pub(crate) fn new(store: Arc<dyn Store>, closing: Closing) -> Self {
        Self(Arc::new(Feeds { store, closing, open: Mutex::default() }))
    }

    /// Resolves when the program is about to stop.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.closing.clone().closed()
    }

    /// News of an organisation from now on; `None` where too many listen already.
    pub(super) fn subscribe(&self, org: OrgId) -> Option<Subscription> {
        let mut open = self.0.lock();
        let Open { by_org, pollers } = &mut *open;
        // Pollers that are done are let go of here: each ends soon after its last listener left.
        while pollers.try_join_next().is_some() {}
        if let Some(Feed { news, ready }) = by_org.get(&org) {
            let room = news.receiver_count() < MOST_LISTENERS;
            return room.then(|| Subscription { news: news.subscribe(), ready: ready.clone() });
        }
        let (news, first) = broadcast::channel(BUFFERED);
        let (set_ready, ready) = watch::channel(false);
        by_org.insert(org, Feed { news: news.clone(), ready: ready.clone() });
        // Weak, or the poller would keep alive what is to stop it.
        let ending = Ending { feeds: Arc::downgrade(&self.0), org, news: news.clone() };
        let poller = Poller { store: self.0.store.clone(), org, news, ready: set_ready };
        pollers.spawn(async move { poller.run(|| ending.is_due()).await });
        Some(Subscription { news: first, ready })
    }
}

impl Feeds {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a feed away when its poller ends, in whatever way: one without a poller would keep its listeners waiting.
struct Ending {
    feeds: Weak<Feeds>,
    org: OrgId,
    news: Sender<News>,
}

impl Ending {
    /// Whether nobody listens; then the feed is taken away. Subscribing takes the same lock, so nobody comes in between.
    fn is_due(&self) -> bool {
        let Some(feeds) = self.feeds.upgrade() else { return true };
        let mut open = feeds.lock();
        let unheard = self.news.receiver_count() == 0;
        if unheard {
            self.take_away(&mut open);
        }
        unheard
    }

    fn take_away(&self, open: &mut Open) {
        if open.by_org.get(&self.org).is_some_and(|feed| feed.news.same_channel(&self.news)) {
            open.by_org.remove(&self.org);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(feeds) = self.feeds.upgrade() {
            self.take_away(&mut feeds.lock());
        }
    }
}
