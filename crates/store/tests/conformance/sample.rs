//! Calls to store: plain ones, and ones that hold everything a call can.

use std::sync::Arc;

use bytes::Bytes;
use tachograph_record::{
    Asked, Attempt, Attribution, Body, CacheStatus, CacheTtl, CacheVerdict, Control, Cost, CostLine, CostState,
    Direction, FinishReason, Kind, Leaf, LimitVerdict, LogRecord, Modality, Money, OrgId, Origin, Outcome, Parameters,
    PromptRef, Quantity, Reading, RecordId, RecordedError, SessionRef, Step, Timestamp, Timing, Unit, Usage,
    UsageReading,
};
use uuid::Uuid;

/// Texts that trip over quoting, patterns, escapes, encodings, JSON paths, text without a zero, indexes.
pub(crate) const ODD: [&str; 24] = [
    "",
    " ",
    "plain",
    "Plain",
    "it's",
    "\"quoted\"",
    "\"",
    "back\\slash",
    "50%",
    "under_score",
    "$.path[0]",
    "a.b",
    "$1",
    "?",
    "; DROP TABLE requests; --",
    "zero\0inside",
    "\0",
    "substitute\u{1A}0",
    "\u{1A}",
    "line\r\nbreak\ttab\u{7F}",
    "naïve 日本語 🦀",
    "e\u{301}",
    "\u{FFFF}\u{10FFFF}",
    "null",
];

/// A sequence of numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Small and large numbers alike.
    fn count(&mut self) -> u64 {
        let bits = self.below(50);
        self.roll() & ((1 << bits) - 1)
    }

    fn odd(&mut self) -> String {
        (*self.pick(&ODD)).into()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(3) > 0).then(|| make(self))
    }

    pub(crate) fn money(&mut self) -> Money {
        let (high, low) = (i128::from(self.roll()), i128::from(self.roll()));
        let atto = ((high << 64) | low) >> self.below(100);
        Money::from_atto(atto % 9_000_000_000_000_000_000_000_000_000)
    }
}

/// A call with nothing but what every call has.
pub(crate) fn plain(org: OrgId, received_at: i64) -> LogRecord {
    LogRecord {
        id: RecordId::generate(),
        asked: Asked { org, api: "openai.chat".into(), path: "/v1/chat/completions".into(), ..Asked::default() },
        provider: None,
        provider_model: None,
        attempts: Vec::new(),
        status: None,
        outcome: Outcome::Complete,
        error: None,
        timing: Timing {
            received_at: Timestamp::from_micros(received_at),
            upstream_sent_us: None,
            first_byte_us: None,
            first_token_us: None,
            end_us: 0,
        },
        reading: Reading::default(),
        cost: CostState::NoUsage,
        control: Control::default(),
        response: Body::default(),
    }
}

/// A call that was priced at this.
pub(crate) fn priced(org: OrgId, received_at: i64, total: Money) -> LogRecord {
    let mut record = plain(org, received_at);
    record.cost = CostState::Priced(Box::new(cost(total)));
    record
}

fn cost(total: Money) -> Cost {
    Cost {
        total,
        lines: Vec::new(),
        provider: "openai".into(),
        model: "gpt-4o".into(),
        matched_by: "exact".into(),
        price_version: "0f".into(),
        estimated: false,
        warnings: Vec::new(),
    }
}

/// A call with something of everything. Few different models, users and so on, so that filters pick several.
pub(crate) fn full(dice: &mut Dice, org: OrgId) -> LogRecord {
    let mut record = plain(org, 1_700_000_000_000_000 + dice.below(40) as i64 - 5);
    record.id = Uuid::from_u64_pair(dice.roll(), dice.roll()).into();
    record.asked.key = dice.maybe(|dice| Uuid::from_u64_pair(dice.roll(), dice.roll()).into());
    record.asked.path = format!("/v1/{}", dice.odd());
    record.asked.model = dice.maybe(|dice| (*dice.pick(&["gpt-4o", "claude", ODD[4]])).into());
    record.asked.stream = dice.below(2) == 0;
    record.asked.parameters = parameters(dice);
    record.asked.attribution = attribution(dice);
    record.asked.body = body(dice);
    record.asked.origin = *dice.pick(&Origin::ALL);
    record.asked.step = *dice.pick(&Step::ALL);
    record.asked.name = dice.maybe(Dice::odd);
    record.asked.span_id = dice.maybe(|dice| format!("{:016x}", dice.roll()));
    record.control = control(dice);
    record.asked.trace_id = dice.maybe(|dice| format!("{:032x}", dice.roll()));
    record.asked.parent_span_id = dice.maybe(|dice| format!("{:016x}", dice.roll()));
    record.provider = dice.maybe(|dice| Arc::from(*dice.pick(&["openai", "anthropic", "my\0own"])));
    record.provider_model = dice.maybe(|_| "gpt-4o-2024-11-20".into());
    record.attempts = (0..dice.below(3)).map(|_| attempt(dice)).collect();
    record.status = dice.maybe(|dice| *dice.pick(&[200, 404, 429, 599, u16::MAX]));
    record.outcome = *dice.pick(&Outcome::ALL);
    record.error = dice.maybe(error);
    record.timing.upstream_sent_us = dice.maybe(Dice::count);
    record.timing.first_byte_us = dice.maybe(Dice::count);
    record.timing.first_token_us = dice.maybe(Dice::count);
    record.timing.end_us = dice.count();
    record.reading = reading(dice);
    record.cost = match dice.below(5) {
        0 => CostState::UnknownModel,
        1 => CostState::NoUsage,
        2 => CostState::InvalidUsage { why: dice.odd() },
        _ => CostState::Priced(Box::new(worked_out(dice))),
    };
    record.response = body(dice);
    record
}

fn parameters(dice: &mut Dice) -> Parameters {
    let values = [
        "1",
        "0.1",
        "1.7976931348623157e308",
        "4.35",
        "-0.0",
        "18446744073709551615",
        "null",
        "[{\"a\":[]}]",
        "\"\\u0000\\ud83e\\udd80\"",
    ];
    let mut parameters = Parameters::default();
    for name in ["temperature", "seed", "zero\\u0000", "tools"] {
        if let Some(value) = dice.maybe(|dice| *dice.pick(&values)) {
            parameters.push(Bytes::from_static(name.as_bytes()), Bytes::from_static(value.as_bytes()));
        }
    }
    parameters
}

fn attribution(dice: &mut Dice) -> Attribution {
    let mut told = Attribution {
        user: dice.maybe(Dice::odd),
        session: dice.maybe(|dice| SessionRef {
            id: dice.odd(),
            path: dice.maybe(Dice::odd),
            name: dice.maybe(Dice::odd),
        }),
        prompt: dice.maybe(|dice| PromptRef { id: dice.odd(), version: dice.maybe(Dice::odd) }),
        properties: Vec::new(),
    };
    for _ in 0..dice.below(5) {
        told.set_property(dice.odd(), dice.odd());
    }
    told
}

fn control(dice: &mut Dice) -> Control {
    Control {
        cache: dice.maybe(|dice| CacheVerdict {
            status: *dice.pick(&CacheStatus::ALL),
            source: dice.maybe(|_| RecordId::generate()),
            saved: dice.maybe(Dice::money),
            saved_us: dice.maybe(Dice::count),
            bucket: dice.maybe(|_| 3),
        }),
        limits: (0..dice.below(3))
            .map(|_| LimitVerdict {
                limit: dice.odd(),
                scope: dice.odd(),
                verdict: "denied".into(),
                remaining: dice.maybe(Dice::odd),
            })
            .collect(),
        notes: (0..dice.below(3)).map(|_| dice.odd()).collect(),
        counted_by: dice.maybe(|_| RecordId::generate()),
        part_of: dice.maybe(|_| RecordId::generate()),
        bodies_withheld: dice.below(2) == 1,
        redacted: (0..dice.below(2)).map(|_| (dice.odd(), 3)).collect(),
    }
}

fn attempt(dice: &mut Dice) -> Attempt {
    Attempt {
        provider: "anthropic".into(),
        model: dice.maybe(Dice::odd),
        sent_us: dice.roll(),
        head_us: dice.maybe(Dice::count),
        status: dice.maybe(|_| 529),
        first_token_us: dice.maybe(Dice::count),
        cost: dice.maybe(Dice::money),
        error: dice.maybe(error),
        ..Attempt::default()
    }
}

fn error(dice: &mut Dice) -> RecordedError {
    RecordedError { kind: dice.odd(), code: dice.maybe(Dice::odd), message: dice.odd() }
}

fn reading(dice: &mut Dice) -> Reading {
    let mut usage = Usage::reported([(Leaf::INPUT, dice.count()), (Leaf::OUTPUT, dice.count())]);
    usage.add(Leaf::cache_write(CacheTtl::OneHour), dice.count());
    usage.add(Leaf::new(Direction::Input, Kind::CacheRead, Modality::Audio), dice.count());
    usage.add(Leaf::REASONING, dice.count());
    usage.add_unit(Unit::InputSeconds, Quantity::from_micro(dice.count()));
    Reading {
        model: dice.maybe(|dice| (*dice.pick(&["gpt-4o-2024-11-20", "gpt-4o"])).into()),
        usage: match dice.below(4) {
            0 => UsageReading::Absent,
            1 => UsageReading::Invalid("negative".into()),
            _ => UsageReading::Known(usage),
        },
        finish_reason: dice.maybe(|_| FinishReason::ToolCalls),
        native_finish_reason: dice.maybe(Dice::odd),
        service_tier: dice.maybe(Dice::odd),
        provider_cost: dice.maybe(Dice::money),
        ..Reading::default()
    }
}

fn worked_out(dice: &mut Dice) -> Cost {
    let mut cost = cost(dice.money());
    cost.estimated = dice.below(2) == 0;
    cost.warnings = vec![dice.odd()];
    let meters =
        ["input_tokens", "cache_read_tokens", "cache_write_1h_tokens", "output_reasoning_tokens", "web_searches"];
    cost.lines = (0..dice.below(4))
        .map(|_| CostLine {
            meter: (*dice.pick(&meters)).into(),
            quantity: "7.25".into(),
            price: "0.15".into(),
            per: u64::MAX,
            amount: dice.money(),
            exact: dice.below(2) == 0,
        })
        .collect();
    cost
}

pub(crate) fn body(dice: &mut Dice) -> Body {
    let bytes: Bytes = match dice.below(4) {
        0 => Bytes::new(),
        1 => Bytes::from_static(b"{\"messages\":[]}"),
        2 => "data: {\"delta\":\"token\"}\n\n".repeat(100).into(),
        _ => (0..300).map(|_| dice.roll() as u8).collect::<Vec<_>>().into(),
    };
    let mut body = Body::capture(&bytes, *dice.pick(&[0, 10, 1_000, usize::MAX]));
    if dice.below(6) == 0 {
        body.omit();
    }
    body
}
