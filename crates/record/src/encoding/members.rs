//! What of each part of a record is written, and in which order.
//!
//! The tables here are the format. Each names every member of its type, so that a new one cannot be forgotten: it is a
//! compile error until it stands here. Members added after a release go to the end of their table, in a new version of the
//! format whose reader still reads the older one.

use super::DecodeError;
use super::binary::{Binary, Input};
use crate::{
    Asked, Attempt, Attribution, BodyState, CacheStatus, CacheTtl, CacheVerdict, Control, Cost, CostLine, CostState,
    Direction, FinishReason, Kind, Leaf, LimitVerdict, LogRecord, Modality, Origin, Outcome, PromptRef, Reading,
    RecordedError, SessionRef, Step, Timing, Unit, UsageReading, UsageSource,
};

/// Structures: their members, one behind the other. What stands behind a semicolon is written elsewhere.
macro_rules! members {
    ($($type:ident { $($member:ident),* $(; $beside:ident)? })*) => {$(
        impl Binary for $type {
            fn write(&self, out: &mut Vec<u8>) {
                let Self { $($member,)* $($beside: _)? } = self;
                $($member.write(out);)*
            }

            fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($member: Binary::read(from)?,)* $($beside: Default::default())? })
            }
        }
    )*};
}

/// Choices: a byte, which is never used for another.
macro_rules! codes {
    ($($type:ty { $($code:literal $variant:pat => $made:expr),* $(,)? })*) => {$(
        impl Binary for $type {
            fn write(&self, out: &mut Vec<u8>) {
                out.push(match *self { $($variant => $code),* });
            }

            fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
                match from.byte()? {
                    $($code => Ok($made),)*
                    _ => Err(DecodeError::Malformed),
                }
            }
        }
    )*};
}

macro_rules! plain_codes {
    ($($type:ident { $($code:literal $variant:ident),* $(,)? })*) => {
        codes! { $($type { $($code $type::$variant => $type::$variant),* })* }
    };
}

members! {
    LogRecord {
        id, asked, provider, provider_model, attempts, status, outcome, error, timing, reading, cost, control; response
    }
    Asked {
        origin, step, name, org, key, api, method, path, model, stream, parameters, attribution, trace_id, span_id,
        parent_span_id; body
    }
    Attribution { user, session, prompt, properties }
    SessionRef { id, path, name }
    PromptRef { id, version }
    Attempt { provider, model, sent_us, head_us, first_token_us, end_us, key, status, usage, cost, error }
    RecordedError { kind, code, message }
    Timing { received_at, upstream_sent_us, first_byte_us, first_token_us, end_us }
    Reading { model, usage, finish_reason, native_finish_reason, service_tier, provider_cost, error, ended }
    Cost { total, lines, provider, model, matched_by, price_version, estimated, warnings }
    CostLine { meter, quantity, price, per, amount, exact }
    Control { cache, limits, notes, counted_by, part_of, bodies_withheld, redacted }
    CacheVerdict { status, source, saved, saved_us, bucket }
    LimitVerdict { limit, scope, verdict, remaining }
    Leaf { direction, kind, modality }
}

plain_codes! {
    Origin { 0 Gateway, 1 Logged, 2 Span }
    Step { 0 Model, 1 Tool, 2 VectorDb, 3 Data, 4 Span }
    Outcome { 0 Complete, 1 Refused, 2 UpstreamFailed, 3 CutShort, 4 ClientGone, 5 Interrupted }
    FinishReason { 0 Stop, 1 Length, 2 ToolCalls, 3 ContentFilter, 4 Error, 5 Other }
    CacheStatus { 0 Hit, 1 Miss, 2 Joined, 3 Semantic }
    BodyState { 0 Empty, 1 Whole, 2 Truncated, 3 Omitted }
    Direction { 0 Input, 1 Output }
    Modality { 0 Text, 1 Audio, 2 Image, 3 Video }
    UsageSource { 0 Reported, 1 Estimated }
    Unit {
        0 Requests, 1 WebSearches, 2 FileSearches, 3 RerankSearches, 4 CodeSessions, 5 Images, 6 InputSeconds,
        7 OutputSeconds, 8 InputCharacters, 9 OutputCharacters, 10 Pages, 11 AnnotatedPages, 12 InputImages,
        13 InputVideoSeconds, 14 InputPixels, 15 OutputPixels, 16 Megapixels, 17 ComputeSeconds, 18 XSearches,
        19 EnterpriseWebSearches, 20 AttachmentSearches, 21 MapsGroundings, 22 CodeExecutions, 23 Guardrails,
        24 RoutingUnits, 25 TextMessages, 26 OcrCredits, 27 VectorStoreGbDays, 28 FileSearchGbDays,
    }
}

codes! {
    Kind {
        0 Kind::Plain => Kind::Plain,
        1 Kind::CacheRead => Kind::CacheRead,
        2 Kind::CacheWrite(CacheTtl::Unstated) => Kind::CacheWrite(CacheTtl::Unstated),
        3 Kind::CacheWrite(CacheTtl::FiveMinutes) => Kind::CacheWrite(CacheTtl::FiveMinutes),
        4 Kind::CacheWrite(CacheTtl::OneHour) => Kind::CacheWrite(CacheTtl::OneHour),
        5 Kind::Tool => Kind::Tool,
        6 Kind::Reasoning => Kind::Reasoning,
        7 Kind::Citation => Kind::Citation,
    }
}

impl Binary for UsageReading {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Absent => out.push(0),
            Self::Known(usage) => {
                out.push(1);
                usage.write(out);
            }
            Self::Invalid(why) => {
                out.push(2);
                why.write(out);
            }
        }
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        match from.byte()? {
            0 => Ok(Self::Absent),
            1 => Binary::read(from).map(Self::Known),
            2 => Binary::read(from).map(Self::Invalid),
            _ => Err(DecodeError::Malformed),
        }
    }
}

impl Binary for CostState {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Priced(cost) => {
                out.push(0);
                cost.write(out);
            }
            Self::UnknownModel => out.push(1),
            Self::NoUsage => out.push(2),
            Self::InvalidUsage { why } => {
                out.push(3);
                why.write(out);
            }
        }
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        match from.byte()? {
            0 => Binary::read(from).map(Self::Priced),
            1 => Ok(Self::UnknownModel),
            2 => Ok(Self::NoUsage),
            3 => Ok(Self::InvalidUsage { why: Binary::read(from)? }),
            _ => Err(DecodeError::Malformed),
        }
    }
}
