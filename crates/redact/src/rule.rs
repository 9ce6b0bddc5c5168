//! Rules as they are configured, and as they are run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use memchr::memmem::Finder;
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::builtin::{BUILTINS, Builtin};
use crate::filter::piece_of;

/// A rule of `logging.redact`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Rule {
    /// A built-in rule by its name: `email`, `phone`, `credit_card`, `iban`, `us_ssn`, `ip_address`, `secrets`.
    Builtin(String),
    /// Texts that match a regular expression.
    Pattern(PatternRule),
    /// Values at a place in JSON bodies.
    Json(JsonRule),
}

/// Texts that match a regular expression.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PatternRule {
    /// The expression, in the syntax of the `regex` crate.
    pub pattern: String,
    /// What stands in its place; `[redacted]` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<String>,
    /// What the rule is called on the record; `pattern` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Values at a place in JSON bodies.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct JsonRule {
    /// Members' names with dots between them; `*` is any member or element, `**` any number of levels:
    /// `metadata.customer`, `messages.*.name`, `**.password`.
    pub json: String,
    /// What stands in its place; `[redacted]` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<String>,
    /// What the rule is called on the record; `json` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A rule that cannot be run, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// There is no built-in rule of this name.
    #[error("no built-in rule is called {0:?}; there are email, credit_card, iban, phone, us_ssn, ip_address, secrets")]
    UnknownBuiltin(String),
    /// The expression is none, or too large.
    #[error("{pattern:?} is no regular expression: {why}")]
    Pattern {
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// The place in JSON is none.
    #[error("{0:?} is no place in JSON: names with dots between them, `*` for any, `**` for any number of levels")]
    Json(String),
    /// A percentage beyond 100.
    #[error("{0} is no percentage from 0 to 100")]
    Percentage(u8),
}

/// A rule for texts, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct TextRule {
    pub(crate) name: String,
    find: Find,
    replace: String,
    /// One of these stands in whatever it finds; `None` where that is not known.
    needs: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
enum Find {
    Pattern(Regex, fn(&str) -> bool),
    Exact(Exact),
}

/// A secret, with its search prepared once: it runs over every text of every call. Its `Debug` does not show it.
#[derive(Clone)]
struct Exact(Box<Finder<'static>>);

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exact(…)")
    }
}

/// A rule for places in JSON, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct PlaceRule {
    pub(crate) name: String,
    pub(crate) path: Vec<Step>,
    pub(crate) replace: String,
}

/// A step of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Name(String),
    Any,
    Levels,
}

/// One piece of a text that is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit<'a> {
    pub(crate) range: Range<usize>,
    pub(crate) replace: &'a str,
    pub(crate) rule: &'a str,
}

/// The largest program that an expression may become.
const MOST_PROGRAM: usize = 4 << 20;

impl TextRule {
    pub(crate) fn builtin(name: &str) -> Result<Self, BadRule> {
        let row =
            BUILTINS.iter().find(|row| row.name == name).ok_or_else(|| BadRule::UnknownBuiltin(name.to_owned()))?;
        Ok(Self {
            name: name.to_owned(),
            find: Find::Pattern(compiled(row)?, row.check),
            replace: row.replace.to_owned(),
            needs: row.needs().map(|needs| needs.collect()),
        })
    }

    /// A pattern that finds nothing without this in it.
    pub(crate) fn pattern_with(rule: &PatternRule, needed: &str) -> Result<Self, BadRule> {
        Ok(Self { needs: Some(vec![needed.to_owned()]), ..Self::pattern(rule)? })
    }

    pub(crate) fn pattern(rule: &PatternRule) -> Result<Self, BadRule> {
        Ok(Self {
            name: rule.name.clone().unwrap_or_else(|| "pattern".to_owned()),
            find: Find::Pattern(compile(&rule.pattern)?, |_| true),
            replace: rule.replace.clone().unwrap_or_else(|| "[redacted]".to_owned()),
            needs: None,
        })
    }

    /// A secret that is known as it is.
    pub(crate) fn exact(secret: &str) -> Self {
        Self {
            name: "known_secret".to_owned(),
            find: Find::Exact(Exact(Box::new(Finder::new(secret).into_owned()))),
            replace: "[secret]".to_owned(),
            needs: piece_of(secret).map(|piece| vec![piece]),
        }
    }

    pub(crate) fn needs(&self) -> Option<&[String]> {
        self.needs.as_deref()
    }

    fn find<'a>(&'a self, text: &str, hits: &mut Vec<Hit<'a>>) {
        let mut push = |range: Range<usize>| {
            if !range.is_empty() {
                hits.push(Hit { range, replace: &self.replace, rule: &self.name });
            }
        };
        match &self.find {
            Find::Pattern(pattern, check) => {
                pattern.find_iter(text).filter(|found| check(found.as_str())).for_each(|found| push(found.range()));
            }
            Find::Exact(Exact(secret)) => {
                let starts = secret.find_iter(text.as_bytes());
                starts.for_each(|at| push(at..at + secret.needle().len()));
            }
        }
    }
}

/// A built-in rule's expression, compiled once for the whole process.
fn compiled(row: &Builtin) -> Result<Regex, BadRule> {
    static COMPILED: Mutex<BTreeMap<&'static str, Regex>> = Mutex::new(BTreeMap::new());
    let mut held = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = held.get(row.name) {
        return Ok(regex.clone());
    }
    let regex = compile(row.pattern)?;
    held.insert(row.name, regex.clone());
    Ok(regex)
}

fn compile(pattern: &str) -> Result<Regex, BadRule> {
    let built = regex::RegexBuilder::new(pattern).size_limit(MOST_PROGRAM).build();
    built.map_err(|why| BadRule::Pattern { pattern: pattern.to_owned(), why: why.to_string() })
}

impl PlaceRule {
    pub(crate) fn new(rule: &JsonRule) -> Result<Self, BadRule> {
        let path: Vec<Step> = rule
            .json
            .trim_start_matches("$.")
            .split('.')
            .map(|step| match step {
                "*" => Step::Any,
                "**" => Step::Levels,
                name => Step::Name(name.to_owned()),
            })
            .collect();
        let is_place = path.iter().all(|step| *step != Step::Name(String::new())) && path.last() != Some(&Step::Levels);
        if !is_place {
            return Err(BadRule::Json(rule.json.clone()));
        }
        let name = rule.name.clone().unwrap_or_else(|| "json".to_owned());
        Ok(Self { name, path, replace: rule.replace.clone().unwrap_or_else(|| "[redacted]".to_owned()) })
    }
}

/// What all rules find in a text, in its order, without overlaps: of two that overlap both go, under the first's name.
pub(crate) fn hits<'a>(rules: &'a [TextRule], text: &str) -> Vec<Hit<'a>> {
    let mut all = Vec::new();
    rules.iter().for_each(|rule| rule.find(text, &mut all));
    all.sort_by_key(|hit| (hit.range.start, usize::MAX - hit.range.end));
    let mut merged: Vec<Hit<'a>> = Vec::with_capacity(all.len());
    for hit in all {
        match merged.last_mut() {
            Some(last) if hit.range.start < last.range.end => last.range.end = last.range.end.max(hit.range.end),
            _ => merged.push(hit),
        }
    }
    merged
}

/// The text without what rules found; borrowed where they found nothing.
pub(crate) fn clean<'t>(rules: &[TextRule], text: &'t str, found: &mut impl FnMut(&str)) -> Cow<'t, str> {
    let hits = hits(rules, text);
    if hits.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for hit in hits {
        out.push_str(&text[at..hit.range.start]);
        out.push_str(hit.replace);
        found(hit.rule);
        at = hit.range.end;
    }
    out.push_str(&text[at..]);
    Cow::Owned(out)
}
