//! A thread that counts tokens nobody reported.
//!
//! Tokenising takes milliseconds where pricing takes one microsecond. A stream is closed on a thread that serves other
//! calls too, so what is left to count there is handed over here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tachograph_telemetry::Receipt;
use tokio::sync::oneshot;

/// Records that wait to be counted, at most. Each holds what was kept of its bodies.
const MOST_WAITING: usize = 256;

type Job = Box<dyn FnOnce() -> Receipt + Send>;

/// Where records go whose tokens are still to be counted; cheap to clone.
///
/// Nothing is lost: where too many wait, and once [`finish`](Self::finish) was called, a record is counted on the thread
/// that brings it. The receipt is there when the record is kept, so an answer's end waits for its record here as well.
#[derive(Clone)]
pub struct Estimates(Arc<Shared>);

struct Shared {
    queue: SyncSender<Option<(Job, oneshot::Sender<Receipt>)>>,
    is_over: AtomicBool,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Estimates {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start() -> std::io::Result<Self> {
        let (queue, waiting) = sync_channel(MOST_WAITING);
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new().name("estimates".to_owned()).spawn(move || {
            work(&waiting);
            // Whoever waits for the end may have given up.
            let _ = end.send(());
        })?;
        Ok(Self(Arc::new(Shared { queue, is_over: AtomicBool::new(false), ended: Mutex::new(Some(ended)) })))
    }

    /// Does this on the thread, or here where it has too much to do or has ended.
    pub(crate) fn take(&self, job: impl FnOnce() -> Receipt + Send + 'static) -> Receipt {
        if self.0.is_over.load(Ordering::Acquire) {
            return job();
        }
        let (told, receipt) = oneshot::channel();
        match self.0.queue.try_send(Some((Box::new(job), told))) {
            Ok(()) => Receipt::when(async {
                // Without an answer the job has died, and there is nothing to wait for.
                if let Ok(receipt) = receipt.await {
                    receipt.await;
                }
            }),
            Err(TrySendError::Full(Some((job, _))) | TrySendError::Disconnected(Some((job, _)))) => job(),
            Err(TrySendError::Full(None) | TrySendError::Disconnected(None)) => Receipt::kept(),
        }
    }

    /// Counts what waits, within this time. What is brought later is counted by who brings it.
    pub async fn finish(&self, within: Duration) {
        self.0.is_over.store(true, Ordering::Release);
        let Some(ended) = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let queue = self.0.queue.clone();
        // The mark that nothing follows; where the queue is full it waits for room.
        let marked = tokio::task::spawn_blocking(move || queue.send(None));
        let all = async {
            let _marked = marked.await;
            let _ended = ended.await;
        };
        if tokio::time::timeout(within, all).await.is_err() {
            tracing::warn!("the tokens of some streams were still being counted; their records are not kept");
        }
    }
}

fn work(waiting: &Receiver<Option<(Job, oneshot::Sender<Receipt>)>>) {
    while let Ok(Some((job, told))) = waiting.recv() {
        // The call may be gone; its record is kept all the same.
        let _ = told.send(job());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread::ThreadId;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn place(on: &Arc<Mutex<Vec<ThreadId>>>) -> impl FnOnce() -> Receipt + Send + 'static {
        let on = on.clone();
        move || {
            on.lock().unwrap().push(std::thread::current().id());
            Receipt::kept()
        }
    }

    #[tokio::test]
    async fn counts_elsewhere_and_here_once_it_is_over() {
        let (estimates, on) = (Estimates::start().unwrap(), Arc::default());
        estimates.take(place(&on)).await;
        estimates.finish(LONG).await;
        assert!(estimates.take(place(&on)).is_kept());
        estimates.finish(LONG).await;
        let here = std::thread::current().id();
        let on = on.lock().unwrap();
        assert!(on[0] != here && on[1] == here, "{on:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whatever_was_taken_is_done_before_the_end_and_too_much_is_done_at_once() {
        let (estimates, done) = (Estimates::start().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (go, hold) = sync_channel::<()>(0);
        let counted = |done: &Arc<AtomicUsize>| {
            let done = done.clone();
            move || {
                done.fetch_add(1, Ordering::SeqCst);
                Receipt::kept()
            }
        };
        let busy = counted(&done);
        let held = estimates.take(move || {
            hold.recv().unwrap();
            busy()
        });
        assert!(!held.is_kept());
        let all = MOST_WAITING + 20;
        let receipts: Vec<Receipt> = (0..all).map(|_| estimates.take(counted(&done))).collect();
        let at_once = receipts.iter().filter(|receipt| receipt.is_kept()).count();
        assert!(at_once >= 19 && at_once == done.load(Ordering::SeqCst), "{at_once}");
        go.send(()).unwrap();
        estimates.finish(LONG).await;
        assert_eq!(done.load(Ordering::SeqCst), all + 1);
        for receipt in receipts {
            receipt.await;
        }
        held.await;
    }
}
