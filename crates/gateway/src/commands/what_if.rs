//! `gateway what-if`: what recorded traffic would have cost on another model, without a call.

use std::io::Write;

use tachograph_pricing::{PriceBook, PriceContext};
use tachograph_record::{CostState, Money};
use tachograph_store::Store;

use super::CommandError;
use super::history::{Period, each_row, organisations};

/// Which traffic, on which model.
pub struct WhatIfCommand {
    /// Which rows.
    pub period: Period,
    /// The model whose prices to take: `claude-haiku-4-5`, `anthropic/claude-haiku-4-5`.
    pub model: String,
    /// Its provider, where the name leaves a doubt.
    pub provider: Option<String>,
    /// Only rows of this model.
    pub only: Option<String>,
}

#[derive(Default)]
struct Sums {
    rows: u64,
    actual: Money,
    other: Money,
    /// Rows without usage, or whose own cost is not known: they are in neither sum.
    left_aside: u64,
}

/// Tells what the rows cost, and what they would have cost on the other model: the same tokens, each row as of its own
/// time, at the standard tier. Other models count the same text as other numbers of tokens; that is not in it.
///
/// # Errors
/// Where the price book does not know the model, or the store fails.
pub async fn what_if(
    command: &WhatIfCommand,
    prices: &PriceBook,
    store: &dyn Store,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let WhatIfCommand { period, model, provider, only } = command;
    let provider = provider.as_deref().unwrap_or_default();
    let mut sums = Sums::default();
    let mut told = None;
    for org in organisations(store).await? {
        let catalog = prices.for_org(org);
        let found = catalog
            .resolve(provider, model)
            .ok_or_else(|| CommandError::Usage(format!("the price book knows no model {model:?}; name --provider?")))?;
        each_row(store, org, period, |row| {
            if only
                .as_ref()
                .is_some_and(|only| row.model.as_ref() != Some(only) && row.requested_model.as_ref() != Some(only))
            {
                return Ok(());
            }
            let context = PriceContext::at(row.timing.received_at);
            let other = row.usage.as_ref().map(|usage| catalog.price(&found, usage, &context));
            match (row.cost.total(), other.as_ref().and_then(CostState::total)) {
                (Some(actual), Some(other)) => sums.add(actual, other),
                _ => {
                    sums.left_aside += 1;
                    Ok(())
                }
            }
        })
        .await?;
        told.get_or_insert_with(|| format!("{} {}", found.provider, found.model.id));
    }
    let Sums { rows, actual, other, left_aside } = sums;
    writeln!(out, "{rows} rows: {actual} USD as recorded, {other} USD on {}", told.unwrap_or_default())?;
    if left_aside > 0 {
        writeln!(out, "{left_aside} rows are left aside: their usage or their cost is not known")?;
    }
    Ok(())
}

impl Sums {
    fn add(&mut self, actual: Money, other: Money) -> Result<(), CommandError> {
        let (Some(actual), Some(other)) = (self.actual.checked_add(actual), self.other.checked_add(other)) else {
            return Err(CommandError::Internal("the amounts add up to more than can be held".to_owned()));
        };
        (self.rows, self.actual, self.other) = (self.rows + 1, actual, other);
        Ok(())
    }
}
