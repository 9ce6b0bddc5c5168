//! The rules in force: what the configuration says for all, and what organisations keep in the store for themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tachograph_ratelimit::{Budget, Policy, Rules};
use tachograph_record::OrgId;
use tachograph_store::{Store, StoreError};

use super::{Limits, Terms};
use crate::config::Config;

/// The kind of document that a kept rule is.
pub const KEPT: &str = "limit";

/// A rule that an organisation keeps: `{"policy": "1000;w=3600;s=user"}` or `{"budget": {…}}`, as in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptRule {
    /// A rate limit for each of its calls.
    Policy(Policy),
    /// A budget.
    Budget(Box<Budget>),
}

impl KeptRule {
    /// Reads a rule that this organisation wants to keep.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn read(body: &Value, org: OrgId) -> Result<Self, String> {
        let mut rule: Self = serde_json::from_value(body.clone())
            .map_err(|error| format!("{error}; write {{\"policy\": \"1000;w=3600;s=user\"}} or {{\"budget\": {{\"amount\": \"5\", \"period\": \"day\"}}}}"))?;
        if let Self::Budget(budget) = &mut rule {
            budget.check().map_err(|(field, why)| format!("budget.{field}: {why}"))?;
            // Whatever it says: nobody limits others.
            budget.scope.organisation = Some(org.to_string());
        }
        Ok(rule)
    }
}

/// Where the rules come from.
#[derive(Default)]
pub(super) struct Book {
    configured: Rules,
    kept: Vec<(OrgId, KeptRule)>,
}

impl Book {
    pub(super) fn of(rules: &Rules) -> Self {
        Self { configured: rules.clone(), kept: Vec::new() }
    }

    fn rules(&self) -> Rules {
        let mut rules = self.configured.clone();
        let mut of: BTreeMap<String, Vec<Policy>> = BTreeMap::new();
        for (org, rule) in &self.kept {
            match rule {
                KeptRule::Policy(policy) => of.entry(org.to_string()).or_default().push(policy.clone()),
                KeptRule::Budget(budget) => rules.budgets.push(Arc::new((**budget).clone())),
            }
        }
        rules.of = of;
        rules
    }
}

impl Limits {
    /// Puts in force what a configuration says: its policies and budgets, and what becomes of calls without a price. What
    /// is spent and reserved stays.
    pub fn configure(&self, config: &Config) {
        self.terms
            .store(Arc::new(Terms { unknown_model: config.pricing.unknown_model, ceiling: config.limits.ceiling }));
        let budgets = config.budgets.iter().cloned().map(Arc::new).collect();
        let configured = Rules { policies: config.limits.policies.clone(), budgets, of: BTreeMap::new() };
        self.change(|book| book.configured = configured);
    }

    /// Reads anew what these organisations keep. Returns whether anything changed.
    ///
    /// # Errors
    /// Where the store cannot be read; the rules stay as they were.
    pub async fn reload(&self, store: &dyn Store, orgs: &[OrgId]) -> Result<bool, StoreError> {
        let mut kept = Vec::new();
        for &org in orgs {
            for document in store.documents(org, KEPT).await? {
                match KeptRule::read(&document.body, org) {
                    Ok(rule) => kept.push((org, rule)),
                    Err(why) => {
                        tracing::warn!(%org, id = %document.id, why, "a kept limit cannot be read and is not in force")
                    }
                }
            }
        }
        let mut changed = false;
        self.change(|book| {
            changed = book.kept != kept;
            book.kept = kept;
        });
        Ok(changed)
    }

    fn change(&self, change: impl FnOnce(&mut Book)) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut book);
        self.limiter.set_rules(book.rules());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kept_rule_is_its_organisations_own() {
        let org = OrgId::HOME;
        let budget = json!({ "budget": { "amount": "5", "period": "day", "scope": { "organisation": "another", "user": "*" } } });
        let Ok(KeptRule::Budget(budget)) = KeptRule::read(&budget, org) else { panic!("{budget}") };
        assert_eq!(budget.scope.organisation, Some(org.to_string()));
        for (body, told) in [
            (json!({ "policy": "0;w=60" }), "write {\"policy\""),
            (json!({ "budget": { "amount": "5", "period": "fortnight" } }), "write"),
            (json!({ "budget": { "amount": "-5", "period": "day" } }), "budget.amount"),
            (json!({ "budget": { "amount": "5", "period": "day", "amuont": 1 } }), "amuont"),
            (json!({}), "write"),
            (json!("x"), "write"),
        ] {
            let why = KeptRule::read(&body, org).unwrap_err();
            assert!(why.contains(told), "{body}: {why}");
        }
    }
}
