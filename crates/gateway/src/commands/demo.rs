//! `gateway demo`

use std::io::Write;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tachograph_record::Timestamp;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::CommandError;
use crate::config::Secret;
use crate::demo::Days;
use crate::stack::Gateway;

/// Calls under way at once.
const AT_ONCE: usize = 48;

/// What became of the demo's calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DemoReport {
    /// Calls made.
    pub calls: usize,
    /// Calls that were answered to their end.
    pub answered: usize,
}

/// Sends believable days of traffic through the gateway's real path.
///
/// # Errors
/// Where progress cannot be written.
pub async fn demo(
    gateway: Gateway<Full<Bytes>>,
    key: &Secret,
    days: u16,
    calls: usize,
    seed: u64,
    out: &mut impl Write,
) -> Result<DemoReport, CommandError> {
    let mut visits = Days::before(Timestamp::now(), days, calls, seed);
    let mut under_way = JoinSet::new();
    let mut report = DemoReport::default();
    while let Some(visit) = visits.next_visit(key) {
        if under_way.len() >= AT_ONCE {
            report.count(under_way.join_next().await);
        }
        under_way.spawn(answered(gateway.clone(), visit.request));
        report.calls += 1;
        if report.calls.is_multiple_of(100) {
            writeln!(out, "{} of {calls} calls", report.calls)?;
        }
    }
    while let Some(ended) = under_way.join_next().await {
        report.count(Some(ended));
    }
    Ok(report)
}

impl DemoReport {
    fn count(&mut self, ended: Option<Result<bool, tokio::task::JoinError>>) {
        self.answered += usize::from(matches!(ended, Some(Ok(true))));
    }
}

async fn answered(gateway: Gateway<Full<Bytes>>, request: http::Request<Full<Bytes>>) -> bool {
    match gateway.oneshot(request).await {
        Ok(response) => {
            // An error's body is read too: who leaves it unread has left, and would be recorded so.
            let good = response.status().is_success();
            response.into_body().collect().await.is_ok() && good
        }
        Err(never) => match never {},
    }
}
