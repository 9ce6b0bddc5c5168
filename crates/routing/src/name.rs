//! What a model's name asks for.
//!
//! A name is a chain of items, divided by commas, each of which is asked when those before it failed:
//!
//! | written | means |
//! |---|---|
//! | `gpt-4o` | whoever serves it, as the directory decides |
//! | `openai/gpt-4o`, `gpt-4o/openai` | that provider |
//! | `gpt-4o/openai/clm1` | that provider with the key of this id |
//! | `gpt-4o/claude-sonnet-4` | two models around a slash: a chain |
//! | `gpt-4o:online` | with the provider's web search |
//! | `!azure` | whoever it is, not this one |
//!
//! Which words are providers and which are models is not known here; a [`Directory`] says.

use thiserror::Error;

/// A chain longer than this is no wish but an accident.
const MOST_ITEMS: usize = 16;

/// What names mean where they are read.
pub trait Directory {
    /// Whether this is the name of a provider.
    fn is_provider(&self, name: &str) -> bool;

    /// Whether this is the name of a virtual model, which goes before all others.
    fn is_route(&self, name: &str) -> bool;

    /// Whether this is the name of a model that is known without its provider.
    fn is_model(&self, name: &str) -> bool;
}

/// One item of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The model's name.
    pub model: String,
    /// The provider, where one was named.
    pub provider: Option<String>,
    /// Which of the provider's keys, where one was named.
    pub key: Option<String>,
    /// Whether web search was asked for.
    pub online: bool,
}

/// A model's name, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Who is asked, the first first.
    pub items: Vec<Item>,
    /// Providers that are not to be asked.
    pub excluded: Vec<String>,
}

/// Why a name says nothing that can be done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// There is nothing in it.
    #[error("the model's name is empty")]
    Empty,
    /// `!` without a provider's name, or with one that nobody knows.
    #[error("`!{0}` excludes no provider; write the name of one behind the `!`, as in \"!azure,gpt-4o\"")]
    ExcludesNobody(String),
    /// A chain that is too long.
    #[error("a chain of more than {MOST_ITEMS} models")]
    TooLong,
}

impl Chain {
    /// Takes a name apart.
    ///
    /// # Errors
    /// Where there is nothing in it that could be asked, and where an exclusion excludes nobody.
    pub fn parse(text: &str, directory: &dyn Directory) -> Result<Self, NameError> {
        let mut chain = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.strip_prefix('!').map(str::trim) {
                Some(provider) if directory.is_provider(provider) => chain.excluded.push(provider.to_owned()),
                Some(other) => return Err(NameError::ExcludesNobody(other.to_owned())),
                None => chain.items.extend(items(part, directory)),
            }
            if chain.items.len() > MOST_ITEMS {
                return Err(NameError::TooLong);
            }
        }
        if chain.items.is_empty() { Err(NameError::Empty) } else { Ok(chain) }
    }
}

/// What stands between two commas: one item, or several models around slashes.
fn items(part: &str, directory: &dyn Directory) -> Vec<Item> {
    // The operator's own names are not taken apart, whatever is in them.
    if directory.is_route(part) {
        return vec![item(part, None, None)];
    }
    if let Some((provider, model)) = part.split_once('/')
        && directory.is_provider(provider)
        && !model.is_empty()
    {
        return vec![item(model, Some(provider), None)];
    }
    if let Some((model, provider)) = part.rsplit_once('/')
        && !model.is_empty()
    {
        if directory.is_provider(provider) {
            return vec![item(model, Some(provider), None)];
        }
        if let Some((model, named)) = model.rsplit_once('/')
            && !model.is_empty()
            && directory.is_provider(named)
        {
            return vec![item(model, Some(named), Some(provider))];
        }
    }
    let models: Vec<&str> = part.split('/').collect();
    if models.len() > 1
        && !directory.is_model(without_suffix(part).0)
        && models.iter().all(|model| directory.is_model(without_suffix(model).0))
    {
        return models.into_iter().map(|model| item(model, None, None)).collect();
    }
    vec![item(part, None, None)]
}

fn item(model: &str, provider: Option<&str>, key: Option<&str>) -> Item {
    let (model, online) = without_suffix(model);
    Item { model: model.to_owned(), provider: provider.map(str::to_owned), key: key.map(str::to_owned), online }
}

fn without_suffix(model: &str) -> (&str, bool) {
    model.strip_suffix(":online").filter(|rest| !rest.is_empty()).map_or((model, false), |rest| (rest, true))
}

/// Whether a name fits a pattern in which `*` stands for any characters; where it does, what the first `*` stood for.
#[must_use]
pub fn fits<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    let Some((head, tail)) = pattern.split_once('*') else { return (pattern == name).then_some("") };
    let rest = name.strip_prefix(head)?;
    if !tail.contains('*') {
        return rest.strip_suffix(tail);
    }
    (0..=rest.len())
        .filter(|&at| rest.is_char_boundary(at))
        .find(|&at| fits(tail, &rest[at..]).is_some())
        .map(|at| &rest[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known;

    impl Directory for Known {
        fn is_provider(&self, name: &str) -> bool {
            ["openai", "azure", "anthropic", "groq", "openrouter"].contains(&name)
        }

        fn is_route(&self, name: &str) -> bool {
            name == "my/route" || name == "openai/mine"
        }

        fn is_model(&self, name: &str) -> bool {
            ["gpt-4o", "claude-sonnet-4", "gpt-4o/gpt-4o"].contains(&name)
        }
    }

    fn short(text: &str) -> Vec<String> {
        let one = |item: Item| {
            let online = if item.online { " online" } else { "" };
            let key = item.key.map(|key| format!(" by {key}")).unwrap_or_default();
            format!("{} at {}{key}{online}", item.model, item.provider.as_deref().unwrap_or("?"))
        };
        Chain::parse(text, &Known).unwrap().items.into_iter().map(one).collect()
    }

    #[test]
    fn names_in_all_their_forms() {
        for (text, want) in [
            ("gpt-4o", &["gpt-4o at ?"][..]),
            ("openai/gpt-4o", &["gpt-4o at openai"]),
            ("gpt-4o/openai", &["gpt-4o at openai"]),
            ("gpt-4o:online/anthropic/c1", &["gpt-4o at anthropic by c1 online"]),
            ("gpt-4o:online", &["gpt-4o at ? online"]),
            ("gpt-4o/claude-sonnet-4", &["gpt-4o at ?", "claude-sonnet-4 at ?"]),
            (" a/groq , gpt-4o ,", &["a at groq", "gpt-4o at ?"]),
            ("openrouter/openai/gpt-4o", &["openai/gpt-4o at openrouter"]),
            ("my/route", &["my/route at ?"]),
            ("openai/mine", &["openai/mine at ?"]),
            ("org/unheard-of", &["org/unheard-of at ?"]),
            ("gpt-4o/gpt-4o", &["gpt-4o/gpt-4o at ?"]),
            ("llama3:8b", &["llama3:8b at ?"]),
        ] {
            assert_eq!(short(text), want, "{text}");
        }
    }

    #[test]
    fn exclusions_and_what_cannot_be_read() {
        let chain = Chain::parse("!anthropic,gpt-4o", &Known).unwrap();
        assert_eq!((chain.excluded, chain.items.len()), (vec!["anthropic".to_owned()], 1));
        for (text, want) in [
            ("", NameError::Empty),
            (" , ", NameError::Empty),
            ("!openai", NameError::Empty),
            ("!,gpt-4o", NameError::ExcludesNobody(String::new())),
            ("!nobody,gpt-4o", NameError::ExcludesNobody("nobody".to_owned())),
        ] {
            assert_eq!(Chain::parse(text, &Known), Err(want), "{text}");
        }
        assert_eq!(Chain::parse(&"gpt-4o,".repeat(99), &Known), Err(NameError::TooLong));
    }

    #[test]
    fn patterns_say_what_the_star_stood_for() {
        for (pattern, name, want) in [
            ("llama-*", "llama-3-8b", Some("3-8b")),
            ("llama-*", "a-llama-3", None),
            ("*", "x", Some("x")),
            ("gpt-4o", "gpt-4o", Some("")),
            ("a*a", "a", None),
            ("a*b*c", "a-b-b-c", Some("-")),
            ("ü*", "über", Some("ber")),
        ] {
            assert_eq!(fits(pattern, name), want, "{pattern} {name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_panics(text in "[ -~ü,!/:*]{0,40}") {
            let _ = Chain::parse(&text, &Known);
            let _ = fits(&text, "gpt-4o");
        }
    }
}
