//! Beside all calls.

use std::convert::Infallible;
use std::time::Duration;

use super::remote::{Remote, account_step, bucket_step};
use super::{Inner, Limiter};
use crate::backend::Step;
use crate::ledger::Account;

/// How often everything is looked at.
const TICK: Duration = Duration::from_millis(250);
/// How long the shared limits may take to answer here, where no call waits.
const PATIENCE: Duration = Duration::from_millis(500);
/// What a process draws ahead goes back when no call has come for so long, in ms.
const IDLE_MS: i64 = 1_000;
/// So many parts stand in one message.
const BATCH: usize = 128;
/// An account is forgotten so long after its period, in seconds: a long call may end in the next one.
const LATE_S: i64 = 3_600;

impl Limiter {
    /// Tells the shared limits what was used, renews what is held, gives back what is not needed, and forgets what is over.
    /// It goes on for ever: run it beside the calls, and drop it at the end.
    pub async fn maintain(&self) -> Infallible {
        loop {
            let tick = tokio::time::sleep(TICK);
            match &self.0.remote {
                None => tick.await,
                Some(remote) => {
                    tokio::select! {
                        () = remote.wake.notified() => {}
                        () = tick => {}
                    }
                }
            }
            self.tend().await;
        }
    }

    /// One round of [`maintain`](Self::maintain).
    pub async fn tend(&self) {
        let inner = &*self.0;
        if let Some(remote) = &inner.remote {
            inner.sync(remote, false).await;
        }
        inner.forget();
    }

    /// At the end of a process: tells the shared limits all that was used, and gives back all that was held.
    pub async fn finish(&self) {
        if let Some(remote) = &self.0.remote {
            self.0.sync(remote, true).await;
        }
    }
}

impl Inner {
    async fn sync(&self, remote: &Remote, is_last: bool) {
        let steps = self.due(remote, is_last);
        for step in steps {
            match remote.send(&step, PATIENCE).await {
                Ok(reply) => self.learn(&step, &reply),
                Err(_) => return self.forget_owed(&step),
            }
        }
    }

    /// The messages that are due: at least one, which asks whether anybody is there.
    fn due(&self, remote: &Remote, is_last: bool) -> Vec<Step> {
        let now = self.now_ms();
        let renew_ms = i64::try_from(remote.options.lease.as_millis() / 3).unwrap_or(i64::MAX);
        let mut steps = vec![remote.step(self.told_now())];
        let fresh = || remote.step(self.told_now());
        self.buckets.sweep(|key, held| {
            let is_idle = is_last || now.saturating_sub(held.used_at) > IDLE_MS;
            let back = if is_idle && held.asking == 0 { held.slice.max(0) } else { 0 };
            if held.owed > 0 || back > 0 {
                push(&mut steps, fresh, |step| step.buckets.push(bucket_step(key, held, -back)));
            }
            true
        });
        self.ledger.sweep(|key, account| {
            let holds_more = account.shared.held > account.in_flight().saturating_add(account.unsynced());
            let is_idle = is_last || now.saturating_sub(account.used_at) > IDLE_MS;
            let lapses = account.shared.held > 0 && now.saturating_sub(account.shared.renewed_at) > renew_ms;
            // What others hold changes without a word from here, and whoever looks wants to know how it stands.
            let is_stale = account.shared.others > 0 && now.saturating_sub(account.shared.renewed_at) > renew_ms;
            if account.unsynced() > 0 || lapses || is_stale || (is_idle && holds_more) {
                let more = keeps_slice(account, is_idle);
                push(&mut steps, fresh, |step| step.accounts.extend(account_step(key, account, more)));
            }
            true
        });
        steps
    }

    /// Forgets accounts whose period is over or in which nothing was spent, and buckets that are full again.
    fn forget(&self) {
        let now = self.now_ms();
        let now_s = now / 1_000;
        self.ledger.sweep(|_, account| {
            let is_over = account.shared.slots.is_some() && account.shared.ends_s.saturating_add(LATE_S) < now_s;
            let is_blank = account.is_blank() && now.saturating_sub(account.used_at) > IDLE_MS;
            !((is_over || is_blank) && account.is_idle())
        });
        self.buckets.sweep(|_, held| {
            let is_new = held.owed == 0 && held.asking == 0 && held.slice == 0 && held.bucket.is_full(now);
            !(is_new && now.saturating_sub(held.used_at) > IDLE_MS)
        });
    }
}

/// A process that is busy keeps its slice, so that not every call has to ask for one.
fn keeps_slice(account: &Account, is_idle: bool) -> Option<i128> {
    (!is_idle)
        .then(|| account.shared.held.saturating_sub(account.in_flight()).saturating_sub(account.unsynced()).max(0))
}

fn push(steps: &mut Vec<Step>, fresh: impl Fn() -> Step, add: impl FnOnce(&mut Step)) {
    let is_full = steps.last().is_none_or(|step| step.buckets.len() + step.accounts.len() >= BATCH);
    if is_full {
        steps.push(fresh());
    }
    if let Some(step) = steps.last_mut() {
        add(step);
    }
}
