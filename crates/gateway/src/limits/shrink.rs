//! A shorter longest answer, so that a call fits into what is left of its budget.

use bytes::Bytes;
use tachograph_providers::{DialectId, json};
use tachograph_record::Money;

use super::worst::Worst;
use crate::call::Call;

/// Shorter than this no answer is worth its prompt, in tokens.
const SHORTEST: u64 = 64;

/// Asks for an answer that costs at most what is left, if there is one. Returns its length in tokens.
pub(super) fn to_fit(call: &mut Call, worst: &Worst, left: Money) -> Option<u64> {
    let fits = |output: u64| worst.cost(output).is_some_and(|cost| cost <= left);
    // Bodies of targets that the caller named are its own word for word.
    let has_own_bodies = call.candidates.iter().any(|candidate| candidate.instead.is_some());
    if has_own_bodies || !fits(SHORTEST) || worst.output <= SHORTEST {
        return None;
    }
    let (mut fitting, mut too_long) = (SHORTEST, worst.output);
    while too_long - fitting > 1 {
        let middle = fitting + (too_long - fitting) / 2;
        if fits(middle) { fitting = middle } else { too_long = middle }
    }
    call.body = with_limit(call, fitting)?;
    // What stood in the body has moved.
    call.model_span =
        json::fields(&call.body)?.find(|field| &call.body[field.key.clone()] == b"model").map(|field| field.value);
    Some(fitting)
}

/// The body with this longest answer, in the words of its API.
fn with_limit(call: &Call, tokens: u64) -> Option<Bytes> {
    let has = |name: &[u8]| {
        json::fields(&call.body).is_some_and(|mut fields| fields.any(|field| &call.body[field.key] == name))
    };
    let name = match call.api?.dialect()? {
        DialectId::OpenAiResponses => "max_output_tokens",
        DialectId::AnthropicMessages => "max_tokens",
        DialectId::OpenAiChat if has(b"max_tokens") => "max_tokens",
        DialectId::OpenAiChat => "max_completion_tokens",
        _ => return None,
    };
    json::set(&call.body, name, tokens.to_string().as_bytes())
}
