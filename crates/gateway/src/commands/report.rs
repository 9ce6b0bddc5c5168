//! `gateway report`: what recorded traffic cost, as known at some moment or as true now.

use std::io::Write;

use serde_json::{Map, Value, json};
use tachograph_record::{Money, OrgId, Timestamp};
use tachograph_store::{Breakdown, Field, Filter, Group, Groups, Measure, Predicate, Repricing, Store};

use super::CommandError;
use super::history::{Period, organisations};

/// What to tell.
pub struct ReportCommand {
    /// Which rows.
    pub period: Period,
    /// Which of them: words such as `model:gpt-4o* prop.team=search`.
    pub only: Option<String>,
    /// One line for each combination of these fields' values: `provider,model`.
    pub by: String,
    /// As it was known at this moment, before any later restatement.
    pub known_at: Option<Timestamp>,
    /// JSON, one line an organisation.
    pub json: bool,
}

/// Groups of one report at most.
const MOST_GROUPS: u32 = 10_000;

/// Tells what rows cost, the dearest group first, and which restatements changed that. Without `known_at` every row counts
/// at what it is said to cost now; with it, at what it was said to cost then.
///
/// # Errors
/// Where a field or the words are not understood, or the store fails.
pub async fn report(command: &ReportCommand, store: &dyn Store, out: &mut impl Write) -> Result<(), CommandError> {
    let by: Vec<Field> = command
        .by
        .split(',')
        .filter(|name| !name.trim().is_empty())
        .map(|name| name.trim().parse().map_err(|bad| CommandError::Usage(format!("--by: {bad}"))))
        .collect::<Result<_, _>>()?;
    let only = command.only.as_deref().map_or(Ok(Predicate::All), Predicate::from_words);
    let only = only.map_err(|bad| CommandError::Usage(format!("--only: {bad}")))?;
    let filter = Filter { from: Some(command.period.from), until: Some(command.period.until), only };
    for org in organisations(store).await? {
        let whole = Breakdown { as_known: command.known_at, ..Breakdown::whole(org, filter.clone()) };
        let asked = Breakdown { by: by.clone(), order: Measure::Cost, limit: MOST_GROUPS, ..whole.clone() };
        asked.check().map_err(|bad| CommandError::Usage(bad.to_string()))?;
        let restated = store.repricings(org).await?;
        let told = Told {
            org,
            command,
            by: &by,
            restated: restated.iter().filter(|one| concerns(one, &command.period)).collect(),
        };
        let sum = store.groups(&whole).await?.groups.into_iter().next();
        let groups = if by.is_empty() { Groups::default() } else { store.groups(&asked).await? };
        match (command.json, sum) {
            (true, sum) => told.as_json(sum.as_ref(), &groups, out)?,
            (false, Some(sum)) => told.as_text(&sum, &groups, out)?,
            (false, None) => {}
        }
    }
    Ok(())
}

/// Whether a restatement looked at rows of the period.
fn concerns(one: &Repricing, period: &Period) -> bool {
    one.from < period.until && one.until > period.from
}

struct Told<'a> {
    org: OrgId,
    command: &'a ReportCommand,
    by: &'a [Field],
    restated: Vec<&'a Repricing>,
}

impl Told<'_> {
    fn as_text(&self, sum: &Group, groups: &Groups, out: &mut impl Write) -> Result<(), CommandError> {
        let as_of = match self.command.known_at {
            Some(at) => format!("as known at {}", moment(at)),
            None => "as true now".to_owned(),
        };
        writeln!(out, "organisation {}, {as_of}", self.org)?;
        for group in &groups.groups {
            let keys: Vec<&str> = group.keys.iter().map(|key| key.as_deref().unwrap_or("-")).collect();
            line(&keys.join("  "), group, out)?;
        }
        if groups.more {
            writeln!(out, "  and more than {MOST_GROUPS} others; narrow the period or --only")?;
        }
        line("in all", sum, out)?;
        for one in &self.restated {
            let is_known = self.command.known_at.is_none_or(|at| one.at <= at);
            writeln!(
                out,
                "  restated {} by {}: {} rows, {} -> {} USD{}",
                moment(one.at),
                one.author,
                one.rows,
                one.before,
                one.after,
                if is_known { "" } else { " (later; not in these figures)" }
            )?;
        }
        Ok(())
    }

    fn as_json(&self, sum: Option<&Group>, groups: &Groups, out: &mut impl Write) -> Result<(), CommandError> {
        let names: Vec<String> = self.by.iter().map(ToString::to_string).collect();
        let rows: Vec<Value> = groups
            .groups
            .iter()
            .map(|group| {
                let keys: Map<String, Value> =
                    names.iter().cloned().zip(group.keys.iter().map(|key| json!(key))).collect();
                json!({ "keys": keys, "totals": group.totals })
            })
            .collect();
        let told = json!({
            "org": self.org, "from": self.command.period.from, "until": self.command.period.until,
            "known_at": self.command.known_at, "by": names, "rows": rows, "more": groups.more,
            "totals": sum.map(|sum| &sum.totals), "repricings": self.restated,
        });
        writeln!(out, "{told}")?;
        Ok(())
    }
}

fn line(name: &str, group: &Group, out: &mut impl Write) -> Result<(), CommandError> {
    let totals = &group.totals;
    let unpriced = if totals.unpriced == 0 { String::new() } else { format!(", {} without a price", totals.unpriced) };
    // What was paid for attempts that did not serve is told apart: it is no part of what the answers cost.
    let retries =
        if totals.retry_cost == Money::ZERO { String::new() } else { format!(", retries {} USD", totals.retry_cost) };
    writeln!(
        out,
        "  {name}: {} USD, {} rows, {} tokens in, {} out{unpriced}{retries}",
        totals.cost, totals.requests, totals.input_tokens, totals.output_tokens
    )?;
    Ok(())
}

fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.micros()).map_or_else(|_| at.micros().to_string(), |at| at.to_string())
}
