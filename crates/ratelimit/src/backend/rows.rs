//! Shared limits in the rows of a database.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Backend, BackendFuture, Kept, Reply, Step, Unavailable};

/// Changes rows that are locked: given the database's clock in ms and what stands in each row, in the order they were
/// asked for; absent where there is none yet.
pub type Change = Box<dyn FnOnce(i64, &mut [Option<String>]) + Send>;

/// A table of texts by key, of which some rows are changed in one transaction.
pub trait SharedRows: Send + Sync + 'static {
    /// Locks the rows of these keys, in one order for all callers, lets `change` work on them, and writes them back. Rows
    /// need not be kept beyond `expires_s` (seconds of the epoch).
    fn change<'a>(
        &'a self,
        keys: &'a [String],
        expires_s: i64,
        change: Change,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;
}

/// Shared limits in a database's rows.
pub struct RowBackend<R> {
    rows: R,
}

impl<R: SharedRows> RowBackend<R> {
    /// Keeps them in these rows.
    pub const fn new(rows: R) -> Self {
        Self { rows }
    }
}

impl<R: SharedRows> Backend for RowBackend<R> {
    fn step<'a>(&'a self, step: &'a Step) -> BackendFuture<'a, Reply> {
        Box::pin(async move {
            let buckets = step.buckets.iter().map(|bucket| bucket.key.clone());
            let keys: Vec<String> = buckets.chain(step.accounts.iter().map(|account| account.key.clone())).collect();
            let expires = step.accounts.iter().map(|account| account.expires_s).max().unwrap_or(0);
            let longest = step.buckets.iter().map(|bucket| bucket.shape.window_ms / 1_000).max().unwrap_or(0);
            let now_s = tachograph_record::Timestamp::now().micros() / 1_000_000;
            let expires = expires.max(now_s.saturating_add(longest)).saturating_add(step.lease_ms / 1_000 + 60);
            let told: Arc<Mutex<Result<Reply, String>>> = Arc::new(Mutex::new(Err("nothing was changed".to_owned())));
            let (answer, asked) = (told.clone(), step.clone());
            let change: Change = Box::new(move |clock, rows| {
                let done = apply(&asked, asked.now.unwrap_or(clock), rows);
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = done;
            });
            self.rows.change(&keys, expires, change).await.map_err(Unavailable)?;
            let reply = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
            reply.map_err(Unavailable)
        })
    }
}

fn apply(step: &Step, now: i64, rows: &mut [Option<String>]) -> Result<Reply, String> {
    if rows.len() != step.buckets.len() + step.accounts.len() {
        return Err("as many rows as keys are needed".to_owned());
    }
    let mut reply = Reply::default();
    let (buckets, accounts) = rows.split_at_mut(step.buckets.len());
    for (bucket, row) in step.buckets.iter().zip(buckets) {
        let mut kept = read(row)?;
        reply.buckets.push(kept.draw(bucket, now));
        *row = Some(write(&kept)?);
    }
    for (account, row) in step.accounts.iter().zip(accounts) {
        let mut kept = read(row)?;
        reply.accounts.push(kept.hold(account, &step.holder, step.lease_ms, now));
        *row = Some(write(&kept)?);
    }
    Ok(reply)
}

fn read(row: &Option<String>) -> Result<Kept, String> {
    row.as_deref().map_or_else(|| Ok(Kept::default()), |text| serde_json::from_str(text).map_err(|why| why.to_string()))
}

fn write(kept: &Kept) -> Result<String, String> {
    serde_json::to_string(kept).map_err(|why| why.to_string())
}
