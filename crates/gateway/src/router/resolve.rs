//! From a model's name to candidates.

use std::sync::Arc;

use serde_json::Value;
use tachograph_record::{Attribution, OrgId, RecordId};
use tachograph_reply::ApiError;
use tachograph_routing::{Chain, Choice, Class, Item, NameError, Route, Sticky, find, hash, mix, name_hash, order};

use super::Router;
use super::directory::{Known, Serving};
use crate::call::Candidate;

/// A call that wants to be served.
pub(crate) struct Wanted<'a> {
    /// The model's name as the caller wrote it.
    pub(crate) model: &'a str,
    /// Who asks.
    pub(crate) attribution: &'a Attribution,
    /// The body, whose beginning tells what a provider may have in its cache.
    pub(crate) body: &'a [u8],
    /// The call's id, from which its share of chance is drawn.
    pub(crate) id: RecordId,
    /// Whose call it is.
    pub(crate) org: OrgId,
}

/// Who may serve a call.
#[derive(Default)]
pub(crate) struct Resolved {
    /// The first first.
    pub(crate) candidates: Vec<Candidate>,
    /// What a careful reader of the record should know.
    pub(crate) notes: Vec<String>,
    /// The model that the call is copied to.
    pub(crate) mirror: Option<String>,
}

impl Router {
    /// Finds who may serve.
    ///
    /// # Errors
    /// Where nobody may: with what to do.
    pub(crate) fn resolve(&self, wanted: &Wanted<'_>) -> Result<Resolved, ApiError> {
        let catalog = self.prices.current();
        let rules = self.rules.load();
        let known = Known { router: self, catalog: &catalog, routes: &rules.routes, org: wanted.org };
        let name = wanted.model.trim();
        let mut resolving =
            Resolving { known, wanted, random: random_of(wanted.id), excluded: Vec::new(), out: Resolved::default() };
        resolving.name(name, true).map_err(|error| self.refusal(name, &error))?;
        if resolving.out.candidates.is_empty() {
            let excluded = !resolving.excluded.is_empty();
            return Err(ApiError::not_found("model_not_found", self.unknown(name, excluded)).with_param("model"));
        }
        Ok(resolving.out)
    }

    /// The target of a provider's proxy.
    pub(crate) fn proxied(&self, endpoint: &Arc<crate::endpoint::Endpoint>, model: Option<&str>) -> Candidate {
        // How a URL is doing that a caller named says nothing of the provider itself.
        let lane = self.lanes.get(&lane_name(&endpoint.lane(), model.unwrap_or("*")));
        Candidate { endpoint: endpoint.clone(), model: None, lane, only_after: None, instead: None }
    }

    fn refusal(&self, name: &str, error: &NameError) -> ApiError {
        match error {
            NameError::Empty => ApiError::not_found("model_not_found", self.unknown(name, false)),
            other => ApiError::invalid("invalid_model", format!("The model {name:?} cannot be asked: {other}.")),
        }
        .with_param("model")
    }

    fn unknown(&self, name: &str, excluded: bool) -> String {
        let with_keys = self.endpoints.with_keys().join(", ");
        let configured =
            if with_keys.is_empty() { "none has a key yet".to_owned() } else { format!("with keys: {with_keys}") };
        let why = if excluded { "that is not excluded " } else { "" };
        format!(
            "No provider {why}is known for the model {name:?}. Name one before it, as in \"openai/gpt-4o-mini\" ({configured}), \
             list the model under `providers.<name>.models`, or make it a virtual one under `routes`. GET /v1/models lists \
             what can be asked."
        )
    }
}

fn lane_name(provider: &str, model: &str) -> String {
    // Names are a provider's business; one that is absurdly long is not worth remembering.
    let model = model.get(..128).unwrap_or(model);
    format!("{provider}/{model}")
}

/// 64 bits that are the call's own, so that what befell it can be looked at again.
fn random_of(id: RecordId) -> u64 {
    name_hash(&id.to_string())
}

struct Resolving<'a> {
    known: Known<'a>,
    wanted: &'a Wanted<'a>,
    random: u64,
    excluded: Vec<Arc<str>>,
    out: Resolved,
}

impl Resolving<'_> {
    /// Adds who serves a name; routes count only where a caller wrote it.
    fn name(&mut self, name: &str, routes: bool) -> Result<(), NameError> {
        let router = self.known.router;
        if routes && let Some((route, star)) = find(self.known.routes, name) {
            return self.route(route, star);
        }
        let chain = Chain::parse(name, &self.known)?;
        for provider in &chain.excluded {
            self.excluded.extend(router.endpoints.get(provider).map(|endpoint| endpoint.name().clone()));
        }
        for item in &chain.items {
            if routes
                && item.provider.is_none()
                && let Some((route, star)) = find(self.known.routes, &item.model)
            {
                self.route(route, star)?;
                continue;
            }
            let serving = self.item(item);
            if serving.is_empty() {
                self.out.notes.push(format!("nobody serves {:?} of the chain", item.model));
            }
            for serving in serving {
                self.add(serving, None);
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Vec<Serving> {
        if item.online {
            self.out
                .notes
                .push(format!("{}:online asks for web search; send the provider's own tool for it", item.model));
        }
        if let Some(key) = &item.key {
            let why = "keys are not chosen by name here; those of the provider take turns, by their weights";
            self.out.notes.push(format!("the key {key:?} of {} was not singled out: {why}", item.model));
        }
        let named = item.provider.as_ref().and_then(|provider| self.known.router.endpoints.get(provider));
        match named {
            Some(endpoint) => vec![self.known.at(endpoint, &item.model)],
            None => self.known.anywhere(&item.model),
        }
    }

    fn add(&mut self, serving: Serving, only_after: Option<Class>) {
        let Serving { endpoint, model, .. } = serving;
        if self.excluded.contains(endpoint.name()) {
            return;
        }
        let lane = self.known.router.lanes.get(&lane_name(endpoint.name(), &model));
        let held = |other: &Candidate| Arc::ptr_eq(&other.lane, &lane) && other.only_after == only_after;
        if !self.out.candidates.iter().any(held) {
            self.out.candidates.push(Candidate { endpoint, model: Some(model), lane, only_after, instead: None });
        }
    }

    fn route(&mut self, route: &Route, star: &str) -> Result<(), NameError> {
        if let Some(canary) = route.canary.as_ref().filter(|canary| canary.falls_to(self.random)) {
            self.name(&canary.model.replace('*', star), false)?;
        }
        // Other bits than the canary's, so that both see their share of each other's calls.
        let mirror = route.mirror.as_ref().filter(|mirror| mirror.falls_to(mix(self.random)));
        self.out.mirror = self.out.mirror.take().or_else(|| mirror.map(|mirror| mirror.model.replace('*', star)));
        let told = |property: &str| self.told(property);
        let (conditional, plain) = route.eligible(&told);
        let sticky = route.sticky.and_then(|sticky| self.sticky_key(sticky));
        for group in [conditional, plain] {
            let mut choices = Vec::new();
            for target in &group {
                let serving = self.serving(&target.model.replace('*', star))?;
                let first = serving.first().map(|serving| {
                    let name = lane_name(serving.endpoint.name(), &serving.model);
                    let lane = self.known.router.lanes.get(&name);
                    Choice { lane, weight: target.weight.unwrap_or(1), price: serving.price }
                });
                choices.extend(first.map(|choice| (choice, serving)));
            }
            let (choices, mut serving): (Vec<Choice>, Vec<Option<Vec<Serving>>>) =
                choices.into_iter().map(|(choice, serving)| (choice, Some(serving))).unzip();
            let now = self.known.router.clock.now();
            for at in order(route.strategy, &choices, sticky, mix(self.random), now) {
                for serving in serving[at].take().unwrap_or_default() {
                    self.add(serving, None);
                }
            }
        }
        for fallback in &route.fallbacks {
            self.name(&fallback.replace('*', star), false)?;
        }
        let special = [
            (&route.context_window_fallbacks, Class::ContextWindow),
            (&route.content_policy_fallbacks, Class::ContentPolicy),
        ];
        for (models, class) in special {
            for model in models {
                for serving in self.serving(&model.replace('*', star))? {
                    self.add(serving, Some(class));
                }
            }
        }
        Ok(())
    }

    /// All that serve a model of a route, which may be a chain.
    fn serving(&mut self, name: &str) -> Result<Vec<Serving>, NameError> {
        let chain = Chain::parse(name, &self.known)?;
        Ok(chain.items.iter().flat_map(|item| self.item(item)).collect())
    }

    fn told(&self, property: &str) -> Option<String> {
        let attribution = self.wanted.attribution;
        match property {
            "user" => attribution.user.clone(),
            "session" => attribution.session.as_ref().map(|session| session.id.clone()),
            name => {
                let held = attribution.properties.iter().find(|(held, _)| held.eq_ignore_ascii_case(name));
                held.map(|(_, value)| value.clone())
            }
        }
    }

    fn sticky_key(&self, sticky: Sticky) -> Option<u64> {
        let attribution = self.wanted.attribution;
        let told = match sticky {
            Sticky::Session => attribution.session.as_ref().map(|session| session.id.as_str()),
            Sticky::User => attribution.user.as_deref(),
            Sticky::Prompt => None,
        };
        told.map(name_hash).or_else(|| prompt_key(self.wanted.body))
    }
}

/// A hash of the part of a conversation that stays the same from turn to turn: instructions, tools, and the messages
/// before the first answer.
fn prompt_key(body: &[u8]) -> Option<u64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let mut hashed = 0;
    let mut add = |value: &Value| hashed = mix(hashed ^ hash(value.to_string().as_bytes()));
    ["system", "instructions", "tools", "systemInstruction"]
        .iter()
        .filter_map(|field| body.get(*field))
        .for_each(&mut add);
    let turns = ["messages", "input", "contents"].iter().find_map(|field| body.get(*field))?;
    match turns {
        Value::Array(turns) => {
            let is_answer =
                |turn: &&Value| !matches!(turn.get("role").and_then(Value::as_str), Some("assistant" | "model"));
            turns.iter().take_while(is_answer).for_each(&mut add);
        }
        other => add(other),
    }
    Some(hashed)
}

#[cfg(test)]
mod tests;
