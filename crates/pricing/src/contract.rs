//! What an organisation pays instead of the list price.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tachograph_record::OrgId;

use crate::book::Decimal;

/// Whose contract it is: in a configuration an organisation's id, or `default` for all that have none of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ContractHolder {
    /// Every organisation without a contract of its own.
    Default,
    /// One organisation.
    Org(OrgId),
}

const DEFAULT: &str = "default";

impl TryFrom<String> for ContractHolder {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text == DEFAULT {
            return Ok(Self::Default);
        }
        text.parse().map(Self::Org).map_err(|_| "want an organisation's id (a UUID) or `default`")
    }
}

impl From<ContractHolder> for String {
    fn from(holder: ContractHolder) -> Self {
        match holder {
            ContractHolder::Default => DEFAULT.to_owned(),
            ContractHolder::Org(org) => org.to_string(),
        }
    }
}

/// A contract: price files of its own over all others, then a discount on everything.
///
/// ```
/// use tachograph_pricing::Contract;
///
/// let contract: Contract = serde_json::from_str(r#"{ "discount_percent": "12.5", "overlays": ["./prices/acme"] }"#).unwrap();
/// assert_eq!(contract.discount_percent.unwrap().to_string(), "12.5");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contract {
    /// Percent off every line, fees included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount_percent: Option<Discount>,
    /// Price files or directories of them, over the overlays that hold for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overlays: Vec<PathBuf>,
}

/// A percentage off, as an exact fraction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discount {
    percent: Box<str>,
    /// What is left to pay, in lowest terms.
    pub(crate) numerator: u64,
    /// Of so much.
    pub(crate) denominator: u64,
}

/// What is left is a fraction of at most 10⁸, so that amounts stay far from the range's end.
const DECIMALS: usize = 6;

impl FromStr for Discount {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let whole = Decimal::parse("100")?;
        let percent = Decimal::parse(text)?;
        if percent > whole {
            return Err("is more than 100 %");
        }
        let shortest = percent.text();
        if shortest.split_once('.').is_some_and(|(_, fraction)| fraction.len() > DECIMALS) {
            return Err("has more than 6 decimals");
        }
        let left = Decimal { atto: (whole.atto - percent.atto) / 100 };
        let (numerator, denominator) = left.ratio().ok_or("is no discount that can be billed")?;
        Ok(Self { percent: shortest.into(), numerator, denominator })
    }
}

impl fmt::Display for Discount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.percent)
    }
}

impl Serialize for Discount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.percent)
    }
}

impl<'de> Deserialize<'de> for Discount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Discount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a percentage as a string, such as \"12.5\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Discount, E> {
                text.parse().map_err(|why| E::custom(format_args!("the discount {text:?} {why}")))
            }
            fn visit_u64<E: Error>(self, percent: u64) -> Result<Discount, E> {
                self.visit_str(&percent.to_string())
            }
            fn visit_f64<E: Error>(self, percent: f64) -> Result<Discount, E> {
                Err(E::invalid_type(Unexpected::Float(percent), &self))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discount_is_an_exact_fraction() {
        for (text, left) in [("12.5", (7, 8)), ("0", (1, 1)), ("100", (0, 1)), ("33.333333", (66_666_667, 100_000_000))]
        {
            let discount: Discount = text.parse().unwrap();
            assert_eq!((discount.numerator, discount.denominator), left, "{text}");
            assert_eq!(discount.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_discount_is_refused() {
        for (text, why) in [
            ("\"-1\"", "negative"),
            ("\"100.1\"", "more than 100"),
            ("\"1.1234567\"", "6 decimals"),
            ("\"1e1\"", "exponent"),
            ("12.5", "as a string"),
        ] {
            let error = serde_json::from_str::<Discount>(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert_eq!(serde_json::from_str::<Discount>("10").unwrap().to_string(), "10");
    }

    #[test]
    fn holders_are_organisations_or_everyone() {
        let held: std::collections::BTreeMap<ContractHolder, u8> =
            serde_json::from_str(r#"{"default": 1, "00000000-0000-0000-0000-000000000000": 2}"#).unwrap();
        assert_eq!((held[&ContractHolder::Default], held[&ContractHolder::Org(OrgId::HOME)]), (1, 2));
        let text = serde_json::to_string(&held).unwrap();
        assert_eq!(text, r#"{"default":1,"00000000-0000-0000-0000-000000000000":2}"#);
        assert!(serde_json::from_str::<ContractHolder>("\"acme\"").unwrap_err().to_string().contains("a UUID"));
    }
}
