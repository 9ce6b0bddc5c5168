//! Embeddings for a caller of one API from a provider that has another.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::response::Parts;
use http::{HeaderValue, Response};
use tachograph_providers::Api;
use tachograph_providers::embed::{self, EmbedRequest, Target};
use tachograph_reply::ApiError;
use tachograph_telemetry::{Served, SharedTap};
use tachograph_tokens::Counter;

use crate::answer::AnswerBody;
use crate::call::{Call, Candidate};

/// The header in which Amazon says how many tokens a model read.
const AMAZONS_COUNT: &str = "x-amzn-bedrock-input-token-count";

/// How an answer is to be read and for whom.
pub(super) struct Crossing {
    pub(super) to: &'static Api,
    pub(super) from: Target,
    pub(super) asked: EmbedRequest,
}

/// What to send to a provider that has embeddings, but not as the caller asks for them.
pub(super) fn write(
    call: &Call,
    candidate: &Candidate,
    api: &'static Api,
    from: Target,
) -> Result<(Bytes, Crossing), ApiError> {
    let asked = embed::decode_request(api, &call.body, call.model.as_deref())?;
    let model = candidate.model.as_deref().unwrap_or(&asked.model);
    Ok((embed::encode_request(from.api, &asked, model)?, Crossing { to: api, from, asked }))
}

/// The provider's answer as the caller reads it. What Google does not count is estimated, and said to be.
pub(super) fn read(
    call: &Call,
    crossing: &Crossing,
    mut head: Parts,
    native: &Bytes,
    served: Served,
) -> Result<Response<AnswerBody>, ApiError> {
    let mut tap = crossing.from.api.tap_with(false, head.status.as_u16(), &head.headers);
    tap.see(native);
    let mut answer = embed::decode_answer(crossing.from.api, native)?;
    // Amazon counts in a header.
    let counted = head.headers.get(AMAZONS_COUNT).and_then(|count| count.to_str().ok()?.parse().ok());
    answer.tokens = answer.tokens.or(counted);
    let estimate = answer.tokens.is_none().then(|| {
        call.trip.note("usage estimated: the provider did not count the tokens of these texts");
        head.headers.insert(super::ESTIMATED, HeaderValue::from_static("usage"));
        let counter = Counter::of_model(&crossing.asked.model);
        crossing.asked.texts.iter().map(|text| counter.count(text)).sum()
    });
    let body = embed::encode_answer(crossing.to, &crossing.asked, &answer, estimate);
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.extensions.insert(served.with_shared_tap(SharedTap::new(tap)));
    Ok(Response::from_parts(head, AnswerBody::from(body)))
}
