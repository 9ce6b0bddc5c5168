//! Prompts that are longer than their model can take: cut, or given to a model that can
//! (`Helicone-Token-Limit-Exception-Handler`).
//!
//! Nothing happens to a prompt that fits. Tokens are counted with the model's own vocabulary where it is published
//! (Helicone takes a quarter of the characters), the room for the answer is what the request asks for, or a tenth of the
//! window.

mod text;

use std::str::FromStr;

use bytes::Bytes;
use serde_json::Value;
use tachograph_pricing::Catalog;
use tachograph_providers::{Api, dialect, json};
use tachograph_tokens::Counter;

use crate::call::{Call, Candidate, Way};
use crate::estimate;
use crate::router::Router;

use text::{Place, texts};

/// A prompt that is cut comes to so many percent of the room there is, for what counting may be off.
const FILL_PERCENT: u64 = 90;
/// The part of the window that is left for an answer whose length the request does not say.
const ANSWER: u64 = 10;
/// How often a cut is made closer where it was not enough.
const TRIES: u32 = 6;

/// What is to be done with a prompt that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooLong {
    /// Every text is cut at its end, each by the same part.
    Truncate,
    /// The middle of the conversation is left out.
    MiddleOut,
    /// The next model of `model: "a, b"`, or of the chain that the name means, is asked instead.
    Fallback,
}

impl FromStr for TooLong {
    type Err = ();

    /// In any case; what is not known is ignored, as Helicone has it.
    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [("truncate", Self::Truncate), ("middle-out", Self::MiddleOut), ("fallback", Self::Fallback)];
        all.into_iter().find(|(name, _)| text.trim().eq_ignore_ascii_case(name)).map(|(_, what)| what).ok_or(())
    }
}

/// Makes a call fit, where it does not.
pub(crate) fn apply(call: &mut Call, what: TooLong, router: &Router, catalog: &Catalog) {
    // What passes without being held cannot be counted, and targets of the caller's own have bodies of their own.
    if call.upload.is_some() || call.candidates.iter().any(|candidate| candidate.instead.is_some()) {
        return;
    }
    let Some(api) = call.api.filter(|api| api.dialect().is_some()) else { return };
    split_proxied_chain(call, router);
    let Some(first) = call.candidates.first() else { return };
    let (name, room) = (model_of(call, first), room(call, api, first, catalog));
    if what == TooLong::Fallback {
        return fall_back(call, api, &name, catalog);
    }
    let Some(room) = room else { return };
    let counter = Counter::of_model(&name);
    let Some(before) = tokens(api, &counter, &call.body).filter(|tokens| *tokens > room) else { return };
    let Some((body, after)) = cut(api, &counter, &call.body, what, room, before) else { return };
    let how = if what == TooLong::Truncate { "truncated" } else { "middle-out" };
    call.trip.note(format!("the prompt of {before} tokens was cut to {after} ({how}): {name} takes {room}"));
    call.body = body;
    call.model_span = json::fields(&call.body)
        .and_then(|mut fields| fields.find(|field| &call.body[field.key.clone()] == b"model"))
        .map(|field| field.value);
}

/// A proxied call goes to its provider as it is, and a provider knows no chains: the first of `a, b` is meant, and the
/// others stand behind it.
fn split_proxied_chain(call: &mut Call, router: &Router) {
    let (Way::Proxy(_), Some(written), Some(_)) = (&call.way, &call.model, &call.model_span) else { return };
    if !written.contains(',') {
        return;
    }
    let names: Vec<String> =
        written.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let Some(endpoint) = call.candidates.first().map(|candidate| candidate.endpoint.clone()) else { return };
    let candidate = |name: String| Candidate { model: Some(name.clone()), ..router.proxied(&endpoint, Some(&name)) };
    call.candidates = names.into_iter().map(candidate).collect();
}

fn model_of(call: &Call, candidate: &Candidate) -> String {
    candidate.model.clone().or_else(|| call.model.clone()).unwrap_or_default()
}

/// The longest prompt that a candidate takes, in tokens, where that is known.
fn room(call: &Call, api: &Api, candidate: &Candidate, catalog: &Catalog) -> Option<u64> {
    let limits = catalog.resolve(candidate.endpoint.name(), &model_of(call, candidate))?.model.limits;
    let context = limits.context.or(limits.max_input)?;
    let asked = dialect(api.dialect()?).decode_request(&call.body).ok().and_then(|request| request.max_tokens);
    let answer = asked.unwrap_or(context * ANSWER / 100).min(context);
    let room = context - answer;
    Some(limits.max_input.map_or(room, |most| most.min(room)))
}

/// The tokens of a body's prompt.
fn tokens(api: &Api, counter: &Counter, body: &[u8]) -> Option<u64> {
    let request = dialect(api.dialect()?).decode_request(body).ok()?;
    Some(estimate::prompt(counter, &request).tokens())
}

/// Leaves out the candidates that a prompt does not fit, where one is left that it may fit. Helicone asks the second
/// where the first's window is not known; so does this.
fn fall_back(call: &mut Call, api: &Api, name: &str, catalog: &Catalog) {
    let count = |model: &str| tokens(api, &Counter::of_model(model), &call.body);
    let fits = |candidate: &Candidate| {
        let room = room(call, api, candidate, catalog)?;
        count(&model_of(call, candidate)).map(|tokens| tokens <= room)
    };
    if call.candidates.first().is_none_or(|first| fits(first) == Some(true)) {
        return;
    }
    let others = call.candidates.iter().filter(|other| model_of(call, other) != name);
    // What surely fits goes before what may.
    let (sure, perhaps): (Vec<&Candidate>, Vec<&Candidate>) =
        others.filter(|other| fits(other) != Some(false)).partition(|other| fits(other) == Some(true));
    let kept: Vec<Candidate> = sure.into_iter().chain(perhaps).cloned().collect();
    let Some(next) = kept.first().map(|candidate| model_of(call, candidate)) else { return };
    call.trip.note(format!("{next} is asked instead of {name}, whose window is too small for the prompt or not known"));
    call.candidates = kept;
}

/// Cuts until it fits. Returns the body and its tokens; `None` where there is nothing to cut.
fn cut(api: &Api, counter: &Counter, body: &[u8], what: TooLong, room: u64, before: u64) -> Option<(Bytes, u64)> {
    let whole: Value = serde_json::from_slice(body).ok()?;
    let mut parsed = whole.clone();
    let in_texts: u64 = texts(&mut parsed).iter().map(|(_, text)| counter.count(text)).sum();
    // What is not text cannot be cut: tools, pictures, what stands around messages.
    let fixed = before.saturating_sub(in_texts);
    let mut target = (room * FILL_PERCENT / 100).checked_sub(fixed).filter(|_| in_texts > 0)?;
    for _ in 0..TRIES {
        let mut shorter = whole.clone();
        match what {
            TooLong::Truncate => truncate(&mut shorter, counter, target),
            TooLong::MiddleOut => middle_out(&mut shorter, counter, target),
            TooLong::Fallback => return None,
        }
        let bytes = Bytes::from(serde_json::to_vec(&shorter).ok()?);
        match tokens(api, counter, &bytes) {
            Some(after) if after <= room => return Some((bytes, after)),
            Some(_) => target = target * 8 / 10,
            None => return None,
        }
    }
    None
}

/// Takes out what says nothing, then cuts every text by the same part.
fn truncate(body: &mut Value, counter: &Counter, target: u64) {
    let mut found = texts(body);
    for (_, text) in &mut found {
        **text = text::normalised(text);
    }
    let all: u64 = found.iter().map(|(_, text)| counter.count(text)).sum();
    if all <= target {
        return;
    }
    for (_, text) in found {
        *text = text::beginning(text, target, all).to_owned();
    }
    text::without_empty_turns(body);
}

/// Leaves out the middle of the conversation; instructions stay, unless they alone are too long.
fn middle_out(body: &mut Value, counter: &Counter, target: u64) {
    let found = texts(body);
    let counted: Vec<u64> = found.iter().map(|(_, text)| counter.count(text)).collect();
    let of = |place: Place| {
        found.iter().zip(&counted).filter(|((at, _), _)| *at == place).map(|(_, count)| *count).sum::<u64>()
    };
    let (system, turns) = (of(Place::System), of(Place::Turn));
    let (kept, left) =
        if system.saturating_mul(2) <= target { (Place::Turn, target - system) } else { (Place::System, target) };
    let total = if kept == Place::Turn { turns } else { system + turns };
    let (head_ends, tail_begins) = (left / 2, total.saturating_sub(left - left / 2));
    let mut at = 0;
    for ((place, text), count) in found.into_iter().zip(counted) {
        if place == Place::System && kept == Place::Turn {
            continue;
        }
        let (from, until) = (at, at + count);
        at = until;
        let first = head_ends.clamp(from, until) - from;
        let last = until - tail_begins.clamp(from, until);
        if first == 0 && last == 0 {
            text.clear();
        } else {
            *text = text::ends(text, first, last, count);
        }
    }
    text::without_empty_turns(body);
}

#[cfg(test)]
mod tests;
