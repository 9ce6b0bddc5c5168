//! From a model's name to who may serve it.

use std::sync::Arc;

use tachograph_pricing::PriceBook;
use tachograph_reply::ApiError;

use crate::call::Candidate;
use crate::endpoint::{Endpoint, Endpoints};

/// Finds who serves a model of this name: `provider/model`, `model/provider`, a name that a configured provider lists, or
/// a bare name that the price book knows.
pub(super) fn resolve(
    name: Option<&str>,
    endpoints: &Endpoints,
    prices: &PriceBook,
) -> Result<Vec<Candidate>, ApiError> {
    let name = name.unwrap_or_default().trim();
    let found = named_provider(name, endpoints).or_else(|| bare(name, endpoints, prices));
    let candidate = found.map(|(endpoint, model)| Candidate { endpoint, model: Some(model) });
    match candidate {
        Some(candidate) => Ok(vec![candidate]),
        None => Err(ApiError::not_found("model_not_found", unknown(name, endpoints)).with_param("model")),
    }
}

fn named_provider(name: &str, endpoints: &Endpoints) -> Option<(Arc<Endpoint>, String)> {
    let provider_first = name.split_once('/').filter(|(_, model)| !model.is_empty());
    let model_first = name.rsplit_once('/').filter(|(model, _)| !model.is_empty());
    let first = provider_first.and_then(|(provider, model)| Some((endpoints.get(provider)?, model)));
    let last = || model_first.and_then(|(model, provider)| Some((endpoints.get(provider)?, model)));
    first.or_else(last).map(|(endpoint, model)| (endpoint.clone(), model.to_owned()))
}

fn bare(name: &str, endpoints: &Endpoints, prices: &PriceBook) -> Option<(Arc<Endpoint>, String)> {
    let by_book = || endpoints.get(&prices.current().resolve("", name)?.provider);
    let endpoint = endpoints.serving(name).or_else(by_book)?;
    Some((endpoint.clone(), name.to_owned()))
}

fn unknown(name: &str, endpoints: &Endpoints) -> String {
    let with_keys = endpoints.with_keys().join(", ");
    let configured =
        if with_keys.is_empty() { "none has a key yet".to_owned() } else { format!("with keys: {with_keys}") };
    format!(
        "No provider is known for the model {name:?}. Name one before it, as in \"openai/gpt-4o-mini\" ({configured}), or list \
         the model under `providers.<name>.models`."
    )
}
