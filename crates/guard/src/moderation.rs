//! OpenAI's moderation call.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Ask, Guard, GuardFuture, Prompt, Refusal, Undecided, Verdict};

/// Asks a moderation model at `/v1/moderations`; what it flags is refused.
#[derive(Clone, Debug)]
pub struct Moderation {
    model: String,
}

impl Moderation {
    /// Asks this model: `openai/omni-moderation-latest`.
    #[must_use]
    pub fn new(model: impl Into<String>) -> Self {
        Self { model: model.into() }
    }

    async fn judge(&self, prompt: &Prompt<'_>, ask: &dyn Ask) -> Result<Verdict, Undecided> {
        let body = json!({ "model": self.model, "input": prompt.text }).to_string();
        let told = ask.ask("/v1/moderations", Bytes::from(body)).await?;
        let told: Told = serde_json::from_slice(&told)
            .map_err(|error| Undecided(format!("the moderation's answer cannot be read: {error}")))?;
        if told.results.is_empty() {
            return Err(Undecided("the moderation's answer has no results".to_owned()));
        }
        let flagged = told.results.iter().filter(|result| result.flagged);
        let mut categories: Vec<&str> = flagged
            .flat_map(|result| result.categories.iter())
            .filter_map(|(name, holds)| (*holds == Value::Bool(true)).then_some(name.as_str()))
            .collect();
        if !told.results.iter().any(|result| result.flagged) {
            return Ok(Verdict::Pass);
        }
        categories.sort_unstable();
        categories.dedup();
        let message = "The given prompt was flagged by the OpenAI Moderation endpoint.";
        let details = json!({ "categories": categories, "scores": told.results[0].category_scores });
        Ok(Verdict::Refuse(Refusal::new("PROMPT_FLAGGED_FOR_MODERATION", message).with_details(details)))
    }
}

impl Guard for Moderation {
    fn name(&self) -> &'static str {
        "moderation"
    }

    fn check<'a>(&'a self, prompt: &'a Prompt<'a>, ask: &'a dyn Ask) -> GuardFuture<'a> {
        Box::pin(self.judge(prompt, ask))
    }
}

#[derive(Deserialize)]
struct Told {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    flagged: bool,
    // Values that are no booleans are left aside: providers add to these.
    #[serde(default)]
    categories: BTreeMap<String, Value>,
    #[serde(default)]
    category_scores: Value,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AskFuture;

    struct Answering(&'static str);

    impl Ask for Answering {
        fn ask<'a>(&'a self, path: &'static str, body: Bytes) -> AskFuture<'a> {
            let asked: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((path, &asked["input"], &asked["model"]), ("/v1/moderations", &json!("hello"), &json!("m")));
            Box::pin(async { Ok(Bytes::from_static(self.0.as_bytes())) })
        }
    }

    async fn judged(answer: &'static str) -> Result<Verdict, Undecided> {
        Moderation::new("m").check(&Prompt { text: "hello", model: "gpt-4o" }, &Answering(answer)).await
    }

    #[tokio::test]
    async fn what_is_flagged_is_refused_with_its_categories() {
        let flagged = judged(
            r#"{"results":[{"flagged":true,"categories":{"violence":true,"hate":false,"new":null},"category_scores":{"violence":0.9}}]}"#,
        );
        let Ok(Verdict::Refuse(refusal)) = flagged.await else { panic!() };
        assert_eq!(refusal.code, "PROMPT_FLAGGED_FOR_MODERATION");
        assert_eq!(refusal.details, json!({ "categories": ["violence"], "scores": { "violence": 0.9 } }));
        assert_eq!(judged(r#"{"results":[{"flagged":false}]}"#).await, Ok(Verdict::Pass));
    }

    #[tokio::test]
    async fn an_answer_that_says_nothing_is_no_pass() {
        for answer in ["{}", "[]", "", r#"{"results":[]}"#, r#"{"results":[{}]}"#, r#"{"error":{"message":"x"}}"#] {
            assert!(judged(answer).await.is_err(), "{answer}");
        }
    }
}
