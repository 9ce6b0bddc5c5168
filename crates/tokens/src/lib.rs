//! How many tokens a text is to a model.
//!
//! ```
//! use tachograph_tokens::Counter;
//!
//! let gpt = Counter::of_model("openai/gpt-4o-mini");
//! assert_eq!((gpt.count("Hello world"), gpt.spread_percent()), (2, 0));
//!
//! let claude = Counter::of_model("claude-sonnet-4-5");
//! assert!(claude.count("Hello world") >= 2 && claude.spread_percent() > 0);
//! ```
//!
//! OpenAI publishes its vocabularies: there a text is counted exactly. For other families it is counted with OpenAI's and
//! scaled by what their reports of real traffic were found to be; [`Counter::spread_percent`] says how far off that
//! usually is. Either way a prompt is more than its text: see [`PER_MESSAGE`] and [`PER_PROMPT`]. Whatever is made of
//! these numbers is an estimate and must say so; what providers report is never replaced by it.
//!
//! It is a crate of its own because the vocabularies make it large and slow to build, and because nothing else of it is
//! needed where no tokens are counted.

use bpe_openai::{Tokenizer, cl100k_base, o200k_base, voyage3_base};

/// Tokens that stand around each message of a prompt: its role and its ends.
pub const PER_MESSAGE: u64 = 4;
/// Tokens that each prompt ends with, to let the model speak.
pub const PER_PROMPT: u64 = 3;

/// Text beyond this is not tokenised but taken to go on as it began. Counting must not hold up whoever asks.
const WHOLE: usize = 256 << 10;

/// A published vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vocabulary {
    Cl100k,
    O200k,
    Voyage3,
}

/// A family of models: how their names begin, what their text is counted with, how many percent of that count they
/// report, by how many percent single calls differ from it, and what the provider puts before a prompt with tools.
struct Family {
    prefixes: &'static [&'static str],
    vocabulary: Vocabulary,
    percent: u64,
    spread: u64,
    preamble: u64,
}

const fn exact(prefixes: &'static [&'static str], vocabulary: Vocabulary) -> Family {
    Family { prefixes, vocabulary, percent: 100, spread: 0, preamble: 0 }
}

/// The families; the first that fits counts, so that `gpt-4o` comes before `gpt-4`.
const FAMILIES: &[Family] = &[
    exact(
        &["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-6", "gpt-oss", "chatgpt", "codex", "o1", "o3", "o4"],
        Vocabulary::O200k,
    ),
    exact(&["gpt-4", "gpt-3.5", "gpt-35", "text-embedding-3", "text-embedding-ada-002"], Vocabulary::Cl100k),
    exact(&["voyage-3"], Vocabulary::Voyage3),
    // Anthropic documents the preamble.
    nearly(&["claude"], 120, 25, 346),
    nearly(&["gemini", "gemma"], 98, 25, 0),
    nearly(&["mistral", "ministral", "magistral", "codestral", "devstral", "pixtral"], 107, 20, 0),
];

/// What recorded calls of a family were reported to be, against the count by OpenAI's newest vocabulary: the median.
const fn nearly(prefixes: &'static [&'static str], percent: u64, spread: u64, preamble: u64) -> Family {
    Family { prefixes, vocabulary: Vocabulary::O200k, percent, spread, preamble }
}

/// What is not known at all.
const OTHERS: Family = nearly(&[], 103, 35, 0);

/// Counts tokens for one family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    vocabulary: Vocabulary,
    percent: u64,
    spread: u64,
    preamble: u64,
}

impl Counter {
    /// The counter for a model by its name, with or without a provider's prefix, fine-tuned or not.
    #[must_use]
    pub fn of_model(model: &str) -> Self {
        let lower = model.trim().to_ascii_lowercase();
        let bare = lower.rsplit(['/', ':']).next().unwrap_or_default();
        // `ft:gpt-4o:org::id` names its base second, `us.anthropic.claude-…` its maker first.
        let base = lower.strip_prefix("ft:").and_then(|rest| rest.split(':').next()).unwrap_or(bare);
        let names = [base, lower.as_str(), bare];
        let parts = names.iter().flat_map(|name| std::iter::once(*name).chain(name.split('.')).chain(name.split('/')));
        let family = parts
            .filter_map(|part| {
                FAMILIES.iter().find(|family| family.prefixes.iter().any(|start| part.starts_with(start)))
            })
            .next()
            .unwrap_or(&OTHERS);
        let Family { vocabulary, percent, spread, preamble, .. } = *family;
        Self { vocabulary, percent, spread, preamble }
    }

    /// The tokens of a text.
    #[must_use]
    pub fn count(&self, text: &str) -> u64 {
        let begin = beginning(text, WHOLE);
        let counted = self.tokenizer().count(begin) as u64;
        let whole = scaled(counted, text.len() as u64, begin.len() as u64);
        scaled(whole, self.percent, 100)
    }

    /// By how many percent the text of one call is usually counted too low or too high; 0 where the model's own
    /// vocabulary counts.
    #[must_use]
    pub const fn spread_percent(&self) -> u64 {
        self.spread
    }

    /// Tokens that the provider puts before a prompt that has tools.
    #[must_use]
    pub const fn tools_preamble(&self) -> u64 {
        self.preamble
    }

    fn tokenizer(&self) -> &'static Tokenizer {
        match self.vocabulary {
            Vocabulary::Cl100k => cl100k_base(),
            Vocabulary::O200k => o200k_base(),
            Vocabulary::Voyage3 => voyage3_base(),
        }
    }
}

/// `count × numerator / denominator`, rounded up; the count itself where the denominator is 0.
fn scaled(count: u64, numerator: u64, denominator: u64) -> u64 {
    let product = u128::from(count) * u128::from(numerator);
    product.div_ceil(u128::from(denominator.max(1))).try_into().unwrap_or(u64::MAX)
}

/// At most so many bytes of a text, whole characters.
fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(model: &str) -> (Vocabulary, u64) {
        let counter = Counter::of_model(model);
        (counter.vocabulary, counter.percent)
    }

    #[test]
    fn families_are_known_by_their_names_in_every_dress() {
        let claude = (Vocabulary::O200k, 120);
        for (model, want) in [
            ("gpt-4o-mini", (Vocabulary::O200k, 100)),
            ("azure/GPT-4.1-nano", (Vocabulary::O200k, 100)),
            ("ft:gpt-4o-mini-2024-07-18:acme::1", (Vocabulary::O200k, 100)),
            ("gpt-4-turbo", (Vocabulary::Cl100k, 100)),
            ("gpt-3.5-turbo-0125", (Vocabulary::Cl100k, 100)),
            ("text-embedding-3-small", (Vocabulary::Cl100k, 100)),
            ("voyage-3-large", (Vocabulary::Voyage3, 100)),
            ("claude-sonnet-4-5-20250929", claude),
            ("anthropic/claude-haiku-4-5", claude),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", claude),
            ("publishers/anthropic/models/claude-opus-4-5@20251101", claude),
            ("models/gemini-2.5-pro", (Vocabulary::O200k, 98)),
            ("llama-3.3-70b", (Vocabulary::O200k, 103)),
            ("", (Vocabulary::O200k, 103)),
        ] {
            assert_eq!(vocabulary(model), want, "{model}");
        }
    }

    #[test]
    fn published_vocabularies_count_exactly() {
        let (old, new) = (Counter::of_model("gpt-4"), Counter::of_model("gpt-4o"));
        assert_eq!((old.count(""), old.count("tiktoken is great!")), (0, 6));
        assert_eq!(new.count("Hello, world!"), 4);
        assert!(new.count("日本語の文章") < old.count("日本語の文章"), "the newer vocabulary knows more of it");
    }

    #[test]
    fn long_texts_are_counted_by_their_beginning() {
        let gpt = Counter::of_model("gpt-4o");
        let line = "The quick brown fox jumps over the lazy dog.\n";
        let (some, many) = (gpt.count(&line.repeat(1_000)), gpt.count(&line.repeat(100_000)));
        let nearly = |count: u64, of: u64| count.abs_diff(of) * 1_000 <= of;
        assert!(nearly(many, some * 100), "{some} {many}");
        let cut_in_a_character = "é".repeat(WHOLE);
        assert!(gpt.count(&cut_in_a_character) > 0);
    }

    /// Runs of one character are what makes careless tokenisers take quadratic time.
    #[test]
    fn hostile_texts_take_no_longer() {
        let gpt = Counter::of_model("gpt-4o");
        let started = std::time::Instant::now();
        for hostile in ["a", " ", "\u{1F980}", "\n"] {
            assert!(gpt.count(&hostile.repeat(1 << 20)) > 0);
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(30), "{:?}", started.elapsed());
    }
}
