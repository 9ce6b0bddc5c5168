//! Usage × the prices that hold = lines and their sum.

use smallvec::SmallVec;
use tachograph_record::{Cost, CostLine, CostState, Money, Quantity, Unit, Usage, UsageSource};

use crate::PriceContext;
use crate::book::{Condition, Decimal, Model, Multiplier, Price, PriceMeter, Rate};
use crate::contract::Discount;
use crate::rollup;

/// What goes onto the cost besides numbers.
pub(crate) struct Header<'a> {
    pub(crate) provider: &'a str,
    pub(crate) model: &'a str,
    pub(crate) matched_by: &'a str,
    pub(crate) price_version: &'a str,
    /// What a contract takes off every line.
    pub(crate) discount: Option<&'a Discount>,
}

/// A quantity on its way to a line. Tokens are whole; units are counted in millionths.
#[derive(Clone, Copy)]
struct Billed<'m> {
    rate: &'m Rate,
    count: u64,
}

const MICRO: u64 = 1_000_000;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// Bills usage at a model's prices. What has no price is not billed, and a warning says so.
pub(crate) fn bill(model: &Model, usage: &Usage, context: &PriceContext<'_>, header: &Header<'_>) -> CostState {
    // Where a provider tells what it bills beside what it counted, that is what has a price.
    let usage = &*usage.billable();
    let second = context.at.micros().div_euclid(MICROS_PER_SECOND);
    let request = Request { context, usage, second, input: usage.input_total() };
    let mut billed: SmallVec<[Billed<'_>; 8]> = SmallVec::new();
    let mut warnings = Vec::new();
    for &(leaf, count) in usage.leaves() {
        match choose_nearest(model, rollup::chain(leaf), &request) {
            Some(rate) => add(&mut billed, rate, count),
            None => warnings.push(format!("{} {} have no price in the list", count, leaf.name())),
        }
    }
    for &(unit, quantity) in usage.units() {
        match choose_nearest(model, rollup::unit_chain(unit), &request) {
            Some(rate) => add(&mut billed, rate, quantity.micro()),
            None if unit == Unit::Images && add_pixels(&mut billed, model, quantity, &request) => {}
            None => warnings.push(format!("{quantity} {} have no price in the list", unit.name())),
        }
    }
    billed.sort_unstable_by_key(|billed| billed.rate.meter);
    let mut total = Money::ZERO;
    let mut lines = Vec::with_capacity(billed.len());
    for billed in &billed {
        let added = line(model, billed, &request, header.discount)
            .and_then(|line| Some((total.checked_add(line.amount)?, line)));
        let Some((sum, line)) = added else {
            return CostState::InvalidUsage {
                why: format!("{} are more than can be billed", billed.rate.meter.name()),
            };
        };
        total = sum;
        lines.push(line);
    }
    warnings.extend(header.discount.map(|discount| format!("at list prices less {discount} % by contract")));
    CostState::Priced(Box::new(Cost {
        total,
        lines,
        provider: header.provider.to_owned(),
        model: header.model.to_owned(),
        matched_by: header.matched_by.to_owned(),
        price_version: header.price_version.to_owned(),
        estimated: usage.source == UsageSource::Estimated,
        warnings,
    }))
}

/// Leaves that end at the same price share a line.
fn add<'m>(billed: &mut SmallVec<[Billed<'m>; 8]>, rate: &'m Rate, count: u64) {
    match billed.iter_mut().find(|held| held.rate.meter == rate.meter) {
        Some(held) => held.count = held.count.saturating_add(count),
        None => billed.push(Billed { rate, count }),
    }
}

/// Meters of pictures that are sold by their size, with how many pixels one counts, the likeliest first. Tables give the
/// price of a pixel made in either column, with 0 in the other.
const BY_PIXELS: [(PriceMeter, u64); 3] =
    [(PriceMeter::OutputPixels, 1), (PriceMeter::InputPixels, 1), (PriceMeter::Megapixels, 1_000_000)];

/// Bills whole images by their pixels, where the request says how large they are and the list has such a price.
fn add_pixels<'m>(
    billed: &mut SmallVec<[Billed<'m>; 8]>,
    model: &'m Model,
    images: Quantity,
    request: &Request<'_>,
) -> bool {
    let size = request.fact("size").and_then(|size| size.split_once(['x', 'X']));
    let pixels = size.and_then(|(width, height)| {
        width.trim().parse::<u64>().ok()?.checked_mul(height.trim().parse().ok()?)?.checked_mul(images.micro())
    });
    let Some(pixels) = pixels else { return false };
    let listed = BY_PIXELS.iter().filter_map(|&(meter, of)| Some((choose(model, meter, request)?, of)));
    let costly = listed.clone().find(|(rate, _)| rate.price.atto > 0);
    match costly.or_else(|| listed.clone().next()) {
        Some((rate, of)) => {
            add(billed, rate, pixels / of);
            true
        }
        None => false,
    }
}

struct Request<'a> {
    context: &'a PriceContext<'a>,
    usage: &'a Usage,
    /// Seconds since the epoch.
    second: i64,
    /// All input tokens: they pick the threshold, and every token of the request is billed above it.
    input: u64,
}

fn choose_nearest<'m>(model: &'m Model, chain: &[PriceMeter], request: &Request<'_>) -> Option<&'m Rate> {
    chain.iter().find_map(|&meter| choose(model, meter, request))
}

/// The rate of one meter. A tier's price goes before all standard ones; where the tier has none for this meter, the
/// standard price holds: OpenAI lists no batch price for cached input of some models, and bills it as usual. So does it
/// where the request is past a threshold from which on only the standard price is listed anew.
fn choose<'m>(model: &'m Model, meter: PriceMeter, request: &Request<'_>) -> Option<&'m Rate> {
    let rates = model.rates_of(meter);
    let in_tier = |tier: Option<&str>| {
        rates.iter().find(|rate| {
            model
                .condition_of(rate)
                .is_some_and(|condition| condition_tier(condition, tier) && request.meets(condition))
        })
    };
    let standard = in_tier(None);
    let of_tier = request.context.tiers().find_map(|tier| in_tier(Some(tier)));
    let threshold = |rate: &Rate| model.condition_of(rate).and_then(|condition| condition.over_input);
    match (of_tier, standard) {
        (Some(of_tier), Some(standard)) if threshold(standard) > threshold(of_tier) => Some(standard),
        (of_tier, standard) => of_tier.or(standard),
    }
}

fn condition_tier(condition: &Condition, tier: Option<&str>) -> bool {
    match (&condition.tier, tier) {
        (None, None) => true,
        (Some(held), Some(tier)) => held.eq_ignore_ascii_case(tier),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

impl Request<'_> {
    /// Whether all of a condition but its tier holds.
    fn meets(&self, condition: &Condition) -> bool {
        condition.over_input.is_none_or(|threshold| self.input > threshold)
            && condition.from.is_none_or(|from| self.second >= from)
            && condition.until.is_none_or(|until| self.second < until)
            && (condition.windows.is_empty() || condition.windows.iter().any(|window| window.contains(self.second)))
            && (condition.regions.is_empty() || self.is_in(&condition.regions))
            && self.is_deployed_as(condition.deployment.as_deref())
            && self.has(&condition.attributes)
    }

    fn is_in(&self, regions: &[Box<str>]) -> bool {
        let Some(region) = self.context.region else { return false };
        let fits =
            |held: &str| held.eq_ignore_ascii_case(region) || (held == "*" && !region.eq_ignore_ascii_case("global"));
        regions.iter().any(|held| fits(held))
    }

    fn is_deployed_as(&self, wanted: Option<&str>) -> bool {
        wanted.is_none_or(|wanted| {
            self.context.deployment.is_some_and(|deployment| wanted.eq_ignore_ascii_case(deployment))
        })
    }

    fn has(&self, wanted: &[(Box<str>, Box<str>)]) -> bool {
        wanted.iter().all(|(key, value)| self.fact(key).is_some_and(|its| its.eq_ignore_ascii_case(value)))
    }

    /// What is known of how it was served, by name: what the answer said goes before what was asked for.
    fn fact(&self, name: &str) -> Option<&str> {
        let told = self.usage.facts().find(|(held, _)| *held == name);
        told.or_else(|| self.context.attributes.iter().copied().find(|(held, _)| *held == name)).map(|(_, value)| value)
    }

    /// Whether a factor applies to a price that was chosen under this condition.
    fn multiplies(&self, multiplier: &Multiplier, condition: Option<&Condition>) -> bool {
        let is_priced_in = condition.is_some_and(|condition| {
            (!multiplier.regions.is_empty() && !condition.regions.is_empty())
                || (multiplier.deployment.is_some() && condition.deployment.is_some())
                || multiplier.attributes.iter().any(|(key, _)| condition.attributes.iter().any(|(held, _)| held == key))
        });
        !is_priced_in
            && (multiplier.regions.is_empty() || self.is_in(&multiplier.regions))
            && self.is_deployed_as(multiplier.deployment.as_deref())
            && self.has(&multiplier.attributes)
    }
}

/// The line of a quantity; `None` where its amount is beyond what money can hold.
fn line(model: &Model, billed: &Billed<'_>, request: &Request<'_>, discount: Option<&Discount>) -> Option<CostLine> {
    let Rate { meter, price, .. } = billed.rate;
    let is_tokens = meter.counts_tokens();
    let (mut numerator, mut denominator) =
        discount.map_or((1_i128, 1_i128), |of| (i128::from(of.numerator), i128::from(of.denominator)));
    if is_tokens {
        let condition = model.condition_of(billed.rate);
        for multiplier in model.multipliers.iter().filter(|multiplier| request.multiplies(multiplier, condition)) {
            numerator = numerator.checked_mul(i128::from(multiplier.numerator))?;
            denominator = denominator.checked_mul(i128::from(multiplier.denominator))?;
        }
    }
    let of_one = if is_tokens { 1 } else { i128::from(MICRO) };
    let count = billed.count.clamp(price.least, price.most);
    let dividend = price.atto.checked_mul(i128::from(count))?.checked_mul(numerator)?;
    let divisor = i128::from(price.reduced_per).checked_mul(of_one)?.checked_mul(denominator)?;
    let (atto, exact) = divide_half_even(dividend, divisor)?;
    Some(CostLine {
        meter: meter.name().to_owned(),
        quantity: if is_tokens { count.to_string() } else { Quantity::from_micro(count).to_string() },
        price: listed(price, numerator, denominator),
        per: price.per,
        amount: Money::from_atto(atto),
        exact,
    })
}

/// The list price as text, with the factors in it where that is a decimal.
fn listed(price: &Price, numerator: i128, denominator: i128) -> String {
    if numerator == denominator {
        return price.text.clone().into_string();
    }
    let whole = Decimal::parse(&price.text).ok().and_then(|list| list.atto.checked_mul(numerator));
    match whole {
        Some(atto) if atto % denominator == 0 => Decimal { atto: atto / denominator }.text(),
        _ => price.text.clone().into_string(),
    }
}

/// The quotient of two non-negative numbers, rounded half to even, and whether nothing was rounded.
fn divide_half_even(dividend: i128, divisor: i128) -> Option<(i128, bool)> {
    if divisor == 1 {
        return Some((dividend, true));
    }
    let quotient = dividend.checked_div(divisor)?;
    let rest = dividend % divisor;
    let twice = rest.checked_mul(2)?;
    let up = twice > divisor || (twice == divisor && quotient % 2 == 1);
    Some((quotient + i128::from(up), rest == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_half_to_even_once() {
        for (dividend, divisor, quotient, exact) in
            [(6, 3, 2, true), (7, 2, 4, false), (5, 2, 2, false), (10, 3, 3, false), (11, 3, 4, false), (0, 7, 0, true)]
        {
            assert_eq!(divide_half_even(dividend, divisor), Some((quotient, exact)), "{dividend}/{divisor}");
        }
        assert_eq!(divide_half_even(1, 0), None);
    }
}
