//! Sessions, users, properties and the figures of Helicone's dashboard.

use std::collections::HashMap;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use serde_json::{Value, json};
use tachograph_record::{Money, Timestamp};
use tachograph_store::query::read_moment;
use tachograph_store::{Breakdown, Fact, Filter, Group, Measure, Predicate, Spread, Totals};

use super::figures::of_sessions;
use super::rows::moment;
use super::steps::{Step, series};
use super::{Answer, Failed, created, filter, ok};
use crate::access::Caller;
use crate::api::{Desk, resolve};

/// `timeFilter` in its three forms: `{start, end}` as RFC 3339, and both in ms or s of the epoch.
fn period(body: &Value) -> Result<(Option<Timestamp>, Option<Timestamp>), Failed> {
    let asked = &body["timeFilter"];
    let at = |names: [(&str, i64); 3]| -> Result<Option<Timestamp>, Failed> {
        for (name, unit) in names {
            match &asked[name] {
                Value::String(text) => return Ok(Some(Timestamp::from_micros(read_moment(text)?))),
                Value::Number(number) => {
                    let number = number.as_i64().ok_or_else(|| Failed::wrong(format!("`{name}` is a whole number")))?;
                    return Ok(Some(Timestamp::from_micros(number.saturating_mul(unit))));
                }
                _ => {}
            }
        }
        Ok(None)
    };
    let start = at([("start", 1_000), ("startTimeUnixMs", 1_000), ("startTimeUnixSeconds", 1_000_000)])?;
    let end = at([("end", 1_000), ("endTimeUnixMs", 1_000), ("endTimeUnixSeconds", 1_000_000)])?;
    Ok((start, end))
}

pub(super) async fn filtered(desk: &Desk, caller: Caller, body: &Value) -> Result<Filter, Failed> {
    let only = filter::read(&body["filter"], caller.org)?;
    let (from, until) = period(body)?;
    Ok(resolve(&*desk.store, caller.org, Filter { from, until, only }).await?.0)
}

pub(super) fn number(body: &Value, name: &str, default: u32, most: u32) -> u32 {
    body[name].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(default).min(most)
}

pub(super) fn usd(money: Money) -> f64 {
    money.to_string().parse().unwrap_or_default()
}

pub(super) fn at(moment_of: Option<Timestamp>) -> Value {
    moment_of.map_or(Value::Null, |at| json!(moment(at.micros())))
}

#[expect(clippy::cast_precision_loss, reason = "means for people")]
pub(super) fn mean(sum: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
}

/// Prompt, completion and all tokens.
fn tokens(totals: &Totals) -> [u64; 3] {
    let (input, output) = (totals.input_tokens, totals.output_tokens);
    [input, output, input.saturating_add(output)]
}

/// `POST /v1/session/query`.
pub(crate) async fn sessions(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let filter = of_sessions(&desk, caller, &body).await?;
    let asked = Breakdown {
        by: vec![Fact::Session.into(), Fact::SessionName.into()],
        order: Measure::LastAt,
        limit: number(&body, "limit", 50, 1_000).max(1),
        skip: number(&body, "offset", 0, 100_000),
        ..Breakdown::whole(caller.org, filter.clone())
    };
    let groups = desk.store.groups(&asked).await?.groups;
    let users = users_of(&desk, caller, filter, &groups).await?;
    let told = |group: &Group| {
        let [prompt, completion, total] = tokens(&group.totals);
        json!({
            "created_at": at(group.totals.first_at),
            "latest_request_created_at": at(group.totals.last_at),
            "session_id": group.keys[0],
            "session_name": group.keys[1],
            "total_cost": usd(group.totals.cost),
            "total_requests": group.totals.requests,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": total,
            "avg_latency": mean(group.totals.latency_us, group.totals.requests) / 1_000.0,
            "user_ids": users.get(&group.keys),
        })
    };
    Ok(ok(&json!(groups.iter().map(told).collect::<Vec<_>>())))
}

/// Who took part in these sessions, by session and name.
async fn users_of(
    desk: &Desk,
    caller: Caller,
    filter: Filter,
    sessions: &[Group],
) -> Result<HashMap<Vec<Option<String>>, Vec<String>>, Failed> {
    let mut users: HashMap<Vec<Option<String>>, Vec<String>> =
        sessions.iter().map(|group| (group.keys.clone(), Vec::new())).collect();
    let ids: Vec<&str> = sessions.iter().filter_map(|group| group.keys[0].as_deref()).collect();
    if ids.is_empty() {
        return Ok(users);
    }
    let of_these = Predicate::condition(Fact::Session.into(), "in", &json!(ids))?;
    let asked = Breakdown {
        by: vec![Fact::Session.into(), Fact::SessionName.into(), Fact::User.into()],
        ..Breakdown::whole(caller.org, filter.and(of_these).and(Predicate::present(Fact::User)))
    };
    for mut group in desk.store.groups(&asked).await?.groups {
        let user = group.keys.pop().flatten();
        if let (Some(held), Some(user)) = (users.get_mut(&group.keys), user) {
            held.push(user);
        }
    }
    Ok(users)
}

/// `POST /v1/session/name/query`.
pub(crate) async fn session_names(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let mut filter = filtered(&desk, caller, &body).await?.and(Predicate::present(Fact::SessionName));
    if let Some(contains) = body["nameContains"].as_str().filter(|contains| !contains.is_empty()) {
        filter = filter.and(Predicate::condition(Fact::SessionName.into(), "contains", &json!(contains))?);
    }
    let asked = Breakdown {
        by: vec![Fact::SessionName.into()],
        order: Measure::LastAt,
        limit: number(&body, "limit", 50, 1_000).max(1),
        ..Breakdown::whole(caller.org, filter)
    };
    let told = |group: &Group| {
        json!({
            "name": group.keys[0],
            "created_at": at(group.totals.first_at),
            "first_used": at(group.totals.first_at),
            "last_used": at(group.totals.last_at),
            "total_cost": usd(group.totals.cost),
            "total_requests": group.totals.requests,
        })
    };
    let groups = desk.store.groups(&asked).await?.groups;
    Ok(ok(&json!(groups.iter().map(told).collect::<Vec<_>>())))
}

/// `POST /v1/user/metrics/query`.
pub(crate) async fn users(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let filter = filtered(&desk, caller, &body).await?.and(Predicate::present(Fact::User));
    let asked = Breakdown {
        by: vec![Fact::User.into()],
        order: Measure::LastAt,
        limit: number(&body, "limit", 10, 1_000).max(1),
        skip: number(&body, "offset", 0, 100_000),
        ..Breakdown::whole(caller.org, filter.clone())
    };
    let groups = desk.store.groups(&asked).await?;
    let limited = Breakdown {
        limit: 20_000,
        skip: 0,
        filter: filter.clone().and(Predicate::condition(Fact::Status.into(), "eq", &json!(429))?),
        ..asked.clone()
    };
    let limited = desk.store.groups(&limited).await?.groups;
    let told = |group: &Group| {
        let totals = &group.totals;
        let [prompt, completion, total] = tokens(totals);
        let day = |at: Option<Timestamp>| at.map_or(0, |at| at.micros().div_euclid(crate::bill::calendar::DAY));
        let active = u64::try_from(day(totals.last_at) - day(totals.first_at) + 1).unwrap_or(1);
        let refused = limited.iter().find(|other| other.keys == group.keys).map_or(0, |other| other.totals.requests);
        json!({
            "id": group.keys[0], "user_id": group.keys[0], "active_for": active,
            "first_active": at(totals.first_at), "last_active": at(totals.last_at),
            "total_requests": totals.requests,
            "average_requests_per_day_active": mean(totals.requests, active),
            "average_tokens_per_request": mean(total, totals.requests),
            "total_prompt_tokens": prompt, "total_completion_tokens": completion,
            "cost": usd(totals.cost), "rate_limited_count": refused,
        })
    };
    let all = Breakdown { limit: 20_000, skip: 0, ..asked };
    let count = desk.store.groups(&all).await?.groups.len();
    let users: Vec<Value> = groups.groups.iter().map(told).collect();
    Ok(ok(&json!({ "users": users, "count": count, "hasUsers": count > 0 })))
}

/// `POST /v1/user/query`.
pub(crate) async fn users_in(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Value>,
) -> Answer {
    let mut filter = filtered(&desk, caller, &body).await?.and(Predicate::present(Fact::User));
    if body["userIds"].is_array() {
        filter = filter.and(Predicate::condition(Fact::User.into(), "in", &body["userIds"])?);
    }
    let asked = Breakdown { by: vec![Fact::User.into()], limit: 1_000, ..Breakdown::whole(caller.org, filter) };
    let told = |group: &Group| {
        let [prompt, completion, _] = tokens(&group.totals);
        json!({
            "user_id": group.keys[0], "count": group.totals.requests, "cost": usd(group.totals.cost),
            "prompt_tokens": prompt, "completion_tokens": completion,
        })
    };
    let groups = desk.store.groups(&asked).await?.groups;
    Ok(ok(&json!(groups.iter().map(told).collect::<Vec<_>>())))
}

/// `POST /v1/metrics/{which}`.
pub(crate) async fn metric(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Path(which): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    let filter = filtered(&desk, caller, &body).await?;
    let whole = Breakdown::whole(caller.org, filter.clone());
    if which.ends_with("OverTime") || which == "timeToFirstToken" {
        return over_time(&desk, &which, &body, whole).await;
    }
    if which == "models" {
        let asked = Breakdown {
            by: vec![Fact::Model.into()],
            order: Measure::Requests,
            limit: number(&body, "limit", 10, 1_000).max(1),
            ..whole
        };
        let told = |group: &Group| {
            let [prompt, completion, total] = tokens(&group.totals);
            json!({
                "model": group.keys[0].as_deref().unwrap_or(""), "total_requests": group.totals.requests,
                "total_completion_tokens": completion, "total_prompt_token": prompt, "total_tokens": total,
                "cost": usd(group.totals.cost),
            })
        };
        let groups = desk.store.groups(&asked).await?.groups;
        return Ok(created(&json!(groups.iter().map(told).collect::<Vec<_>>())));
    }
    if which == "quantiles" {
        return quantiles(&desk, &body, whole).await;
    }
    if which == "country" {
        // Where callers are is not recorded: addresses are no part of a row.
        return Ok(created(&json!([])));
    }
    if which == "activeUsers" {
        let asked = Breakdown { by: vec![Fact::User.into()], ..whole };
        let groups = desk.store.groups(&asked).await?.groups;
        return Ok(created(&json!(groups.iter().filter(|group| group.keys[0].is_some()).count())));
    }
    let totals = desk.store.totals(caller.org, &filter).await?;
    let [prompt, completion, total] = tokens(&totals);
    let requests = totals.requests;
    let data = match which.as_str() {
        "totalRequests" | "requestCount" => json!(requests),
        "totalCost" => json!(usd(totals.cost)),
        "averageLatency" => json!(mean(totals.latency_us, requests) / 1_000.0),
        "averageTimeToFirstToken" => json!(mean(totals.first_token_us, totals.first_tokens) / 1_000.0),
        "averageTokensPerRequest" => json!({
            "average_prompt_tokens_per_response": mean(prompt, requests),
            "average_completion_tokens_per_response": mean(completion, requests),
            "average_total_tokens_per_response": mean(total, requests),
        }),
        "totalThreats" => json!(0),
        other => return Err(Failed(StatusCode::NOT_FOUND, format!("there is no metric `{other}`"))),
    };
    Ok(created(&data))
}

async fn over_time(desk: &Desk, which: &str, body: &Value, whole: Breakdown) -> Answer {
    let step = Step::read(body)?;
    let by = match which {
        "requestStatusOverTime" => vec![Fact::Status.into()],
        "usersOverTime" => vec![Fact::User.into()],
        _ => Vec::new(),
    };
    let asked = match which {
        "errorOverTime" => {
            let failed = Predicate::condition(Fact::Failed.into(), "eq", &json!(true))?;
            Breakdown { filter: whole.filter.clone().and(failed), ..whole }
        }
        _ => Breakdown { by, ..whole },
    };
    let groups = series(desk, asked, step).await?;
    if which == "usersOverTime" {
        let mut counts: std::collections::BTreeMap<i64, u64> = std::collections::BTreeMap::new();
        for group in groups.iter().filter(|group| group.keys[0].is_some()) {
            *counts.entry(group.at.map_or(0, Timestamp::micros)).or_default() += 1;
        }
        let data: Vec<Value> =
            counts.iter().map(|(at, count)| json!({ "time": moment(*at), "count": count })).collect();
        return Ok(created(&json!(data)));
    }
    let point = |group: &Group| -> Option<Value> {
        let totals = &group.totals;
        let [prompt, completion, _] = tokens(totals);
        let time = at(group.at);
        Some(match which {
            "requestOverTime" | "errorOverTime" => json!({ "time": time, "count": totals.requests }),
            "requestStatusOverTime" => json!({
                "time": time, "count": totals.requests,
                "status": group.keys[0].as_ref().and_then(|status| status.parse::<i64>().ok()).unwrap_or(-100),
            }),
            "costOverTime" => json!({ "time": time, "cost": usd(totals.cost) }),
            "tokensOverTime" => json!({ "time": time, "prompt_tokens": prompt, "completion_tokens": completion }),
            "latencyOverTime" => {
                json!({ "time": time, "duration": mean(totals.latency_us, totals.requests) / 1_000.0 })
            }
            "timeToFirstToken" => {
                json!({ "time": time, "ttft": mean(totals.first_token_us, totals.first_tokens) / 1_000.0 })
            }
            "threatsOverTime" => json!({ "time": time, "count": 0 }),
            _ => return None,
        })
    };
    let data: Option<Vec<Value>> = groups.iter().map(point).collect();
    match data {
        Some(data) => Ok(created(&json!(data))),
        None => Err(Failed(StatusCode::NOT_FOUND, format!("there is no metric `{which}`"))),
    }
}

/// `POST /v1/metrics/quantiles {metric}`: how slow, or how long, the slowest and longest are, over time.
async fn quantiles(desk: &Desk, body: &Value, whole: Breakdown) -> Answer {
    const SHARES: [(&str, f64); 4] = [("p75", 0.75), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)];
    let metric = body["metric"].as_str().unwrap_or("latency");
    let (spread, per) = match metric {
        "latency" => (Spread::Latency, 1_000.0),
        "time_to_first_token" => (Spread::FirstToken, 1_000.0),
        "prompt_tokens" => (Spread::InputTokens, 1.0),
        "completion_tokens" => (Spread::OutputTokens, 1.0),
        other => {
            let known = "latency, time_to_first_token, prompt_tokens or completion_tokens";
            return Err(Failed::wrong(format!("`metric` is {known}, not `{other}`")));
        }
    };
    let groups = series(desk, Breakdown { spreads: vec![spread], ..whole }, Step::read(body)?).await?;
    let told = |group: &Group| {
        let mut point = json!({ "time": at(group.at) });
        for (name, share) in SHARES {
            let value = group.spreads.first().and_then(|sketch| sketch.quantile(share));
            point[name] = json!(value.map(|value| mean(value, 1) / per));
        }
        point
    };
    Ok(created(&json!(groups.iter().map(told).collect::<Vec<_>>())))
}
