//! A row's figures against a recording's.

use serde_json::{Value, json};
use tachograph_tests::{Atto, Recording};

/// What of a row a recording has expectations of.
#[derive(Debug, PartialEq)]
pub(crate) struct Figures {
    model: Option<String>,
    usage: Option<[u64; 4]>,
    invalid: bool,
    reasoning: Option<u64>,
    finish_reason: Option<String>,
    status: u64,
    error_type: Option<String>,
    outcome: String,
}

impl Figures {
    /// As a recording expects them. What the provider did not say of a part counts as none of it.
    pub(crate) fn expected(recording: &Recording) -> Self {
        let expected = recording.expected();
        let status = recording.response.status;
        let said = |tokens: Option<u64>| tokens.unwrap_or(0);
        let (input, output) = (said(expected.input_tokens), said(expected.output_tokens));
        let cached = said(expected.cached_input_tokens);
        let known = expected.input_tokens.is_some() || expected.output_tokens.is_some();
        // Some servers say more tokens were cached than there were: such numbers are invalid, not corrected.
        let contradicts = cached > input;
        let usage = [input, cached, said(expected.cache_write_tokens), output];
        let failed = status >= 400 || expected.error_type.is_some();
        // An error without a type of its own goes by its status.
        let error_type = expected.error_type.or_else(|| (status >= 400).then(|| format!("http_{status}")));
        Self {
            // Where the answer names no model, the one asked for is all that is known.
            model: expected.model.or_else(|| recording.request.body["model"].as_str().map(str::to_owned)),
            usage: (known && !contradicts && recording.tells_usage()).then_some(usage),
            invalid: contradicts,
            // Nobody reasons more than it writes, though one server says so.
            reasoning: expected.reasoning_tokens.map(|tokens| tokens.min(output)).filter(|_| !contradicts),
            finish_reason: expected.finish_reason,
            status: status.into(),
            error_type,
            outcome: if failed { "upstream_failed" } else { "complete" }.to_owned(),
        }
    }

    /// What of a row is not as expected.
    pub(crate) fn fault(mut self, row: &Value, tells_usage: bool) -> Option<String> {
        let mut found = Self::of(row);
        if !tells_usage {
            // What the expectations are silent about was not looked at.
            (found.usage, found.reasoning) = (None, None);
        }
        if self.reasoning.is_none() && found.reasoning <= found.usage.map(|usage| usage[3]) {
            // Not said by the provider, but told by the total's being more than its parts.
            self.reasoning = found.reasoning;
        }
        if self.model.is_none() {
            // Paths and forms name the model too.
            self.model.clone_from(&found.model);
        }
        if self.usage.is_none() && found.usage == Some([0; 4]) {
            // What was used is no tokens.
            found.usage = None;
        }
        (self != found).then(|| format!("expected {self:?}\n     found {found:?}"))
    }

    /// As a row holds them.
    fn of(row: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        // Of a stream without usage the row says what we counted, and says that we did.
        let reported = row["usage"].as_object().filter(|usage| usage["source"] != "estimated");
        let usage = reported.map(|usage| {
            ["input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens"]
                .map(|name| usage[name].as_u64().unwrap())
        });
        Self {
            model: text(&row["model"]),
            usage,
            invalid: row["cost"]["status"] == "invalid_usage",
            reasoning: reported.and_then(|usage| usage["reasoning_tokens"].as_u64()),
            finish_reason: text(&row["finish_reason"]),
            status: row["status"].as_u64().unwrap_or_default(),
            error_type: text(&row["error"]["kind"]),
            outcome: text(&row["outcome"]).unwrap_or_default(),
        }
    }
}

/// Checks the working of a row's cost: each line is price × quantity, the lines add up to the total, and every token of
/// the row stands in exactly one line. Gives what is wrong.
pub(crate) fn cost_faults(row: &Value) -> Vec<String> {
    let atto = |value: &Value| value.as_str().unwrap_or("nothing").parse::<Atto>().unwrap();
    let mut faults = Vec::new();
    let Some(receipt) = row["receipt"].as_object() else {
        if row["cost"]["total"] != Value::Null {
            faults.push(format!("a cost without its working: {}", row["cost"]));
        }
        return faults;
    };
    let lines = receipt["lines"].as_array().unwrap();
    for line in lines {
        let (amount, even) = atto(&line["price"]).times(atto(&line["quantity"]), line["per"].as_u64().unwrap());
        let close =
            if even { amount == atto(&line["amount"]) } else { (amount.0 - atto(&line["amount"]).0).abs() <= 1 };
        if !close {
            faults.push(format!("{line} is {amount}"));
        }
    }
    let sum: Atto = lines.iter().map(|line| atto(&line["amount"])).sum();
    if sum != atto(&receipt["total"]) || sum != atto(&row["cost"]["total"]) {
        faults.push(format!("the lines add up to {sum}, the total is {}", receipt["total"]));
    }
    let in_lines: Atto = lines.iter().filter(|line| is_tokens(line)).map(|line| atto(&line["quantity"])).sum();
    let used = row["usage"]["input_tokens"].as_u64().unwrap_or(0) + row["usage"]["output_tokens"].as_u64().unwrap_or(0);
    if row["provider"] == "cohere" {
        // Cohere bills what it says it bills, which is less than was read.
        return faults;
    }
    if in_lines != used.to_string().parse().unwrap() {
        faults.push(format!("{in_lines} tokens in the lines, {used} used: {}", json!(lines)));
    }
    faults
}

fn is_tokens(line: &Value) -> bool {
    line["meter"].as_str().is_some_and(|meter| meter.ends_with("tokens"))
}
