//! Text as it is stored: without U+0000, and without loss.
//!
//! Postgres has no U+0000 in text or jsonb, and many programs that read SQLite files stop at one; yet a caller may send
//! one in a property or a user's name, and that must not lose the row. So U+001A SUBSTITUTE, which stands in no text of
//! good faith, escapes: U+0000 is stored as U+001A `0`, U+001A itself as U+001A `1`. Every other text is stored as it is.
//! The mapping is one to one, so texts are equal exactly if their stored forms are, and filters compare stored forms.

use std::borrow::Cow;

const ESCAPE: char = '\u{1A}';

/// The stored form of a text.
pub(crate) fn stored(text: &str) -> Cow<'_, str> {
    if memchr::memchr2(0, ESCAPE as u8, text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(ESCAPE, "\u{1A}1").replace('\0', "\u{1A}0"))
}

/// The text of a stored form.
pub(crate) fn restored(text: String) -> String {
    if !text.contains(ESCAPE) {
        return text;
    }
    text.replace("\u{1A}0", "\0").replace("\u{1A}1", "\u{1A}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trips_without_nul_and_one_to_one(one in "[\0\u{1A}01a]{0,8}", other in "[\0\u{1A}01a]{0,8}") {
            prop_assert!(!stored(&one).contains('\0'));
            prop_assert_eq!(&restored(stored(&one).into_owned()), &one);
            prop_assert_eq!(stored(&one) == stored(&other), one == other);
        }
    }

    #[test]
    fn ordinary_text_is_stored_as_it_is() {
        assert!(matches!(stored("naïve \u{FFFD} %_'\"\\"), Cow::Borrowed(_)));
    }
}
