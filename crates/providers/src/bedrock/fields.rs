//! `additionalModelRequestFields`: what only some models take, in each family's own words.

use serde_json::{Map, Value, json};

use super::Family;
use crate::Provider;
use crate::chat::{ChatRequest, ThinkingMode, ThinkingRequest, ToolMode};
use crate::effort::{self, LEAST_BUDGET};
use crate::loss::Ledger;

type Fields = Map<String, Value>;

/// Reads what other dialects have words for too; the rest stays under the field's own name.
pub(super) fn read(mut more: Fields, request: &mut ChatRequest) {
    for name in ["thinking", "reasoning_config"] {
        if let Some(thinking) = more.get(name).and_then(thinking) {
            request.thinking = Some(thinking);
            more.shift_remove(name);
        }
    }
    let effort = [
        more.get("reasoning_effort"),
        more.get("output_config").and_then(|config| config.get("effort")),
        more.get("reasoningConfig").and_then(|config| config.get("maxReasoningEffort")),
    ];
    let word = effort.into_iter().flatten().find_map(Value::as_str).map(str::to_owned);
    if word.is_some() {
        request.effort = word;
        for name in ["reasoning_effort", "output_config", "reasoningConfig"] {
            more.shift_remove(name);
        }
    }
    let top_k = more.get("top_k").or_else(|| more.get("inferenceConfig")?.get("topK")).cloned();
    if let Some(top_k) = top_k {
        request.rest.insert("top_k".to_owned(), top_k);
        more.shift_remove("top_k");
        more.shift_remove("inferenceConfig");
    }
    let serial = more.get("tool_choice").and_then(|choice| choice.get("disable_parallel_tool_use"));
    if serial.is_some_and(|off| off == true) {
        request.parallel_tool_calls = Some(false);
        more.shift_remove("tool_choice");
    }
    if !more.is_empty() {
        request.rest.insert("additionalModelRequestFields".to_owned(), Value::Object(more));
    }
}

fn thinking(value: &Value) -> Option<ThinkingRequest> {
    let mut rest = value.as_object()?.clone();
    let mode = match rest.shift_remove("type")?.as_str()? {
        "disabled" => ThinkingMode::Off,
        "adaptive" => ThinkingMode::Adaptive,
        "enabled" => ThinkingMode::Budget { tokens: rest.shift_remove("budget_tokens")?.as_u64()? },
        _ => return None,
    };
    Some(ThinkingRequest { mode, rest })
}

/// How the model is to think, as it is told.
pub(super) struct Thinks {
    /// Whether it is to think at all.
    pub(super) on: bool,
    /// The most tokens of the answer, where thinking needs room.
    pub(super) most: Option<u64>,
}

/// Asks the model to think, in its own words.
pub(super) fn write_thinking(
    request: &ChatRequest,
    model: &str,
    provider: &Provider,
    most_by_default: u64,
    unsigned_tools: bool,
    ledger: &mut Ledger,
    more: &mut Fields,
) -> Thinks {
    let off = Thinks { on: false, most: request.max_tokens };
    let mode = request.thinking.as_ref().map(|thinking| &thinking.mode);
    let word = request.effort.as_deref();
    let wanted = match mode {
        Some(ThinkingMode::Off) => false,
        Some(ThinkingMode::Adaptive | ThinkingMode::Budget { .. }) => true,
        None => word.is_some_and(|word| effort::budget(word).is_some()),
    };
    if !wanted {
        return off;
    }
    match Family::of(model) {
        Family::Claude if unsigned_tools => {
            // The turn that called the tools has lost its thinking on the way; Claude refuses it with thinking on.
            ledger.note("thinking");
            off
        }
        Family::Claude => claude(request, model, provider, most_by_default, ledger, more),
        family => {
            let word = word.unwrap_or(match mode {
                Some(ThinkingMode::Budget { tokens }) => effort::of_budget(*tokens),
                _ => "medium",
            });
            ledger.note("reasoning_effort");
            let known = match word {
                "minimal" => "low",
                "xhigh" | "max" => "high",
                word => word,
            };
            if family == Family::Nova {
                more.insert("reasoningConfig".to_owned(), json!({"type": "enabled", "maxReasoningEffort": known}));
            } else {
                more.insert("reasoning_effort".to_owned(), json!(known));
            }
            Thinks { on: false, ..off }
        }
    }
}

fn claude(
    request: &ChatRequest,
    model: &str,
    provider: &Provider,
    most_by_default: u64,
    ledger: &mut Ledger,
    more: &mut Fields,
) -> Thinks {
    let word = request.effort.as_deref();
    let said = request.thinking.as_ref().map(|thinking| &thinking.mode);
    if word.is_some() {
        ledger.note("reasoning_effort");
    }
    let to_a_budget = provider.quirks.thinks_to_a_budget(model);
    if said == Some(&ThinkingMode::Adaptive) || said.is_none() && !to_a_budget {
        more.insert("thinking".to_owned(), json!({"type": "adaptive"}));
        let effort = match word {
            Some("minimal") => Some("low"),
            Some("xhigh") => Some("high"),
            word => word,
        };
        more.extend(effort.map(|effort| ("output_config".to_owned(), json!({ "effort": effort }))));
        return Thinks { on: true, most: request.max_tokens };
    }
    let budget = match said {
        Some(ThinkingMode::Budget { tokens }) => *tokens,
        _ => word.and_then(effort::budget).unwrap_or(LEAST_BUDGET),
    };
    // The budget is part of the limit and has a least size; where both do not fit, the limit gives way.
    let mut most = request.max_tokens.unwrap_or_else(|| most_by_default.max(budget.saturating_add(LEAST_BUDGET)));
    if most <= LEAST_BUDGET {
        most += LEAST_BUDGET;
        ledger.note("max_tokens");
    }
    let room = if word.is_some() { most / 4 } else { 1 };
    let tokens = budget.clamp(LEAST_BUDGET, (most - room).max(LEAST_BUDGET));
    more.insert("thinking".to_owned(), json!({"type": "enabled", "budget_tokens": tokens}));
    Thinks { on: true, most: Some(most) }
}

/// The best-known of the parameters that Converse has no field for.
pub(super) fn write_top_k(top_k: &Value, model: &str, more: &mut Fields) {
    match Family::of(model) {
        Family::Nova => more.insert("inferenceConfig".to_owned(), json!({ "topK": top_k })),
        Family::Claude | Family::Other => more.insert("top_k".to_owned(), top_k.clone()),
    };
}

/// Says that calls are to come one at a time; returns whether the model can be told. With it goes the choice itself, which
/// must not be said twice.
pub(super) fn write_serial(mode: Option<&ToolMode>, model: &str, more: &mut Fields) -> bool {
    if Family::of(model) != Family::Claude {
        return false;
    }
    let mut choice = match mode {
        Some(ToolMode::Required | ToolMode::Allowed { required: true, .. }) => json!({"type": "any"}),
        Some(ToolMode::One { name }) => json!({"type": "tool", "name": name}),
        _ => json!({"type": "auto"}),
    };
    choice["disable_parallel_tool_use"] = json!(true);
    more.insert("tool_choice".to_owned(), choice);
    true
}
