//! Lists of one thing each: users, prompts, models, properties, the cache, limits, targets.

use axum::Extension;
use axum::extract::State;
use axum::response::Json;
use serde_json::{Value, json};
use tachograph_store::{Breakdown, Fact, Field, Measure, Predicate, Spread};

use super::question::Question;
use super::sums::{broken_down, figures, group_figures, sorted};
use super::text::resolve;
use super::{Desk, Refusal};
use crate::access::Caller;

/// Rows that have a value of this.
fn having(question: &mut Question, fact: Fact) {
    question.narrow(Predicate::present(fact));
}

/// `GET /api/users`.
pub(crate) async fn users(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    mut question: Question,
) -> Result<Json<Value>, Refusal> {
    having(&mut question, Fact::User);
    broken_down(&desk, caller.org, question, &[Fact::User.into()]).await.map(Json)
}

/// `GET /api/prompts`: by id and version.
pub(crate) async fn prompts(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    mut question: Question,
) -> Result<Json<Value>, Refusal> {
    having(&mut question, Fact::Prompt);
    broken_down(&desk, caller.org, question, &[Fact::Prompt.into(), Fact::PromptVersion.into()]).await.map(Json)
}

/// `GET /api/properties`: the names, with how many rows have each.
pub(crate) async fn properties(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    mut question: Question,
) -> Result<Json<Value>, Refusal> {
    let limit = question.take_limit().unwrap_or(200);
    let (filter, searched) = resolve(&*desk.store, caller.org, question.filter_only()?).await?;
    let names = desk.store.property_names(caller.org, &filter, limit).await?;
    let told: Vec<Value> = names.iter().map(|(name, requests)| json!({ "name": name, "requests": requests })).collect();
    Ok(Json(json!({ "properties": told, "searched": searched })))
}

/// `GET /api/models`: by provider and model, with percentiles, errors by kind, and prices.
pub(crate) async fn models(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    mut question: Question,
) -> Result<Json<Value>, Refusal> {
    let (order, descending) = sorted(&mut question, Measure::Requests)?;
    let (limit, skip) = (question.take_limit().unwrap_or(100), question.take_skip());
    let (filter, searched) = resolve(&*desk.store, caller.org, question.filter_only()?).await?;
    let spreads = vec![Spread::Latency, Spread::FirstToken, Spread::MilliTokensPerSecond];
    let by: Vec<Field> = vec![Fact::Provider.into(), Fact::Model.into()];
    let asked = Breakdown {
        by: by.clone(),
        spreads: spreads.clone(),
        order,
        ascending: !descending,
        limit,
        skip,
        ..Breakdown::whole(caller.org, filter.clone())
    };
    let groups = desk.store.groups(&asked).await?;
    let failed = Predicate::condition(Fact::Failed.into(), "eq", &json!(true));
    let failed = failed.map_err(|bad| Refusal::bad_request(bad.to_string()))?;
    let kinds: Vec<Field> = by.into_iter().chain([Fact::Outcome.into(), Fact::ErrorKind.into()]).collect();
    let errors = Breakdown { by: kinds, ..Breakdown::whole(caller.org, filter.clone().and(failed)) };
    let errors = desk.store.groups(&errors).await?;
    let rows: Vec<Value> = groups
        .groups
        .iter()
        .map(|group| {
            let [provider, model] = [0, 1].map(|at| group.keys[at].as_deref());
            let of_it = errors.groups.iter().filter(|error| error.keys[..2] == group.keys[..]);
            let of_it: Vec<Value> = of_it
                .map(|error| {
                    json!({ "outcome": error.keys[2], "error": error.keys[3], "requests": error.totals.requests })
                })
                .collect();
            let price = match (&desk.price_of, provider, model) {
                (Some(price_of), Some(provider), Some(model)) => price_of(provider, model),
                _ => None,
            };
            let mut row = group_figures(&spreads, group);
            row.insert("provider".into(), json!(provider));
            row.insert("model".into(), json!(model));
            row.insert("errors_by_kind".into(), json!(of_it));
            row.insert("price".into(), json!(price));
            Value::Object(row)
        })
        .collect();
    let whole = desk.store.totals(caller.org, &filter).await?;
    Ok(Json(json!({ "rows": rows, "more": groups.more, "totals": figures(&whole), "searched": searched })))
}

/// `GET /api/cache`: what our own cache served and saved, by model and by the requests it served most.
pub(crate) async fn cache(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    question: Question,
) -> Result<Json<Value>, Refusal> {
    let (filter, searched) = resolve(&*desk.store, caller.org, question.filter_only()?).await?;
    let asked_it = filter.clone().and(Predicate::present(Fact::Cache));
    let whole = desk.store.totals(caller.org, &asked_it).await?;
    let by =
        |fact: Fact| Breakdown { by: vec![fact.into()], limit: 100, ..Breakdown::whole(caller.org, asked_it.clone()) };
    let told = async |fact: Fact| -> Result<Vec<Value>, Refusal> {
        let groups = desk.store.groups(&by(fact)).await?;
        let row = |group: &tachograph_store::Group| {
            let mut row = figures(&group.totals);
            row.insert("key".into(), json!(group.keys[0]));
            Value::Object(row)
        };
        Ok(groups.groups.iter().map(row).collect())
    };
    let (statuses, models) = (told(Fact::Cache).await?, told(Fact::Model).await?);
    Ok(Json(json!({ "totals": figures(&whole), "by_status": statuses, "by_model": models, "searched": searched })))
}

/// `GET /api/limits`: who was refused for which reason, and the state of limits and budgets now, where there are any.
pub(crate) async fn limits(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    question: Question,
) -> Result<Json<Value>, Refusal> {
    let (filter, searched) = resolve(&*desk.store, caller.org, question.filter_only()?).await?;
    let refused = filter.and(Predicate::is(Fact::Outcome, "refused"));
    let told = async |by: Vec<Field>| -> Result<Vec<Value>, Refusal> {
        let asked = Breakdown { by: by.clone(), limit: 100, ..Breakdown::whole(caller.org, refused.clone()) };
        let groups = desk.store.groups(&asked).await?;
        let row = |group: &tachograph_store::Group| {
            let keys = by.iter().map(ToString::to_string).zip(group.keys.iter().map(|key| json!(key)));
            json!({
                "keys": keys.collect::<serde_json::Map<_, _>>(),
                "requests": group.totals.requests,
                "last_at": group.totals.last_at,
            })
        };
        Ok(groups.groups.iter().map(row).collect())
    };
    let reasons = told(vec![Fact::ErrorKind.into(), Fact::ErrorCode.into(), Fact::Status.into()]).await?;
    let users = told(vec![Fact::User.into()]).await?;
    let keys = told(vec![Fact::Key.into()]).await?;
    let whole = desk.store.totals(caller.org, &refused).await?;
    let now = desk.limits.as_ref().map(|limits| limits(caller.org));
    Ok(Json(json!({
        "refused": whole.requests, "by_reason": reasons, "by_user": users, "by_key": keys, "now": now,
        "searched": searched,
    })))
}

/// `GET /api/repricings`.
pub(crate) async fn repricings(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!({ "repricings": desk.store.repricings(caller.org).await? })))
}

/// `GET /api/routing`: how targets, keys and the retry budget stand; all empty where nothing is routed, as in a logger.
pub(crate) async fn routing(State(desk): State<Desk>) -> Json<Value> {
    let nothing = || json!({ "targets": [], "keys": [], "retries_left": null, "routes": [] });
    Json(desk.routing.as_ref().map_or_else(nothing, |routing| routing()))
}
