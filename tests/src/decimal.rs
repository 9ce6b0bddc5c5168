//! Money, reckoned apart from the code under test.

use std::fmt;
use std::str::FromStr;

/// A decimal in units of 10⁻¹⁸.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Atto(pub i128);

const ONE: i128 = 1_000_000_000_000_000_000;

impl Atto {
    /// `self` × `quantity` ÷ `per`, and whether that came out even.
    #[must_use]
    pub fn times(self, quantity: Self, per: u64) -> (Self, bool) {
        // Quantities have at most six decimals, which keeps the product within 128 bits.
        let micro = quantity.0 / 1_000_000_000_000;
        let (product, divisor) = (self.0 * micro, i128::from(per) * 1_000_000);
        (Self(product / divisor), product % divisor == 0)
    }
}

impl FromStr for Atto {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 18 || whole.is_empty() {
            return Err(format!("{text:?} is no decimal of at most 18 places"));
        }
        let digits = |part: &str| part.parse::<i128>().map_err(|error| format!("{text:?}: {error}"));
        Ok(Self(digits(whole)? * ONE + digits(&format!("{fraction:0<18}"))?))
    }
}

impl fmt::Display for Atto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:018}", self.0 % ONE);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{}", self.0 / ONE),
            fraction => write!(f, "{}.{fraction}", self.0 / ONE),
        }
    }
}

impl std::iter::Sum for Atto {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.map(|amount| amount.0).sum())
    }
}
