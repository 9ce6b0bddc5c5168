//! A price file as it is written. Keys that are not known are refused: a misspelt `cache_raed` is not a free cache.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer};
use toml::Spanned;

use super::PriceMeter;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceFile {
    pub(super) provider: ProviderTable,
    #[serde(default)]
    pub(super) model: Vec<ModelTable>,
    #[serde(default)]
    pub(super) map: Vec<MapTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderTable {
    pub(super) id: Spanned<String>,
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    #[serde(default)]
    pub(super) makes: Vec<String>,
    /// Where the prices come from; the newest date among them is the state of the file.
    #[serde(default)]
    pub(super) source: Vec<SourceTable>,
    /// For people: the vendor's own pages.
    #[serde(default, rename = "pages")]
    _pages: Vec<String>,
    #[serde(default, rename = "notes")]
    _notes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceTable {
    #[serde(rename = "tag")]
    _tag: String,
    #[serde(rename = "version")]
    _version: Option<String>,
    pub(super) at: Option<String>,
    #[serde(rename = "licence")]
    _licence: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelTable {
    pub(super) id: Spanned<String>,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    pub(super) mode: Option<String>,
    pub(super) context: Option<u64>,
    pub(super) max_input: Option<u64>,
    pub(super) max_output: Option<u64>,
    #[serde(default)]
    pub(super) price: Vec<PriceTable>,
    #[serde(default)]
    pub(super) multiplier: Vec<MultiplierTable>,
    /// Why what looks like a slip is none, or cannot be settled: then it is no warning.
    pub(super) odd: Option<String>,
    /// For people: which sources list the model, where they disagree, when it came and goes.
    #[serde(default, rename = "sources")]
    _sources: Vec<String>,
    #[serde(default, rename = "conflicts")]
    _conflicts: Vec<String>,
    #[serde(default, rename = "notes")]
    _notes: Vec<String>,
    #[serde(rename = "released")]
    _released: Option<String>,
    #[serde(rename = "deprecated")]
    _deprecated: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MapTable {
    pub(super) from: Spanned<String>,
    pub(super) to: String,
    pub(super) provider: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MultiplierTable {
    pub(super) factor: String,
    #[serde(default)]
    pub(super) region: OneOrMany,
    pub(super) deployment: Option<String>,
    #[serde(default)]
    pub(super) with: BTreeMap<String, String>,
}

/// `[[model.price]]`: prices, dates, and the special cases under them.
#[derive(Default)]
pub(super) struct PriceTable {
    pub(super) from: Option<String>,
    pub(super) until: Option<String>,
    pub(super) when: Vec<WhenTable>,
    pub(super) amounts: Vec<(PriceMeter, Amount)>,
}

/// `[[model.price.when]]`: prices that hold instead under a condition.
#[derive(Default)]
pub(super) struct WhenTable {
    pub(super) tier: Option<String>,
    pub(super) over_input: Option<u64>,
    pub(super) inclusive: bool,
    pub(super) region: OneOrMany,
    pub(super) deployment: Option<String>,
    pub(super) with: BTreeMap<String, String>,
    pub(super) window: Vec<WindowTable>,
    pub(super) amounts: Vec<(PriceMeter, Amount)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowTable {
    pub(super) hours: Vec<String>,
    #[serde(default)]
    pub(super) weekdays: Vec<u8>,
    pub(super) utc_offset: Option<String>,
}

/// `"us"` or `["us", "eu"]`.
#[derive(Default)]
pub(super) struct OneOrMany(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }
            fn visit_str<E: Error>(self, one: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![one.to_owned()]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMany, A::Error> {
                let mut many = Vec::new();
                while let Some(one) = seq.next_element()? {
                    many.push(one);
                }
                Ok(OneOrMany(many))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A price: `"3"`, for the meter's usual million, or `{ price = "10", per = 1000 }`; of a request at least or at most so
/// many are billed.
#[derive(Default)]
pub(super) struct Amount {
    pub(super) price: String,
    pub(super) per: Option<u64>,
    pub(super) at_least: Option<String>,
    pub(super) at_most: Option<String>,
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            price: String,
            per: u64,
            at_least: Option<String>,
            at_most: Option<String>,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a price as a string such as \"0.15\", or { price = \"10\", per = 1000 }")
            }
            fn visit_str<E: Error>(self, price: &str) -> Result<Amount, E> {
                Ok(Amount { price: price.to_owned(), ..Amount::default() })
            }
            fn visit_f64<E: Error>(self, price: f64) -> Result<Amount, E> {
                Err(E::invalid_type(Unexpected::Float(price), &self))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Amount, A::Error> {
                let Whole { price, per, at_least, at_most } = Whole::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Amount { price, per: Some(per), at_least, at_most })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A table whose keys are partly fixed and partly meters. `serde(flatten)` cannot refuse unknown keys, so this does it:
/// each fixed key has a setter, any other key must be a meter's.
macro_rules! priced_table {
    ($table:ident, $expecting:literal, $($key:literal => $field:ident $wrap:expr),+ $(,)?) => {
        impl<'de> Deserialize<'de> for $table {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Keys;
                impl<'de> Visitor<'de> for Keys {
                    type Value = $table;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$table, A::Error> {
                        let mut table = $table::default();
                        while let Some(key) = map.next_key::<String>()? {
                            match key.as_str() {
                                $($key => table.$field = $wrap(map.next_value()?),)+
                                key => match PriceMeter::from_key(key) {
                                    Some(meter) => table.amounts.push((meter, map.next_value()?)),
                                    None => {
                                        map.next_value::<IgnoredAny>()?;
                                        return Err(A::Error::custom(format_args!("unknown key `{key}`")));
                                    }
                                },
                            }
                        }
                        Ok(table)
                    }
                }
                deserializer.deserialize_map(Keys)
            }
        }
    };
}

fn same<T>(value: T) -> T {
    value
}

priced_table!(PriceTable, "a table of prices", "from" => from Some, "until" => until Some, "when" => when same);
priced_table!(
    WhenTable, "a table of conditions and prices",
    "tier" => tier Some, "over_input" => over_input Some, "inclusive" => inclusive same, "region" => region same,
    "deployment" => deployment Some, "with" => with same, "window" => window same,
);
