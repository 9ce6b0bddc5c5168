//! Why the bill moved: the change between two periods as a sum of named parts.
//!
//! # The split
//! Rows are grouped by provider and model. A group's bill is
//!
//! `N · share · (input · Σₖ mixₖ · priceₖ + output · price) + other + retries`
//!
//! with `N` all calls, `share` the group's part of them, `input` and `output` tokens per call, `mixₖ` the parts of the
//! input that were fresh, read from and written to a provider's cache, and prices as paid: an amount ÷ its tokens. Six
//! factors change between the periods: volume (`N`), model mix (`share`), input length, cache rate (`mix`), output length
//! and price. Each is credited with its Shapley value: the mean, over all orders in which the factors could have changed
//! one after another, of what its own change did. So no order is preferred, and the credits of a group add up to its
//! change. What a group lacks in one period (it was not called, nothing was cached) is taken from the other, so that a
//! model that is new is credited to the mix and not to its price.
//!
//! Two parts need no split: `retries` is the change of what was charged for attempts that did not serve, `other` that of
//! charges by no token (searches, images) and of what rounding left out of the parts.
//!
//! # Exactness
//! Credits are reckoned in floating point, rounded to whole nano-dollars per group, and what is then missing from the
//! exact change of the group (rounding, and its atto-dollars) is added to the credit of the greatest magnitude, the first
//! in the order of [`Part::ALL`] among equals. So parts add up to the change of the bill to the last digit.

use serde::Serialize;
use tachograph_record::Money;
use tachograph_store::Totals;

/// Why a bill can move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    Volume,
    ModelMix,
    InputLength,
    CacheRate,
    OutputLength,
    Price,
    Retries,
    Other,
}

impl Part {
    pub(crate) const ALL: [Self; 8] = [
        Self::Volume,
        Self::ModelMix,
        Self::InputLength,
        Self::CacheRate,
        Self::OutputLength,
        Self::Price,
        Self::Retries,
        Self::Other,
    ];
}

/// Factors that are split by credit: the first six parts.
const FACTORS: usize = 6;
const ATTO_PER_NANO: i128 = 1_000_000_000;

/// A group's sums before and after.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pair {
    pub(crate) before: Totals,
    pub(crate) after: Totals,
}

/// What a period cost in all: calls, and attempts that did not serve. Sums that do not fit stay within what does.
pub(crate) fn bill(totals: &Totals) -> Money {
    totals.cost.checked_add(totals.retry_cost).unwrap_or(totals.cost)
}

/// The change of the bill, part by part, in the order of [`Part::ALL`]; together exactly the change.
pub(crate) fn split(groups: &[Pair]) -> [Money; 8] {
    let all = |of: fn(&Pair) -> &Totals| groups.iter().map(|pair| of(pair).requests).sum::<u64>();
    let calls = [all(|pair| &pair.before), all(|pair| &pair.after)];
    let mut parts = [0_i128; 8];
    for pair in groups {
        for (part, more) in parts.iter_mut().zip(split_group(pair, calls)) {
            *part = part.saturating_add(more);
        }
    }
    parts.map(Money::from_atto)
}

fn split_group(pair: &Pair, calls: [u64; 2]) -> [i128; 8] {
    let Pair { before, after } = pair;
    let states = [State::of(before, after, calls, 0), State::of(after, before, calls, 1)];
    let mut parts = [0_i128; 8];
    for (part, credit) in parts.iter_mut().zip(credits(&states)) {
        *part = in_nano(credit) * ATTO_PER_NANO;
    }
    let other = |totals: &Totals| {
        let of = &totals.parts;
        let named = of.input.atto() + of.cache_read.atto() + of.cache_write.atto() + of.output.atto();
        totals.cost.atto() - named
    };
    parts[6] = after.retry_cost.atto() - before.retry_cost.atto();
    parts[7] = other(after) - other(before);
    let change = bill(after).atto() - bill(before).atto();
    let missing = change - parts.iter().sum::<i128>();
    let mut greatest = 0;
    for at in 1..FACTORS {
        if parts[at].unsigned_abs() > parts[greatest].unsigned_abs() {
            greatest = at;
        }
    }
    parts[greatest] += missing;
    parts
}

#[expect(clippy::cast_possible_truncation, reason = "an estimate in nano-dollars, far within what fits")]
fn in_nano(usd: f64) -> i128 {
    let nano = (usd * 1e9).round();
    if nano.is_finite() { nano as i128 } else { 0 }
}

/// A group's factors in one period.
#[derive(Clone, Copy, Debug)]
struct State {
    calls: f64,
    share: f64,
    input: f64,
    /// Fresh, read, written.
    mix: [f64; 3],
    output: f64,
    /// Fresh, read, written, output; USD per token.
    price: [f64; 4],
}

#[expect(clippy::cast_precision_loss, reason = "factors of a split that is made exact at its end")]
impl State {
    fn of(own: &Totals, other: &Totals, calls: [u64; 2], at: usize) -> Self {
        let tokens = |totals: &Totals| {
            let (read, written) = (totals.cache_read_tokens, totals.cache_write_tokens);
            let fresh = totals.input_tokens.saturating_sub(read).saturating_sub(written);
            [fresh as f64, read as f64, written as f64]
        };
        let per_call = |own_tokens: u64, other_tokens: u64| {
            ratio(own_tokens as f64, own.requests as f64)
                .or_else(|| ratio(other_tokens as f64, other.requests as f64))
                .unwrap_or(0.0)
        };
        let usd = |money: Money| money.atto() as f64 / 1e18;
        let amounts = |totals: &Totals| {
            let of = &totals.parts;
            [usd(of.input), usd(of.cache_read), usd(of.cache_write), usd(of.output)]
        };
        let (own_tokens, other_tokens) = (tokens(own), tokens(other));
        let mut mix = [0.0; 3];
        for kind in 0..3 {
            let of = |tokens: [f64; 3]| ratio(tokens[kind], tokens.iter().sum());
            mix[kind] = of(own_tokens).or_else(|| of(other_tokens)).unwrap_or(0.0);
        }
        let with_output =
            |tokens: [f64; 3], totals: &Totals| [tokens[0], tokens[1], tokens[2], totals.output_tokens as f64];
        let (own_counts, other_counts) = (with_output(own_tokens, own), with_output(other_tokens, other));
        let (own_amounts, other_amounts) = (amounts(own), amounts(other));
        let mut price = [0.0; 4];
        for kind in 0..4 {
            price[kind] = ratio(own_amounts[kind], own_counts[kind])
                .or_else(|| ratio(other_amounts[kind], other_counts[kind]))
                .unwrap_or(0.0);
        }
        Self {
            calls: calls[at] as f64,
            share: ratio(own.requests as f64, calls[at] as f64)
                .or_else(|| ratio(other.requests as f64, calls[1 - at] as f64))
                .unwrap_or(0.0),
            input: per_call(own.input_tokens, other.input_tokens),
            mix,
            output: per_call(own.output_tokens, other.output_tokens),
            price,
        }
    }
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// What the group costs where the factors of `changed` are those of after, the others those of before.
fn cost(states: &[State; 2], changed: usize) -> f64 {
    let of = |factor: usize| &states[(changed >> factor) & 1];
    let (calls, share) = (of(0).calls, of(1).share);
    let (input, mix, output, price) = (of(2).input, of(3).mix, of(4).output, of(5).price);
    let of_input: f64 = (0..3).map(|kind| mix[kind] * price[kind]).sum();
    calls * share * (input * of_input + output * price[3])
}

/// Each factor's Shapley value.
fn credits(states: &[State; 2]) -> [f64; FACTORS] {
    // By how many others changed before: (others! · (factors − 1 − others)!) ÷ factors!
    const WEIGHTS: [f64; FACTORS] =
        [120.0 / 720.0, 24.0 / 720.0, 12.0 / 720.0, 12.0 / 720.0, 24.0 / 720.0, 120.0 / 720.0];
    let costs: Vec<f64> = (0..1 << FACTORS).map(|changed| cost(states, changed)).collect();
    let mut credits = [0.0; FACTORS];
    for (factor, credit) in credits.iter_mut().enumerate() {
        let bit = 1 << factor;
        for without in (0..1_usize << FACTORS).filter(|changed| changed & bit == 0) {
            *credit += WEIGHTS[without.count_ones() as usize] * (costs[without | bit] - costs[without]);
        }
    }
    credits
}

#[cfg(test)]
mod tests {
    use tachograph_store::CostParts;

    use super::*;

    fn usd(text: &str) -> Money {
        text.parse().unwrap()
    }

    /// Calls of one model: so many, with so many tokens each, at prices per million.
    fn calls(requests: u64, [fresh, read, output]: [u64; 3], [p_in, p_read, p_out]: [u64; 3]) -> Totals {
        // One USD per million tokens is 10¹² atto-dollars per token.
        let amount =
            |tokens: u64, price: u64| Money::from_atto(i128::from(requests * tokens * price) * 1_000_000_000_000);
        let parts = CostParts {
            input: amount(fresh, p_in),
            cache_read: amount(read, p_read),
            cache_write: Money::ZERO,
            output: amount(output, p_out),
        };
        Totals {
            requests,
            cost: [parts.input, parts.cache_read, parts.output].into_iter().sum(),
            parts,
            input_tokens: requests * (fresh + read),
            cache_read_tokens: requests * read,
            output_tokens: requests * output,
            ..Totals::default()
        }
    }

    const PRICES: [u64; 3] = [2, 1, 10];
    const TOKENS: [u64; 3] = [800, 200, 100];

    fn greatest(parts: [Money; 8]) -> Part {
        let at = (0..8).max_by_key(|&at| parts[at].atto().unsigned_abs()).unwrap();
        Part::ALL[at]
    }

    #[test]
    fn a_planted_cause_alone_moves_its_part_alone() {
        let before = calls(1_000, TOKENS, PRICES);
        for (after, cause) in [
            (calls(3_000, TOKENS, PRICES), Part::Volume),
            (calls(1_000, [8_000, 2_000, 100], PRICES), Part::InputLength),
            (calls(1_000, [200, 800, 100], PRICES), Part::CacheRate),
            (calls(1_000, [800, 200, 900], PRICES), Part::OutputLength),
            (calls(1_000, TOKENS, [6, 3, 30]), Part::Price),
            (Totals { retry_cost: usd("3"), ..before.clone() }, Part::Retries),
            (Totals { cost: before.cost.checked_add(usd("2")).unwrap(), ..before.clone() }, Part::Other),
        ] {
            let parts = split(&[Pair { before: before.clone(), after: after.clone() }]);
            assert_eq!(greatest(parts), cause, "{parts:?}");
            let change = bill(&after).atto() - bill(&before).atto();
            let own = parts[Part::ALL.iter().position(|part| *part == cause).unwrap()];
            assert_eq!(own.atto(), change, "{cause:?} alone: {parts:?}");
        }
    }

    #[test]
    fn a_new_model_is_mix_and_not_price() {
        let cheap = calls(1_000, TOKENS, PRICES);
        let after = calls(500, TOKENS, PRICES);
        let dear = calls(500, TOKENS, [20, 10, 100]);
        let groups = [Pair { before: cheap, after }, Pair { before: Totals::default(), after: dear }];
        let parts = split(&groups);
        assert_eq!(greatest(parts), Part::ModelMix);
        assert_eq!(parts[0], Money::ZERO);
        assert_eq!(parts[5], Money::ZERO);
    }

    #[test]
    fn from_nothing_everything_is_volume() {
        let parts = split(&[Pair { before: Totals::default(), after: calls(10, TOKENS, PRICES) }]);
        assert_eq!(greatest(parts), Part::Volume);
        assert_eq!(split(&[]), [Money::ZERO; 8]);
    }

    proptest::proptest! {
        #[test]
        fn parts_add_up_to_the_last_digit(numbers in proptest::collection::vec(0_u64..50_000, 24), extra in 0_i128..10_i128.pow(21)) {
            let groups: Vec<Pair> = numbers.chunks(12).map(|n| {
                let mut pair = Pair {
                    before: calls(n[0], [n[1], n[2], n[3]], [n[4] % 90, n[5] % 50, n[6] % 99]),
                    after: calls(n[7], [n[8], n[9], n[10]], [n[11] % 90, n[4] % 50, n[5] % 99]),
                };
                pair.after.retry_cost = Money::from_atto(extra / 3);
                pair.before.cost = pair.before.cost.checked_add(Money::from_atto(extra)).unwrap();
                pair
            }).collect();
            let change: i128 = groups.iter().map(|pair| bill(&pair.after).atto() - bill(&pair.before).atto()).sum();
            let parts: i128 = split(&groups).iter().map(|part| part.atto()).sum();
            proptest::prop_assert_eq!(parts, change);
        }
    }
}
