//! Values as people and programs write them.

use tachograph_record::Money;
use uuid::Uuid;

use super::predicate::asked_of;
use super::{BadQuery, Field, Kind, Number, Test};

/// Millionths of one: the unit of scores.
pub const MICRO: i64 = 1_000_000;

/// Reads a decimal with up to six digits behind the point as millionths.
///
/// # Errors
/// Where it is none, or does not fit.
pub fn read_decimal(text: &str) -> Result<i64, BadQuery> {
    let bad = || BadQuery(format!("`{text}` is no decimal with up to six digits behind the point"));
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || fraction.len() > 6 || !all_digits(whole) || !all_digits(fraction) {
        return Err(bad());
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad())? };
    let fraction: i64 = format!("{fraction:0<6}").parse().map_err(|_| bad())?;
    let micro = whole.checked_mul(MICRO).and_then(|whole| whole.checked_add(fraction)).ok_or_else(bad)?;
    Ok(if negative { -micro } else { micro })
}

/// Millionths as a plain decimal.
#[must_use]
pub fn write_decimal(micro: i64) -> String {
    let (whole, fraction) = (micro.unsigned_abs() / MICRO.unsigned_abs(), micro.unsigned_abs() % MICRO.unsigned_abs());
    let sign = if micro < 0 { "-" } else { "" };
    let text = format!("{sign}{whole}.{fraction:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads a moment: µs since the epoch, or a date with or without a time (RFC 3339, UTC where no zone is named).
///
/// # Errors
/// Where it is none.
pub fn read_moment(text: &str) -> Result<i64, BadQuery> {
    if let Ok(micros) = text.parse() {
        return Ok(micros);
    }
    moment(text).ok_or_else(|| {
        BadQuery(format!("`{text}` is no moment; write µs since 1970, 2026-11-24 or 2026-11-24T10:00:00Z"))
    })
}

fn moment(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, "00:00:00"),
    };
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (time, offset) = match time.rfind(['Z', 'z', '+', '-']) {
        Some(at) => (&time[..at], zone(&time[at..])?),
        None => (time, 0),
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = time.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    if parts.next().is_some() || hour > 24 || minute > 59 || second > 60 || fraction.len() > 9 {
        return None;
    }
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let micros: i64 = fraction.parse().ok()?;
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute - offset) * 60 + second;
    Some(seconds * MICRO + micros)
}

/// A zone's minutes east of Greenwich.
fn zone(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = if let Some(rest) = text.strip_prefix('+') { (1, rest) } else { (-1, text.strip_prefix('-')?) };
    let rest = rest.replace(':', "");
    if rest.len() != 4 {
        return None;
    }
    Some(sign * (rest[..2].parse::<i64>().ok()? * 60 + rest[2..].parse::<i64>().ok()?))
}

/// Days since the epoch of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Units of spans, in µs.
const SPANS: [(&str, i64); 6] =
    [("us", 1), ("µs", 1), ("ms", 1_000), ("s", MICRO), ("min", 60 * MICRO), ("h", 3_600 * MICRO)];

/// Reads a span: a number with a unit (`1.5s`, `300ms`), or a whole number of `plain` µs.
pub(crate) fn read_span(text: &str, plain: i64) -> Result<i64, BadQuery> {
    let bad = || BadQuery(format!("`{text}` is no span; write 300ms, 1.5s, 2min or a whole number"));
    if let Ok(whole) = text.parse::<i64>() {
        return whole.checked_mul(plain).ok_or_else(bad);
    }
    let digits = text.find(|character: char| !character.is_ascii_digit() && !matches!(character, '.' | '-'));
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = if unit.is_empty() { plain } else { SPANS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?.1 };
    let micro = i128::from(read_decimal(number).map_err(|_| bad())?) * i128::from(unit) / i128::from(MICRO);
    i64::try_from(micro).map_err(|_| bad())
}

/// The test that a field's value is this, as text has it. Spans without a unit are in `plain_span` µs.
pub(crate) fn equals(field: &Field, text: &str, plain_span: i64) -> Result<Test, BadQuery> {
    Ok(match field.kind() {
        Kind::Text | Kind::Word | Kind::Texts => Test::OneOf(vec![text.to_owned()]),
        Kind::Flag => Test::Flag(match text {
            "true" | "yes" | "1" => true,
            "false" | "no" | "0" => false,
            _ => return Err(BadQuery(format!("`{field}` is true or false, not `{text}`"))),
        }),
        Kind::Id => {
            let id = Uuid::parse_str(text).map_err(|_| BadQuery(format!("`{field}` is a UUID, not `{text}`")))?;
            Test::Ids(vec![id])
        }
        Kind::Body => return Err(BadQuery(format!("`{field}` {}", asked_of(Kind::Body)))),
        _ => Test::Number(super::Comparison::Equal, number(field, text, plain_span)?),
    })
}

/// A number of the field's kind.
pub(crate) fn number(field: &Field, text: &str, plain_span: i64) -> Result<Number, BadQuery> {
    let bad = |kind| BadQuery(format!("`{text}` does not fit `{field}`: {}", asked_of(kind)));
    let kind = field.kind();
    Ok(match kind {
        Kind::Int => Number::Int(text.parse().map_err(|_| bad(kind))?),
        Kind::Time => Number::Int(read_moment(text)?),
        Kind::Span => Number::Int(read_span(text, plain_span)?),
        Kind::Decimal => Number::Int(read_decimal(text)?),
        Kind::Money => {
            let amount: Money = text.trim_start_matches('$').parse().map_err(|_| bad(kind))?;
            Number::Money(amount)
        }
        Kind::Rate => Number::Real(text.parse().map_err(|_| bad(kind))?),
        Kind::Text | Kind::Word | Kind::Texts | Kind::Flag | Kind::Id | Kind::Body => return Err(bad(kind)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_moments_and_spans() {
        for (text, micro) in [("1", 1_000_000), ("0.8", 800_000), ("-2.000001", -2_000_001), (".5", 500_000)] {
            assert_eq!(read_decimal(text), Ok(micro));
            assert_eq!(read_decimal(&write_decimal(micro)), Ok(micro));
        }
        for text in ["", "-", ".", "1.0000001", "1e3", "99999999999999999999"] {
            assert!(read_decimal(text).is_err(), "{text}");
        }
        for (text, micros) in [
            ("1970-01-01", 0),
            ("2026-11-20T12:00:00Z", 1_795_176_000_000_000),
            ("2026-11-20 13:00:00.25+01:00", 1_795_176_000_250_000),
            ("2024-02-29T00:00", 1_709_164_800_000_000),
            ("-5", -5),
        ] {
            assert_eq!(read_moment(text), Ok(micros), "{text}");
        }
        assert!(read_moment("tomorrow").is_err() && read_moment("2026-13-01").is_err());
        for (text, micros) in [("2s", 2_000_000), ("300ms", 300_000), ("1.5s", 1_500_000), ("7", 7_000), ("9us", 9)] {
            assert_eq!(read_span(text, 1_000), Ok(micros), "{text}");
        }
        assert!(read_span("2 parsecs", 1).is_err());
    }
}
