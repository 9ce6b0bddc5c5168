//! Snapshot dates in model names: `-2025-12-11`, `-20251211`, `@20251211`.

/// A date in a name: where it begins (at its separator), where it ends, and its digits.
struct Found {
    start: usize,
    end: usize,
    digits: String,
    is_compact: bool,
}

/// The same name with its date written in the other ways, in the order to try them.
pub(super) fn other_forms(name: &str) -> Vec<String> {
    let Some(date) = find(name) else { return Vec::new() };
    let (before, after) = (&name[..date.start], &name[date.end..]);
    let digits = &date.digits;
    let dashed = format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]);
    let forms =
        [format!("{before}-{dashed}{after}"), format!("{before}-{digits}{after}"), format!("{before}@{digits}{after}")];
    forms.into_iter().filter(|form| form != name).collect()
}

/// The name without the date at its end; `None` where it has none there.
pub(super) fn without_date(name: &str) -> Option<&str> {
    let date = find(name)?;
    (date.end == name.len() && date.start > 0).then(|| &name[..date.start])
}

/// The last date of a name.
fn find(name: &str) -> Option<Found> {
    let separators = name.char_indices().filter(|(_, c)| *c == '-' || *c == '@');
    separators.filter_map(|(start, _)| date_at(name, start)).max_by_key(|date| (date.end, date.is_compact))
}

fn date_at(name: &str, start: usize) -> Option<Found> {
    let rest = name.get(start + 1..)?;
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let compact = rest.get(..8).filter(|text| is_digits(text)).map(|text| (text.to_owned(), 8));
    let dashed = || {
        let text = rest.get(..10)?;
        let parts: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        (lengths == [4, 2, 2] && parts.iter().all(|part| is_digits(part))).then(|| (parts.concat(), 10))
    };
    let is_compact = compact.is_some();
    let (digits, len) = compact.or_else(dashed)?;
    let goes_on = rest.as_bytes().get(len).is_some_and(u8::is_ascii_digit);
    (!goes_on && is_date(&digits)).then(|| Found { start, end: start + 1 + len, digits, is_compact })
}

/// Whether eight digits can be a day on which a model came out.
fn is_date(digits: &str) -> bool {
    let number =
        |range: std::ops::Range<usize>| digits.get(range).and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    (2018..2100).contains(&number(0..4)) && (1..=12).contains(&number(4..6)) && (1..=31).contains(&number(6..8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_three_forms() {
        assert_eq!(other_forms("gpt-5.2-20251211"), ["gpt-5.2-2025-12-11", "gpt-5.2@20251211"]);
        assert_eq!(other_forms("gpt-5.2-2025-12-11"), ["gpt-5.2-20251211", "gpt-5.2@20251211"]);
        assert_eq!(other_forms("claude@20250929"), ["claude-2025-09-29", "claude-20250929"]);
        assert_eq!(other_forms("anthropic.claude-20250929-v1:0")[0], "anthropic.claude-2025-09-29-v1:0");
    }

    #[test]
    fn other_numbers_are_no_dates() {
        for name in ["gpt-4o", "model-12345678", "m-20251301", "m-20250140", "m-202512111", "qwen-2025-1-1", "½-", "-"]
        {
            assert!(other_forms(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn only_the_end_is_dropped() {
        assert_eq!(without_date("gpt-5.2-2025-12-11"), Some("gpt-5.2"));
        assert_eq!(without_date("claude@20250929"), Some("claude"));
        assert_eq!(without_date("claude-20250929-v1:0"), None);
        assert_eq!(without_date("-20250929"), None);
    }
}
