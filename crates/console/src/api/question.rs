//! Questions as they stand in a URL, or as a JSON object with the same members.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{Method, header};
use serde_json::Value;
use tachograph_record::{OrgId, Outcome, Timestamp};
use tachograph_store::query::read_moment;
use tachograph_store::{Comparison, Cursor, Fact, Field, Filter, Number, Order, Predicate, Search};

use super::Refusal;

/// Rows in an answer where the question names no limit.
const LIMIT: u32 = 50;
/// Rows in an answer at most.
const MOST: u32 = 1000;
/// Bytes of a question in a body at most.
const LONGEST: usize = 1 << 20;

/// Which rows, and which part of them; and what only some addresses take, under its name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Question {
    filter: Filter,
    limit: Option<u32>,
    before: Option<Cursor>,
    after: Option<Cursor>,
    sort: Option<(String, bool)>,
    skip: u32,
    more: Vec<(String, String)>,
}

type Set = fn(&mut Question, &str) -> Result<(), String>;

/// Every parameter that each list takes, and what it sets. The first five say which part of the rows, the others which.
const PARAMETERS: [(&str, Set); 18] = [
    ("limit", |asked, text| {
        let limit = read(text).and_then(|limit| match limit {
            1..=MOST => Ok(limit),
            _ => Err(format!("not from 1 to {MOST}")),
        });
        put(&mut asked.limit, limit)
    }),
    ("before", |asked, text| put(&mut asked.before, read(text))),
    ("after", |asked, text| put(&mut asked.after, read(text))),
    ("sort", |asked, text| {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        put(&mut asked.sort, Ok((name.to_owned(), descending)))
    }),
    ("skip", |asked, text| {
        let skip: u32 = read(text)?;
        if skip > 100_000 {
            return Err("more than 100000; narrow the time or page with `before`".into());
        }
        asked.skip = skip;
        Ok(())
    }),
    ("from", |asked, text| put(&mut asked.filter.from, moment(text))),
    ("until", |asked, text| put(&mut asked.filter.until, moment(text))),
    ("q", |asked, text| narrow(asked, Predicate::from_words(text).map_err(|bad| format!("not understood: {bad}")))),
    ("filter", |asked, text| {
        let json: Value = serde_json::from_str(text).map_err(|why| format!("no JSON: {why}"))?;
        narrow(asked, Predicate::from_json(&json).map_err(|bad| format!("not understood: {bad}")))
    }),
    ("model", |asked, text| {
        let either = [Fact::Model, Fact::RequestedModel].map(|fact| Predicate::is(fact, text));
        narrow(asked, Ok(Predicate::Or(either.into())))
    }),
    ("provider", |asked, text| narrow(asked, Ok(Predicate::is(Fact::Provider, text)))),
    ("user", |asked, text| narrow(asked, Ok(Predicate::is(Fact::User, text)))),
    ("session", |asked, text| narrow(asked, Ok(Predicate::is(Fact::Session, text)))),
    ("outcome", |asked, text| {
        let outcome: Outcome = read(text)?;
        narrow(asked, Ok(Predicate::is(Fact::Outcome, outcome.code())))
    }),
    ("status", |asked, text| {
        let status: u16 = read(text)?;
        narrow(asked, Ok(Predicate::number(Fact::Status, Comparison::Equal, Number::Int(status.into()))))
    }),
    ("property", |asked, text| {
        let (name, value) = text.split_once(':').ok_or("not of the form name:value")?;
        narrow(asked, Ok(Predicate::is(Field::Property(name.to_owned()), value)))
    }),
    // A browser adds it where it must not answer from its cache.
    ("_", |_, _| Ok(())),
    // Told apart from an unknown name for the sake of the message.
    ("offset", |_, _| Err("not offered: page with `before` and the `next` of the last answer".to_owned())),
];

/// Parameters that some addresses take besides; what they mean is theirs to say.
const MORE: [&str; 15] = [
    "by",
    "step",
    "offset_minutes",
    "percentiles",
    "compare",
    "fields",
    "prefix",
    "of",
    "top",
    "format",
    "bodies",
    "previous_from",
    "previous_until",
    "days",
    "known_at",
];

fn narrow(asked: &mut Question, only: Result<Predicate, String>) -> Result<(), String> {
    let held = std::mem::take(&mut asked.filter.only);
    asked.filter.only = held.and(only?);
    asked.filter.check().map_err(|bad| format!("too much: {bad}"))
}

fn put<T>(place: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    *place = Some(value?);
    Ok(())
}

fn read<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// A moment, or how long ago: `now-24h`, `now`.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    let Some(back) = text.strip_prefix("now") else {
        let micros = read_moment(text);
        return micros.map(Timestamp::from_micros).map_err(|_| {
            "not a whole number of microseconds since 1970 (UTC), a date, or a time like now-24h".to_owned()
        });
    };
    let now = Timestamp::now().micros();
    if back.is_empty() {
        return Ok(Timestamp::from_micros(now));
    }
    let bad = || "not of the form now-24h (s, m, h, d, w)".to_owned();
    let back = back.strip_prefix('-').ok_or_else(bad)?;
    let unit = back.char_indices().last().filter(|(at, _)| *at > 0).ok_or_else(bad)?;
    let seconds: i64 = match unit.1 {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(bad()),
    };
    let count: i64 = back[..unit.0].parse().map_err(|_| bad())?;
    let span = count.checked_mul(seconds * 1_000_000).ok_or_else(bad)?;
    Ok(Timestamp::from_micros(now.saturating_sub(span)))
}

impl Question {
    fn parse<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, Refusal> {
        let (mut asked, mut seen) = (Self::default(), Vec::new());
        for (name, text) in pairs {
            let set = PARAMETERS.iter().find(|(known, _)| *known == name).map(|(_, set)| set);
            let more = MORE.iter().find(|known| **known == name);
            if set.is_none() && more.is_none() {
                let known = PARAMETERS.map(|(name, _)| name)[..PARAMETERS.len() - 2].join(", ");
                return Err(Refusal::bad_request(format!("`{name}` is none of the parameters {known}")));
            }
            if seen.contains(&name) {
                return Err(Refusal::bad_request(format!("`{name}` stands twice; one value each")));
            }
            seen.push(name);
            if text.is_empty() {
                return Err(Refusal::bad_request(format!("`{name}` is empty; leave it out to ask for all")));
            }
            match set {
                Some(set) => {
                    set(&mut asked, text).map_err(|why| Refusal::bad_request(format!("`{name}` is {why}")))?;
                }
                None => asked.more.push((name.to_owned(), text.to_owned())),
            }
        }
        if asked.before.is_some() && asked.after.is_some() {
            return Err(Refusal::bad_request("`before` and `after` exclude each other"));
        }
        Ok(asked)
    }

    /// From an object with the same members; `filter` may be an object of its own.
    fn of_json(json: &Value) -> Result<Self, Refusal> {
        let object = json.as_object().ok_or_else(|| Refusal::bad_request("the body is a JSON object"))?;
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let pairs: Vec<(String, String)> = object
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        Self::parse(pairs.iter().map(|(name, text)| (name.as_str(), text.as_str())))
    }

    /// Leaves only rows that this picks, too.
    pub(crate) fn narrow(&mut self, only: Predicate) {
        let held = std::mem::take(&mut self.filter.only);
        self.filter.only = held.and(only);
    }

    /// Takes a parameter that only some addresses have.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.more.iter().position(|(held, _)| held == name)?;
        Some(self.more.remove(at).1)
    }

    /// The order that groups are asked in: its name, and whether the greatest comes first.
    pub(crate) fn take_sort(&mut self) -> Option<(String, bool)> {
        self.sort.take()
    }

    pub(crate) fn take_limit(&mut self) -> Option<u32> {
        self.limit.take()
    }

    pub(crate) fn take_skip(&mut self) -> u32 {
        std::mem::take(&mut self.skip)
    }

    fn nothing_left(&self) -> Result<(), Refusal> {
        match self.more.first() {
            None => Ok(()),
            Some((name, _)) => Err(Refusal::bad_request(format!("`{name}` has no meaning here; leave it out"))),
        }
    }

    /// The question to the store.
    pub(crate) fn search(self, org: OrgId) -> Result<Search, Refusal> {
        self.nothing_left()?;
        let Self { filter, limit, before, after, sort, skip, .. } = self;
        let order = match sort {
            None => None,
            Some((name, true)) if name == "time" => None,
            Some((name, descending)) => {
                let by: Field = name.parse().map_err(|bad| Refusal::bad_request(format!("`sort`: {bad}")))?;
                if matches!(by, Field::Fact(fact) if !fact.can_sort()) {
                    return Err(Refusal::bad_request(format!("rows cannot be sorted by `{by}`")));
                }
                Some(Order { by, descending })
            }
        };
        if order.is_some() && after.is_some() {
            return Err(Refusal::bad_request("`after` goes with rows in the order of time alone; leave `sort` out"));
        }
        Ok(Search { before, after, limit: limit.unwrap_or(LIMIT), order, skip, ..Search::new(org, filter) })
    }

    /// Which rows, where it makes no sense to ask for a part of them.
    pub(crate) fn filter_only(self) -> Result<Filter, Refusal> {
        self.nothing_left()?;
        if self.limit.is_some() || self.before.is_some() || self.after.is_some() || self.sort.is_some() || self.skip > 0
        {
            return Err(Refusal::bad_request(
                "`limit`, `before`, `after`, `sort` and `skip` have no meaning here; leave them out",
            ));
        }
        Ok(self.filter)
    }
}

impl<S: Sync> FromRequestParts<S> for Question {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Query(pairs) = pairs.map_err(|error| Refusal::bad_request(error.body_text()))?;
        Self::parse(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// A question by GET in the URL, or by POST as JSON.
pub(crate) struct Asked(pub(crate) Question);

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        if parts.method != Method::POST {
            return Question::from_request_parts(&mut parts, state).await.map(Self);
        }
        let json = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !json.is_some_and(|kind| kind.starts_with("application/json")) {
            return Err(Refusal::bad_request("send `content-type: application/json`"));
        }
        let body = axum::body::to_bytes(body, LONGEST).await;
        let body = body.map_err(|_| Refusal::bad_request(format!("the body is longer than {LONGEST} bytes")))?;
        let json: Value =
            serde_json::from_slice(&body).map_err(|why| Refusal::bad_request(format!("the body is no JSON: {why}")))?;
        Question::of_json(&json).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tachograph_record::RecordId;

    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Question, String> {
        Question::parse(pairs.iter().copied()).map_err(|refusal| format!("{refusal:?}"))
    }

    #[test]
    fn every_parameter_sets_its_field() {
        let cursor = Cursor { received_at: Timestamp::from_micros(7), id: RecordId::generate() };
        let asked = parse(&[
            ("limit", "3"),
            ("before", &cursor.to_string()),
            ("from", "1"),
            ("until", "1970-01-01T00:00:02Z"),
            ("provider", "openai"),
            ("user", "ada"),
            ("session", "s"),
            ("outcome", "cut_short"),
            ("status", "429"),
            ("property", "Team:a:b"),
            ("q", "cost>1"),
            ("filter", r#"{"field":"stream","op":"eq","value":true}"#),
        ]);
        let search = asked.unwrap().search(OrgId::HOME).unwrap();
        assert_eq!((search.limit, search.before, search.after), (3, Some(cursor), None));
        assert_eq!(search.filter.from, Some(Timestamp::from_micros(1)));
        assert_eq!(search.filter.until, Some(Timestamp::from_micros(2_000_000)));
        let condition = |field: &str, op: &str, value: Value| json!({ "field": field, "op": op, "value": value });
        assert_eq!(
            search.filter.only.to_json(),
            json!({ "and": [
                condition("provider", "eq", "openai".into()),
                condition("user", "eq", "ada".into()),
                condition("session", "eq", "s".into()),
                condition("outcome", "eq", "cut_short".into()),
                condition("status", "eq", 429.into()),
                condition("prop.Team", "eq", "a:b".into()),
                condition("cost", "gt", "1".into()),
                condition("stream", "eq", true.into()),
            ] })
        );
        assert_eq!(parse(&[]).unwrap().search(OrgId::HOME).unwrap().limit, LIMIT);
        let same = Question::of_json(&json!({ "limit": 3, "filter": { "field": "status", "op": "eq", "value": 1 } }));
        assert_eq!(same.unwrap().search(OrgId::HOME).unwrap().limit, 3);
    }

    #[test]
    fn says_what_is_wrong() {
        let cursor = format!("1_{}", RecordId::generate());
        for (pairs, message) in [
            (&[("limit", "0")][..], "`limit` is not from 1 to 1000"),
            (&[("limit", "1001")], "`limit` is not from 1 to 1000"),
            (&[("before", "yesterday")], "`before` is not a cursor"),
            (&[("before", &cursor), ("after", &cursor)], "exclude each other"),
            (&[("from", "1.5")], "microseconds"),
            (&[("from", "now-1y")], "now-24h"),
            (&[("outcome", "lost")], "not one of complete"),
            (&[("status", "high")], "`status` is invalid digit"),
            (&[("property", "Team")], "name:value"),
            (&[("user", "")], "`user` is empty"),
            (&[("user", "a"), ("user", "b")], "`user` stands twice"),
            (&[("users", "a")], "`users` is none of the parameters limit, before"),
            (&[("offset", "100")], "`next`"),
            (&[("q", "modle:x")], "no field"),
            (&[("filter", "{")], "no JSON"),
        ] {
            let refused = parse(pairs).unwrap_err();
            assert!(refused.contains(message), "{refused}");
        }
        for (pairs, message) in [
            (&[("sort", "size")][..], "no field"),
            (&[("sort", "tag")], "cannot be sorted"),
            (&[("by", "model")], "no meaning"),
        ] {
            let refused = parse(pairs).unwrap().search(OrgId::HOME).unwrap_err();
            assert!(format!("{refused:?}").contains(message), "{refused:?}");
        }
    }
}
