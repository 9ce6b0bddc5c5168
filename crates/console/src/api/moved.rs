//! Why the bill moved, and where the month will end.

use axum::Extension;
use axum::extract::State;
use axum::response::Json;
use serde_json::{Value, json};
use tachograph_record::{Money, OrgId, Timestamp};
use tachograph_store::{Breakdown, Every, Fact, Field, Filter, Totals};

use super::question::Question;
use super::sums::{Compared, compared, equals, number};
use super::text::resolve;
use super::{Desk, Refusal};
use crate::access::Caller;
use crate::bill::calendar::{DAY, month_around};
use crate::bill::forecast::{FEWEST, forecast as forecast_of};
use crate::bill::why::{Pair, Part, bill, split};

/// Groups of one field that are looked at.
const MOST: u32 = 2_000;
/// Names of properties that are looked at, the most frequent ones.
const PROPERTIES: u32 = 8;

/// The same field's groups before and after.
async fn pairs(
    desk: &Desk,
    org: OrgId,
    by: Vec<Field>,
    [before, after]: [&Filter; 2],
) -> Result<(Vec<(Vec<Option<String>>, Pair)>, bool), Refusal> {
    let asked = |filter: &Filter| Breakdown { by: by.clone(), limit: MOST, ..Breakdown::whole(org, filter.clone()) };
    let (before, after) = (desk.store.groups(&asked(before)).await?, desk.store.groups(&asked(after)).await?);
    let more = before.more || after.more;
    let mut pairs: std::collections::BTreeMap<Vec<Option<String>>, Pair> = std::collections::BTreeMap::new();
    for group in before.groups {
        pairs.entry(group.keys).or_default().before = group.totals;
    }
    for group in after.groups {
        pairs.entry(group.keys).or_default().after = group.totals;
    }
    Ok((pairs.into_iter().collect(), more))
}

async fn parts(desk: &Desk, org: OrgId, periods: [&Filter; 2]) -> Result<(Vec<Value>, Money), Refusal> {
    let (groups, more) = pairs(desk, org, vec![Fact::Provider.into(), Fact::Model.into()], periods).await?;
    if more {
        return Err(Refusal::bad_request(format!("there are more than {MOST} models; narrow the question")));
    }
    let groups: Vec<Pair> = groups.into_iter().map(|(_, pair)| pair).collect();
    let amounts = split(&groups);
    let change: Money = amounts.iter().copied().sum();
    let mut parts: Vec<(Part, Money)> = Part::ALL.into_iter().zip(amounts).collect();
    parts.sort_by_key(|(_, amount)| std::cmp::Reverse(amount.atto().unsigned_abs()));
    let parts = parts.into_iter().map(|(part, amount)| json!({ "part": part, "amount": amount.to_string() })).collect();
    Ok((parts, change))
}

/// A value whose bill moved.
struct Mover {
    field: Field,
    value: Option<String>,
    before: Totals,
    after: Totals,
    /// How much more it moved than its share of the bill before would have it move, in atto-dollars.
    excess: i128,
}

impl Mover {
    fn change(&self) -> i128 {
        bill(&self.after).atto() - bill(&self.before).atto()
    }

    fn told(&self) -> Value {
        json!({
            "field": self.field.to_string(),
            "value": self.value,
            "before": bill(&self.before).to_string(),
            "after": bill(&self.after).to_string(),
            "change": Money::from_atto(self.change()).to_string(),
            "excess": Money::from_atto(self.excess).to_string(),
            "requests_before": self.before.requests,
            "requests_after": self.after.requests,
        })
    }
}

/// `a · b ÷ c` without going beyond what fits; near enough to rank by.
fn share_of(change: i128, part: i128, whole: i128) -> i128 {
    if whole <= 0 {
        return 0;
    }
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a rank")]
    let share = (part as f64 / whole as f64 * change as f64) as i128;
    share
}

/// `GET /api/why`: what moved the bill between two periods. The later one is `from … until`; the earlier one the same
/// length before it, or `previous_from … previous_until`.
pub(crate) async fn why(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    mut question: Question,
) -> Result<Json<Value>, Refusal> {
    let top: usize = number("top", question.take("top"))?.unwrap_or(5_usize).clamp(1, 50);
    let compare = match compared(&mut question)? {
        Compared::Nothing => Compared::Before,
        other => other,
    };
    let (after, searched) = resolve(&*desk.store, caller.org, question.filter_only()?).await?;
    let after = Filter { until: after.until.or(Some(Timestamp::now())), ..after };
    let Some(before) = compare.period(&after)? else {
        return Err(Refusal::bad_request("there is no period to compare with"));
    };
    let periods = [&before, &after];
    let (whole, change) = parts(&desk, caller.org, periods).await?;
    let bill_before = bill(&desk.store.totals(caller.org, &before).await?);
    let bill_after = bill(&desk.store.totals(caller.org, &after).await?);

    let mut fields: Vec<Field> =
        [Fact::User, Fact::Prompt, Fact::SessionName, Fact::Key, Fact::Model].map(Field::Fact).into();
    let names = desk.store.property_names(caller.org, &after, PROPERTIES).await?;
    fields.extend(names.into_iter().map(|(name, _)| Field::Property(name)));
    let mut movers = Vec::new();
    for field in &fields {
        let by = match field {
            Field::Fact(Fact::Prompt) => vec![field.clone(), Fact::PromptVersion.into()],
            _ => vec![field.clone()],
        };
        let (groups, _) = pairs(&desk, caller.org, by, periods).await?;
        movers.extend(groups.into_iter().map(|(keys, pair)| {
            let mut mover = Mover {
                field: field.clone(),
                value: told_key(&keys),
                before: pair.before,
                after: pair.after,
                excess: 0,
            };
            let expected = share_of(change.atto(), bill(&mover.before).atto(), bill_before.atto());
            mover.excess = mover.change() - expected;
            mover
        }));
    }
    // What stands out first; of two that stand out alike, the one with fewer calls is the more telling.
    movers.sort_by_key(|mover| {
        (std::cmp::Reverse(mover.excess.unsigned_abs()), mover.after.requests.max(mover.before.requests))
    });
    let contributors: Vec<Value> = fields
        .iter()
        .map(|field| {
            let of_it = movers.iter().filter(|mover| mover.field == *field && mover.value.is_some()).take(top);
            json!({ "field": field.to_string(), "top": of_it.map(Mover::told).collect::<Vec<_>>() })
        })
        .collect();
    let cause = match likeliest(&movers, change.atto()) {
        None => None,
        Some(mover) => {
            let only = mover_only(mover);
            let narrowed = [before.clone().and(only.clone()), after.clone().and(only)];
            let (own, _) = parts(&desk, caller.org, [&narrowed[0], &narrowed[1]]).await?;
            let mut told = mover.told();
            told["parts"] = json!(own);
            Some(told)
        }
    };
    Ok(Json(json!({
        "before": { "from": before.from, "until": before.until, "bill": bill_before.to_string() },
        "after": { "from": after.from, "until": after.until, "bill": bill_after.to_string() },
        "change": change.to_string(),
        "parts": whole,
        "cause": cause,
        "contributors": contributors,
        "searched": searched,
    })))
}

/// The value that stands out most among those that moved the way the bill did: where all grew and one did not, the one
/// that stood still is as far from its share, and explains nothing.
fn likeliest(movers: &[Mover], change: i128) -> Option<&Mover> {
    let way = change.signum();
    movers
        .iter()
        .filter(|mover| mover.value.is_some() && mover.field != Field::Fact(Fact::Model) && mover.excess != 0)
        .find(|mover| way == 0 || (mover.excess.signum() == way && mover.change().signum() == way))
}

/// A prompt is told with its version.
fn told_key(keys: &[Option<String>]) -> Option<String> {
    match keys {
        [Some(id), Some(version)] => Some(format!("{id}@{version}")),
        [first, ..] => first.clone(),
        [] => None,
    }
}

fn mover_only(mover: &Mover) -> tachograph_store::Predicate {
    let value = mover.value.as_deref().unwrap_or_default();
    match (&mover.field, value.rsplit_once('@')) {
        (Field::Fact(Fact::Prompt), Some((id, version))) => {
            equals(&Fact::Prompt.into(), id).and(equals(&Fact::PromptVersion.into(), version))
        }
        (field, _) => equals(field, value),
    }
}

/// USD with six digits behind the point: an estimate.
fn estimate(usd: f64) -> String {
    format!("{usd:.6}")
}

/// `GET /api/forecast`: what the month will cost, with a band that holds four of five.
pub(crate) async fn forecast(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    mut question: Question,
) -> Result<Json<Value>, Refusal> {
    let offset: i64 = number("offset_minutes", question.take("offset_minutes"))?.unwrap_or(0);
    let offset = offset.saturating_mul(60_000_000);
    let history: i64 = number("days", question.take("days"))?.unwrap_or(120_i64).clamp(14, 400);
    let (filter, searched) = resolve(&*desk.store, caller.org, question.filter_only()?).await?;
    let now = filter.until.unwrap_or_else(Timestamp::now).micros();
    // Days in local time, counted from the epoch; today is not over and so no part of the history.
    let today = (now + offset).div_euclid(DAY);
    let (first, next) = month_around(today);
    let start = |day: i64| Timestamp::from_micros(day * DAY - offset);
    let asked = Breakdown {
        every: Some(Every { micros: DAY, offset }),
        ..Breakdown::whole(
            caller.org,
            Filter { from: Some(start(today - history)), until: Some(Timestamp::from_micros(now)), only: filter.only },
        )
    };
    let groups = desk.store.groups(&asked).await?;
    let mut by_day = std::collections::BTreeMap::new();
    for group in &groups.groups {
        let day = group.at.map_or(today, |at| (at.micros() + offset).div_euclid(DAY));
        by_day.insert(day, bill(&group.totals));
    }
    let spent: Money = by_day.range(first..).map(|(_, cost)| *cost).sum();
    let begun = by_day.keys().next().copied().unwrap_or(today);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let usd = |cost: Money| cost.atto() as f64 / 1e18;
    let days: Vec<f64> = (begun..today).map(|day| by_day.get(&day).map_or(0.0, |cost| usd(*cost))).collect();
    let ahead = usize::try_from(next - today).unwrap_or(0);
    let before_today: Money = by_day.range(first..today).map(|(_, cost)| *cost).sum();
    let told = forecast_of(&days, ahead).map(|ahead| {
        // What today has cost already is known, so the month is no less than that.
        let whole = |rest: f64| estimate((usd(before_today) + rest).max(usd(spent)));
        json!({
            "expected": whole(ahead.expected), "low": whole(ahead.low), "high": whole(ahead.high),
            "backtest": ahead.backtest,
        })
    });
    let shown: Vec<Value> =
        by_day.range(first..).map(|(day, cost)| json!({ "at": start(*day), "bill": cost.to_string() })).collect();
    Ok(Json(json!({
        "month_from": start(first), "month_until": start(next), "now": now, "spent": spent.to_string(),
        "forecast": told, "needs_days": FEWEST, "days_known": days.len(), "days": shown, "searched": searched,
    })))
}
