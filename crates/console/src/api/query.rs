//! Questions as they stand in a URL.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use tachograph_record::{OrgId, Timestamp};
use tachograph_store::{Cursor, Filter, Search};

use super::Refusal;

/// Rows in an answer where the question names no limit.
const LIMIT: u32 = 50;
/// Rows in an answer at most.
const MOST: u32 = 1000;

/// What a URL's query asks for: which rows, and which part of them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Question {
    filter: Filter,
    limit: Option<u32>,
    before: Option<Cursor>,
    after: Option<Cursor>,
}

type Set = fn(&mut Question, &str) -> Result<(), String>;

/// Every parameter and what it sets. The first three say which part of the rows, the others which rows.
const PARAMETERS: [(&str, Set); 13] = [
    ("limit", |asked, text| {
        let limit = read(text).and_then(|limit| match limit {
            1..=MOST => Ok(limit),
            _ => Err(format!("not from 1 to {MOST}")),
        });
        put(&mut asked.limit, limit)
    }),
    ("before", |asked, text| put(&mut asked.before, read(text))),
    ("after", |asked, text| put(&mut asked.after, read(text))),
    ("from", |asked, text| put(&mut asked.filter.from, moment(text))),
    ("until", |asked, text| put(&mut asked.filter.until, moment(text))),
    ("model", |asked, text| put(&mut asked.filter.model, Ok(text.to_owned()))),
    ("provider", |asked, text| put(&mut asked.filter.provider, Ok(text.to_owned()))),
    ("user", |asked, text| put(&mut asked.filter.user, Ok(text.to_owned()))),
    ("session", |asked, text| put(&mut asked.filter.session, Ok(text.to_owned()))),
    ("outcome", |asked, text| put(&mut asked.filter.outcome, read(text))),
    ("status", |asked, text| put(&mut asked.filter.status, read(text))),
    ("property", |asked, text| {
        let (name, value) = text.split_once(':').ok_or("not of the form name:value")?;
        put(&mut asked.filter.property, Ok((name.to_owned(), value.to_owned())))
    }),
    // Told apart from an unknown name for the sake of the message.
    ("offset", |_, _| Err("not offered: page with `before` and the `next` of the last answer".to_owned())),
];

fn put<T>(place: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    *place = Some(value?);
    Ok(())
}

fn read<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let micros = text.parse().map_err(|_| "not a whole number of microseconds since 1970 (UTC)")?;
    Ok(Timestamp::from_micros(micros))
}

impl Question {
    fn parse<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, Refusal> {
        let (mut asked, mut seen) = (Self::default(), Vec::new());
        for (name, text) in pairs {
            let Some((name, set)) = PARAMETERS.iter().find(|(known, _)| *known == name) else {
                let known = PARAMETERS.map(|(name, _)| name)[..PARAMETERS.len() - 1].join(", ");
                return Err(Refusal::bad_request(format!("`{name}` is none of the parameters {known}")));
            };
            if seen.contains(name) {
                return Err(Refusal::bad_request(format!("`{name}` stands twice; one value each")));
            }
            seen.push(*name);
            if text.is_empty() {
                return Err(Refusal::bad_request(format!("`{name}` is empty; leave it out to ask for all")));
            }
            set(&mut asked, text).map_err(|why| Refusal::bad_request(format!("`{name}` is {why}")))?;
        }
        if asked.before.is_some() && asked.after.is_some() {
            return Err(Refusal::bad_request("`before` and `after` exclude each other"));
        }
        Ok(asked)
    }

    /// The question to the store.
    pub(crate) fn search(self, org: OrgId) -> Search {
        let Self { filter, limit, before, after } = self;
        Search { org, filter, before, after, limit: limit.unwrap_or(LIMIT) }
    }

    /// Which rows, where it makes no sense to ask for a part of them.
    pub(crate) fn filter_only(self) -> Result<Filter, Refusal> {
        if self.limit.is_some() || self.before.is_some() || self.after.is_some() {
            return Err(Refusal::bad_request("`limit`, `before` and `after` have no meaning here; leave them out"));
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

#[cfg(test)]
mod tests {
    use tachograph_record::{Outcome, RecordId};

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
            ("until", "2"),
            ("model", "gpt-4o"),
            ("provider", "openai"),
            ("user", "ada"),
            ("session", "s"),
            ("outcome", "cut_short"),
            ("status", "429"),
            ("property", "Team:a:b"),
        ]);
        let search = asked.unwrap().search(OrgId::HOME);
        assert_eq!((search.limit, search.before, search.after), (3, Some(cursor), None));
        let wanted = Filter {
            from: Some(Timestamp::from_micros(1)),
            until: Some(Timestamp::from_micros(2)),
            model: Some("gpt-4o".into()),
            provider: Some("openai".into()),
            user: Some("ada".into()),
            session: Some("s".into()),
            outcome: Some(Outcome::CutShort),
            status: Some(429),
            property: Some(("Team".into(), "a:b".into())),
        };
        assert_eq!(search.filter, wanted);
        assert_eq!(parse(&[]).unwrap().search(OrgId::HOME).limit, LIMIT);
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
            (&[("outcome", "lost")], "not one of complete"),
            (&[("status", "high")], "`status` is invalid digit"),
            (&[("property", "Team")], "name:value"),
            (&[("user", "")], "`user` is empty"),
            (&[("user", "a"), ("user", "b")], "`user` stands twice"),
            (&[("users", "a")], "`users` is none of the parameters limit, before"),
            (&[("offset", "100")], "`next`"),
        ] {
            let refused = parse(pairs).unwrap_err();
            assert!(refused.contains(message), "{refused}");
        }
    }
}
