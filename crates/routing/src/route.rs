//! Virtual models: a name of the operator's own for targets and the way to choose among them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::backoff::{mix, unit};
use crate::balance::Strategy;
use crate::name::fits;

/// A virtual model as it is written down. A bare text is a chain of models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Route {
    /// How the first target is chosen.
    pub strategy: Strategy,
    /// What keeps a caller with one target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// Who may serve.
    pub targets: Vec<Target>,
    /// Models that are asked, in this order, when no target served.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
    /// Models that are asked when the prompt is too long for a target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub context_window_fallbacks: Vec<String>,
    /// Models that are asked when a target's filter refused the prompt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content_policy_fallbacks: Vec<String>,
    /// A model that a share of calls goes to first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Share>,
    /// A model that a share of calls is copied to; it answers nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Share>,
}

/// One that may serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The model's name, as a caller might write it: `openai/gpt-4o-mini`.
    pub model: String,
    /// Its share, where weights count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// For which calls it is. Those whose condition holds go before those without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
}

/// A condition on what a caller tells of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The property, in any case; `user` and `session` stand for those.
    pub property: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
    /// One of its values.
    #[serde(default, rename = "in", skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
}

/// A model and its share of calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The model's name.
    pub model: String,
    /// How many of a hundred calls; all, where it is not said.
    #[serde(default = "all")]
    pub percent: f64,
}

fn all() -> f64 {
    100.0
}

/// What keeps a caller with one target, so that the prompt it sent before is still in the provider's cache there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// The session's id; without one, the beginning of the prompt.
    Session,
    /// The user; without one, the beginning of the prompt.
    User,
    /// The beginning of the prompt: what stands before the first answer of the model.
    Prompt,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Chain(String),
    Whole(Whole),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    strategy: Option<Strategy>,
    sticky: Option<Sticky>,
    targets: Vec<Target>,
    #[serde(default)]
    fallbacks: Vec<String>,
    #[serde(default)]
    context_window_fallbacks: Vec<String>,
    #[serde(default)]
    content_policy_fallbacks: Vec<String>,
    canary: Option<Share>,
    mirror: Option<Share>,
}

impl From<Written> for Route {
    fn from(written: Written) -> Self {
        match written {
            Written::Chain(model) => {
                Self { targets: vec![Target { model, weight: None, when: None }], ..Self::default() }
            }
            Written::Whole(whole) => {
                // Who writes weights wants them to count.
                let weighted = whole.targets.iter().any(|target| target.weight.is_some());
                let usual = if weighted { Strategy::Weighted } else { Strategy::Priority };
                Self {
                    strategy: whole.strategy.unwrap_or(usual),
                    sticky: whole.sticky,
                    targets: whole.targets,
                    fallbacks: whole.fallbacks,
                    context_window_fallbacks: whole.context_window_fallbacks,
                    content_policy_fallbacks: whole.content_policy_fallbacks,
                    canary: whole.canary,
                    mirror: whole.mirror,
                }
            }
        }
    }
}

impl Route {
    /// The targets for a call of which `told` says what its properties are: those whose condition holds, then those that
    /// have none.
    pub fn eligible<'r>(&'r self, told: &dyn Fn(&str) -> Option<String>) -> (Vec<&'r Target>, Vec<&'r Target>) {
        let holds = |target: &&Target| target.when.as_ref().is_some_and(|when| when.holds(told));
        let conditional = self.targets.iter().filter(holds).collect();
        (conditional, self.targets.iter().filter(|target| target.when.is_none()).collect())
    }

    /// Every model it names.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        let shares = self.canary.iter().chain(&self.mirror).map(|share| share.model.as_str());
        let others = [&self.fallbacks, &self.context_window_fallbacks, &self.content_policy_fallbacks];
        let others = others.into_iter().flatten().map(String::as_str);
        self.targets.iter().map(|target| target.model.as_str()).chain(others).chain(shares)
    }

    /// What is wrong with it, each with the key at fault.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, message: &str| faults.push((key.to_owned(), message.to_owned()));
        if self.targets.is_empty() {
            fault("targets", "no target; write at least one, as in { model: \"openai/gpt-4o-mini\" }");
        }
        if self.targets.iter().all(|target| target.weight == Some(0)) && !self.targets.is_empty() {
            fault("targets", "every weight is 0, so none would be asked");
        }
        if self.models().any(|model| model.trim().is_empty()) {
            fault("targets", "an empty model name");
        }
        if self.canary.as_ref().is_some_and(|share| !(0.0..=100.0).contains(&share.percent)) {
            fault("canary", "percent is from 0 to 100");
        }
        if self.mirror.as_ref().is_some_and(|share| !(0.0..=100.0).contains(&share.percent)) {
            fault("mirror", "percent is from 0 to 100");
        }
        for when in self.targets.iter().filter_map(|target| target.when.as_ref()) {
            if when.equals.is_none() && when.one_of.is_empty() {
                fault(
                    "targets",
                    "a condition says what the property must be: `equals` a value, or `in` a list of values",
                );
            }
        }
        faults
    }
}

impl Condition {
    fn holds(&self, told: &dyn Fn(&str) -> Option<String>) -> bool {
        let Some(value) = told(&self.property) else { return false };
        self.equals.as_ref().is_some_and(|equals| *equals == value) || self.one_of.contains(&value)
    }
}

impl Share {
    /// Whether a call with these random bits is among the share.
    #[must_use]
    pub fn falls_to(&self, random: u64) -> bool {
        unit(mix(random)) * 100.0 < self.percent
    }
}

/// The virtual models of a configuration.
pub type Routes = BTreeMap<String, Route>;

/// The route that a model's name means, and what a `*` in the route's name stood for. A name written out goes before a
/// pattern, and the longest pattern before others.
#[must_use]
pub fn find<'r, 'n>(routes: &'r Routes, name: &'n str) -> Option<(&'r Route, &'n str)> {
    if let Some(route) = routes.get(name) {
        return Some((route, ""));
    }
    let patterns = routes.iter().filter(|(pattern, _)| pattern.contains('*'));
    let fitting = patterns.filter_map(|(pattern, route)| Some((pattern, route, fits(pattern, name)?)));
    fitting.max_by_key(|(pattern, ..)| pattern.len()).map(|(_, route, star)| (route, star))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(json: &str) -> Routes {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_written_short_means_the_same() {
        let routes = routes(
            r#"{"fast": "openai/gpt-4o-mini, groq/x", "both": {"targets": [{"model": "a", "weight": 3}, {"model": "b"}]},
                "claude-*": "bedrock/claude-*", "claude-opus-*": "anthropic/claude-opus-*"}"#,
        );
        assert_eq!(routes["fast"].targets[0].model, "openai/gpt-4o-mini, groq/x");
        assert_eq!((routes["fast"].strategy, routes["both"].strategy), (Strategy::Priority, Strategy::Weighted));
        assert_eq!(find(&routes, "claude-opus-4").unwrap().1, "4");
        assert_eq!(find(&routes, "claude-haiku").unwrap().0.targets[0].model, "bedrock/claude-*");
        assert!(find(&routes, "gpt-4o").is_none());
        assert!(serde_json::from_str::<Routes>(r#"{"x": {"target": []}}"#).is_err());
    }

    #[test]
    fn conditions_choose_and_say_what_is_missing() {
        let routes = routes(
            r#"{"m": {"targets": [{"model": "big", "when": {"property": "plan", "equals": "gold"}}, {"model": "small"},
                {"model": "eu", "when": {"property": "region", "in": ["de", "fr"]}}]}}"#,
        );
        let models = |plan: &str, region: &str| {
            let told = |name: &str| match name {
                "plan" => Some(plan.to_owned()),
                "region" => Some(region.to_owned()),
                _ => None,
            };
            let (first, then) = routes["m"].eligible(&told);
            first.into_iter().chain(then).map(|target| target.model.clone()).collect::<Vec<_>>()
        };
        assert_eq!(models("gold", "us"), ["big", "small"]);
        assert_eq!(models("free", "fr"), ["eu", "small"]);
        assert_eq!(models("", ""), ["small"]);
    }

    #[test]
    fn faults_name_their_key() {
        let route: Route = serde_json::from_str(
            r#"{"targets": [{"model": "a", "weight": 0, "when": {"property": "p"}}], "canary": {"model": "", "percent": 101}, "mirror": {"model": "b", "percent": -1}}"#,
        )
        .unwrap();
        let keys: Vec<_> = route.faults().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["targets", "targets", "canary", "mirror", "targets"]);
    }

    #[test]
    fn shares_are_kept() {
        let share = Share { model: "m".to_owned(), percent: 5.0 };
        let hits = (0..10_000).filter(|call| share.falls_to(*call)).count();
        assert!((400..600).contains(&hits), "{hits}");
        assert!(!Share { percent: 0.0, ..share.clone() }.falls_to(0));
        assert!((0..100).all(|call| Share { percent: 100.0, ..share.clone() }.falls_to(call)));
    }
}
