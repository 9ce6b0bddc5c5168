//! Believable days of traffic, with one cause of a risen bill planted in the last of them.

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::Full;
use serde_json::json;
use tachograph_record::Timestamp;
use tachograph_telemetry::ReceivedAt;

use crate::config::Secret;

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
/// Calls by the hour of the day, UTC, relative to each other: an office with a night batch.
const BY_HOUR: [u64; 24] = [2, 1, 1, 6, 1, 1, 2, 4, 8, 12, 13, 12, 9, 12, 13, 12, 10, 8, 6, 5, 4, 3, 3, 2];
const USERS: [&str; 12] = [
    "ada",
    "alan",
    "barbara",
    "claude",
    "donald",
    "edsger",
    "frances",
    "grace",
    "john",
    "katherine",
    "margaret",
    "tony",
];
/// Who raises the bill in the last hours: one in so many visits is a step of an agent that goes round in circles with a long
/// context and a new version of its prompt.
const LOOP: Loop = Loop { one_in: 9, user: "katherine", work: 5, last_us: 6 * HOUR_US, version: "v2", context: 90 };
const TEAMS: [&str; 4] = ["search", "support", "billing", "research"];
/// What is asked, under which prompt, as which step of a session.
const WORK: [(&str, &str, &str); 6] = [
    (
        "support-triage",
        "/triage",
        "A customer writes that the parcel has not come and asks where it is. Sort this into a category.",
    ),
    (
        "support-answer",
        "/triage/answer",
        "Write a short and kind answer that says what happens next and when the parcel will come.",
    ),
    (
        "search-rewrite",
        "/search",
        "Rewrite this query so that it finds contracts that end within the next ninety days.",
    ),
    (
        "search-summary",
        "/search/summary",
        "Summarise the five documents found, each in one sentence, with its title first.",
    ),
    ("bill-check", "/billing", "Does this invoice match its order? Name each line that differs and by how much."),
    (
        "paper-digest",
        "/research",
        "Digest this abstract for engineers: what is new, what is measured, what is left open.",
    ),
];

struct Loop {
    one_in: usize,
    user: &'static str,
    /// Which of [`WORK`].
    work: usize,
    last_us: i64,
    version: &'static str,
    /// How often the context's sentence is repeated.
    context: usize,
}

/// Visits over the days before a moment, the earliest first. The same seed gives the same days.
pub(crate) struct Days {
    random: u64,
    times: std::vec::IntoIter<(i64, bool)>,
    steps: u64,
}

/// One request and when it was made.
pub(crate) struct Visit {
    /// The request, with [`ReceivedAt`] in its extensions.
    pub request: Request<Full<Bytes>>,
}

impl Days {
    /// So many visits over so many times 24 hours before `until`.
    #[must_use]
    pub(crate) fn before(until: Timestamp, days: u16, visits: usize, seed: u64) -> Self {
        let mut all = Self { random: seed ^ 0x5DEE_CE66_D1CE_4E5B, times: Vec::new().into_iter(), steps: 0 };
        let until = until.micros();
        let mut times: Vec<(i64, bool)> = (0..visits)
            .map(|visit| match visit % LOOP.one_in == LOOP.one_in - 1 {
                true => (until - i64::try_from(all.below(LOOP.last_us.unsigned_abs())).unwrap_or(0), true),
                false => (all.moment(until, i64::from(days.max(1)) * DAY_US), false),
            })
            .collect();
        times.sort_unstable();
        all.times = times.into_iter();
        all
    }

    fn moment(&mut self, until: i64, span: i64) -> i64 {
        loop {
            let at = until - i64::try_from(self.below(span.unsigned_abs())).unwrap_or(0);
            let hour = usize::try_from(at.rem_euclid(DAY_US) / HOUR_US).unwrap_or(0);
            if self.below(13) < BY_HOUR[hour] {
                return at;
            }
        }
    }

    /// The next visit, made with this key.
    pub(crate) fn next_visit(&mut self, key: &Secret) -> Option<Visit> {
        let (at, in_loop) = self.times.next()?;
        self.steps += 1;
        let work = self.below(WORK.len() as u64 / 2) as usize * 2 + (self.steps % 2) as usize;
        let work = if in_loop { LOOP.work } else { work };
        let (prompt, path, text) = WORK[work];
        let user = USERS[self.skewed(USERS.len() as u64) as usize];
        let user = if in_loop { LOOP.user } else { user };
        let team = TEAMS[work * TEAMS.len() / WORK.len()];
        let model = match self.below(100) {
            _ if in_loop => "demo/echo",
            0..72 => "demo/echo",
            72..88 => "demo/flaky",
            _ => "demo/slow",
        };
        let stream = self.below(100) < 60;
        // A few long prompts make most of a day's bill, as everywhere.
        let context = "The archive holds the letters, the orders and the notes of the last year. ".repeat(if in_loop {
            LOOP.context
        } else {
            self.skewed(40) as usize
        });
        let body = json!({
            "model": model,
            "stream": stream,
            "temperature": 0.2,
            "messages": [
                { "role": "system", "content": format!("You work for the {team} team. {context}") },
                { "role": "user", "content": text },
            ],
        });
        let session = match in_loop {
            true => format!("{team}-{user}-agent"),
            false => format!("{team}-{user}-{}", at / HOUR_US),
        };
        let request = Request::post("/v1/chat/completions")
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", key.expose()))
            .header("helicone-user-id", user)
            .header("helicone-session-id", session)
            .header("helicone-session-path", path)
            .header("helicone-session-name", team)
            .header("helicone-prompt-id", prompt)
            .header("helicone-prompt-version", if in_loop { LOOP.version } else { "v1" })
            .header("helicone-property-team", team)
            .header("helicone-property-environment", if self.below(10) < 8 { "production" } else { "staging" })
            .extension(ReceivedAt(Timestamp::from_micros(at)))
            .body(Full::from(body.to_string()))
            .ok()?;
        Some(Visit { request })
    }

    /// A number below `bound`, evenly spread (SplitMix64).
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    /// A number below `bound`, small ones more often.
    fn skewed(&mut self, bound: u64) -> u64 {
        self.below(bound).min(self.below(bound)).min(self.below(bound))
    }
}
