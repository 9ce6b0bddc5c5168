//! How hard to think: words and budgets of tokens.

/// The one table between them. A word becomes its budget; a budget becomes the last word that it reaches.
const BUDGETS: &[(&str, u64)] =
    &[("minimal", 1_024), ("low", 2_048), ("medium", 8_192), ("high", 24_576), ("xhigh", 32_768), ("max", 65_536)];

/// The least budget Anthropic takes.
pub(crate) const LEAST_BUDGET: u64 = 1_024;

/// The budget of a word, if it names an effort.
pub(crate) fn budget(word: &str) -> Option<u64> {
    BUDGETS.iter().find(|(known, _)| *known == word).map(|&(_, tokens)| tokens)
}

/// The word of a budget. Of the last words only `high` is known everywhere.
pub(crate) fn of_budget(tokens: u64) -> &'static str {
    let mut reached = BUDGETS.iter().take(4).filter(|&&(_, least)| tokens >= least);
    reached.next_back().map_or("minimal", |&(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_budgets() {
        for (tokens, word) in [(0, "minimal"), (1_024, "minimal"), (8_191, "low"), (8_192, "medium"), (1 << 30, "high")]
        {
            assert_eq!(of_budget(tokens), word);
        }
        assert_eq!(budget("low"), Some(2_048));
        assert_eq!(budget("none"), None);
    }
}
