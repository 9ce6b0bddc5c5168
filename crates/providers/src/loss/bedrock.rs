//! Bedrock's rows. Converse is near to Anthropic's messages in what it takes and what it lacks, so most rows are those of
//! Anthropic, turned; what is Bedrock's own stands here in full.

use serde_json::{Value, json};

use super::{Becomes, Loss, Verdict};
use crate::DialectId;
use crate::DialectId::{AnthropicMessages as Am, BedrockConverse as Bc, GeminiGenerateContent as Gg, OpenAiChat as Oc};

/// What becomes of a feature of whatever dialect in Converse: verdict and how.
const TO_CONVERSE: &[(&str, Verdict, &str)] = &[
    ("temperature", Verdict::Approximated, "Bedrock takes 0 to 1; values above became 1"),
    ("temperature with thinking", Verdict::Dropped, "with thinking on Claude takes no temperature"),
    (
        "top_p",
        Verdict::Dropped,
        "newer models of Claude take either temperature or top_p, and neither with thinking on",
    ),
    ("top_k", Verdict::Dropped, "with thinking on Claude takes no top_k"),
    ("stop", Verdict::Dropped, "stop texts of white space only are refused there"),
    ("max_tokens", Verdict::Approximated, "was raised above the budget of thinking tokens"),
    (
        "reasoning_effort",
        Verdict::Approximated,
        "became what the model knows: a budget of thinking tokens or an effort",
    ),
    (
        "thinking",
        Verdict::Approximated,
        "was switched off: the signed thinking of the last turn did not come back with it",
    ),
    ("tool_choice", Verdict::Approximated, "with thinking on Claude takes no forced tool; it became auto"),
    (
        "tool_choice none",
        Verdict::Approximated,
        "Converse has no such choice and wants the tools of earlier calls declared",
    ),
    ("allowed_tools", Verdict::Approximated, "only the allowed tools were declared"),
    ("parallel_tool_calls", Verdict::Dropped, "only Claude can be told to call one tool at a time"),
    ("response_format", Verdict::Approximated, "became an instruction to answer with a JSON object only"),
    ("tool_calls.id", Verdict::Approximated, "ids were rewritten to the letters and the length Bedrock takes"),
    ("cache_control", Verdict::Dropped, "this model keeps no prompt cache that can be marked"),
    ("user", Verdict::Dropped, "has letters that Bedrock does not take as metadata"),
    ("image_url.detail", Verdict::Dropped, "has no counterpart there and was left out"),
    ("messages.name", Verdict::Dropped, "has no counterpart there and was left out"),
    ("messages.system", Verdict::Approximated, "a system message amid the conversation became a marked user text"),
    ("messages.reasoning", Verdict::Dropped, "reasoning without the model's own proof cannot be sent back to it"),
    ("messages.document", Verdict::Approximated, "a text was put beside a document, as Bedrock demands"),
    ("messages.audio", Verdict::Refused, "Converse takes no audio; send its transcript"),
    ("messages.file_id", Verdict::Refused, "files held by another provider cannot be sent to Bedrock; send the bytes"),
    ("messages.url", Verdict::Refused, "Bedrock fetches nothing by its address; send the bytes"),
    ("tools", Verdict::Refused, "only function tools can be sent to Bedrock"),
];

/// Bedrock's own fields, elsewhere.
const FROM_CONVERSE: &[(&str, Verdict, &str)] = &[
    ("guardrailConfig", Verdict::Refused, "guardrails are Bedrock's own; leave them out"),
    ("promptVariables", Verdict::Refused, "prompts are kept by Bedrock only; send what they say"),
    ("performanceConfig", Verdict::Dropped, "has no counterpart there and was left out"),
    ("requestMetadata", Verdict::Dropped, "has no counterpart there and was left out"),
    ("additionalModelRequestFields", Verdict::Dropped, "fields of one model mean nothing to another"),
    ("additionalModelResponseFieldPaths", Verdict::Dropped, "has no counterpart there and was left out"),
    (
        "messages.content",
        Verdict::Refused,
        "blocks of Bedrock's own (guarded content, films, files in S3) cannot be sent elsewhere",
    ),
    ("tools", Verdict::Refused, "this tool is run by Bedrock only; declare tools of your own"),
];

const fn never(_: &Value) -> bool {
    false
}

const fn own(from: DialectId, to: DialectId, row: &(&'static str, Verdict, &'static str)) -> Loss {
    let (feature, verdict, how) = (row.0, row.1, row.2);
    Loss { from, to, feature, verdict, how, harmless: never, becomes: None }
}

/// All rows from and to Converse. `others` are the rows of all other pairs.
pub(super) fn rows(others: &[Loss]) -> Vec<Loss> {
    let mut rows = Vec::new();
    for other in DialectId::all().filter(|id| *id != Bc) {
        to_converse(other, others, &mut rows);
        from_converse(other, others, &mut rows);
    }
    rows
}

fn add(rows: &mut Vec<Loss>, loss: Loss) {
    let same = |held: &Loss| (held.from, held.to, held.feature) == (loss.from, loss.to, loss.feature);
    if !rows.iter().any(same) {
        rows.push(loss);
    }
}

fn to_converse(from: DialectId, others: &[Loss], rows: &mut Vec<Loss>) {
    TO_CONVERSE.iter().for_each(|row| add(rows, own(from, Bc, row)));
    let tier: Becomes = |value| match value.as_str()? {
        tier @ ("default" | "flex" | "priority") => Some(("serviceTier", json!({ "type": tier }))),
        "standard_only" => Some(("serviceTier", json!({"type": "default"}))),
        _ => None,
    };
    let how = "Bedrock knows default, flex and priority; all others were left to it";
    let (feature, verdict) = ("service_tier", Verdict::Approximated);
    add(rows, Loss { from, to: Bc, feature, verdict, how, harmless: |tier| tier == "auto", becomes: Some(tier) });
    let user: Becomes = |value| Some(("requestMetadata", json!({ "user": value })));
    let (feature, verdict, how) = ("safety_identifier", Verdict::Lossless, "requestMetadata.user");
    add(rows, Loss { from, to: Bc, feature, verdict, how, harmless: never, becomes: Some(user) });
    // What Anthropic's API lacks Converse lacks too. Anthropic's own is measured by what a third one lacks.
    let like = if from == Am { Oc } else { Am };
    for loss in others.iter().filter(|loss| loss.from == from && loss.to == like) {
        let how = match loss.verdict {
            Verdict::Refused => "this has no counterpart in Bedrock's Converse; leave it out",
            Verdict::Dropped | Verdict::Approximated | Verdict::Lossless => "has no counterpart there and was left out",
        };
        let verdict = if loss.verdict == Verdict::Refused { Verdict::Refused } else { Verdict::Dropped };
        add(rows, Loss { from, to: Bc, feature: loss.feature, verdict, how, harmless: loss.harmless, becomes: None });
    }
}

fn from_converse(to: DialectId, others: &[Loss], rows: &mut Vec<Loss>) {
    FROM_CONVERSE.iter().for_each(|row| add(rows, own(Bc, to, row)));
    let top_k: Option<(Becomes, &str)> = match to {
        Am => Some((|value| Some(("top_k", value.clone())), "top_k")),
        Gg => Some((|value| Some(("generationConfig.topK", value.clone())), "generationConfig.topK")),
        _ => None,
    };
    if let Some((becomes, how)) = top_k {
        let (feature, verdict) = ("top_k", Verdict::Lossless);
        add(rows, Loss { from: Bc, to, feature, verdict, how, harmless: never, becomes: Some(becomes) });
    }
    // In its messages Converse is as Anthropic's API is; there, as OpenAI's.
    let like = if to == Am { Oc } else { Am };
    for loss in others.iter().filter(|loss| loss.from == like && loss.to == to) {
        add(rows, Loss { from: Bc, ..*loss });
    }
}
