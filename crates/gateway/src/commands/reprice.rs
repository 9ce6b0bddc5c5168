//! `gateway reprice`: recorded traffic at the prices as they are known now.

use std::collections::BTreeMap;
use std::io::Write;

use tachograph_pricing::PriceBook;
use tachograph_record::{CostState, Money, OrgId, Timestamp};
use tachograph_store::{NewCost, Repricing, Row, Store};
use uuid::Uuid;

use super::CommandError;
use super::history::{Period, each_row, organisations};
use crate::ledger;

/// What to restate, and on whose word.
pub struct RepriceCommand {
    /// Which rows.
    pub period: Period,
    /// Whether to change the store, or only to tell what would change.
    pub apply: bool,
    /// Who does it, for the audit entry.
    pub author: String,
}

/// More rows are not held in memory at once; a period with more is done in parts.
const MOST_CHANGES: usize = 1_000_000;

/// What would change of one model.
#[derive(Default)]
struct Delta {
    rows: u64,
    before: Money,
    after: Money,
}

impl Delta {
    fn add(&mut self, before: &CostState, after: &CostState) -> Result<(), CommandError> {
        let sum = |held: Money, cost: &CostState| held.checked_add(cost.total().unwrap_or_default());
        let (Some(before), Some(after)) = (sum(self.before, before), sum(self.after, after)) else {
            return Err(CommandError::Internal("the amounts add up to more than can be held".to_owned()));
        };
        (self.rows, self.before, self.after) = (self.rows + 1, before, after);
        Ok(())
    }

    fn tell(&self, of: &str, out: &mut impl Write) -> Result<(), CommandError> {
        let (more, sign) = match self.after.checked_sub(self.before) {
            Some(more) if more < Money::ZERO => (more.to_string(), ""),
            Some(more) => (more.to_string(), "+"),
            None => ("beyond all measure".to_owned(), ""),
        };
        writeln!(out, "{of}: {} rows, {} -> {} USD ({sign}{more})", self.rows, self.before, self.after)?;
        Ok(())
    }
}

/// Prices recorded traffic anew, each row as of its own time, and tells what differs. With `apply` the store is changed:
/// all rows of an organisation or none, with an audit entry, and what they cost before is kept beside it.
///
/// # Errors
/// Where the store fails, or a period has more changes than are held at once.
pub async fn reprice(
    command: &RepriceCommand,
    prices: &PriceBook,
    store: &dyn Store,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let mut changes = 0;
    for org in organisations(store).await? {
        changes += reprice_org(org, command, prices, store, out).await?;
    }
    match (changes, command.apply) {
        (0, _) => writeln!(out, "every row stands as it would be priced now")?,
        (_, true) => writeln!(out, "{changes} rows were restated")?,
        (_, false) => writeln!(out, "nothing was changed; {changes} rows would be by the same command with --apply")?,
    }
    Ok(())
}

async fn reprice_org(
    org: OrgId,
    command: &RepriceCommand,
    prices: &PriceBook,
    store: &dyn Store,
    out: &mut impl Write,
) -> Result<usize, CommandError> {
    let catalog = prices.for_org(org);
    let (mut costs, mut whole) = (Vec::new(), Delta::default());
    let mut by_model: BTreeMap<String, Delta> = BTreeMap::new();
    each_row(store, org, &command.period, |row| {
        let Some(cost) = ledger::cost_of(&row, &catalog).filter(|cost| differs(cost, &row.cost)) else { return Ok(()) };
        if costs.len() == MOST_CHANGES {
            let why = format!("more than {MOST_CHANGES} rows of {org} would change; take a shorter period");
            return Err(CommandError::Usage(why));
        }
        whole.add(&row.cost, &cost)?;
        by_model.entry(name_of(&row)).or_default().add(&row.cost, &cost)?;
        costs.push(NewCost { id: row.id, cost });
        Ok(())
    })
    .await?;
    if costs.is_empty() {
        return Ok(0);
    }
    whole.tell(&format!("organisation {org}, prices {}", catalog.version()), out)?;
    for (model, delta) in &by_model {
        delta.tell(&format!("  {model}"), out)?;
    }
    if command.apply {
        let audit = Repricing {
            id: Uuid::now_v7(),
            org,
            at: Timestamp::now(),
            author: command.author.clone(),
            from: command.period.from,
            until: command.period.until,
            price_version: catalog.version().to_owned(),
            rows: whole.rows,
            before: whole.before,
            after: whole.after,
        };
        store.reprice(&audit, &costs).await?;
        writeln!(out, "  audit entry {} by {}", audit.id, audit.author)?;
    }
    Ok(costs.len())
}

fn name_of(row: &Row) -> String {
    let (provider, model) = (row.provider.as_deref().unwrap_or("?"), row.model.as_deref().unwrap_or("?"));
    format!("{provider} {model}")
}

/// Whether a figure or its working differs. That the same figure comes from a newer version of the book is no change.
fn differs(new: &CostState, old: &CostState) -> bool {
    match (new, old) {
        (CostState::Priced(new), CostState::Priced(old)) => {
            (new.total, &new.lines, &new.provider, &new.model) != (old.total, &old.lines, &old.provider, &old.model)
        }
        // What was known stays known: a model that left the book was no less dear when it served.
        (_, CostState::Priced(_)) => false,
        (new, old) => new != old,
    }
}
