//! What is added up over rows.

use serde::Serialize;
use tachograph_record::{CostState, Money, Outcome, Timestamp};

use crate::Row;
use crate::row::clamped;

/// Exact sums: of costs to the last atto-dollar, however large or many. Beyond ±1.7 × 10²⁰ USD in all, asking fails.
/// Counts of tokens and µs of a single row count up to `i64::MAX`; their sums end at `u64::MAX`.
///
/// Everything here can be added up, so sums over parts give the sum over the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Rows.
    pub requests: u64,
    /// Rows that went wrong: refused, failed, cut short or interrupted. A client that left is none of these.
    pub errors: u64,
    /// The sum of all known costs.
    pub cost: Money,
    /// Rows that used something whose cost is not known: there is no price for the model, or the usage is invalid.
    pub unpriced: u64,
    /// What was charged for attempts that did not serve in the end; not part of `cost`.
    pub retry_cost: Money,
    /// Tries beyond the first.
    pub retries: u64,
    /// `cost` by what was paid for, each row's parts rounded down to nano-dollars; what is left is in none of them.
    pub parts: CostParts,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Of them, read from a provider's cache.
    pub cache_read_tokens: u64,
    /// Of them, written to a provider's cache.
    pub cache_write_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// Of them, spent on reasoning.
    pub reasoning_tokens: u64,
    /// µs until calls were over.
    pub latency_us: u64,
    /// Rows that had a first token.
    pub first_tokens: u64,
    /// µs until first tokens.
    pub first_token_us: u64,
    /// Output tokens of rows whose generation took a time that is known.
    pub generated_tokens: u64,
    /// And that time, in µs.
    pub generating_us: u64,
    /// Rows for which our own cache was asked.
    pub cache_asked: u64,
    /// And that it served.
    pub cache_served: u64,
    /// What the answers it served had cost.
    pub saved: Money,
    /// How long they had taken, in µs.
    pub saved_us: u64,
    /// When the first of the rows was received.
    pub first_at: Option<Timestamp>,
    /// And the last.
    pub last_at: Option<Timestamp>,
}

/// A cost by what was paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CostParts {
    /// Fresh input.
    pub input: Money,
    /// Input read from a provider's cache.
    pub cache_read: Money,
    /// Input written to a provider's cache.
    pub cache_write: Money,
    /// Output.
    pub output: Money,
}

/// One row's parts in nano-dollars: input, cache read, cache write, output.
pub(crate) fn nano_parts(cost: &CostState) -> Option<[i64; 4]> {
    let CostState::Priced(cost) = cost else { return None };
    let mut parts = [Money::ZERO; 4];
    for line in &cost.lines {
        let meter = line.meter.as_str();
        let part = if meter.starts_with("cache_") {
            if meter.contains("read") { 1 } else { 2 }
        } else if meter.starts_with("input_") {
            0
        } else if meter.starts_with("output_") {
            3
        } else {
            continue;
        };
        parts[part] = parts[part].checked_add(line.amount)?;
    }
    let mut nano = [0; 4];
    for (nano, part) in nano.iter_mut().zip(parts) {
        *nano = part.to_columns()?.0;
    }
    Some(nano)
}

/// What a row was charged for attempts that did not serve in the end.
pub(crate) fn retry_cost(row: &Row) -> Option<Money> {
    let costs: Vec<Money> = row.attempts.iter().filter_map(|attempt| attempt.cost).collect();
    if costs.is_empty() {
        return None;
    }
    costs.into_iter().try_fold(Money::ZERO, Money::checked_add)
}

/// Output tokens and the µs they took to generate, where both are more than nothing.
#[must_use]
pub fn output_rate(row: &Row) -> Option<(u64, u64)> {
    let tokens = clamped(row.usage.as_ref()?.output_total());
    let from = row.timing.first_token_us.unwrap_or(0);
    let span = row.timing.end_us.checked_sub(from).filter(|span| *span > 0)?;
    (tokens > 0).then_some((tokens, span))
}

/// Whether a row went wrong.
pub(crate) fn failed(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Complete | Outcome::ClientGone)
}

/// The same of an outcome's code.
pub(crate) fn failed_code(outcome: &str) -> bool {
    outcome != Outcome::Complete.code() && outcome != Outcome::ClientGone.code()
}

impl Totals {
    /// Adds a row, as the databases do. Sums of money that do not fit stay as they are.
    pub fn add_row(&mut self, row: &Row) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(clamped(more));
        let pay =
            |sum: &mut Money, more: Option<Money>| *sum = more.and_then(|more| sum.checked_add(more)).unwrap_or(*sum);
        self.requests += 1;
        self.errors += u64::from(failed(row.outcome));
        pay(&mut self.cost, row.cost.total());
        self.unpriced += u64::from(matches!(row.cost, CostState::UnknownModel | CostState::InvalidUsage { .. }));
        pay(&mut self.retry_cost, retry_cost(row).filter(|cost| cost.to_columns().is_some()));
        self.retries += u64::try_from(row.attempts.len().saturating_sub(1)).unwrap_or(u64::MAX);
        if let Some([input, cache_read, cache_write, output]) = nano_parts(&row.cost) {
            let parts = &mut self.parts;
            for (sum, nano) in [
                (&mut parts.input, input),
                (&mut parts.cache_read, cache_read),
                (&mut parts.cache_write, cache_write),
                (&mut parts.output, output),
            ] {
                pay(sum, Money::from_columns(i128::from(nano), 0));
            }
        }
        if let Some(usage) = &row.usage {
            add(&mut self.input_tokens, usage.input_total());
            add(&mut self.cache_read_tokens, usage.cache_read_total());
            add(&mut self.cache_write_tokens, usage.cache_write_total());
            add(&mut self.output_tokens, usage.output_total());
            add(&mut self.reasoning_tokens, usage.reasoning_total());
        }
        add(&mut self.latency_us, row.timing.end_us);
        if let Some(first) = row.timing.first_token_us {
            self.first_tokens += 1;
            add(&mut self.first_token_us, first);
        }
        if let Some((tokens, span)) = output_rate(row) {
            add(&mut self.generated_tokens, tokens);
            add(&mut self.generating_us, span);
        }
        if let Some(cache) = &row.control.cache {
            self.cache_asked += 1;
            if cache.status.served() {
                self.cache_served += 1;
                pay(&mut self.saved, cache.saved.filter(|saved| saved.to_columns().is_some()));
                add(&mut self.saved_us, cache.saved_us.unwrap_or(0));
            }
        }
        let at = row.timing.received_at;
        self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
        self.last_at = Some(self.last_at.map_or(at, |last| last.max(at)));
    }

    /// The sums over some rows.
    #[must_use]
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut totals = Self::default();
        rows.into_iter().for_each(|row| totals.add_row(row));
        totals
    }

    /// Adds the sums over other rows. Nothing where a sum of money would not fit.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Option<Self> {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        for (sum, more) in self.counts_mut().into_iter().zip(other.clone().counts_mut()) {
            add(sum, *more);
        }
        for (sum, more) in self.amounts_mut().into_iter().zip(other.clone().amounts_mut()) {
            *sum = sum.checked_add(*more)?;
        }
        self.first_at = [self.first_at, other.first_at].into_iter().flatten().min();
        self.last_at = self.last_at.max(other.last_at);
        Some(self)
    }

    fn counts_mut(&mut self) -> [&mut u64; 17] {
        [
            &mut self.requests,
            &mut self.errors,
            &mut self.unpriced,
            &mut self.retries,
            &mut self.input_tokens,
            &mut self.cache_read_tokens,
            &mut self.cache_write_tokens,
            &mut self.output_tokens,
            &mut self.reasoning_tokens,
            &mut self.latency_us,
            &mut self.first_tokens,
            &mut self.first_token_us,
            &mut self.generated_tokens,
            &mut self.generating_us,
            &mut self.cache_asked,
            &mut self.cache_served,
            &mut self.saved_us,
        ]
    }

    fn amounts_mut(&mut self) -> [&mut Money; 7] {
        let CostParts { input, cache_read, cache_write, output } = &mut self.parts;
        [&mut self.cost, &mut self.retry_cost, &mut self.saved, input, cache_read, cache_write, output]
    }
}
