//! Moments as clients write them.

use serde_json::Value;

/// A moment in µs since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) i64);

impl Moment {
    /// The epoch; some clients send it for "not known".
    pub(super) const ZERO: Self = Self(0);
}

/// From so many seconds on, a bare number counts milliseconds: as seconds it would be the year 5138.
const MILLISECONDS_FROM: f64 = 1e11;

/// Reads `{seconds, milliseconds}`, a number or text of seconds or milliseconds since the epoch, or an ISO 8601 text.
pub(super) fn read(value: &Value) -> Result<Moment, &'static str> {
    const FORM: &str =
        "should be {seconds, milliseconds}, seconds or milliseconds since 1970 (UTC), or a moment as in ISO 8601";
    match value {
        Value::Object(parts) => {
            let part = |name: &str| match parts.get(name) {
                Some(part) => part.as_f64().ok_or(FORM),
                None => Err(FORM),
            };
            micros(part("seconds")? * 1e6 + part("milliseconds")? * 1e3).ok_or(FORM)
        }
        Value::Number(number) => number.as_f64().and_then(bare).ok_or(FORM),
        Value::String(text) => {
            let text = text.trim();
            let of_number = || text.parse::<f64>().ok().and_then(bare);
            let of_iso = || Some(Moment(text.parse::<jiff::Timestamp>().ok()?.as_microsecond()));
            of_number().or_else(of_iso).ok_or(FORM)
        }
        _ => Err(FORM),
    }
}

fn bare(number: f64) -> Option<Moment> {
    micros(if number.abs() < MILLISECONDS_FROM { number * 1e6 } else { number * 1e3 })
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be within")]
fn micros(micros: f64) -> Option<Moment> {
    const MOST: f64 = 9e17;
    (micros.abs() < MOST).then(|| Moment(micros.round() as i64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form() {
        let moment = Moment(1_625_686_222_500_000);
        for told in [
            json!({"seconds": 1_625_686_222, "milliseconds": 500}),
            json!(1_625_686_222.5),
            json!(1_625_686_222_500_u64),
            json!("1625686222.5"),
            json!("1625686222500"),
            json!("2021-07-07T19:30:22.5Z"),
        ] {
            assert_eq!(read(&told), Ok(moment), "{told}");
        }
        for told in [json!(null), json!({"seconds": 1}), json!("yesterday"), json!(1e300), json!([])] {
            assert!(read(&told).is_err(), "{told}");
        }
    }
}
