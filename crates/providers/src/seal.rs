//! Whose proof it is.
//!
//! Reasoning goes back to the provider it came from with that provider's proof: Anthropic's `signature`, OpenAI's
//! `encrypted_content`, Google's `thoughtSignature`. Clients of other dialects carry it for us in their own fields, and a
//! provider refuses another's. So every proof but Anthropic's, which others already carry bare, is marked with its
//! dialect as soon as it is read, and the mark is taken off where it goes home.

use crate::DialectId;

const MARK: &str = "tachograph:";

/// A proof with its mark.
pub(crate) fn seal(dialect: DialectId, proof: &str) -> String {
    format!("{MARK}{}:{proof}", dialect.name())
}

/// The proof within, if it is one of this dialect.
pub(crate) fn open(dialect: DialectId, sealed: &str) -> Option<&str> {
    sealed.strip_prefix(MARK)?.strip_prefix(dialect.name())?.strip_prefix(':')
}

/// Whether it bears any mark; Anthropic's own does not.
pub(crate) fn is_marked(sealed: &str) -> bool {
    sealed.starts_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_for_its_own_dialect_only() {
        let sealed = seal(DialectId::OpenAiResponses, "a:b");
        assert_eq!(open(DialectId::OpenAiResponses, &sealed), Some("a:b"));
        assert_eq!(open(DialectId::OpenAiChat, &sealed), None);
        assert_eq!(open(DialectId::OpenAiResponses, "a:b"), None);
        assert!(is_marked(&sealed) && !is_marked("a:b"));
    }
}
