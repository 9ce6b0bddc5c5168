//! How everything stands, for those who look.

use serde::Serialize;
use tachograph_record::Money;

use super::Limiter;
use crate::Budget;
use crate::events::Counts;
use crate::ledger::Key;

/// How limits stand at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// The policies in force for every call.
    pub policies: Vec<String>,
    /// The budgets in force.
    pub budgets: Vec<Budget>,
    /// How each budget stands that was used, for each share, the fullest first.
    pub accounts: Vec<AccountView>,
    /// Buckets that are not full.
    pub buckets: usize,
    /// Whether limits are shared with other processes.
    pub shared: bool,
    /// What limits did since this process began.
    pub counts: Counts,
}

/// How a budget stands for one share.
#[derive(Clone, Debug, Serialize)]
pub struct AccountView {
    /// The budget's name.
    pub budget: String,
    /// Whose share: `organisation`, `user:alice`.
    pub scope: String,
    /// How much there is, in USD.
    pub amount: Money,
    /// What is spent.
    pub spent: Money,
    /// What is reserved for calls under way, here and elsewhere.
    pub reserved: Money,
    /// What is left of it.
    pub remaining: Money,
    /// When the period began, in µs of the epoch; absent for a rolling window.
    pub since: Option<i64>,
    /// When it ends, in µs of the epoch; of a rolling window, when the oldest of what is spent begins to pass.
    pub resets_at: i64,
}

impl Limiter {
    /// How limits stand for one organisation: at most `most` accounts, the fullest first.
    #[must_use]
    pub fn snapshot(&self, org: &str, most: usize) -> Snapshot {
        let inner = &*self.0;
        let (rules, now) = (self.rules(), inner.now());
        let mut standing: Vec<(Key, i128, i128)> = Vec::new();
        let prefix = format!("b:{}:", crate::subject::value(org));
        let is_shared = inner.is_shared();
        inner.ledger.sweep(|key, account| {
            if key.starts_with(&prefix) {
                let told = account.told_standing(is_shared);
                standing.push((key.clone(), told.spent, told.reserved));
            }
            true
        });
        let mut accounts: Vec<AccountView> = Vec::new();
        let (own, of_org) = (rules.of.get(org), rules.budgets.iter().filter(|budget| budget.scope.is_open_to(org)));
        for budget in of_org.clone() {
            let span = budget.span(now);
            let whole = budget.share_of(org, &[], span);
            for (key, spent, reserved) in &standing {
                let Some(rest) =
                    key.strip_prefix(&*whole.want.key).filter(|rest| rest.is_empty() || rest.starts_with(':'))
                else {
                    continue;
                };
                let left = budget.amount.atto().saturating_sub(*spent).saturating_sub(*reserved).max(0);
                accounts.push(AccountView {
                    budget: budget.name(),
                    scope: if rest.is_empty() { "organisation".to_owned() } else { shown(rest) },
                    amount: budget.amount,
                    spent: Money::from_atto(*spent),
                    reserved: Money::from_atto(*reserved),
                    remaining: Money::from_atto(left),
                    since: (span.start_s > 0).then(|| span.start_s.saturating_mul(1_000_000)),
                    resets_at: span.end_s.saturating_mul(1_000_000),
                });
            }
        }
        let part = |view: &AccountView| view.spent.atto().saturating_mul(1_000) / view.amount.atto().max(1);
        accounts.sort_by_key(|view| std::cmp::Reverse(part(view)));
        accounts.truncate(most);
        Snapshot {
            policies: rules.policies.iter().chain(own.into_iter().flatten()).map(ToString::to_string).collect(),
            budgets: of_org.map(|budget| (**budget).clone()).collect(),
            accounts,
            buckets: inner.buckets.len(),
            shared: is_shared,
            counts: self.counts(),
        }
    }
}

/// `:user=alice:property:team=search` of a key, as people read it. Colons in values were replaced when it was made.
fn shown(rest: &str) -> String {
    rest.trim_start_matches(':').replace(":property:", ", property:").replace('=', ":")
}
