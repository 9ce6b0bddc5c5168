//! What providers' exports look like.

use tachograph_record::Money;

use super::csv;
use crate::commands::CommandError;

/// A bill's lines.
#[derive(Debug)]
pub struct Bill {
    pub(super) lines: Vec<BillLine>,
    form: &'static Form,
}

/// One line of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BillLine {
    /// Days since the epoch.
    pub(super) day: i64,
    pub(super) model: String,
    pub(super) dimension: String,
    pub(super) amount: Money,
    pub(super) quantity: Option<Money>,
}

/// The columns of one export.
#[derive(Debug)]
struct Form {
    provider: &'static str,
    /// A date, or seconds since the epoch.
    day: &'static str,
    model: &'static str,
    /// The dimension; absent, it stands behind the model's name and a comma.
    dimension: Option<&'static str>,
    amount: &'static str,
    quantity: Option<&'static str>,
    /// Its words for dimensions.
    words: &'static [(&'static str, &'static str)],
}

const FORMS: &[Form] = &[
    Form {
        provider: "openai",
        day: "start_time",
        model: "line_item",
        dimension: None,
        amount: "amount_value",
        quantity: Some("quantity"),
        words: &[("input", "input"), ("cached input", "cache_read"), ("output", "output")],
    },
    Form {
        provider: "anthropic",
        day: "usage_date_utc",
        model: "model",
        dimension: Some("token_type"),
        amount: "cost_usd",
        quantity: None,
        words: &[
            ("input_no_cache", "input"),
            ("input_cache_read", "cache_read"),
            ("input_cache_write_5m", "cache_write"),
            ("input_cache_write_1h", "cache_write"),
            ("output", "output"),
        ],
    },
];

/// The dimension of a bill that a meter of ours belongs to.
pub(super) fn dimension_of_meter(meter: &str) -> &str {
    match meter {
        "cache_write_tokens" | "cache_write_5m_tokens" | "cache_write_1h_tokens" => "cache_write",
        "cache_read_tokens" => "cache_read",
        "input_tokens" => "input",
        "output_tokens" | "output_reasoning_tokens" => "output",
        other => other,
    }
}

impl Bill {
    /// Reads an export.
    ///
    /// # Errors
    /// Where the provider's exports are not known, a column is missing, or a line cannot be read.
    pub fn read(provider: &str, text: &str) -> Result<Self, CommandError> {
        let form = FORMS.iter().find(|form| form.provider == provider).ok_or_else(|| {
            let known: Vec<&str> = FORMS.iter().map(|form| form.provider).collect();
            CommandError::Usage(format!("exports of {provider:?} are not known; known are {}", known.join(", ")))
        })?;
        let mut records = csv::records(text).into_iter();
        let header = records.next().unwrap_or_default();
        let column = |name: &str| header.iter().position(|held| held.trim() == name);
        let needed =
            |name: &str| column(name).ok_or_else(|| CommandError::Usage(format!("the export has no column {name:?}")));
        let (day, model, amount) = (needed(form.day)?, needed(form.model)?, needed(form.amount)?);
        let dimension = form.dimension.map(needed).transpose()?;
        let quantity = form.quantity.and_then(column);
        let mut lines = Vec::new();
        for (number, record) in (2..).zip(records) {
            let field = |at: usize| record.get(at).map_or("", |field| field.trim());
            // Days without any cost have no amount.
            if field(amount).is_empty() {
                continue;
            }
            let wrong = |what: &str, text: &str| CommandError::Usage(format!("line {number}: {text:?} is no {what}"));
            let (named, kind) = match dimension {
                Some(at) => (field(model), field(at)),
                None => field(model).rsplit_once(", ").unwrap_or((field(model), "")),
            };
            let word = form.words.iter().find(|(word, _)| *word == kind).map_or(kind, |&(_, own)| own);
            lines.push(BillLine {
                day: day_of(field(day)).ok_or_else(|| wrong("date", field(day)))?,
                model: named.to_owned(),
                dimension: word.to_owned(),
                amount: decimal(field(amount)).ok_or_else(|| wrong("amount", field(amount)))?,
                quantity: quantity.and_then(|at| decimal(field(at))),
            });
        }
        Ok(Self { lines, form })
    }

    /// The names under which the book may know a model of the bill: as it is, and a shown name as an id is written
    /// (`Claude Haiku 4.5` as `claude-haiku-4-5`).
    pub(super) fn model_names(&self, shown: &str) -> Vec<String> {
        let mut names = vec![shown.to_owned()];
        if self.form.dimension.is_some() {
            names.push(shown.to_ascii_lowercase().replace([' ', '.'], "-"));
        }
        names
    }
}

const SECONDS_PER_DAY: i64 = 86_400;

/// Days since the epoch of `2026-11-20…` or of seconds since the epoch.
fn day_of(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(seconds.div_euclid(SECONDS_PER_DAY));
    }
    let date: jiff::civil::Date = text.get(..10)?.parse().ok()?;
    let at = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(at.as_second().div_euclid(SECONDS_PER_DAY))
}

/// The date of a day since the epoch.
pub(super) fn date_of(day: i64) -> String {
    let at = jiff::Timestamp::from_second(day.saturating_mul(SECONDS_PER_DAY));
    at.map_or_else(|_| day.to_string(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// A number as exports write them, `1.2e-05` too, exactly; what is finer than 10⁻¹⁸ is cut off.
fn decimal(text: &str) -> Option<Money> {
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok().filter(|exponent: &i32| exponent.abs() <= 40)?;
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let zeros = |count: i32| "0".repeat(usize::try_from(count.max(0)).unwrap_or(0));
    let padded = format!("{}{all}{}", zeros(1 - point), zeros(point - i32::try_from(all.len()).ok()?));
    let (whole, fraction) = padded.split_at_checked(usize::try_from(point.max(1)).ok()?)?;
    let fraction = fraction.get(..fraction.len().min(18))?;
    format!("{sign}{whole}.{fraction}0").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly_in_every_form() {
        for (text, want) in [
            ("0.05", "0.05"),
            ("1.2e-05", "0.000012"),
            ("12E3", "12000"),
            ("1.25e1", "12.5"),
            ("-0.5", "-0.5"),
            ("7", "7"),
            (".5", "0.5"),
            ("0.1234567890123456789", "0.123456789012345678"),
        ] {
            assert_eq!(decimal(text).map(|money| money.to_string()).as_deref(), Some(want), "{text}");
        }
        for text in ["", "-", "e5", "1,5", "abc", "1e999"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_dates_or_seconds() {
        assert_eq!((day_of("2026-11-20"), day_of("1795176000")), (Some(20_777), Some(20_777)));
        assert_eq!(date_of(20_777), "2026-11-20");
        assert_eq!(day_of("yesterday"), None);
    }

    #[test]
    fn what_is_no_export_is_refused() {
        for (provider, text) in [("acme", ""), ("openai", ""), ("openai", "a,b\n"), ("anthropic", "usage_date_utc\n")] {
            assert_eq!(Bill::read(provider, text).unwrap_err().exit_code(), 64, "{provider} {text:?}");
        }
        let bad = "start_time,line_item,amount_value\n1795176000,\"m, input\",much\n";
        assert!(Bill::read("openai", bad).unwrap_err().to_string().contains("line 2: \"much\" is no amount"));
    }
}
