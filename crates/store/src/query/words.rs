//! Filters as people type them.

use super::json::build;
use super::value;
use super::{BadQuery, Condition, Fact, Field, Kind, Pattern, Predicate, Test};

/// A span without a unit is in ms, as people say them.
const PLAIN_SPAN: i64 = 1_000;

impl Predicate {
    /// Reads what people type into a query bar.
    ///
    /// - `field:value`, the same as `field=value`; a `*` in the value stands for any text. `field:a,b` is either of them.
    /// - `field!=value`, `field>1`, `field>=1`, `field<1`, `field<=1`; `field:*` is any value.
    /// - `-` before a condition or a bracket turns it round. Conditions side by side must all hold; `OR` and brackets join
    ///   others. `"quotes"` keep spaces together, with `\"` and `\\` inside.
    /// - Everything else is searched in requests and answers.
    /// - Spans are in ms where they name no unit: `latency>2s`, `ttft<300`.
    ///
    /// # Errors
    /// Says which part makes no sense.
    pub fn from_words(words: &str) -> Result<Self, BadQuery> {
        if words.len() > 20_000 {
            return Err(BadQuery("a query has at most 20,000 bytes".into()));
        }
        let tokens = tokens(words)?;
        let mut reader = Reader { tokens: &tokens, at: 0, depth: 0 };
        let read = reader.any()?;
        if reader.at < tokens.len() {
            return Err(BadQuery("a closing bracket stands alone".into()));
        }
        read.check()?;
        Ok(read)
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    Or,
    Minus,
    Word(Vec<Part>),
}

/// A piece of a word; what was quoted has no wildcards or operators.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    text: String,
    quoted: bool,
}

fn tokens(words: &str) -> Result<Vec<Token>, BadQuery> {
    let mut tokens = Vec::new();
    let mut characters = words.chars().peekable();
    while let Some(&next) = characters.peek() {
        match next {
            space if space.is_whitespace() => drop(characters.next()),
            '(' | ')' => {
                characters.next();
                tokens.push(if next == '(' { Token::Open } else { Token::Close });
            }
            '-' => {
                characters.next();
                tokens.push(Token::Minus);
            }
            _ => {
                let word = word(&mut characters)?;
                let plain =
                    |text: &str| matches!(word.as_slice(), [Part { text: held, quoted: false }] if held == text);
                match () {
                    () if plain("OR") => tokens.push(Token::Or),
                    () if plain("AND") => {}
                    () if plain("NOT") => tokens.push(Token::Minus),
                    () => tokens.push(Token::Word(word)),
                }
            }
        }
    }
    Ok(tokens)
}

fn word(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Vec<Part>, BadQuery> {
    let mut parts = vec![Part { text: String::new(), quoted: false }];
    while let Some(&next) = characters.peek() {
        if next.is_whitespace() || matches!(next, '(' | ')') {
            break;
        }
        characters.next();
        if next != '"' {
            if let Some(last) = parts.last_mut() {
                last.text.push(next);
            }
            continue;
        }
        let mut text = String::new();
        loop {
            match characters.next() {
                Some('"') => break,
                Some('\\') => text.extend(characters.next()),
                Some(inner) => text.push(inner),
                None => return Err(BadQuery(format!("the quote before `{text}` is not closed"))),
            }
        }
        parts.push(Part { text, quoted: true });
        parts.push(Part { text: String::new(), quoted: false });
    }
    parts.retain(|part| part.quoted || !part.text.is_empty());
    Ok(parts)
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn any(&mut self) -> Result<Predicate, BadQuery> {
        self.depth += 1;
        if self.depth > 30 {
            return Err(BadQuery("brackets are nested too deep".into()));
        }
        let mut choices = vec![self.all()?];
        while self.peek() == Some(&Token::Or) {
            self.at += 1;
            choices.push(self.all()?);
        }
        self.depth -= 1;
        Ok(match choices.len() {
            1 => choices.remove(0),
            _ => Predicate::Or(choices),
        })
    }

    fn all(&mut self) -> Result<Predicate, BadQuery> {
        let mut all = Predicate::All;
        while let Some(token) = self.peek() {
            if matches!(token, Token::Or | Token::Close) {
                break;
            }
            let part = self.one()?;
            all = all.and(part);
        }
        Ok(all)
    }

    fn one(&mut self) -> Result<Predicate, BadQuery> {
        let token = self.peek().cloned();
        self.at += 1;
        match token {
            Some(Token::Minus) => {
                self.depth += 1;
                if self.depth > 30 {
                    return Err(BadQuery("too many signs in a row".into()));
                }
                let inner = self.one()?;
                self.depth -= 1;
                Ok(inner.negated())
            }
            Some(Token::Open) => {
                let inner = self.any()?;
                if self.peek() != Some(&Token::Close) {
                    return Err(BadQuery("a bracket is not closed".into()));
                }
                self.at += 1;
                Ok(inner)
            }
            Some(Token::Word(parts)) => term(&parts),
            Some(Token::Or | Token::Close) | None => Err(BadQuery("a condition is missing behind `-`".into())),
        }
    }
}

/// Operators as they are written, longer ones first.
const OPERATORS: [(&str, &str); 8] =
    [(">=", "gte"), ("<=", "lte"), ("!=", "ne"), ("~", "contains"), (">", "gt"), ("<", "lt"), (":", "eq"), ("=", "eq")];

fn term(parts: &[Part]) -> Result<Predicate, BadQuery> {
    if let Some((field, operator, value)) = split(parts)? {
        return condition(field, operator, &value);
    }
    let text: String = parts.iter().map(|part| part.text.as_str()).collect();
    let test = Test::Like(Pattern::containing(&text)?);
    Ok(Predicate::Is(Condition { field: Fact::Text.into(), test }))
}

/// A field, its operator, and what stands behind it.
type Split = (Field, &'static str, Vec<Part>);

/// A field, an operator and the value behind it; nothing where it is free text. A property's name may be quoted.
fn split(parts: &[Part]) -> Result<Option<Split>, BadQuery> {
    let mut name = String::new();
    for (at, part) in parts.iter().enumerate() {
        if part.quoted {
            name.push_str(&part.text);
            continue;
        }
        let found = OPERATORS
            .iter()
            .filter_map(|&(sign, operator)| Some((part.text.find(sign)?, sign, operator)))
            .min_by_key(|&(place, sign, _)| (place, std::cmp::Reverse(sign.len())));
        let Some((place, sign, operator)) = found else {
            name.push_str(&part.text);
            continue;
        };
        name.push_str(&part.text[..place]);
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let looks_like_field = name.starts_with("prop") || name.starts_with("score.") || name.chars().all(is_name);
        // A URL or a time in free text is no condition.
        if name.is_empty() || !looks_like_field || part.text[place..].starts_with("://") {
            return Ok(None);
        }
        let behind = Part { text: part.text[place + sign.len()..].to_owned(), quoted: false };
        let value = std::iter::once(behind).chain(parts[at + 1..].iter().cloned());
        let value = value.filter(|part| part.quoted || !part.text.is_empty()).collect();
        return Ok(Some((name.parse()?, operator, value)));
    }
    Ok(None)
}

fn condition(field: Field, operator: &str, value: &[Part]) -> Result<Predicate, BadQuery> {
    let text: String = value.iter().map(|part| part.text.as_str()).collect();
    let quoted = value.iter().any(|part| part.quoted);
    if value.is_empty() {
        return Err(BadQuery(format!("a value is missing behind `{field}`; `\"\"` is an empty one, `*` any")));
    }
    let is = |test: Test| Predicate::Is(Condition { field: field.clone(), test });
    match operator {
        "eq" | "ne" => {
            let choices: Vec<&str> = if quoted { vec![&text] } else { text.split(',').collect() };
            let mut either = Vec::new();
            for choice in choices {
                either.push(match choice {
                    "*" if !quoted => Predicate::present(field.clone()),
                    choice if field.kind() == Kind::Body => is(Test::Like(Pattern::containing(choice)?)),
                    choice if !quoted && choice.contains('*') => is(Test::Like(glob(choice)?)),
                    choice => is(value::equals(&field, choice, PLAIN_SPAN)?),
                });
            }
            let either = if either.len() == 1 { either.remove(0) } else { Predicate::Or(either) };
            Ok(if operator == "eq" { either } else { either.negated() })
        }
        "contains" => build(field, "contains", &text.into()),
        _ => match field.kind() {
            Kind::Span => {
                let micros = value::read_span(&text, PLAIN_SPAN)?;
                build(field, operator, &micros.into())
            }
            _ => build(field, operator, &text.into()),
        },
    }
}

/// Only `*` is a wildcard here: question marks stand in many texts.
fn glob(text: &str) -> Result<Pattern, BadQuery> {
    Pattern::glob(&text.replace('\\', "\\\\").replace('?', "\\?"), true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_become_the_tree() {
        for (words, tree) in [
            ("", json!({})),
            ("model:gpt-4o", json!({ "field": "model", "op": "eq", "value": "gpt-4o" })),
            ("-status:200", json!({ "not": { "field": "status", "op": "eq", "value": 200 } })),
            ("refund", json!({ "field": "text", "op": "contains", "value": "refund" })),
            (
                "https://x.example/a?b=c",
                json!({ "field": "text", "op": "contains", "value": "https://x.example/a?b=c" }),
            ),
            ("latency>2s", json!({ "field": "latency_us", "op": "gt", "value": 2_000_000 })),
            ("ttft<=300", json!({ "field": "ttft_us", "op": "lte", "value": 300_000 })),
            ("user:*", json!({ "field": "user", "op": "exists", "value": true })),
            ("prop.\"my team\":\"a b\"", json!({ "field": "prop.my team", "op": "eq", "value": "a b" })),
            ("score.quality>=0.8", json!({ "field": "score.quality", "op": "gte", "value": "0.8" })),
            (
                "model:gpt-4o* cost>0.01 prop.team=search -status:200 \"free text\"",
                json!({ "and": [
                    { "field": "model", "op": "like", "value": "gpt-4o*" },
                    { "field": "cost", "op": "gt", "value": "0.01" },
                    { "field": "prop.team", "op": "eq", "value": "search" },
                    { "not": { "field": "status", "op": "eq", "value": 200 } },
                    { "field": "text", "op": "contains", "value": "free text" },
                ] }),
            ),
            (
                "(user:ada OR user:\"grace h\") -(stream:true provider:openai)",
                json!({ "and": [
                    { "or": [{ "field": "user", "op": "eq", "value": "ada" }, { "field": "user", "op": "eq", "value": "grace h" }] },
                    { "not": { "and": [{ "field": "stream", "op": "eq", "value": true }, { "field": "provider", "op": "eq", "value": "openai" }] } },
                ] }),
            ),
            (
                "status:429,529",
                json!({ "or": [{ "field": "status", "op": "eq", "value": 429 }, { "field": "status", "op": "eq", "value": 529 }] }),
            ),
        ] {
            assert_eq!(Predicate::from_words(words).unwrap().to_json(), tree, "{words}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (words, said) in [
            ("modle:x", "no field"),
            ("model:", "a value is missing"),
            ("\"open", "not closed"),
            ("(a", "not closed"),
            ("a)", "closing bracket"),
            ("-", "missing behind"),
            ("status:high", "whole number"),
            ("model>3", "eq, ne"),
        ] {
            let refused = Predicate::from_words(words).unwrap_err().to_string();
            assert!(refused.contains(said), "{words}: {refused}");
        }
        assert!(Predicate::from_words(&"(".repeat(1000)).is_err());
        assert!(Predicate::from_words(&"-".repeat(1000)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_reads_back_as_json(words in "[-a-z:=<>~*,.\"\\\\() OR0-9]{0,40}") {
            if let Ok(read) = Predicate::from_words(&words) {
                proptest::prop_assert_eq!(Predicate::from_json(&read.to_json()).unwrap().to_json(), read.to_json());
            }
        }
    }
}
