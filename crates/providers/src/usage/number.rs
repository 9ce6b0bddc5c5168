//! Reading counts out of JSON.

use tachograph_record::Quantity;

use super::node::Node;

/// More tokens than any call can have; beyond it a number is a fault, not a count.
const MAX_COUNT: u64 = 1 << 54;

/// A count of tokens. Whole floats (`12.0`) and digits in a string pass; both are sent by real servers.
pub(super) fn count(value: &Node<'_>) -> Result<u64, &'static str> {
    let count = match value {
        Node::Count(count) => *count,
        Node::Float(float) if *float < 0.0 => return Err("is negative"),
        Node::Float(float) => whole(*float).ok_or("is not a whole count of tokens")?,
        Node::Text(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| "is larger than any call can be")?
        }
        _ => return Err("is not a number"),
    };
    if count > MAX_COUNT { Err("is larger than any call can be") } else { Ok(count) }
}

/// A float that is a whole number, where floats still tell whole numbers apart.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
fn whole(float: f64) -> Option<u64> {
    (float.fract() == 0.0 && float <= 9_007_199_254_740_992.0).then_some(float as u64)
}

/// A count of something other than tokens: seconds come as decimals.
pub(super) fn quantity(value: &Node<'_>) -> Result<Quantity, &'static str> {
    if let Ok(count) = count(value) {
        return Quantity::whole(count).ok_or("is larger than any call can be");
    }
    let float = value.as_f64().ok_or("is not a number")?;
    if float < 0.0 {
        return Err("is negative");
    }
    let text = float.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    // Clocks of providers have more digits than they measure; millionths are kept.
    let kept = &fraction[..fraction.len().min(6)];
    format!("{whole}.{kept}").parse().map_err(|_| "is larger than any call can be")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts() {
        for (value, want) in [
            (json!(0), Ok(0)),
            (json!(1200.0), Ok(1200)),
            (json!("340"), Ok(340)),
            (json!(9_007_199_254_740_993_u64), Ok(9_007_199_254_740_993)),
            (json!(-1), Err("is negative")),
            (json!(1e30), Err("is not a whole count of tokens")),
            (json!(1.5), Err("is not a whole count of tokens")),
            (json!(u64::MAX), Err("is larger than any call can be")),
            (json!(true), Err("is not a number")),
            (json!("12a"), Err("is not a number")),
            (json!([]), Err("is not a number")),
        ] {
            assert_eq!(count(&Node::from(&value)), want, "{value}");
        }
    }

    #[test]
    fn quantities() {
        let of = |value: serde_json::Value| quantity(&Node::from(&value));
        assert_eq!(of(json!(7.25)).unwrap().to_string(), "7.25");
        assert_eq!(of(json!(3)).unwrap().to_string(), "3");
        assert_eq!(of(json!(0.123_456_789)).unwrap().to_string(), "0.123456");
        assert_eq!(of(json!(-0.5)), Err("is negative"));
    }
}
