//! Texts that stand in nearly every record, by number.
//!
//! The list is part of the format: words are added at its end and never moved or taken out. A word that is missing costs
//! its length, nothing else.

use std::sync::LazyLock;

/// The words. Their places are their numbers.
#[rustfmt::skip]
pub(super) const WORDS: &[&str] = &[
    "", "POST", "GET", "DELETE",
    "other", "models", "openai.chat", "openai.responses", "openai.embeddings", "openai.completions", "anthropic.messages",
    "gemini.generateContent", "bedrock.converse",
    "/v1/chat/completions", "/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/messages",
    "/openai/v1/chat/completions", "/openai/v1/responses", "/anthropic/v1/messages",
    "openai", "anthropic", "google", "gemini", "vertex", "bedrock", "azure", "mistral", "groq", "deepseek", "openrouter", "xai",
    "together", "fireworks", "cohere", "perplexity", "ollama", "cerebras", "demo",
    "stop", "length", "tool_calls", "content_filter", "end_turn", "tool_use", "max_tokens", "stop_sequence", "STOP",
    "default", "standard", "auto", "priority", "flex",
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_5m_tokens",
    "cache_write_1h_tokens", "output_reasoning_tokens", "input_audio_tokens", "output_audio_tokens", "web_searches",
    "requests", "images",
    "exact", "alias", "prefix", "dated", "normalised",
    "0.15", "0.6", "0.075", "2.5", "10", "1.25", "3", "15", "0.3", "3.75", "6", "5", "25", "0.1", "0.4", "2", "8", "0.05",
    "1", "4", "0.25", "0.5", "60", "12", "75", "30",
    "allowed", "denied", "warned", "downgraded", "unavailable", "organisation", "key", "user",
    "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-5", "gpt-5-mini", "gpt-5-nano", "o3", "o4-mini",
    "openai/gpt-4o", "openai/gpt-4o-mini", "gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "claude-sonnet-4-5",
    "claude-haiku-4-5", "claude-opus-4-1", "gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.5-flash-lite",
    "text-embedding-3-small", "text-embedding-3-large",
    "gateway_error", "upstream_error", "invalid_request_error", "rate_limit_error", "interrupted", "cut_short",
];

/// Longer texts are in no list.
const LONGEST: usize = 32;
/// Places of the table that a word is looked up in; a power of two.
const PLACES: usize = 1024;

/// Numbers of words by a hash of theirs, one more than the number so that 0 is none.
static TABLE: LazyLock<[u8; PLACES]> = LazyLock::new(|| {
    let mut table = [0; PLACES];
    for (number, word) in (1_u8..).zip(WORDS) {
        let free = (0..PLACES).map(|step| (place(word) + step) % PLACES).find(|&at| table[at] == 0);
        if let Some(at) = free {
            table[at] = number;
        }
    }
    table
});

fn place(word: &str) -> usize {
    let hash = word.bytes().fold(word.len(), |hash, byte| hash.wrapping_mul(31) ^ usize::from(byte));
    (hash ^ hash >> 10) % PLACES
}

/// The number of a word, where it is one of the list.
pub(super) fn code_of(text: &str) -> Option<u64> {
    if text.len() > LONGEST {
        return None;
    }
    let mut at = place(text);
    loop {
        let number = TABLE[at];
        let word = WORDS.get(usize::from(number.checked_sub(1)?))?;
        if *word == text {
            return Some(u64::from(number) - 1);
        }
        at = (at + 1) % PLACES;
    }
}

pub(super) fn of_code(code: usize) -> Option<&'static str> {
    WORDS.get(code).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_and_nothing_else_is() {
        assert!(WORDS.len() < usize::from(u8::MAX), "the table holds bytes");
        for (number, word) in WORDS.iter().enumerate() {
            assert_eq!(code_of(word), u64::try_from(number).ok(), "{word:?} is there twice, or too long");
            assert_eq!(of_code(number), Some(*word));
        }
        assert_eq!((code_of("no such word"), code_of(&"x".repeat(100)), of_code(WORDS.len())), (None, None, None));
    }
}
