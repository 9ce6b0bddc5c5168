//! Patterns with wildcards.

use std::fmt;

use super::BadQuery;
use crate::text;

/// A text in which some places are open.
///
/// A text that holds U+0000 or U+001A is compared in its stored form, where each of them is two characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece>,
    /// Whether ASCII letters match their other case.
    pub fold: bool,
}

/// One piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// This text, in its stored form.
    Text(String),
    /// Any text, also none.
    Any,
    /// One character.
    One,
}

/// Open places in one pattern at most, and bytes: databases take time that grows with both.
const MOST_OPEN: usize = 12;
const MOST_BYTES: usize = 2_000;

impl Pattern {
    /// Any text that holds this one somewhere, ASCII case folded.
    ///
    /// # Errors
    /// Where the text is too long.
    pub fn containing(held: &str) -> Result<Self, BadQuery> {
        Self::of([Piece::Any, Piece::Text(held.to_owned()), Piece::Any], true)
    }

    /// `*` stands for any text, `?` for one character, and a backslash takes a meaning away.
    ///
    /// # Errors
    /// Where the pattern is too long or has too many open places.
    pub fn glob(glob: &str, fold: bool) -> Result<Self, BadQuery> {
        Self::read(glob, '*', '?', fold)
    }

    /// As in SQL: `%` stands for any text, `_` for one character, and a backslash takes a meaning away.
    ///
    /// # Errors
    /// Where the pattern is too long or has too many open places.
    pub fn like(like: &str, fold: bool) -> Result<Self, BadQuery> {
        Self::read(like, '%', '_', fold)
    }

    fn read(pattern: &str, any: char, one: char, fold: bool) -> Result<Self, BadQuery> {
        let (mut pieces, mut literal) = (Vec::new(), String::new());
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            let open = match character {
                '\\' => {
                    literal.push(characters.next().unwrap_or('\\'));
                    continue;
                }
                character if character == any => Piece::Any,
                character if character == one => Piece::One,
                character => {
                    literal.push(character);
                    continue;
                }
            };
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
            pieces.push(open);
        }
        pieces.push(Piece::Text(literal));
        Self::of(pieces, fold)
    }

    fn of(pieces: impl IntoIterator<Item = Piece>, fold: bool) -> Result<Self, BadQuery> {
        let mut held: Vec<Piece> = Vec::new();
        let (mut bytes, mut open) = (0, 0);
        for piece in pieces {
            match (&piece, held.last()) {
                (Piece::Text(literal), _) if literal.is_empty() => continue,
                (Piece::Any, Some(Piece::Any)) => continue,
                (Piece::Text(literal), _) => bytes += literal.len(),
                (Piece::Any | Piece::One, _) => open += 1,
            }
            held.push(match piece {
                Piece::Text(literal) => Piece::Text(text::stored(&literal).into_owned()),
                open => open,
            });
        }
        if bytes > MOST_BYTES || open > MOST_OPEN {
            return Err(BadQuery(format!(
                "a pattern has at most {MOST_OPEN} wildcards and {MOST_BYTES} bytes; narrow it in another way"
            )));
        }
        Ok(Self { pieces: held, fold })
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The text it looks for anywhere, where that is all it does.
    #[must_use]
    pub fn needle(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Any, Piece::Text(needle), Piece::Any] => Some(needle),
            _ => None,
        }
    }

    /// Whether a text fits.
    #[must_use]
    pub fn fits(&self, held: &str) -> bool {
        let held = text::stored(held);
        let held: Vec<char> = held.chars().map(|character| self.folded(character)).collect();
        let mut steps = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => steps.extend(literal.chars().map(|one| Step::This(self.folded(one)))),
                Piece::Any => steps.push(Step::Any),
                Piece::One => steps.push(Step::One),
            }
        }
        fits(&steps, &held)
    }

    fn folded(&self, character: char) -> char {
        if self.fold { character.to_ascii_lowercase() } else { character }
    }
}

#[derive(Clone, Copy)]
enum Step {
    This(char),
    One,
    Any,
}

/// Greedy with one place to come back to, so the time is at most the product of both lengths.
fn fits(steps: &[Step], held: &[char]) -> bool {
    let (mut step, mut at) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < held.len() {
        match steps.get(step) {
            Some(Step::Any) => {
                back = Some((step, at));
                step += 1;
                continue;
            }
            Some(Step::One) => {
                (step, at) = (step + 1, at + 1);
                continue;
            }
            Some(Step::This(wanted)) if *wanted == held[at] => {
                (step, at) = (step + 1, at + 1);
                continue;
            }
            _ => {}
        }
        let Some((any, from)) = back else { return false };
        back = Some((any, from + 1));
        (step, at) = (any + 1, from + 1);
    }
    steps[step..].iter().all(|step| matches!(step, Step::Any))
}

impl fmt::Display for Pattern {
    /// As [`glob`](Self::glob) reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Any => f.write_str("*")?,
                Piece::One => f.write_str("?")?,
                Piece::Text(literal) => {
                    for character in text::restored(literal.clone()).chars() {
                        if matches!(character, '*' | '?' | '\\') {
                            f.write_str("\\")?;
                        }
                        write!(f, "{character}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_as_people_expect() {
        for (glob, fold, held, expected) in [
            ("gpt-4o*", false, "gpt-4o-mini", true),
            ("gpt-4o*", false, "GPT-4o", false),
            ("gpt-4o*", true, "GPT-4o", true),
            ("*", false, "", true),
            ("", false, "", true),
            ("", false, "a", false),
            ("a?c", false, "abc", true),
            ("a?c", false, "ac", false),
            ("a\\*c", false, "a*c", true),
            ("a\\*c", false, "abc", false),
            ("*ab*ab", false, "abxabab", true),
            ("*a*b*c", false, "aabbc", true),
            ("*a*b*c", false, "aabb", false),
            ("É*", true, "é", false),
        ] {
            assert_eq!(Pattern::glob(glob, fold).unwrap().fits(held), expected, "{glob} {held}");
        }
        assert!(Pattern::glob(&"*a".repeat(20), false).is_err());
        assert_eq!(Pattern::like("50\\%%", true).unwrap().to_string(), "50%*");
    }
}
