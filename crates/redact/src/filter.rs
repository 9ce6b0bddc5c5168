//! A first look, in one pass over the bytes as they stand: what holds none of the pieces that every find must hold is let
//! pass untouched, and no rule is run over it.
//!
//! In JSON a piece can hide behind escapes: `\u0073k-` is `sk-`. So bytes with an escape that can stand for a character of
//! a piece are never let pass here. JSON inside a string of JSON has its escapes escaped, and they still end the same way.

use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};

use crate::rule::TextRule;

/// Shorter pieces stand nearly everywhere, and would only cost time.
const SHORTEST: usize = 3;

/// What some rules need to find anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Any of the pieces; `None` where there are no rules.
    pieces: Option<Regex>,
    /// A rule needs no piece that is known: everything must be looked at.
    open: bool,
    /// A piece has a slash in it, which JSON may escape.
    slashes: bool,
}

impl Filter {
    pub(crate) fn of(rules: &[TextRule]) -> Self {
        let mut pieces: Vec<&str> = Vec::new();
        for rule in rules {
            match rule.needs() {
                Some(needs) => pieces.extend(needs.iter().map(String::as_str)),
                None => return Self::open(),
            }
        }
        if pieces.is_empty() {
            return Self::default();
        }
        let any = pieces.iter().map(|piece| regex::escape(piece)).collect::<Vec<_>>().join("|");
        match RegexBuilder::new(&any).unicode(false).build() {
            Ok(any) => Self { pieces: Some(any), open: false, slashes: pieces.iter().any(|piece| piece.contains('/')) },
            Err(_) => Self::open(),
        }
    }

    /// Lets nothing pass.
    pub(crate) fn open() -> Self {
        Self { open: true, ..Self::default() }
    }

    /// Whether a rule may find something in a text that stands as it is.
    pub(crate) fn may_find(&self, text: &[u8]) -> bool {
        self.open || self.pieces.as_ref().is_some_and(|pieces| pieces.is_match(text))
    }

    /// Whether a rule may find something in JSON, in a string of it or elsewhere.
    pub(crate) fn may_find_escaped(&self, json: &[u8]) -> bool {
        self.may_find(json) || (self.pieces.is_some() && self.may_hide(json))
    }

    /// Whether an escape stands for a character that a piece may be made of.
    fn may_hide(&self, json: &[u8]) -> bool {
        if memchr::memchr(b'\\', json).is_none() {
            return false;
        }
        if self.slashes && memmem::find(json, br"\/").is_some() {
            return true;
        }
        // Pieces are printable ASCII, U+0020 to U+007E.
        let mut rest = json;
        while let Some(at) = memmem::find(rest, br"\u00") {
            rest = &rest[at + 4..];
            if rest.first().is_none_or(|digit| (b'2'..=b'7').contains(digit)) {
                return true;
            }
        }
        false
    }
}

/// The longest part of a secret that JSON has but one way to write, its `\u` escapes aside.
pub(crate) fn piece_of(secret: &str) -> Option<String> {
    let parts = secret.split(|c: char| !c.is_ascii() || c.is_ascii_control() || matches!(c, '"' | '\\' | '/'));
    parts.max_by_key(|part| part.len()).filter(|part| part.len() >= SHORTEST).map(str::to_owned)
}

/// A piece in every mixture of small and large letters.
pub(crate) fn in_any_case(piece: &str) -> Vec<String> {
    piece.chars().fold(vec![String::new()], |made, c| {
        let mut forms = vec![c.to_ascii_lowercase(), c.to_ascii_uppercase()];
        forms.dedup();
        made.iter().flat_map(|start| forms.iter().map(move |form| format!("{start}{form}"))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(secret: &str) -> Filter {
        Filter::of(&[TextRule::exact(secret)])
    }

    #[test]
    fn escapes_hide_nothing_at_any_depth() {
        let filter = filter("sk-abcdefgh");
        for hidden in [
            r#"{"a":"sk-abcdefgh"}"#,
            r#"{"a":"\u0073k-abcdefgh"}"#,
            r#"{"a":"sk-abc\u0064efgh"}"#,
            r#"{"a":"{\"b\":\"\\u0073k-abcdefgh\"}"}"#,
            r#"{"a":"\u005cu0073k-abcdefgh"}"#,
            r#"{"a":"\u00"#,
        ] {
            assert!(filter.may_find_escaped(hidden.as_bytes()), "{hidden}");
        }
        for harmless in [r#"{"a":"sk-abcdefg h"}"#, r#"{"a":"caf\u00e9\n\t\\ \u2019"}"#, "", r#"{"a":"a\/b"}"#] {
            assert!(!filter.may_find_escaped(harmless.as_bytes()), "{harmless}");
        }
    }

    #[test]
    fn a_secret_is_looked_for_by_what_no_escape_can_change() {
        assert_eq!(
            piece_of("-----BEGIN KEY-----\nab/cdefghijklmnopqrstuvwxyz").as_deref(),
            Some("cdefghijklmnopqrstuvwxyz")
        );
        assert_eq!(piece_of("ä\"b\\c/d\ne"), None);
        assert!(filter("ä\"b\\c/d\ne").may_find(b"anything"), "without a piece everything is looked at");
        assert!(!Filter::of(&[]).may_find(b"anything"), "without rules nothing is");
    }

    #[test]
    fn every_case_is_made() {
        assert_eq!(in_any_case("a-b"), ["a-b", "a-B", "A-b", "A-B"]);
    }
}
