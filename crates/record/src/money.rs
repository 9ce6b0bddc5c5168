//! Exact money.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const ATTO_PER_USD: i128 = 1_000_000_000_000_000_000;
const ATTO_PER_NANO: i128 = 1_000_000_000;
const DECIMALS: usize = 18;

/// An amount of US dollars in atto-dollars (10⁻¹⁸ USD), exact, with checked arithmetic and no floats anywhere.
///
/// Text is a plain decimal string at every edge: `"0.000255"`, never `2.55e-4`. The range is ±1.7 × 10²⁰ USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

/// Why a text is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    /// Not digits with at most one point and a leading minus; exponents are refused.
    NotDecimal,
    /// More than 18 decimals: smaller than an atto-dollar.
    TooFine,
    /// Beyond ±1.7 × 10²⁰ USD.
    TooLarge,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDecimal => "not a plain decimal number of US dollars such as \"0.15\"",
            Self::TooFine => "more than 18 decimals of a US dollar",
            Self::TooLarge => "more US dollars than can be held (1.7e20)",
        })
    }
}

impl std::error::Error for MoneyError {}

impl Money {
    /// Nothing. A cost that is not known is not this: see [`CostState`](crate::CostState).
    pub const ZERO: Self = Self(0);

    /// The amount of so many atto-dollars (10⁻¹⁸ USD).
    #[must_use]
    pub const fn from_atto(atto: i128) -> Self {
        Self(atto)
    }

    /// The amount in atto-dollars.
    #[must_use]
    pub const fn atto(self) -> i128 {
        self.0
    }

    /// The sum, or `None` beyond the range.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(atto) => Some(Self(atto)),
            None => None,
        }
    }

    /// The difference, or `None` beyond the range.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(atto) => Some(Self(atto)),
            None => None,
        }
    }

    /// So many times the amount, or `None` beyond the range.
    #[must_use]
    pub const fn checked_mul(self, quantity: u64) -> Option<Self> {
        match self.0.checked_mul(quantity as i128) {
            Some(atto) => Some(Self(atto)),
            None => None,
        }
    }

    /// The amount divided, where the quotient is exact in atto-dollars.
    #[must_use]
    pub const fn checked_div_exact(self, divisor: u64) -> Option<Self> {
        let divisor = divisor as i128;
        if divisor == 0 || self.0 % divisor != 0 { None } else { Some(Self(self.0 / divisor)) }
    }

    /// The amount as whole nano-dollars and the atto-dollars left over (`0 ..= 999_999_999`): two columns whose sums
    /// stay exact in any database. `None` where the nano-dollars do not fit 64 bits (beyond ±9.2 × 10⁹ USD).
    #[must_use]
    pub fn to_columns(self) -> Option<(i64, i64)> {
        let nano = i64::try_from(self.0.div_euclid(ATTO_PER_NANO)).ok()?;
        let rest = i64::try_from(self.0.rem_euclid(ATTO_PER_NANO)).ok()?;
        Some((nano, rest))
    }

    /// The inverse of [`to_columns`](Self::to_columns), for single values and for sums of both columns alike.
    #[must_use]
    pub fn from_columns(nano: i128, rest: i128) -> Option<Self> {
        nano.checked_mul(ATTO_PER_NANO)?.checked_add(rest).map(Self)
    }
}

impl fmt::Display for Money {
    /// The shortest plain decimal: `0`, `12`, `0.000255`, `-1.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let atto = self.0.unsigned_abs();
        let (whole, fraction) = (atto / ATTO_PER_USD.unsigned_abs(), atto % ATTO_PER_USD.unsigned_abs());
        // Below 10¹⁸, so it fits 64 bits, in which dividing is cheap.
        let fraction = u64::try_from(fraction).unwrap_or(0);
        let sign = if self.0 < 0 { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        // Written digit by digit: every priced call writes a handful of amounts.
        let (mut digits, mut rest, mut len) = ([b'0'; DECIMALS], fraction, DECIMALS);
        for digit in digits.iter_mut().rev() {
            *digit += u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        while len > 0 && digits[len - 1] == b'0' {
            len -= 1;
        }
        write!(f, "{sign}{whole}.{}", str::from_utf8(&digits[..len]).unwrap_or_default())
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let point_without_digits = digits.contains('.') && fraction.is_empty();
        if whole.is_empty() || point_without_digits || !all_digits(whole) || !all_digits(fraction) {
            return Err(MoneyError::NotDecimal);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > DECIMALS {
            return Err(MoneyError::TooFine);
        }
        let whole: i128 = whole.parse().map_err(|_| MoneyError::TooLarge)?;
        let fraction: i128 = format!("{fraction:0<18}").parse().map_err(|_| MoneyError::NotDecimal)?;
        let atto = whole.checked_mul(ATTO_PER_USD).and_then(|atto| atto.checked_add(fraction));
        let atto = atto.ok_or(MoneyError::TooLarge)?;
        Ok(Self(if negative { -atto } else { atto }))
    }
}

impl Sum for Money {
    /// Saturates at the ends of the range, which no ledger reaches.
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.fold(0, |sum, amount| sum.saturating_add(amount.0)))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Money;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number of US dollars as a string, such as \"0.15\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Money, E> {
                text.parse().map_err(|error: MoneyError| E::custom(format_args!("{text:?} is {error}")))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes_plain_decimals() {
        for (text, shortest) in [
            ("0", "0"),
            ("0.15", "0.15"),
            ("12.50", "12.5"),
            ("-0.000000000000000001", "-0.000000000000000001"),
            ("40000", "40000"),
            ("00.10", "0.1"),
        ] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), shortest);
        }
    }

    #[test]
    fn refuses_what_is_no_decimal() {
        for text in ["", "-", ".", "1.", ".5", "1e-6", "1,5", "+1", "0x1", " 1", "1 ", "--1", "1.2.3", "½"] {
            assert_eq!(text.parse::<Money>(), Err(MoneyError::NotDecimal), "{text:?}");
        }
        assert_eq!("0.0000000000000000001".parse::<Money>(), Err(MoneyError::TooFine));
        assert_eq!("999999999999999999999".parse::<Money>(), Err(MoneyError::TooLarge));
    }

    #[test]
    fn divides_only_exactly() {
        let price: Money = "0.15".parse().unwrap();
        assert_eq!(price.checked_div_exact(1_000_000).unwrap().to_string(), "0.00000015");
        assert_eq!(Money::from_atto(10).checked_div_exact(3), None);
        assert_eq!(price.checked_div_exact(0), None);
    }

    proptest! {
        #[test]
        fn text_round_trips(atto: i128) {
            let money = Money::from_atto(atto);
            prop_assume!(atto != i128::MIN);
            prop_assert_eq!(money.to_string().parse::<Money>(), Ok(money));
        }

        #[test]
        fn columns_round_trip_and_sum(amounts in proptest::collection::vec(-1_000_000_000_000_000_000_000_i128..1_000_000_000_000_000_000_000, 1..50)) {
            let columns: Vec<_> = amounts.iter().map(|&atto| Money::from_atto(atto).to_columns().unwrap()).collect();
            prop_assert!(columns.iter().all(|&(_, rest)| (0..1_000_000_000).contains(&rest)));
            let nano = columns.iter().map(|&(nano, _)| i128::from(nano)).sum();
            let rest = columns.iter().map(|&(_, rest)| i128::from(rest)).sum();
            prop_assert_eq!(Money::from_columns(nano, rest).unwrap().atto(), amounts.iter().sum::<i128>());
        }

        #[test]
        fn never_panics_on_text(text in "\\PC*") {
            let _ = text.parse::<Money>();
        }
    }
}
