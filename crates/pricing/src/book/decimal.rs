//! Prices as exact decimals.

/// An unsigned decimal number in units of 10⁻¹⁸, which is what a price in a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Decimal {
    /// The number × 10¹⁸.
    pub(crate) atto: i128,
}

const DECIMALS: usize = 18;
const ONE: i128 = 1_000_000_000_000_000_000;

impl Decimal {
    /// Reads digits with at most one point.
    ///
    /// # Errors
    ///
    /// Says why the text is no price: a sign, an exponent, more than 18 decimals, or no number at all.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with('-') {
            return Err("is negative");
        }
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        if whole.is_empty() || fraction.is_empty() || !digits(whole) || !digits(fraction) {
            let exponent = text.contains(['e', 'E']);
            return Err(if exponent { "has an exponent; write it out" } else { "is no plain decimal number" });
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > DECIMALS {
            return Err("has more than 18 decimals");
        }
        let mut atto: i128 = 0;
        let places = fraction.bytes().chain(std::iter::repeat_n(b'0', DECIMALS - fraction.len()));
        for digit in whole.bytes().chain(places) {
            let next = atto.checked_mul(10).and_then(|atto| atto.checked_add(i128::from(digit - b'0')));
            atto = next.ok_or("is too large")?;
        }
        Ok(Self { atto })
    }

    /// The number as a fraction in lowest terms, where both sides fit: what a factor is applied with.
    #[must_use]
    pub(crate) fn ratio(self) -> Option<(u64, u64)> {
        let divisor = gcd(self.atto.unsigned_abs(), ONE.unsigned_abs());
        let numerator = u64::try_from(self.atto.unsigned_abs() / divisor).ok()?;
        let denominator = u64::try_from(ONE.unsigned_abs() / divisor).ok()?;
        Some((numerator, denominator))
    }

    /// The number in millionths, where it is a whole count of those.
    #[must_use]
    pub(crate) fn micro(self) -> Option<u64> {
        const ATTO_PER_MICRO: i128 = 1_000_000_000_000;
        (self.atto % ATTO_PER_MICRO == 0).then(|| u64::try_from(self.atto / ATTO_PER_MICRO).ok()).flatten()
    }

    /// The shortest text: no zeros after the last digit of the fraction.
    #[must_use]
    pub(crate) fn text(self) -> String {
        let (whole, fraction) = (self.atto / ONE, self.atto % ONE);
        if fraction == 0 {
            return whole.to_string();
        }
        let places = format!("{fraction:018}");
        format!("{whole}.{}", places.trim_end_matches('0'))
    }
}

/// The greatest common divisor; of 0 and n it is n.
pub(super) const fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_decimals_exactly() {
        for (text, shortest) in
            [("0", "0"), ("3", "3"), ("0.30", "0.3"), ("0.000000000000000001", "0.000000000000000001")]
        {
            assert_eq!(Decimal::parse(text).unwrap().text(), shortest);
        }
        assert_eq!(Decimal::parse("1.1").unwrap().ratio(), Some((11, 10)));
        assert_eq!(Decimal::parse("2").unwrap().ratio(), Some((2, 1)));
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        for (text, why) in [
            ("-1", "negative"),
            ("1e-6", "exponent"),
            ("0.1234567890123456789", "18 decimals"),
            ("", "plain"),
            (".5", "plain"),
            ("5.", "plain"),
            ("1,5", "plain"),
            ("1000000000000000000000000", "too large"),
        ] {
            assert!(Decimal::parse(text).unwrap_err().contains(why), "{text:?}");
        }
    }
}
