//! Shared limits inside one process: what the others must answer alike.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tachograph_record::Timestamp;

use super::{Backend, BackendFuture, Kept, Reply, Step};

/// Shared limits in this process's memory: several [`Limiter`](crate::Limiter)s share them as several processes share a
/// server. One process alone needs none.
#[derive(Debug, Default)]
pub struct InProcess {
    kept: Mutex<HashMap<String, Kept>>,
}

impl InProcess {
    /// Answers at once.
    pub fn answer(&self, step: &Step) -> Reply {
        let now = step.now.unwrap_or_else(|| Timestamp::now().micros() / 1_000);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reply = Reply::default();
        for bucket in &step.buckets {
            reply.buckets.push(kept.entry(bucket.key.clone()).or_default().draw(bucket, now));
        }
        for account in &step.accounts {
            let row = kept.entry(account.key.clone()).or_default();
            reply.accounts.push(row.hold(account, &step.holder, step.lease_ms, now));
        }
        reply
    }
}

impl Backend for InProcess {
    fn step<'a>(&'a self, step: &'a Step) -> BackendFuture<'a, Reply> {
        Box::pin(std::future::ready(Ok(self.answer(step))))
    }
}
