//! What providers' exports look like.
//!
//! An AWS cost and usage report (CUR 1 and 2) has every service in it, hour by hour; the lines whose usage type counts
//! tokens are those of Bedrock. It names models as the console shows them (`USE1-Claude4.5Sonnet-input-tokens`), so there
//! the parts of a name are compared, whatever their order: `claude-sonnet-4-5`.

use std::collections::BTreeSet;

use tachograph_pricing::Catalog;
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
    /// The column that says for how many the quantity counts.
    unit: Option<&'static str>,
    /// Its words for dimensions.
    words: &'static [(&'static str, &'static str)],
    /// How it names models.
    names: Names,
    /// A line's amount is off by at most so much: half of its last digit.
    rounds_by: Money,
}

/// How an export names models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// By their ids.
    Ids,
    /// As they are shown: `Claude Haiku 4.5`.
    Shown,
    /// As a part of a usage type: region, model, dimension.
    UsageType,
}

const HALF_A_CENT: Money = Money::from_atto(5_000_000_000_000_000);
/// Reports of AWS have ten decimals.
const HALF_OF_TEN_DECIMALS: Money = Money::from_atto(50_000_000);

/// The endings of Bedrock's usage types.
const USAGE_TYPES: &[(&str, &str)] = &[
    ("cache-read-input-token-count", "cache_read"),
    ("cache-write-input-token-count", "cache_write"),
    ("cache-read-input-tokens", "cache_read"),
    ("cache-write-input-tokens", "cache_write"),
    ("input-tokens", "input"),
    ("output-tokens", "output"),
    ("input-tokens-batch", "input"),
    ("output-tokens-batch", "output"),
];

const FORMS: &[Form] = &[
    Form {
        provider: "openai",
        day: "start_time",
        model: "line_item",
        dimension: None,
        amount: "amount_value",
        quantity: Some("quantity"),
        unit: None,
        words: &[("input", "input"), ("cached input", "cache_read"), ("output", "output")],
        names: Names::Ids,
        rounds_by: HALF_A_CENT,
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
        unit: None,
        names: Names::Shown,
        rounds_by: HALF_A_CENT,
    },
    Form {
        provider: "aws-bedrock",
        day: "lineItem/UsageStartDate",
        model: "lineItem/UsageType",
        dimension: None,
        amount: "lineItem/UnblendedCost",
        quantity: Some("lineItem/UsageAmount"),
        unit: Some("pricing/unit"),
        words: USAGE_TYPES,
        names: Names::UsageType,
        rounds_by: HALF_OF_TEN_DECIMALS,
    },
    Form {
        provider: "aws-bedrock",
        day: "line_item_usage_start_date",
        model: "line_item_usage_type",
        dimension: None,
        amount: "line_item_unblended_cost",
        quantity: Some("line_item_usage_amount"),
        unit: Some("pricing_unit"),
        words: USAGE_TYPES,
        names: Names::UsageType,
        rounds_by: HALF_OF_TEN_DECIMALS,
    },
];

/// Other words for whose bill it is.
const PROVIDERS: &[(&str, &str)] = &[("aws", "aws-bedrock"), ("bedrock", "aws-bedrock"), ("aws-cur", "aws-bedrock")];

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
        let provider = PROVIDERS.iter().find(|(word, _)| *word == provider).map_or(provider, |(_, id)| *id);
        let mut records = csv::records(text).into_iter();
        let header = records.next().unwrap_or_default();
        let is_there = |name: &str| header.iter().any(|held| held.trim() == name);
        let mut forms = FORMS.iter().filter(|form| form.provider == provider);
        let form = forms.clone().find(|form| is_there(form.day)).or_else(|| forms.next()).ok_or_else(|| {
            let known: BTreeSet<&str> = FORMS.iter().map(|form| form.provider).collect();
            let known: Vec<&str> = known.into_iter().collect();
            CommandError::Usage(format!("exports of {provider:?} are not known; known are {}", known.join(", ")))
        })?;
        let column = |name: &str| header.iter().position(|held| held.trim() == name);
        let needed =
            |name: &str| column(name).ok_or_else(|| CommandError::Usage(format!("the export has no column {name:?}")));
        let (day, model, amount) = (needed(form.day)?, needed(form.model)?, needed(form.amount)?);
        let dimension = form.dimension.map(needed).transpose()?;
        let (quantity, unit) = (form.quantity.and_then(column), form.unit.and_then(column));
        let mut lines = Vec::new();
        for (number, record) in (2..).zip(records) {
            let field = |at: usize| record.get(at).map_or("", |field| field.trim());
            // Days without any cost have no amount.
            if field(amount).is_empty() {
                continue;
            }
            let wrong = |what: &str, text: &str| CommandError::Usage(format!("line {number}: {text:?} is no {what}"));
            let (named, kind) = match (dimension, form.names) {
                (Some(at), _) => (field(model), field(at)),
                (None, Names::UsageType) => match usage_type(field(model)) {
                    Some(split) => split,
                    // Another service, or what is not sold by tokens.
                    None => continue,
                },
                (None, _) => field(model).rsplit_once(", ").unwrap_or((field(model), "")),
            };
            let thousands = unit.map_or(1, |at| if field(at).starts_with("1K") { 1000 } else { 1 });
            let word = form.words.iter().find(|(word, _)| *word == kind).map_or(kind, |&(_, own)| own);
            lines.push(BillLine {
                day: day_of(field(day)).ok_or_else(|| wrong("date", field(day)))?,
                model: named.to_owned(),
                dimension: word.to_owned(),
                amount: decimal(field(amount)).ok_or_else(|| wrong("amount", field(amount)))?,
                quantity: quantity.and_then(|at| decimal(field(at))).and_then(|count| count.checked_mul(thousands)),
            });
        }
        Ok(Self { lines, form })
    }

    /// The name under which a bill's model and a recorded one are the same, and whether the book knows it.
    pub(super) fn model(&self, catalog: &Catalog, provider: &str, shown: &str) -> (String, bool) {
        if self.form.names == Names::UsageType {
            let name = parts(shown);
            let listed = catalog.provider(provider).is_some_and(|row| row.model_ids().any(|id| parts(id) == name));
            return (name, listed);
        }
        let as_id = (self.form.names == Names::Shown).then(|| shown.to_ascii_lowercase().replace([' ', '.'], "-"));
        let mut names = std::iter::once(shown.to_owned()).chain(as_id);
        let found = names.find_map(|name| catalog.resolve(provider, &name));
        found.map_or_else(|| (shown.to_owned(), false), |found| (found.model.id.to_string(), true))
    }

    /// The same of a recorded model.
    pub(super) fn recorded_model(&self, id: &str) -> String {
        if self.form.names == Names::UsageType { parts(id) } else { id.to_owned() }
    }

    /// Whose bill it is, as the book calls it.
    pub(super) const fn provider(&self) -> &'static str {
        self.form.provider
    }

    /// By how much a line's amount may be rounded.
    pub(super) const fn rounds_by(&self) -> Money {
        self.form.rounds_by
    }
}

/// Model and dimension of `USE1-Nova-Lite-input-tokens`; `None` of a usage type that counts no tokens of a model.
fn usage_type(text: &str) -> Option<(&str, &str)> {
    let (region, rest) = text.split_once('-')?;
    let is_region = region.len() >= 3 && region.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let named = if is_region { rest } else { text };
    let endings = USAGE_TYPES.iter().map(|(ending, _)| *ending);
    // The longest that fits: `cache-read-input-tokens` ends in `input-tokens` too.
    let fitting = endings.filter(|ending| named.ends_with(*ending)).max_by_key(|ending| ending.len())?;
    let model = named.get(..named.len() - fitting.len())?.trim_end_matches('-');
    (!model.is_empty()).then_some((model, fitting))
}

/// What a model's name consists of, in one order: `claude-sonnet-4-5` of `Claude4.5Sonnet` and of
/// `us.anthropic.claude-sonnet-4-5-20250929-v1:0`. Region, maker, snapshot date and revision are no part of it.
fn parts(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let id = lower.rsplit_once(":").map_or(lower.as_str(), |(id, _)| id);
    // Makers and regions stand before dots; a dot between digits is a version's.
    let mut dots =
        id.char_indices().filter(|(at, c)| *c == '.' && !id[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    let bare = dots.next_back().map_or(id, |(at, _)| &id[at + 1..]);
    let mut found: Vec<String> = Vec::new();
    for c in bare.chars() {
        let is_same = |held: &String| held.ends_with(|last: char| last.is_ascii_digit() == c.is_ascii_digit());
        match found.last_mut() {
            _ if !c.is_ascii_alphanumeric() => found.push(String::new()),
            Some(held) if held.is_empty() || is_same(held) => held.push(c),
            _ => found.push(c.to_string()),
        }
    }
    found.retain(|part| !part.is_empty() && part.len() < "20250929".len());
    // The revision: `v1`.
    if let [.., v, _] = &found[..]
        && v == "v"
    {
        found.truncate(found.len() - 2);
    }
    let is_number = |part: &String| part.starts_with(|first: char| first.is_ascii_digit());
    let (numbers, mut words): (Vec<String>, Vec<String>) = found.into_iter().partition(is_number);
    words.sort();
    words.extend(numbers);
    words.join("-")
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
    fn usage_types_of_aws_name_model_and_dimension() {
        for (text, want) in [
            ("USE1-Nova-Lite-input-tokens", Some(("Nova-Lite", "input-tokens"))),
            (
                "USW2-Claude4.5Sonnet-cache-read-input-token-count",
                Some(("Claude4.5Sonnet", "cache-read-input-token-count")),
            ),
            ("Nova-Lite-output-tokens", Some(("Nova-Lite", "output-tokens"))),
            ("USE1-BoxUsage:t3.micro", None),
            ("USE1-input-tokens", None),
        ] {
            assert_eq!(usage_type(text), want, "{text}");
        }
        assert_eq!(parts("Claude4.5Sonnet"), "claude-sonnet-4-5");
        assert_eq!(parts("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), "claude-sonnet-4-5");
        assert_eq!((parts("amazon.nova-lite-v1:0"), parts("Nova-Lite")), ("lite-nova".into(), "lite-nova".into()));
        assert_ne!(parts("Claude4Sonnet"), parts("Claude4.5Sonnet"));
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
