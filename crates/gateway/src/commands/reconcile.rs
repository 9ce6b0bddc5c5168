//! `gateway reconcile`: a provider's bill against what was recorded, per day, model and dimension.

mod bill;
mod csv;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use tachograph_pricing::PriceBook;
use tachograph_record::{CostState, Money};
use tachograph_store::{Row, Store};

use super::CommandError;
use super::history::{Period, each_row, organisations};

pub use bill::Bill;

/// What to compare.
pub struct ReconcileCommand {
    /// Whose bill it is: `openai`, `anthropic` or `aws-bedrock` (a cost and usage report).
    pub provider: String,
    /// The export, as text.
    pub export: String,
}

/// A day (since the epoch, UTC), a model of the price book and a dimension: `input`, `cache_read`, `output`, …
type Key = (i64, String, String);

/// What stands on one side under a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Side {
    amount: Money,
    /// Tokens or what else was counted, where it is told.
    quantity: Option<Money>,
    /// How many lines it was added up from.
    lines: u64,
}

impl Side {
    fn add(&mut self, amount: Money, quantity: Option<Money>) -> Result<(), CommandError> {
        let beyond = || CommandError::Internal("the amounts add up to more than can be held".to_owned());
        self.amount = self.amount.checked_add(amount).ok_or_else(beyond)?;
        self.quantity = match (self.lines, self.quantity, quantity) {
            (0, _, first) => first,
            (_, Some(held), Some(more)) => held.checked_add(more),
            _ => None,
        };
        self.lines += 1;
        Ok(())
    }
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Compares a bill with the records of the days it covers, and names each difference: `missing rows` (billed, and less or
/// nothing of it recorded), `not billed`, `wrong price` (the same quantity, another amount), `unknown model`, `rounding`.
///
/// # Errors
/// Where the export is none of the provider's known forms, or the store fails.
pub async fn reconcile(
    command: &ReconcileCommand,
    prices: &PriceBook,
    store: &dyn Store,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let bill = Bill::read(&command.provider, &command.export)?;
    let catalog = prices.current();
    let provider = catalog.provider(bill.provider()).map_or(bill.provider(), |row| &**row.id());
    let (mut billed, mut unknown): (BTreeMap<Key, Side>, BTreeSet<Key>) = (BTreeMap::new(), BTreeSet::new());
    for line in &bill.lines {
        let (model, is_known) = bill.model(&catalog, provider, &line.model);
        let key = (line.day, model, line.dimension.clone());
        if !is_known {
            unknown.insert(key.clone());
        }
        billed.entry(key).or_default().add(line.amount, line.quantity)?;
    }
    let (Some(first), Some(last)) = (billed.keys().next(), billed.keys().next_back()) else {
        return Err(CommandError::Usage("the export has no line with an amount".to_owned()));
    };
    let midnight = |day: i64| tachograph_record::Timestamp::from_micros(day * MICROS_PER_DAY);
    let period = Period { from: midnight(first.0), until: midnight(last.0 + 1) };
    let mut recorded: BTreeMap<Key, Side> = BTreeMap::new();
    let mut unpriced = 0_u64;
    for org in organisations(store).await? {
        each_row(store, org, &period, |row| {
            if row.provider.as_deref() != Some(provider) {
                return Ok(());
            }
            unpriced += u64::from(matches!(row.cost, CostState::UnknownModel | CostState::InvalidUsage { .. }));
            add_recorded(&row, &bill, &mut recorded)
        })
        .await?;
    }
    tell(&billed, &recorded, &unknown, bill.rounds_by(), out)?;
    if unpriced > 0 {
        writeln!(out, "{unpriced} recorded rows have no known cost and are in no sum")?;
    }
    Ok(())
}

fn add_recorded(row: &Row, bill: &Bill, recorded: &mut BTreeMap<Key, Side>) -> Result<(), CommandError> {
    let CostState::Priced(cost) = &row.cost else { return Ok(()) };
    let day = row.timing.received_at.micros().div_euclid(MICROS_PER_DAY);
    for line in &cost.lines {
        let key = (day, bill.recorded_model(&cost.model), bill::dimension_of_meter(&line.meter).to_owned());
        recorded.entry(key).or_default().add(line.amount, line.quantity.parse().ok())?;
    }
    Ok(())
}

/// What is different about one key; `None` where nothing is.
fn verdict(billed: Option<&Side>, recorded: Option<&Side>, is_unknown: bool, rounds_by: Money) -> Option<&'static str> {
    let (billed, recorded) = match (billed, recorded) {
        (Some(_), _) if is_unknown => return Some("unknown model"),
        (Some(billed), None) => return (billed.amount != Money::ZERO).then_some("missing rows"),
        (None, Some(recorded)) => return (recorded.amount != Money::ZERO).then_some("not billed"),
        (None, None) => return None,
        (Some(billed), Some(recorded)) => (billed, recorded),
    };
    let off = billed.amount.checked_sub(recorded.amount).map(|off| Money::from_atto(off.atto().saturating_abs()))?;
    let may_round = rounds_by.checked_mul(billed.lines).unwrap_or(rounds_by);
    let same_quantity = billed.quantity.is_some() && billed.quantity == recorded.quantity;
    match () {
        () if off == Money::ZERO => None,
        () if off <= may_round => Some("rounding"),
        () if same_quantity => Some("wrong price"),
        () if billed.amount > recorded.amount => Some("missing rows"),
        () => Some("not billed"),
    }
}

fn tell(
    billed: &BTreeMap<Key, Side>,
    recorded: &BTreeMap<Key, Side>,
    unknown: &BTreeSet<Key>,
    rounds_by: Money,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let keys: BTreeSet<&Key> = billed.keys().chain(recorded.keys()).collect();
    let mut equal = 0;
    for key in keys {
        let (of_bill, ours) = (billed.get(key), recorded.get(key));
        let Some(verdict) = verdict(of_bill, ours, unknown.contains(key), rounds_by) else {
            equal += 1;
            continue;
        };
        let (day, model, dimension) = key;
        let date = bill::date_of(*day);
        let amount = |side: Option<&Side>| side.map_or(Money::ZERO, |side| side.amount);
        let (theirs, ours) = (amount(of_bill), amount(ours));
        writeln!(out, "{date} {model} {dimension}: billed {theirs}, recorded {ours} USD: {verdict}")?;
    }
    let sum = |sides: &BTreeMap<Key, Side>| sides.values().map(|side| side.amount).sum::<Money>();
    writeln!(out, "{equal} lines agree; billed {} USD, recorded {} USD", sum(billed), sum(recorded))?;
    Ok(())
}
