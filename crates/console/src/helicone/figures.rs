//! How sessions and users are spread: Helicone's histograms.

use axum::Extension;
use axum::extract::State;
use axum::response::Json;
use serde_json::{Value, json};
use tachograph_store::{Breakdown, Fact, Filter, Group, Measure, Predicate};

use super::metrics::{filtered, mean, usd};
use super::{Answer, Failed, ok};
use crate::access::Caller;
use crate::api::Desk;

/// Sessions or users that are looked at, the latest first.
const MOST: u32 = 20_000;
/// Bars of a histogram.
const BARS: usize = 10;
/// Shares by their names, of which values beyond are in no bar.
const SHARES: [(&str, f64); 6] =
    [("p50", 0.5), ("p75", 0.75), ("p95", 0.95), ("p99", 0.99), ("p99.5", 0.995), ("p99.9", 0.999)];

/// The filter of a question about sessions.
pub(super) async fn of_sessions(desk: &Desk, caller: Caller, body: &Value) -> Result<Filter, Failed> {
    let mut filter = filtered(desk, caller, body).await?.and(Predicate::present(Fact::Session));
    if let Some(name) = body["nameEquals"].as_str() {
        filter = filter.and(Predicate::is(Fact::SessionName, name));
    }
    if let Some(part) = body["nameContains"].as_str().filter(|part| !part.is_empty()) {
        filter = filter.and(Predicate::condition(Fact::SessionName.into(), "contains", &json!(part))?);
    }
    if let Some(search) = body["search"].as_str().filter(|search| !search.is_empty()) {
        let either = [Fact::Session, Fact::SessionName]
            .map(|fact| Predicate::condition(fact.into(), "contains", &json!(search)));
        filter = filter.and(Predicate::Or(either.into_iter().collect::<Result<_, _>>()?));
    }
    Ok(filter)
}

async fn grouped(desk: &Desk, caller: Caller, by: &[Fact], filter: Filter) -> Result<Vec<Group>, Failed> {
    let by = by.iter().map(|fact| (*fact).into()).collect();
    let asked = Breakdown { by, order: Measure::LastAt, limit: MOST, ..Breakdown::whole(caller.org, filter) };
    Ok(desk.store.groups(&asked).await?.groups)
}

/// `POST /v1/session/count`.
pub(crate) async fn session_count(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let filter = of_sessions(&desk, caller, &body).await?;
    let sessions = grouped(&desk, caller, &[Fact::Session, Fact::SessionName], filter).await?;
    Ok(ok(&json!(sessions.len())))
}

/// `POST /v1/session/metrics/query`: requests, seconds and dollars of sessions.
pub(crate) async fn session_metrics(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let filter = of_sessions(&desk, caller, &body).await?;
    let sessions = grouped(&desk, caller, &[Fact::Session, Fact::SessionName], filter).await?;
    let share = share(&body)?;
    let counts: Vec<f64> = sessions.iter().map(|group| mean(group.totals.requests, 1)).collect();
    let lasted = |group: &Group| {
        let (first, last) = (group.totals.first_at?, group.totals.last_at?);
        Some(mean(u64::try_from(last.micros() - first.micros()).ok()?, 1_000_000))
    };
    let durations: Vec<f64> = sessions.iter().map(|group| lasted(group).unwrap_or(0.0)).collect();
    let costs: Vec<f64> = sessions.iter().map(|group| usd(group.totals.cost)).collect();
    Ok(ok(&json!({
        "session_count": histogram(&counts, share),
        "session_duration": histogram(&durations, share),
        "session_cost": histogram(&costs, share),
        "average": {
            "session_count": [{ "average": average(&counts) }],
            "session_duration": [{ "average": average(&durations) }],
            "session_cost": [{ "average": average(&costs) }],
        },
    })))
}

/// `POST /v1/user/metrics-overview/query`: requests and dollars of users.
pub(crate) async fn user_overview(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let filter = filtered(&desk, caller, &body).await?.and(Predicate::present(Fact::User));
    let users = grouped(&desk, caller, &[Fact::User], filter).await?;
    let share = share(&body)?;
    let counts: Vec<f64> = users.iter().map(|group| mean(group.totals.requests, 1)).collect();
    let costs: Vec<f64> = users.iter().map(|group| usd(group.totals.cost)).collect();
    Ok(ok(&json!({ "request_count": histogram(&counts, share), "user_cost": histogram(&costs, share) })))
}

fn share(body: &Value) -> Result<f64, Failed> {
    let asked = body["pSize"].as_str().unwrap_or("p75");
    let names = || SHARES.map(|(name, _)| name).join(", ");
    let found = SHARES.iter().find(|(name, _)| *name == asked).map(|(_, share)| *share);
    found.ok_or_else(|| Failed::wrong(format!("`pSize` is one of {}", names())))
}

#[expect(clippy::cast_precision_loss, reason = "means for people")]
fn average(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Bars of one width from the least value to that which so many do not go beyond.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places among a few values"
)]
fn histogram(values: &[f64], share: f64) -> Vec<Value> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(&least) = sorted.first() else { return Vec::new() };
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len()) - 1;
    let most = sorted[at];
    let width = (most - least) / BARS as f64;
    if width <= 0.0 {
        let count = sorted.iter().filter(|value| **value <= most).count();
        return vec![json!({ "range_start": least.to_string(), "range_end": most.to_string(), "value": count })];
    }
    let mut counts = [0_u64; BARS];
    for value in sorted.iter().take_while(|value| **value <= most) {
        counts[(((value - least) / width) as usize).min(BARS - 1)] += 1;
    }
    let bar = |(at, count): (usize, &u64)| {
        let start = least + width * at as f64;
        json!({ "range_start": start.to_string(), "range_end": (start + width).to_string(), "value": count })
    };
    counts.iter().enumerate().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_up_to_the_share_is_in_one_bar() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        for (name, share) in SHARES {
            let bars = histogram(&values, share);
            let sum: u64 = bars.iter().map(|bar| bar["value"].as_u64().unwrap()).sum();
            assert_eq!((bars.len(), sum), (10, (100.0 * share).ceil() as u64), "{name}");
        }
        assert_eq!(histogram(&[], 0.5), Vec::<Value>::new());
        assert_eq!(histogram(&[2.0, 2.0], 0.5)[0]["value"], 2);
    }
}
