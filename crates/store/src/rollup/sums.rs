//! What one cell of a rollup adds up.

use tachograph_record::{Money, Timestamp};

use super::coding::{Damaged, Reader, put_signed, put_varint};
use crate::StoreError;
use crate::query::{CostParts, Sketch, Spread, Totals};

/// The sums of a cell, by name, in the order they are written. Each is exact and may be negative in a correction.
pub(crate) const FIELDS: [&str; 29] = [
    "requests",
    "errors",
    "unpriced",
    "first_tokens",
    "cache_asked",
    "cache_served",
    "cost_nano",
    "cost_rest",
    "retry_nano",
    "retry_rest",
    "saved_nano",
    "saved_rest",
    "input_nano",
    "cache_read_nano",
    "cache_write_nano",
    "output_nano",
    "retries",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "latency_us",
    "first_token_us",
    "generated_tokens",
    "generating_us",
    "saved_us",
    "outsize_nano",
    "outsize_rest",
];
/// The bit that says that there are moments.
const MOMENTS: u64 = 1 << FIELDS.len();

pub(crate) const REQUESTS: usize = 0;
pub(crate) const ERRORS: usize = 1;
const UNPRICED: usize = 2;
const FIRST_TOKENS: usize = 3;
const CACHE_ASKED: usize = 4;
const CACHE_SERVED: usize = 5;
pub(crate) const COST_NANO: usize = 6;
const COST_REST: usize = 7;
const RETRY_NANO: usize = 8;
const SAVED_NANO: usize = 10;
const INPUT_NANO: usize = 12;
const RETRIES: usize = 16;
const INPUT_TOKENS: usize = 17;
const LATENCY: usize = 22;
const FIRST_TOKEN_US: usize = 23;
const GENERATED: usize = 24;
const SAVED_US: usize = 26;
const OUTSIZE_NANO: usize = 27;
const ATTO_PER_NANO: i128 = 1_000_000_000;

/// What has percentiles in rollups; the others are asked of rows.
pub(crate) const SPREADS: [Spread; 3] = [Spread::Latency, Spread::FirstToken, Spread::MilliTokensPerSecond];

/// The columns of a row that are summed, whichever way they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) received_at: i64,
    pub(crate) failed: bool,
    pub(crate) unpriced: bool,
    pub(crate) cost: Option<(i64, i64)>,
    pub(crate) outsize: Option<Money>,
    pub(crate) retry: Option<(i64, i64)>,
    pub(crate) saved: Option<(i64, i64)>,
    pub(crate) saved_us: Option<i64>,
    pub(crate) parts: [Option<i64>; 4],
    pub(crate) attempts: Option<i64>,
    /// Whether our own cache was asked, and whether it served.
    pub(crate) cache: Option<bool>,
    /// Input, cache read, cache write, output, reasoning.
    pub(crate) tokens: [Option<i64>; 5],
    pub(crate) first_token_us: Option<i64>,
    pub(crate) end_us: i64,
}

/// Sums over some rows, or the difference that a change of a row makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) fields: [i128; FIELDS.len()],
    /// When the first and the last of the rows were received, in µs.
    pub(crate) moments: Option<(i64, i64)>,
    /// Buckets of [`SPREADS`] with their counts, in the order of buckets.
    pub(crate) spreads: [Vec<(u16, i64)>; SPREADS.len()],
}

impl Default for Sums {
    fn default() -> Self {
        Self { fields: [0; FIELDS.len()], moments: None, spreads: Default::default() }
    }
}

impl Sums {
    /// One row.
    pub(crate) fn of(row: &Measured) -> Self {
        let mut sums = Self { moments: Some((row.received_at, row.received_at)), ..Self::default() };
        let fields = &mut sums.fields;
        let opt = |value: Option<i64>| value.map_or(0, i128::from);
        let pair = |value: Option<(i64, i64)>| value.map_or((0, 0), |(nano, rest)| (nano.into(), rest.into()));
        fields[REQUESTS] = 1;
        fields[ERRORS] = row.failed.into();
        fields[UNPRICED] = row.unpriced.into();
        fields[FIRST_TOKENS] = row.first_token_us.is_some().into();
        fields[CACHE_ASKED] = row.cache.is_some().into();
        fields[CACHE_SERVED] = (row.cache == Some(true)).into();
        for (at, money) in [(COST_NANO, row.cost), (RETRY_NANO, row.retry), (SAVED_NANO, row.saved)] {
            (fields[at], fields[at + 1]) = pair(money);
        }
        for (at, part) in row.parts.into_iter().enumerate() {
            fields[INPUT_NANO + at] = opt(part);
        }
        fields[RETRIES] = opt(row.attempts.filter(|attempts| *attempts > 1).map(|attempts| attempts - 1));
        for (at, tokens) in row.tokens.into_iter().enumerate() {
            fields[INPUT_TOKENS + at] = opt(tokens);
        }
        fields[LATENCY] = row.end_us.into();
        fields[FIRST_TOKEN_US] = opt(row.first_token_us);
        fields[SAVED_US] = opt(row.saved_us);
        if let Some(outsize) = row.outsize {
            sums.add_outsize(outsize);
        }
        sums.spreads[0].push((Sketch::bucket(row.end_us), 1));
        sums.spreads[1].extend(row.first_token_us.map(|first| (Sketch::bucket(first), 1)));
        let span = i128::from(row.end_us) - i128::from(row.first_token_us.unwrap_or(0));
        if let Some(tokens) = row.tokens[3].filter(|tokens| *tokens > 0 && span > 0) {
            sums.fields[GENERATED] = tokens.into();
            sums.fields[GENERATED + 1] = span;
            // As the databases reckon it, which know no wider numbers.
            if tokens <= 9_000_000_000 {
                let rate = i128::from(tokens) * 1_000_000_000 / span;
                sums.spreads[2].push((Sketch::bucket(i64::try_from(rate).unwrap_or(i64::MAX)), 1));
            }
        }
        sums
    }

    /// Adds a cost that does not fit the columns.
    pub(crate) fn add_outsize(&mut self, cost: Money) {
        self.fields[OUTSIZE_NANO] += cost.atto().div_euclid(ATTO_PER_NANO);
        self.fields[OUTSIZE_NANO + 1] += cost.atto().rem_euclid(ATTO_PER_NANO);
    }

    /// Adds what another adds up.
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, more) in self.fields.iter_mut().zip(&other.fields) {
            *sum = sum.saturating_add(*more);
        }
        self.moments = match (self.moments, other.moments) {
            (Some((first, last)), Some((other_first, other_last))) => {
                Some((first.min(other_first), last.max(other_last)))
            }
            (one, other) => one.or(other),
        };
        for (spread, more) in self.spreads.iter_mut().zip(&other.spreads) {
            add_buckets(spread, more);
        }
    }

    /// What must be added to `other` to make it this; both are of one row.
    pub(crate) fn less(&self, other: &Self) -> Self {
        let mut difference = self.clone();
        for (sum, less) in difference.fields.iter_mut().zip(&other.fields) {
            *sum -= less;
        }
        for (spread, less) in difference.spreads.iter_mut().zip(&other.spreads) {
            let less: Vec<(u16, i64)> = less.iter().map(|&(bucket, count)| (bucket, -count)).collect();
            add_buckets(spread, &less);
        }
        difference
    }

    /// Whether nothing is added up.
    pub(crate) fn is_nothing(&self) -> bool {
        self.fields.iter().all(|sum| *sum == 0) && self.spreads.iter().all(Vec::is_empty)
    }

    pub(super) fn write(&self, at: i64, out: &mut Vec<u8>) {
        let mut held = 0_u64;
        for (field, sum) in self.fields.iter().enumerate() {
            held |= u64::from(*sum != 0) << field;
        }
        held |= if self.moments.is_some() { MOMENTS } else { 0 };
        put_varint(out, held.into());
        for sum in self.fields.iter().filter(|sum| **sum != 0) {
            put_signed(out, *sum);
        }
        if let Some((first, last)) = self.moments {
            put_signed(out, i128::from(first) - i128::from(at));
            put_signed(out, i128::from(last) - i128::from(first));
        }
        let mut spreads = Vec::with_capacity(8);
        for spread in &self.spreads {
            put_varint(&mut spreads, spread.len() as u128);
            let mut before = 0_u16;
            for &(bucket, count) in spread {
                put_varint(&mut spreads, bucket.wrapping_sub(before).into());
                put_signed(&mut spreads, count.into());
                before = bucket;
            }
        }
        put_varint(out, spreads.len() as u128);
        out.extend_from_slice(&spreads);
    }

    /// Reads into this one, so that nothing is allocated anew; without `spreads` they are passed over.
    pub(super) fn read(&mut self, at: i64, reader: &mut Reader<'_>, spreads: bool) -> Result<(), Damaged> {
        let held = reader.number()?;
        for (field, sum) in self.fields.iter_mut().enumerate() {
            *sum = if held & (1 << field) == 0 { 0 } else { reader.signed()? };
        }
        self.moments = None;
        if held & MOMENTS != 0 {
            let first = i64::try_from(reader.signed()?).map_err(|_| Damaged)?.checked_add(at).ok_or(Damaged)?;
            let last = i64::try_from(reader.signed()?).map_err(|_| Damaged)?.checked_add(first).ok_or(Damaged)?;
            self.moments = Some((first, last));
        }
        let len = usize::try_from(reader.number()?).map_err(|_| Damaged)?;
        let mut part = Reader::new(reader.bytes(len)?);
        for spread in &mut self.spreads {
            spread.clear();
            if !spreads {
                continue;
            }
            let mut before = 0_u16;
            for _ in 0..part.number()? {
                before = before.wrapping_add(u16::try_from(part.number()?).map_err(|_| Damaged)?);
                spread.push((before, i64::try_from(part.signed()?).map_err(|_| Damaged)?));
            }
        }
        Ok(())
    }

    /// The sums as a question's answer tells them.
    pub(crate) fn totals(&self) -> Result<Totals, StoreError> {
        let beyond = || StoreError::Failed("the sum of all costs is beyond 1.7e20 USD".into());
        let money = |at: usize, rest: i128| Money::from_columns(self.fields[at], rest).ok_or_else(beyond);
        let pair = |at: usize| money(at, self.fields[at + 1]);
        let count = |at: usize| u64::try_from(self.fields[at].max(0)).unwrap_or(u64::MAX);
        let cost = Money::from_columns(
            self.fields[COST_NANO] + self.fields[OUTSIZE_NANO],
            self.fields[COST_REST] + self.fields[OUTSIZE_NANO + 1],
        );
        Ok(Totals {
            requests: count(REQUESTS),
            errors: count(ERRORS),
            cost: cost.ok_or_else(beyond)?,
            unpriced: count(UNPRICED),
            retry_cost: pair(RETRY_NANO)?,
            retries: count(RETRIES),
            parts: CostParts {
                input: money(INPUT_NANO, 0)?,
                cache_read: money(INPUT_NANO + 1, 0)?,
                cache_write: money(INPUT_NANO + 2, 0)?,
                output: money(INPUT_NANO + 3, 0)?,
            },
            input_tokens: count(INPUT_TOKENS),
            cache_read_tokens: count(INPUT_TOKENS + 1),
            cache_write_tokens: count(INPUT_TOKENS + 2),
            output_tokens: count(INPUT_TOKENS + 3),
            reasoning_tokens: count(INPUT_TOKENS + 4),
            latency_us: count(LATENCY),
            first_tokens: count(FIRST_TOKENS),
            first_token_us: count(FIRST_TOKEN_US),
            generated_tokens: count(GENERATED),
            generating_us: count(GENERATED + 1),
            cache_asked: count(CACHE_ASKED),
            cache_served: count(CACHE_SERVED),
            saved: pair(SAVED_NANO)?,
            saved_us: count(SAVED_US),
            first_at: self.moments.map(|(first, _)| Timestamp::from_micros(first)),
            last_at: self.moments.map(|(_, last)| Timestamp::from_micros(last)),
        })
    }

    /// The percentiles of one spread, where rollups have it.
    pub(crate) fn sketch(&self, spread: Spread) -> Sketch {
        let mut sketch = Sketch::default();
        if let Some(at) = SPREADS.iter().position(|held| *held == spread) {
            for &(bucket, count) in &self.spreads[at] {
                sketch.add_bucket(bucket, u64::try_from(count).unwrap_or(0));
            }
        }
        sketch
    }

    #[expect(clippy::cast_precision_loss, reason = "what groups are ordered by")]
    pub(crate) fn rank(&self, measure: crate::Measure) -> f64 {
        use crate::Measure as M;
        let field = |at: usize| self.fields[at] as f64;
        match measure {
            M::Requests => field(REQUESTS),
            M::Errors => field(ERRORS),
            M::Cost => field(COST_NANO),
            M::Tokens => field(INPUT_TOKENS) + field(INPUT_TOKENS + 3),
            M::Latency => field(LATENCY) / field(REQUESTS),
            M::FirstAt => self.moments.map_or(0.0, |(first, _)| first as f64),
            M::LastAt => self.moments.map_or(0.0, |(_, last)| last as f64),
        }
    }
}

/// Adds counts of buckets to others, both in order; what comes to nothing goes.
fn add_buckets(held: &mut Vec<(u16, i64)>, more: &[(u16, i64)]) {
    if held.is_empty() {
        held.extend_from_slice(more);
        return;
    }
    if let [(bucket, count)] = *more {
        match held.binary_search_by_key(&bucket, |held| held.0) {
            Ok(at) => {
                held[at].1 += count;
                if held[at].1 == 0 {
                    held.remove(at);
                }
            }
            Err(at) => held.insert(at, (bucket, count)),
        }
        return;
    }
    let mut merged = Vec::with_capacity(held.len() + more.len());
    let (mut one, mut other) = (held.iter().copied().peekable(), more.iter().copied().peekable());
    loop {
        let next = match (one.peek(), other.peek()) {
            (None, None) => break,
            (Some(_), None) => one.next(),
            (None, Some(_)) => other.next(),
            (Some(first), Some(second)) => match first.0.cmp(&second.0) {
                std::cmp::Ordering::Less => one.next(),
                std::cmp::Ordering::Greater => other.next(),
                std::cmp::Ordering::Equal => {
                    one.next().zip(other.next()).map(|((bucket, count), (_, more))| (bucket, count + more))
                }
            },
        };
        merged.extend(next.filter(|(_, count)| *count != 0));
    }
    *held = merged;
}
