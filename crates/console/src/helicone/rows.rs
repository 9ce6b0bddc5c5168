//! Rows as Helicone tells them.

use serde_json::{Map, Value, json};
use tachograph_record::{Direction, Kind, Modality};
use tachograph_store::query::write_decimal;
use tachograph_store::{Mark, Marks, Row};

/// µs since the epoch as RFC 3339 in UTC.
pub(super) fn moment(micros: i64) -> String {
    let (seconds, millis) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000) / 1_000);
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month) = crate::bill::calendar::month_of(day);
    let of_month = day - crate::bill::calendar::first_of(year, month) + 1;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The status, with Helicone's own where there was no answer.
fn status(row: &Row) -> i64 {
    match (row.status, row.outcome) {
        (_, tachograph_record::Outcome::ClientGone) => -3,
        (Some(status), _) => status.into(),
        (None, _) => -100,
    }
}

/// One row; `bodies` are the texts of request and answer, where they are wanted.
pub(super) fn told(row: &Row, marks: &Marks, bodies: Option<(&[u8], &[u8])>) -> Value {
    let about = &row.attribution;
    let usage = row.usage.as_ref();
    let tokens = |count: Option<u64>| json!(count);
    let (read, written) = (usage.map(|u| u.cache_read_total()), usage.map(|u| u.cache_write_total()));
    let fresh =
        usage.map(|u| u.input_total().saturating_sub(u.cache_read_total()).saturating_sub(u.cache_write_total()));
    let spoken = usage.map(|u| u.output_total().saturating_sub(u.reasoning_total()));
    let audio = |direction: Direction| {
        usage.map(|u| {
            u.sum(|leaf| {
                leaf.direction == direction && leaf.modality == Modality::Audio && leaf.kind != Kind::CacheRead
            })
        })
    };
    let cost = row.cost.total().map(|cost| cost.to_string().parse::<f64>().unwrap_or_default());
    let mut properties: Map<String, Value> =
        marks.properties_of(row).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    if let Some(session) = &about.session {
        properties.insert("Helicone-Session-Id".into(), json!(session.id));
        for (name, value) in [("Helicone-Session-Path", &session.path), ("Helicone-Session-Name", &session.name)] {
            if let Some(value) = value {
                properties.insert(name.into(), json!(value));
            }
        }
    }
    if let Some(prompt) = &about.prompt {
        properties.insert("Helicone-Prompt-Id".into(), json!(prompt.id));
    }
    let scores: Map<String, Value> = marks
        .scores
        .iter()
        .map(|(name, micro)| (name.clone(), write_decimal(*micro).parse().map_or(Value::Null, Value::Number)))
        .collect();
    let feedback = marks.score(Mark::FEEDBACK);
    let body =
        |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(bytes)));
    let absent = || json!({ "helicone_message": "ask for this request with includeBody=true" });
    let (request_body, response_body) = match bodies {
        Some((request, response)) => (body(request), body(response)),
        None => (absent(), absent()),
    };
    let cache = row.control.cache.as_ref();
    let served = cache.filter(|cache| cache.status.served());
    let ended = row.timing.received_at.micros().saturating_add(i64::try_from(row.timing.end_us).unwrap_or(0));
    let prompt = about.prompt.as_ref();
    let mut told = json!({
        "response_id": row.id,
        "response_created_at": moment(ended),
        "response_body": response_body,
        "response_status": status(row),
        "response_model": row.model,
        "request_id": row.id,
        "request_created_at": moment(row.timing.received_at.micros()),
        "request_body": request_body,
        "request_path": row.path,
        "request_user_id": about.user,
        "request_properties": properties,
        "request_model": row.requested_model,
        "model_override": null,
        "helicone_user": null,
        "provider": row.provider.as_deref().map(str::to_uppercase),
        "delay_ms": row.timing.end_us / 1_000,
        "time_to_first_token": row.timing.first_token_us.map(|us| us / 1_000),
        "total_tokens": tokens(usage.map(|u| u.input_total().saturating_add(u.output_total()))),
        "prompt_tokens": tokens(fresh),
        "prompt_cache_write_tokens": tokens(written),
        "prompt_cache_read_tokens": tokens(read),
        "completion_tokens": tokens(spoken),
        "reasoning_tokens": tokens(usage.map(|u| u.reasoning_total())),
        "prompt_audio_tokens": tokens(audio(Direction::Input)),
        "completion_audio_tokens": tokens(audio(Direction::Output)),
        "cost": cost,
        "costUSD": cost,
    });
    let rest = json!({
        "prompt_id": prompt.map(|prompt| &prompt.id),
        "prompt_version": prompt.and_then(|prompt| prompt.version.as_ref()),
        "feedback_created_at": feedback.and(marks.feedback_at).map(|at| moment(at.micros())),
        "feedback_id": feedback.map(|_| row.id),
        "feedback_rating": feedback.map(|micro| micro > 0),
        "signed_body_url": null,
        "llmSchema": null,
        "country_code": null,
        "asset_ids": null,
        "asset_urls": null,
        "scores": scores,
        "properties": properties,
        "assets": [],
        "target_url": row.path,
        "model": row.model.as_deref().or(row.requested_model.as_deref()).unwrap_or(""),
        "cache_reference_id": served.map(|cache| cache.source.map_or_else(|| row.id.to_string(), |source| source.to_string())),
        "cache_enabled": cache.is_some(),
        "updated_at": moment(ended),
        "request_referrer": null,
        "ai_gateway_body_mapping": null,
        "storage_location": "tachograph",
    });
    if let (Value::Object(told), Value::Object(rest)) = (&mut told, rest) {
        told.extend(rest);
    }
    told
}
