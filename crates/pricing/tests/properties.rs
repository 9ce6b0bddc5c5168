//! What holds for every model of the book and any usage.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use std::sync::LazyLock;

use proptest::prelude::*;
use support::now;
use tachograph_pricing::{Catalog, Match, PriceContext, PriceMeter};
use tachograph_record::{CacheTtl, CostState, Direction, Kind, Leaf, Modality, Money, Usage};

/// Every leaf that usage can have.
static LEAVES: LazyLock<Vec<Leaf>> = LazyLock::new(|| {
    let ttls = [CacheTtl::Unstated, CacheTtl::FiveMinutes, CacheTtl::OneHour];
    let kinds: Vec<Kind> = [Kind::Plain, Kind::CacheRead, Kind::Tool, Kind::Reasoning, Kind::Citation]
        .into_iter()
        .chain(ttls.map(Kind::CacheWrite))
        .collect();
    let mut leaves = Vec::new();
    for direction in [Direction::Input, Direction::Output] {
        for &kind in &kinds {
            for modality in [Modality::Text, Modality::Audio, Modality::Image, Modality::Video] {
                leaves.push(Leaf::new(direction, kind, modality));
            }
        }
    }
    leaves
});

/// The models that are sold by tokens.
static MODELS: LazyLock<Vec<Match>> = LazyLock::new(|| {
    let book = Catalog::embedded();
    book.models()
        .filter(|(_, model)| {
            model.base_rate(PriceMeter::Input).is_some() && model.base_rate(PriceMeter::Output).is_some()
        })
        .filter_map(|(provider, model)| book.resolve(provider.id(), &model.id))
        .collect()
});

fn any_model() -> impl Strategy<Value = Match> {
    (0..MODELS.len()).prop_map(|at| MODELS[at].clone())
}

fn any_leaves(most: u64) -> impl Strategy<Value = Vec<(Leaf, u64)>> {
    proptest::collection::vec((0..LEAVES.len(), 0..most).prop_map(|(at, count)| (LEAVES[at], count)), 0..12)
}

fn price(found: &Match, leaves: &[(Leaf, u64)], context: &PriceContext<'_>) -> Money {
    match Catalog::embedded().price(found, &Usage::reported(leaves.iter().copied()), context) {
        CostState::Priced(cost) => {
            assert_eq!(cost.lines.iter().map(|line| line.amount).sum::<Money>(), cost.total, "lines add up");
            cost.total
        }
        other => panic!("{}: {other:?}", found.model.id),
    }
}

proptest! {
    #[test]
    fn a_cost_is_never_negative_and_the_order_of_leaves_is_nothing(
        found in any_model(),
        leaves in any_leaves(1 << 40),
        seed in 0_usize..12,
        tier in proptest::option::of(proptest::sample::select(vec!["flex", "priority", "default", "nonsense"])),
        batch: bool,
        second in 1_700_000_000_i64..1_900_000_000,
    ) {
        let at = tachograph_record::Timestamp::from_micros(second * 1_000_000);
        let context = PriceContext { service_tier: tier, batch, ..PriceContext::at(at) };
        let cost = price(&found, &leaves, &context);
        prop_assert!(cost >= Money::ZERO);
        let mut turned = leaves.clone();
        turned.rotate_left(seed.min(leaves.len()));
        turned.reverse();
        prop_assert_eq!(price(&found, &turned, &context), cost);
    }

    /// Below the lowest threshold of the book every price is a constant, so cost is linear; what is rounded, is so by
    /// less than an atto-dollar a line.
    #[test]
    fn cost_is_linear_inside_a_tier(found in any_model(), leaves in any_leaves(100), factor in 1_u64..20) {
        let many: Vec<_> = leaves.iter().map(|&(leaf, count)| (leaf, count * factor)).collect();
        let one = price(&found, &leaves, &now());
        let difference = price(&found, &many, &now()).atto() - one.atto() * i128::from(factor);
        prop_assert!(difference.abs() <= i128::from(factor) * 16, "{difference}");
    }

    #[test]
    fn caching_never_costs_more_where_reads_are_no_dearer_than_input(found in any_model(), fresh in 0_u64..1 << 30, cached in 0_u64..1 << 30) {
        let total = fresh + cached;
        let dear = found.model.rates_of(PriceMeter::CacheRead).iter().any(|read| {
            let atto = |price: &tachograph_pricing::Price| price.atto * 3_600_000_000 / i128::from(price.reduced_per);
            found.model.rates_of(PriceMeter::Input).iter().any(|input| atto(&input.price) < atto(&read.price))
        });
        prop_assume!(!dear);
        let uncached = price(&found, &[(Leaf::INPUT, total)], &now());
        prop_assert!(price(&found, &[(Leaf::INPUT, fresh), (Leaf::CACHE_READ, cached)], &now()) <= uncached);
    }

    #[test]
    fn no_name_breaks_the_matcher(provider in "\\PC{0,12}", name in "\\PC{0,40}") {
        let book = Catalog::embedded();
        let _ = book.resolve(&provider, &name);
        let _ = book.resolve("", &name);
        let _ = book.resolve("aws-bedrock", &format!("arn:aws:bedrock:{name}"));
        let _ = book.resolve("openai", &format!("ft:{name}"));
    }
}

#[test]
fn every_id_and_alias_leads_to_its_model() {
    let book = Catalog::embedded();
    for (provider, model) in book.models() {
        for name in std::iter::once(&model.id).chain(&model.aliases) {
            let found = book.resolve(provider.id(), name).unwrap_or_else(|| panic!("{} {name}", provider.id()));
            assert_eq!((&found.provider, &found.model.id), (provider.id(), &model.id), "{name}");
        }
    }
}
