//! `GET /v1/models`: what can be asked for here.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use serde_json::{Map, Value, json};
use tachograph_pricing::{Catalog, Model, PriceMeter};
use tachograph_record::OrgId;
use tachograph_reply::{ApiError, ErrorShape};

use super::Router;
use crate::answer::AnswerBody;

/// What anybody may list at most; no registry is nearly as long.
const MOST: usize = 20_000;
/// Prices of a token that are told, in OpenRouter's words.
const PRICES: [(&str, PriceMeter); 4] = [
    ("prompt", PriceMeter::Input),
    ("completion", PriceMeter::Output),
    ("input_cache_read", PriceMeter::CacheRead),
    ("input_cache_write", PriceMeter::CacheWrite),
];

/// One model that can be asked for.
struct Listed {
    id: String,
    owner: Arc<str>,
    model: Option<Arc<Model>>,
}

/// All models, or one, in the shape that a client of this kind reads. Prices are the organisation's own.
///
/// # Errors
/// Where the one that was asked for is not there.
pub(crate) fn list(
    router: &Router,
    org: OrgId,
    one: Option<&str>,
    shape: ErrorShape,
) -> Result<Response<AnswerBody>, ApiError> {
    let catalog = router.prices.for_org(org);
    let value = match one {
        Some(name) => in_shape(&router.listed(name, org, &catalog)?, shape),
        None => {
            let models = router.all_listed(org, &catalog);
            let values: Vec<Value> = models.iter().map(|model| in_shape(model, shape)).collect();
            match shape {
                ErrorShape::Gemini => json!({ "models": values }),
                ErrorShape::Anthropic => {
                    let (first, last) = (models.first(), models.last());
                    let id = |model: Option<&Listed>| model.map(|model| model.id.clone());
                    json!({ "data": values, "has_more": false, "first_id": id(first), "last_id": id(last) })
                }
                _ => json!({ "object": "list", "data": values }),
            }
        }
    };
    let mut response = Response::new(AnswerBody::from(Bytes::from(value.to_string())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

impl Router {
    fn all_listed(&self, org: OrgId, catalog: &Catalog) -> Vec<Listed> {
        let rules = self.rules.load();
        let mut models: Vec<Listed> = rules
            .routes
            .keys()
            .map(|name| Listed { id: name.clone(), owner: "tachograph".into(), model: None })
            .collect();
        let mut endpoints: Vec<_> = self.endpoints.all().collect();
        endpoints.sort_by_key(|endpoint| endpoint.name().clone());
        for endpoint in endpoints {
            let configured = endpoint.models().iter().filter(|name| !name.contains('*'));
            let listed = endpoint.has_key_for(org).then(|| catalog.provider(endpoint.name())).flatten();
            let listed = listed.into_iter().flat_map(|provider| provider.models());
            let names = configured
                .map(|name| (name.clone(), catalog.resolve(endpoint.name(), name).map(|found| found.model)))
                .chain(listed.map(|model| (model.id.to_string(), Some(Arc::clone(model)))));
            for (name, model) in names {
                let id = if name.starts_with(&format!("{}/", endpoint.name())) {
                    name
                } else {
                    format!("{}/{name}", endpoint.name())
                };
                models.push(Listed { id, owner: endpoint.name().clone(), model });
            }
        }
        models.dedup_by(|a, b| a.id == b.id);
        models.truncate(MOST);
        models
    }

    fn listed(&self, name: &str, org: OrgId, catalog: &Catalog) -> Result<Listed, ApiError> {
        if tachograph_routing::find(&self.rules.load().routes, name).is_some() {
            return Ok(Listed { id: name.to_owned(), owner: "tachograph".into(), model: None });
        }
        let attribution = tachograph_record::Attribution::default();
        let id = tachograph_record::RecordId::generate();
        let resolved = self.resolve(&super::Wanted { model: name, attribution: &attribution, body: b"", id, org })?;
        let first = resolved.candidates.into_iter().next();
        let listed = first.map(|candidate| {
            let provider = candidate.endpoint.name();
            let model = catalog.resolve(provider, candidate.model.as_deref().unwrap_or(name)).map(|found| found.model);
            Listed { id: name.to_owned(), owner: provider.clone(), model }
        });
        listed.ok_or_else(|| ApiError::not_found("model_not_found", format!("There is no model {name:?} here.")))
    }
}

fn in_shape(listed: &Listed, shape: ErrorShape) -> Value {
    let limits = listed.model.as_ref().map(|model| model.limits).unwrap_or_default();
    let mut value = match shape {
        ErrorShape::Gemini => json!({
            "name": format!("models/{}", listed.id),
            "displayName": listed.id,
            "inputTokenLimit": limits.max_input.or(limits.context),
            "outputTokenLimit": limits.max_output,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
        }),
        ErrorShape::Anthropic => json!({
            "type": "model",
            "id": listed.id,
            "display_name": listed.id,
            "created_at": "1970-01-01T00:00:00Z",
        }),
        _ => json!({ "id": listed.id, "object": "model", "created": 0, "owned_by": &*listed.owner }),
    };
    if let (Some(fields), Some(more)) = (value.as_object_mut(), extensions(listed)) {
        fields.extend(more);
    }
    value
}

/// What other listings do not say: limits and prices, in USD for one token as decimals.
fn extensions(listed: &Listed) -> Option<Map<String, Value>> {
    let model = listed.model.as_ref()?;
    let mut more = Map::new();
    let limits = [
        ("context_length", model.limits.context.or(model.limits.max_input)),
        ("max_input_tokens", model.limits.max_input),
        ("max_output_tokens", model.limits.max_output),
    ];
    for (name, limit) in limits {
        more.extend(limit.map(|limit| (name.to_owned(), limit.into())));
    }
    more.extend(model.mode.as_ref().map(|mode| ("mode".to_owned(), Value::from(&**mode))));
    let prices = PRICES.into_iter().filter_map(|(name, meter)| {
        let price = &model.base_rate(meter)?.price;
        Some((name.to_owned(), Value::from(per_one(&price.text, price.per)?)))
    });
    let prices: Map<String, Value> = prices.collect();
    if !prices.is_empty() {
        more.insert("pricing".to_owned(), prices.into());
    }
    Some(more)
}

/// A price for many as the price of one, exactly: `2.5` for 1000000 is `0.0000025`. Only for powers of ten, which is how
/// providers price tokens.
fn per_one(text: &str, per: u64) -> Option<String> {
    let zeros = usize::try_from(per.checked_ilog10()?).ok()?;
    if 10_u64.checked_pow(u32::try_from(zeros).ok()?)? != per {
        return None;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{}{whole}{fraction}", "0".repeat(zeros));
    let point = digits.len() - fraction.len() - zeros;
    let (whole, fraction) = digits.split_at(point);
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_of_one_are_exact() {
        for (text, per, want) in [
            ("2.5", 1_000_000, "0.0000025"),
            ("0.15", 1_000_000, "0.00000015"),
            ("15", 1_000_000, "0.000015"),
            ("0", 1_000_000, "0"),
            ("3", 1, "3"),
            ("12.50", 10, "1.25"),
        ] {
            assert_eq!(per_one(text, per).as_deref(), Some(want));
        }
        assert_eq!(per_one("1", 60), None);
    }
}
