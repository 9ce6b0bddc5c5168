//! A model that judges prompts.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{Ask, Guard, GuardFuture, Prompt, Undecided, Verdict, threat};

/// From this score on a prompt is a threat, where a model answers with a number.
const THREAT_FROM: f64 = 0.5;
/// What models say of a threat, as the first word of their answer, and of what is none.
const SAYS: [(&str, bool); 10] = [
    ("unsafe", true),
    ("malicious", true),
    ("injection", true),
    ("jailbreak", true),
    ("label_1", true),
    ("yes", true),
    ("safe", false),
    ("benign", false),
    ("label_0", false),
    ("no", false),
];
/// The longest answer that is asked for, in tokens.
const LONGEST: u32 = 32;

/// Asks a classifying model at `/v1/chat/completions`, with the prompt as its only message. It may answer with a score
/// between 0 and 1 (Llama Prompt Guard) or with a word (Llama Guard).
#[derive(Clone, Debug)]
pub struct Classifier {
    model: String,
}

impl Classifier {
    /// Asks this model: `groq/meta-llama/llama-prompt-guard-2-86m`.
    #[must_use]
    pub fn new(model: impl Into<String>) -> Self {
        Self { model: model.into() }
    }

    async fn judge(&self, prompt: &Prompt<'_>, ask: &dyn Ask) -> Result<Verdict, Undecided> {
        let messages = json!([{ "role": "user", "content": prompt.text }]);
        let body = json!({ "model": self.model, "messages": messages, "max_tokens": LONGEST, "temperature": 0 });
        let told = ask.ask("/v1/chat/completions", Bytes::from(body.to_string())).await?;
        let told: Value = serde_json::from_slice(&told).unwrap_or_default();
        let said = told["choices"][0]["message"]["content"].as_str().unwrap_or_default().trim();
        match means(said) {
            Some(true) => Ok(threat(json!({ "classifier": self.model, "said": said }))),
            Some(false) => Ok(Verdict::Pass),
            None => Err(Undecided(format!("{} gave an answer that is no verdict", self.model))),
        }
    }
}

/// Whether an answer tells of a threat; `None` where it tells nothing.
fn means(said: &str) -> Option<bool> {
    let first = said.split_whitespace().next()?.trim_matches(|c: char| !c.is_alphanumeric() && c != '_');
    if let Ok(score) = first.parse::<f64>() {
        return (0.0..=1.0).contains(&score).then_some(score >= THREAT_FROM);
    }
    SAYS.iter().find(|(word, _)| first.eq_ignore_ascii_case(word)).map(|(_, is_threat)| *is_threat)
}

impl Guard for Classifier {
    fn name(&self) -> &'static str {
        "injection_classifier"
    }

    fn check<'a>(&'a self, prompt: &'a Prompt<'a>, ask: &'a dyn Ask) -> GuardFuture<'a> {
        Box::pin(self.judge(prompt, ask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_and_words_are_verdicts_and_nothing_else_is() {
        for (said, means_threat) in [
            ("0.9991", Some(true)),
            ("0.5", Some(true)),
            ("0.01", Some(false)),
            ("unsafe\nS9", Some(true)),
            ("Safe", Some(false)),
            ("**MALICIOUS**", Some(true)),
            ("BENIGN.", Some(false)),
            (".7", None),
            ("LABEL_1", Some(true)),
            ("", None),
            ("7", None),
            ("NaN", None),
            ("I cannot say", None),
        ] {
            assert_eq!(means(said), means_threat, "{said}");
        }
    }
}
