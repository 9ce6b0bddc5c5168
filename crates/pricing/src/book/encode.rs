//! The book's compact form: what `build.rs` writes and the program reads at its start, a few milliseconds for all of it.
//!
//! There is no version in it: writer and reader are compiled from the same source, and it never leaves the binary.
//! Numbers are LEB128 varints, texts and lists have their length before them, an optional value is a list of at most one.

use super::{Condition, Limits, Listed, Model, Provider};

/// Writes the book.
#[must_use]
pub(crate) fn encode(providers: &[Provider]) -> Vec<u8> {
    let mut out = Vec::new();
    list(&mut out, providers, provider);
    out
}

fn number(out: &mut Vec<u8>, mut value: u128) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

fn signed(out: &mut Vec<u8>, value: i64) {
    number(out, u128::from(((value << 1) ^ (value >> 63)).cast_unsigned()));
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u128);
    out.extend_from_slice(text.as_bytes());
}

fn list<T>(out: &mut Vec<u8>, items: &[T], each: impl Fn(&mut Vec<u8>, &T)) {
    number(out, items.len() as u128);
    items.iter().for_each(|item| each(out, item));
}

fn texts(out: &mut Vec<u8>, items: &[Box<str>]) {
    list(out, items, |out, item| text(out, item));
}

fn pairs(out: &mut Vec<u8>, items: &[(Box<str>, Box<str>)]) {
    list(out, items, |out, (key, value)| {
        text(out, key);
        text(out, value);
    });
}

fn maybe<T>(out: &mut Vec<u8>, value: Option<&T>, each: impl Fn(&mut Vec<u8>, &T)) {
    list(out, value.as_slice(), |out, value| each(out, value));
}

fn maybe_text(out: &mut Vec<u8>, value: Option<&str>) {
    maybe(out, value.as_ref(), |out, value| text(out, value));
}

fn maybe_number(out: &mut Vec<u8>, value: Option<u64>) {
    maybe(out, value.as_ref(), |out, &value| number(out, u128::from(value)));
}

fn provider(out: &mut Vec<u8>, provider: &Provider) {
    text(out, &provider.id);
    text(out, &provider.name);
    texts(out, &provider.aliases);
    texts(out, &provider.makes);
    texts(out, &provider.regions);
    list(out, &provider.models, model);
    list(out, &provider.mappings, |out, mapping| {
        [&mapping.from, &mapping.provider, &mapping.model].into_iter().for_each(|part| text(out, part));
    });
    maybe(out, provider.as_of.as_ref(), |out, &date| signed(out, date));
}

/// The names, then the rest with its length before it: the reader leaves it packed until somebody asks.
fn model(out: &mut Vec<u8>, listed: &Listed) {
    text(out, &listed.id);
    list(out, &listed.aliases, |out, alias| text(out, alias));
    let mut rest = Vec::new();
    prices(&mut rest, &listed.unpacked());
    number(out, rest.len() as u128);
    out.extend_from_slice(&rest);
}

fn prices(out: &mut Vec<u8>, model: &Model) {
    maybe_text(out, model.mode.as_deref());
    let Limits { context, max_input, max_output } = model.limits;
    [context, max_input, max_output].into_iter().for_each(|limit| maybe_number(out, limit));
    list(out, &model.conditions, condition);
    list(out, &model.rates, |out, rate| {
        number(out, u128::from(rate.meter.index()));
        number(out, u128::from(rate.condition));
        number(out, u128::from(rate.price.per));
        text(out, &rate.price.text);
        // Nearly no price has bounds: one byte says so.
        let bounds = [rate.price.least, rate.price.most];
        list(out, if bounds == [0, u64::MAX] { &[] } else { &bounds[..] }, |out, &bound| {
            number(out, u128::from(bound))
        });
    });
    list(out, &model.multipliers, |out, multiplier| {
        number(out, u128::from(multiplier.numerator));
        number(out, u128::from(multiplier.denominator));
        texts(out, &multiplier.regions);
        maybe_text(out, multiplier.deployment.as_deref());
        pairs(out, &multiplier.attributes);
    });
}

fn condition(out: &mut Vec<u8>, condition: &Condition) {
    [condition.from, condition.until].iter().for_each(|date| maybe(out, date.as_ref(), |out, &date| signed(out, date)));
    maybe_text(out, condition.tier.as_deref());
    maybe_number(out, condition.over_input);
    texts(out, &condition.regions);
    maybe_text(out, condition.deployment.as_deref());
    pairs(out, &condition.attributes);
    list(out, &condition.windows, |out, window| {
        [window.start, window.end, u16::from(window.weekdays)].iter().for_each(|&part| number(out, u128::from(part)));
        signed(out, i64::from(window.offset));
    });
}
