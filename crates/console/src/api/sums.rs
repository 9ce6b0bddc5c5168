//! Sums: over all rows, in time, by fields, as distributions.

use axum::Extension;
use axum::extract::State;
use axum::response::Json;
use serde_json::{Map, Value, json};
use tachograph_record::{OrgId, Timestamp};
use tachograph_store::{
    Breakdown, Condition, Every, Fact, Field, Filter, Group, Kind, Measure, Pattern, Predicate, Sketch, Spread, Test,
    Totals,
};

use super::question::{Asked, Question, moment};
use super::text::resolve;
use super::{Desk, Refusal};
use crate::access::Caller;

/// The parts of a distribution that are told.
pub(super) const PARTS: [(&str, f64); 6] =
    [("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)];
/// Points of one series at most.
const MOST_POINTS: i64 = 2_000;

/// Sums with what follows from them.
pub(super) fn figures(totals: &Totals) -> Map<String, Value> {
    let mut figures = match serde_json::to_value(totals) {
        Ok(Value::Object(figures)) => figures,
        _ => Map::new(),
    };
    #[expect(clippy::cast_precision_loss, reason = "rates for people")]
    let ratio = |part: u64, whole: u64| if whole == 0 { Value::Null } else { json!(part as f64 / whole as f64) };
    figures.insert("error_rate".into(), ratio(totals.errors, totals.requests));
    figures.insert("mean_latency_us".into(), ratio(totals.latency_us, totals.requests));
    figures.insert("mean_ttft_us".into(), ratio(totals.first_token_us, totals.first_tokens));
    figures.insert(
        "tokens_per_second".into(),
        ratio(totals.generated_tokens.saturating_mul(1_000_000), totals.generating_us),
    );
    figures.insert("cache_rate".into(), ratio(totals.cache_served, totals.cache_asked));
    figures
}

/// Percentiles of a sketch; nothing of nothing. Rates were counted in thousandths and costs in nano-dollars.
pub(super) fn percentiles(spread: Spread, sketch: &Sketch) -> Value {
    let told = |value: Option<u64>| told(spread, value);
    let mut parts: Map<String, Value> =
        PARTS.iter().map(|&(name, part)| (name.to_owned(), told(sketch.quantile(part)))).collect();
    parts.insert("count".into(), json!(sketch.count()));
    Value::Object(parts)
}

pub(super) fn told(spread: Spread, value: Option<u64>) -> Value {
    match (spread, value) {
        (_, None) => Value::Null,
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        (Spread::MilliTokensPerSecond, Some(milli)) => json!(milli as f64 / 1000.0),
        (Spread::NanoCost, Some(nano)) => {
            json!(tachograph_record::Money::from_columns(i128::from(nano), 0).unwrap_or_default().to_string())
        }
        (_, Some(value)) => json!(value),
    }
}

pub(super) fn spreads(text: Option<String>) -> Result<Vec<Spread>, Refusal> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let one = |name: &str| {
        let known = Spread::ALL.iter().find(|(_, known)| *known == name).map(|&(spread, _)| spread);
        known.ok_or_else(|| {
            let names = Spread::ALL.map(|(_, name)| name).join(", ");
            Refusal::bad_request(format!("`{name}` has no distribution here; there are {names}"))
        })
    };
    text.split(',').map(one).collect()
}

pub(super) fn spread_name(spread: Spread) -> &'static str {
    Spread::ALL.iter().find(|(known, _)| *known == spread).map_or("", |(_, name)| name)
}

/// What a group tells: its sums, with percentiles where they were asked for.
pub(super) fn group_figures(asked: &[Spread], group: &Group) -> Map<String, Value> {
    let mut told = figures(&group.totals);
    if !asked.is_empty() {
        let all = asked.iter().zip(&group.spreads);
        let all: Map<_, _> =
            all.map(|(&spread, sketch)| (spread_name(spread).to_owned(), percentiles(spread, sketch))).collect();
        told.insert("percentiles".into(), Value::Object(all));
    }
    told
}

fn fields(text: Option<String>) -> Result<Vec<Field>, Refusal> {
    let Some(text) = text else { return Ok(Vec::new()) };
    text.split(',').map(|name| name.parse().map_err(|bad| Refusal::bad_request(format!("{bad}")))).collect()
}

pub(super) fn number<T: std::str::FromStr>(name: &str, text: Option<String>) -> Result<Option<T>, Refusal> {
    let bad = |text: &str| Refusal::bad_request(format!("`{name}` is a whole number, not `{text}`"));
    text.map(|text| text.parse().map_err(|_| bad(&text))).transpose()
}

/// The moment whose knowledge is asked for: rows and costs as they stood then, before any later restatement.
pub(super) fn known_at(question: &mut Question) -> Result<Option<Timestamp>, Refusal> {
    let text = question.take("known_at");
    text.map(|text| moment(&text).map_err(|why| Refusal::bad_request(format!("`known_at` is {why}")))).transpose()
}

/// `GET|POST /api/totals`.
pub(crate) async fn totals(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Asked(mut question): Asked,
) -> Result<Json<Value>, Refusal> {
    let spreads = spreads(question.take("percentiles"))?;
    let compare = compared(&mut question)?;
    let as_known = known_at(&mut question)?;
    let (filter, searched) = resolve(&*desk.store, caller.org, question.filter_only()?).await?;
    let asked = Breakdown { spreads: spreads.clone(), as_known, ..Breakdown::whole(caller.org, filter.clone()) };
    let groups = desk.store.groups(&asked).await?;
    let mut told = groups.groups.first().map(|group| group_figures(&spreads, group)).unwrap_or_default();
    if let Some(previous) = compare.period(&filter)? {
        let asked = Breakdown { filter: previous, ..asked };
        let groups = desk.store.groups(&asked).await?;
        let before = groups.groups.first().map(|group| group_figures(&spreads, group)).unwrap_or_default();
        told.insert("previous".into(), Value::Object(before));
    }
    if let Some(searched) = searched {
        told.insert("searched".into(), json!(searched));
    }
    Ok(Json(Value::Object(told)))
}

/// What to compare with.
pub(super) enum Compared {
    Nothing,
    /// The same length of time right before.
    Before,
    Period(Timestamp, Timestamp),
}

pub(super) fn compared(question: &mut Question) -> Result<Compared, Refusal> {
    let at = |name: &str, text: Option<String>| {
        text.map(|text| moment(&text).map_err(|why| Refusal::bad_request(format!("`{name}` is {why}")))).transpose()
    };
    let from = at("previous_from", question.take("previous_from"))?;
    let until = at("previous_until", question.take("previous_until"))?;
    match (from, until, question.take("compare").as_deref()) {
        (Some(from), Some(until), _) => Ok(Compared::Period(from, until)),
        (None, None, None | Some("none")) => Ok(Compared::Nothing),
        (None, None, Some("previous")) => Ok(Compared::Before),
        (None, None, Some(_)) => Err(Refusal::bad_request("`compare` is `previous` or `none`")),
        _ => Err(Refusal::bad_request("`previous_from` and `previous_until` go together")),
    }
}

impl Compared {
    /// The filter moved to the other period.
    pub(super) fn period(&self, filter: &Filter) -> Result<Option<Filter>, Refusal> {
        let (from, until) = match *self {
            Self::Nothing => return Ok(None),
            Self::Period(from, until) => (from, until),
            Self::Before => {
                let from = filter.from.ok_or_else(|| Refusal::bad_request("comparing wants a `from`"))?;
                let until = filter.until.unwrap_or_else(Timestamp::now);
                let length = until.micros().saturating_sub(from.micros());
                (Timestamp::from_micros(from.micros().saturating_sub(length)), from)
            }
        };
        Ok(Some(Filter { from: Some(from), until: Some(until), only: filter.only.clone() }))
    }
}

/// `GET|POST /api/breakdown`.
pub(crate) async fn breakdown(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Asked(question): Asked,
) -> Result<Json<Value>, Refusal> {
    let told = broken_down(&desk, caller.org, question, &[]).await?;
    Ok(Json(told))
}

/// Rows by fields; by `default` where the question names none.
pub(super) async fn broken_down(
    desk: &Desk,
    org: OrgId,
    mut question: Question,
    default: &[Field],
) -> Result<Value, Refusal> {
    let mut by = fields(question.take("by"))?;
    if by.is_empty() {
        by = default.to_vec();
    }
    if by.is_empty() {
        return Err(Refusal::bad_request("`by` names the fields to group by: `by=model,provider`"));
    }
    let spreads = spreads(question.take("percentiles"))?;
    let compare = compared(&mut question)?;
    let as_known = known_at(&mut question)?;
    let (order, descending) = sorted(&mut question, Measure::Cost)?;
    let (limit, skip) = (question.take_limit().unwrap_or(50), question.take_skip());
    let (filter, searched) = resolve(&*desk.store, org, question.filter_only()?).await?;
    let asked = Breakdown {
        by: by.clone(),
        spreads: spreads.clone(),
        order,
        ascending: !descending,
        limit,
        skip,
        as_known,
        ..Breakdown::whole(org, filter.clone())
    };
    asked.check().map_err(|bad| Refusal::bad_request(bad.to_string()))?;
    let groups = desk.store.groups(&asked).await?;
    let before = match compare.period(&filter)? {
        None => None,
        Some(previous) => {
            // Only the groups that are shown: one condition for a single field, all groups else.
            let asked = Breakdown { filter: previous, limit: 20_000, skip: 0, spreads: Vec::new(), ..asked };
            Some(desk.store.groups(&asked).await?.groups)
        }
    };
    let names: Vec<String> = by.iter().map(ToString::to_string).collect();
    let rows: Vec<Value> = groups
        .groups
        .iter()
        .map(|group| {
            let keys: Map<_, _> = names.iter().cloned().zip(group.keys.iter().map(|key| json!(key))).collect();
            let mut row = group_figures(&spreads, group);
            row.insert("keys".into(), Value::Object(keys));
            if let Some(before) = &before {
                let same = before.iter().find(|other| other.keys == group.keys);
                row.insert("previous".into(), same.map_or(Value::Null, |same| Value::Object(figures(&same.totals))));
            }
            Value::Object(row)
        })
        .collect();
    let whole = desk.store.groups(&Breakdown { as_known, ..Breakdown::whole(org, filter) }).await?;
    let whole = whole.groups.into_iter().next().map(|group| group.totals).unwrap_or_default();
    Ok(json!({ "by": names, "rows": rows, "more": groups.more, "totals": figures(&whole), "searched": searched }))
}

pub(super) fn sorted(question: &mut Question, default: Measure) -> Result<(Measure, bool), Refusal> {
    let Some((name, descending)) = question.take_sort() else { return Ok((default, true)) };
    let known = Measure::ALL.iter().find(|(_, known)| *known == name).map(|&(measure, _)| measure);
    let measure = known.ok_or_else(|| {
        let names = Measure::ALL.map(|(_, name)| name).join(", ");
        Refusal::bad_request(format!("groups are sorted by one of {names}, with a `-` for the greatest first"))
    })?;
    Ok((measure, descending))
}

/// `GET|POST /api/series`.
pub(crate) async fn series(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Asked(mut question): Asked,
) -> Result<Json<Value>, Refusal> {
    let by = fields(question.take("by"))?;
    let top: u32 = number("top", question.take("top"))?.unwrap_or(8);
    let step = question.take("step");
    let offset: i64 = number("offset_minutes", question.take("offset_minutes"))?.unwrap_or(0);
    let spreads = spreads(question.take("percentiles"))?;
    let compare = compared(&mut question)?;
    let as_known = known_at(&mut question)?;
    let (order, _) = sorted(&mut question, Measure::Cost)?;
    let (filter, searched) = resolve(&*desk.store, caller.org, question.filter_only()?).await?;
    let (from, until) = bounds(&desk, caller.org, &filter).await?;
    let step = step_of(step.as_deref(), until - from)?;
    let every = Every { micros: step, offset: offset.saturating_mul(60_000_000) };
    let whole = Breakdown {
        every: Some(every),
        spreads: spreads.clone(),
        as_known,
        ..Breakdown::whole(caller.org, filter.clone())
    };
    whole.check().map_err(|bad| Refusal::bad_request(bad.to_string()))?;
    let points = desk.store.groups(&whole).await?;
    let mut told = json!({
        "step_us": step, "from": from, "until": until,
        "points": told_points(&spreads, &points.groups),
        "searched": searched,
    });
    if let Some(field) = by.first() {
        if by.len() > 1 {
            return Err(Refusal::bad_request("a series is by one field at most"));
        }
        told["by"] = json!(field.to_string());
        told["series"] = stacked(&desk, &whole, field, order, top.clamp(1, 50)).await?;
    }
    if let Some(previous) = compare.period(&Filter { from: Some(Timestamp::from_micros(from)), ..filter.clone() })? {
        let shift = from - previous.from.map_or(from, Timestamp::micros);
        let groups = desk.store.groups(&Breakdown { filter: previous, ..whole }).await?;
        told["previous"] = json!({ "shift_us": shift, "points": told_points(&spreads, &groups.groups) });
    }
    Ok(Json(told))
}

fn told_points(spreads: &[Spread], groups: &[Group]) -> Vec<Value> {
    let point = |group: &Group| {
        let mut point = group_figures(spreads, group);
        point.insert("at".into(), json!(group.at));
        Value::Object(point)
    };
    groups.iter().map(point).collect()
}

/// The first and the last moment of a question, or of the rows where it names none.
async fn bounds(desk: &Desk, org: OrgId, filter: &Filter) -> Result<(i64, i64), Refusal> {
    if let (Some(from), Some(until)) = (filter.from, filter.until) {
        return Ok((from.micros(), until.micros().max(from.micros())));
    }
    let totals = desk.store.totals(org, filter).await?;
    let until = filter.until.unwrap_or_else(Timestamp::now).micros();
    let from = filter.from.or(totals.first_at).map_or(until, Timestamp::micros);
    Ok((from, until.max(from)))
}

/// Spans that people read well, in s.
const STEPS: [i64; 14] = [1, 5, 15, 60, 300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000];

fn step_of(text: Option<&str>, span: i64) -> Result<i64, Refusal> {
    let micros = match text {
        None | Some("auto") => {
            STEPS.iter().map(|step| step * 1_000_000).find(|step| span / step <= 120).unwrap_or(2_592_000_000_000)
        }
        Some(text) => {
            let bad = || Refusal::bad_request("`step` is auto or a span like 30s, 5m, 1h, 1d, 1w");
            let at = text.find(|character: char| !character.is_ascii_digit()).ok_or_else(bad)?;
            let count: i64 = text[..at].parse().map_err(|_| bad())?;
            let unit = match &text[at..] {
                "s" => 1,
                "m" | "min" => 60,
                "h" => 3_600,
                "d" => 86_400,
                "w" => 604_800,
                _ => return Err(bad()),
            };
            count.checked_mul(unit * 1_000_000).filter(|step| *step > 0).ok_or_else(bad)?
        }
    };
    if span / micros > MOST_POINTS {
        return Err(Refusal::bad_request(format!("that is more than {MOST_POINTS} points; take a longer step")));
    }
    Ok(micros)
}

/// The greatest values each with its points; what is left is the whole less these.
async fn stacked(desk: &Desk, whole: &Breakdown, field: &Field, order: Measure, top: u32) -> Result<Value, Refusal> {
    let first =
        Breakdown { by: vec![field.clone()], every: None, spreads: Vec::new(), order, limit: top, ..whole.clone() };
    first.check().map_err(|bad| Refusal::bad_request(bad.to_string()))?;
    let first = desk.store.groups(&first).await?;
    let values: Vec<String> = first.groups.iter().filter_map(|group| group.keys[0].clone()).collect();
    let with_none = first.groups.iter().any(|group| group.keys[0].is_none());
    let mut either = Vec::new();
    for value in &values {
        either.push(equals(field, value));
    }
    if with_none {
        either.push(Predicate::present(field.clone()).negated());
    }
    let asked =
        Breakdown { by: vec![field.clone()], filter: whole.filter.clone().and(Predicate::Or(either)), ..whole.clone() };
    let groups = desk.store.groups(&asked).await?;
    let of = |key: &Option<String>| -> Vec<Group> {
        groups.groups.iter().filter(|group| group.keys[0] == *key).cloned().collect()
    };
    let series: Vec<Value> = first
        .groups
        .iter()
        .map(|group| {
            let key = &group.keys[0];
            json!({ "key": key, "totals": figures(&group.totals), "points": told_points(&whole.spreads, &of(key)) })
        })
        .collect();
    Ok(json!({ "top": series, "more": first.more }))
}

/// The condition that a field's value is the one a breakdown tells.
pub(super) fn equals(field: &Field, value: &str) -> Predicate {
    Predicate::condition(field.clone(), "eq", &json!(value)).unwrap_or(Predicate::Or(Vec::new()))
}

/// Fields that the rail beside the list shows.
const FACETS: [Fact; 12] = [
    Fact::Provider,
    Fact::Model,
    Fact::Outcome,
    Fact::Status,
    Fact::ErrorKind,
    Fact::User,
    Fact::SessionName,
    Fact::Prompt,
    Fact::Api,
    Fact::Cache,
    Fact::CostState,
    Fact::Stream,
];

/// `GET|POST /api/facets`.
pub(crate) async fn facets(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Asked(mut question): Asked,
) -> Result<Json<Value>, Refusal> {
    let mut asked_fields = fields(question.take("fields"))?;
    if asked_fields.is_empty() {
        asked_fields = FACETS.into_iter().map(Field::Fact).collect();
    }
    if asked_fields.len() > 24 {
        return Err(Refusal::bad_request("at most 24 fields at a time"));
    }
    let prefix = question.take("prefix");
    let limit = question.take_limit().unwrap_or(12);
    let (filter, searched) = resolve(&*desk.store, caller.org, question.filter_only()?).await?;
    let mut told = Vec::new();
    for field in asked_fields {
        let mut filter = filter.clone().and(Predicate::present(field.clone()));
        let is_text = matches!(field.kind(), Kind::Text | Kind::Word);
        if let Some(prefix) = prefix.as_ref().filter(|_| is_text) {
            let pattern = Pattern::glob(&format!("{}*", escaped(prefix)), true);
            let pattern = pattern.map_err(|bad| Refusal::bad_request(bad.to_string()))?;
            filter = filter.and(Predicate::Is(Condition { field: field.clone(), test: Test::Like(pattern) }));
        }
        let asked = Breakdown { by: vec![field.clone()], limit, ..Breakdown::whole(caller.org, filter) };
        asked.check().map_err(|bad| Refusal::bad_request(bad.to_string()))?;
        let groups = desk.store.groups(&asked).await?;
        let values: Vec<Value> = groups
            .groups
            .iter()
            .map(|group| {
                json!({ "value": group.keys[0], "count": group.totals.requests, "cost": group.totals.cost.to_string() })
            })
            .collect();
        told.push(json!({ "field": field.to_string(), "values": values, "more": groups.more }));
    }
    Ok(Json(json!({ "facets": told, "searched": searched })))
}

fn escaped(text: &str) -> String {
    text.chars().flat_map(|one| matches!(one, '*' | '?' | '\\').then_some('\\').into_iter().chain([one])).collect()
}

/// `GET|POST /api/histogram`.
pub(crate) async fn histogram(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    Asked(mut question): Asked,
) -> Result<Json<Value>, Refusal> {
    let of = spreads(Some(question.take("of").unwrap_or_else(|| "latency_us".into())))?;
    let [spread] = of.as_slice() else {
        return Err(Refusal::bad_request("`of` is one distribution"));
    };
    let as_known = known_at(&mut question)?;
    let (filter, searched) = resolve(&*desk.store, caller.org, question.filter_only()?).await?;
    let asked = Breakdown { spreads: vec![*spread], as_known, ..Breakdown::whole(caller.org, filter) };
    let groups = desk.store.groups(&asked).await?;
    let sketch =
        groups.groups.into_iter().next().and_then(|group| group.spreads.into_iter().next()).unwrap_or_default();
    let buckets: Vec<Value> = sketch
        .buckets()
        .map(|(bucket, count)| {
            let (least, greatest) = Sketch::bounds(bucket);
            json!({ "from": told(*spread, Some(least)), "to": told(*spread, Some(greatest)), "count": count })
        })
        .collect();
    let percentiles = percentiles(*spread, &sketch);
    Ok(Json(
        json!({ "of": spread_name(*spread), "buckets": buckets, "percentiles": percentiles, "searched": searched }),
    ))
}

/// `GET /api/fields`: what can be asked, for completion.
pub(crate) async fn known_fields() -> Json<Value> {
    let fields: Vec<Value> = Fact::ALL
        .iter()
        .map(|fact| {
            let kind = format!("{:?}", fact.kind()).to_lowercase();
            json!({ "name": fact.name(), "kind": kind, "groups": fact.can_group(), "sorts": fact.can_sort() })
        })
        .collect();
    let names = |all: &[&'static str]| json!(all);
    Json(json!({
        "fields": fields,
        "measures": names(&Measure::ALL.map(|(_, name)| name)),
        "percentiles": names(&Spread::ALL.map(|(_, name)| name)),
    }))
}
