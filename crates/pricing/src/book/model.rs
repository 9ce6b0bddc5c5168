//! The book in memory.

use std::borrow::Cow;

use super::decimal::gcd;
use super::{Attributes, Condition, Decimal, PriceMeter};

/// A provider and its price list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    /// The id: `aws-bedrock`.
    pub(crate) id: Box<str>,
    /// The name to show.
    pub(crate) name: Box<str>,
    /// Other names that mean it: `bedrock`.
    pub(crate) aliases: Box<[Box<str>]>,
    /// How the names of the models begin that it made itself. Where several list a bare name, its maker is meant.
    pub(crate) makes: Box<[Box<str>]>,
    /// The regions that its prices name.
    pub(crate) regions: Box<[Box<str>]>,
    /// The models.
    pub(crate) models: Vec<Listed>,
    /// Names that the operator mapped to models.
    pub(crate) mappings: Vec<Mapping>,
    /// When the newest of its sources was read: a second of the Unix epoch (a UTC midnight).
    pub(crate) as_of: Option<i64>,
}

/// A name: borrowed from the program itself where it is of the built-in book.
pub(crate) type Name = Cow<'static, str>;

/// A model by its names. Its prices stay packed where they come from the built-in book: of its thousands of models a
/// process asks for a few.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// The id.
    pub(crate) id: Name,
    /// Other ids that mean it.
    pub(crate) aliases: Box<[Name]>,
    /// The rest.
    pub(crate) prices: Prices,
}

/// Everything of a model but its names.
#[derive(Clone, Debug)]
pub(crate) enum Prices {
    /// As `encode` wrote it.
    Packed(&'static [u8]),
    /// As a file was read.
    Whole(Box<Model>),
}

impl Listed {
    /// The model whole.
    pub(crate) fn unpacked(&self) -> Model {
        let rest = match &self.prices {
            // The bytes were written by the encoder of this very source, so they decode.
            Prices::Packed(bytes) => super::decode::prices(bytes).unwrap_or_default(),
            Prices::Whole(model) => (**model).clone(),
        };
        let aliases = self.aliases.iter().map(|alias| (**alias).into()).collect();
        Model { id: (*self.id).into(), aliases, ..rest }
    }
}

impl From<Model> for Listed {
    fn from(model: Model) -> Self {
        let aliases = model.aliases.iter().map(|alias| Name::Owned(alias.to_string())).collect();
        Self { id: Name::Owned(model.id.to_string()), aliases, prices: Prices::Whole(Box::new(model)) }
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        self.unpacked() == other.unpacked()
    }
}

impl Eq for Listed {}

/// A name that the operator mapped to a model: an Azure deployment, an application inference profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// The name as it appears on calls.
    pub(crate) from: Box<str>,
    /// The provider whose price list counts.
    pub(crate) provider: Box<str>,
    /// The model there.
    pub(crate) model: Box<str>,
}

/// A model and its prices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// The id as the provider's API takes it.
    pub id: Box<str>,
    /// Other ids that mean it.
    pub aliases: Box<[Box<str>]>,
    /// What it is for: `chat`, `embedding`, `image_generation`.
    pub mode: Option<Box<str>>,
    /// How much it takes and gives.
    pub limits: Limits,
    /// The conditions that rates point to.
    pub conditions: Box<[Condition]>,
    /// The prices, by meter, the most telling condition first.
    pub rates: Box<[Rate]>,
    /// Factors on token prices.
    pub multipliers: Box<[Multiplier]>,
}

/// How many tokens a model takes and gives, where it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Input and output together.
    pub context: Option<u64>,
    /// Input.
    pub max_input: Option<u64>,
    /// Output.
    pub max_output: Option<u64>,
}

/// A price for a meter under a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What it is for.
    pub meter: PriceMeter,
    /// When it holds: an index into the model's conditions.
    pub condition: u32,
    /// How much.
    pub price: Price,
}

/// A list price, and the same in lowest terms to multiply with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The list price in USD as text, without needless zeros.
    pub text: Box<str>,
    /// For how many.
    pub per: u64,
    /// Atto-dollars for `reduced_per`.
    pub atto: i128,
    /// 1 where a single one costs a whole number of atto-dollars.
    pub reduced_per: u64,
    /// A request that used any is billed for at least so many, in millionths.
    pub least: u64,
    /// And for at most so many.
    pub most: u64,
}

impl Price {
    /// The price of `per` of something. `per` must not be 0; the loader refuses that.
    #[must_use]
    pub(crate) fn new(price: Decimal, per: u64) -> Self {
        let per = per.max(1);
        let divisor = gcd(price.atto.unsigned_abs(), u128::from(per));
        // Both divisions are by a divisor of `per`, so they fit again.
        let reduced_per = u64::try_from(u128::from(per) / divisor).unwrap_or(per);
        let atto = i128::try_from(divisor).map_or(price.atto, |divisor| price.atto / divisor);
        Self { text: price.text().into(), per, atto, reduced_per, least: 0, most: u64::MAX }
    }

    /// Which of two is lower.
    #[must_use]
    pub(super) fn is_below(&self, other: &Self) -> bool {
        let side = |price: &Self, by: &Self| price.atto.checked_mul(i128::from(by.reduced_per));
        matches!((side(self, other), side(other, self)), (Some(left), Some(right)) if left < right)
    }
}

/// A factor on the token prices of requests in some regions or with some attributes. Where the price itself is already
/// one for that region or those attributes, the factor is not applied again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// The factor's numerator.
    pub numerator: u64,
    /// The factor's denominator.
    pub denominator: u64,
    /// In these regions; `*` is any region but `global`.
    pub regions: Box<[Box<str>]>,
    /// For this kind of deployment.
    pub deployment: Option<Box<str>>,
    /// For requests with all these attributes.
    pub attributes: Attributes,
}

impl Model {
    /// A model of prices alone.
    #[must_use]
    pub(crate) fn new(conditions: Vec<Condition>, rates: Vec<Rate>) -> Self {
        let mut model = Self { conditions: conditions.into(), rates: rates.into(), ..Self::default() };
        model.sort_rates();
        model
    }

    /// The rates of one meter, the most telling first.
    #[must_use]
    pub fn rates_of(&self, meter: PriceMeter) -> &[Rate] {
        let start = self.rates.partition_point(|rate| rate.meter < meter);
        let rest = &self.rates[start..];
        &rest[..rest.iter().take_while(|rate| rate.meter == meter).count()]
    }

    /// The condition of a rate of this model.
    #[must_use]
    pub fn condition_of(&self, rate: &Rate) -> Option<&Condition> {
        self.conditions.get(usize::try_from(rate.condition).ok()?)
    }

    /// The rate that holds when nothing special is said: no tier, region, date, hour or threshold.
    #[must_use]
    pub fn base_rate(&self, meter: PriceMeter) -> Option<&Rate> {
        self.rates_of(meter)
            .iter()
            .find(|rate| self.condition_of(rate).is_some_and(|held| *held == Condition::default()))
    }

    /// Puts rates into the order that `rates_of` relies on.
    pub(super) fn sort_rates(&mut self) {
        let conditions = &self.conditions;
        let rank =
            |rate: &Rate| usize::try_from(rate.condition).ok().and_then(|at| conditions.get(at)).map(Condition::rank);
        self.rates.sort_by(|a, b| a.meter.cmp(&b.meter).then_with(|| rank(b).cmp(&rank(a))));
    }
}
