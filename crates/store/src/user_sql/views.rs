//! The views that users' SQL reads.

use super::Flavour;

/// A view and its columns.
#[derive(Debug)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// What a row is.
    pub about: &'static str,
    /// Its columns.
    pub columns: &'static [ViewColumn],
    rest: &'static str,
}

/// A column of a view.
#[derive(Debug)]
pub struct ViewColumn {
    /// Its name.
    pub name: &'static str,
    /// `text`, `integer`, `number`, `boolean`, `json`.
    pub kind: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

const fn same(name: &'static str, kind: &'static str, sql: &'static str) -> ViewColumn {
    ViewColumn { name, kind, sqlite: sql, postgres: sql }
}

const fn each(name: &'static str, kind: &'static str, sqlite: &'static str, postgres: &'static str) -> ViewColumn {
    ViewColumn { name, kind, sqlite, postgres }
}

macro_rules! moment {
    (sqlite $micros:literal) => {
        concat!(
            "(strftime('%Y-%m-%d %H:%M:%S', ",
            $micros,
            " / 1000000, 'unixepoch') || '.' || printf('%06d', ",
            $micros,
            " % 1000000))"
        )
    };
    (postgres $micros:literal) => {
        concat!(
            "(to_char(to_timestamp(",
            $micros,
            " / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '.' || lpad(CAST(",
            $micros,
            " % 1000000 AS text), 6, '0'))"
        )
    };
}

macro_rules! id {
    (sqlite $column:literal) => {
        concat!(
            "(CASE WHEN ",
            $column,
            " IS NOT NULL THEN lower(substr(hex(",
            $column,
            "), 1, 8) || '-' || substr(hex(",
            $column,
            "), 9, 4) || '-' || substr(hex(",
            $column,
            "), 13, 4) || '-' || substr(hex(",
            $column,
            "), 17, 4) || '-' || substr(hex(",
            $column,
            "), 21)) END)"
        )
    };
}

const COST_SQLITE: &str = "(CASE WHEN r.cost_outsize IS NOT NULL THEN CAST(r.cost_outsize AS REAL) \
                           ELSE r.cost_nano / 1e9 + r.cost_rest / 1e18 END)";
const COST_POSTGRES: &str = "(CASE WHEN r.cost_outsize IS NOT NULL THEN CAST(r.cost_outsize AS numeric) \
                             ELSE CAST(r.cost_nano AS numeric) * 0.000000001 \
                             + CAST(r.cost_rest AS numeric) * 0.000000000000000001 END)";
const FRESH: &str = "(r.input_tokens - r.cache_read_tokens - r.cache_write_tokens)";
const SPOKEN: &str = "(r.output_tokens - r.reasoning_tokens)";
const STATUS: &str = "COALESCE(r.status, CASE r.outcome WHEN 'client_gone' THEN -3 ELSE -100 END)";
const MILLIS: &str = "(r.end_us / 1000)";
const TTFT: &str = "(r.first_token_us / 1000)";

const REQUESTS: &[ViewColumn] = &[
    each("request_id", "text", id!(sqlite "r.id"), "CAST(r.id AS text)"),
    each("response_id", "text", id!(sqlite "r.id"), "CAST(r.id AS text)"),
    each("organization_id", "text", id!(sqlite "r.org_id"), "CAST(r.org_id AS text)"),
    each("request_created_at", "text", moment!(sqlite "r.received_at"), moment!(postgres "r.received_at")),
    each(
        "response_created_at",
        "text",
        moment!(sqlite "(r.received_at + r.end_us)"),
        moment!(postgres "(r.received_at + r.end_us)"),
    ),
    same("received_at", "integer", "r.received_at"),
    same("status", "integer", STATUS),
    same("outcome", "text", "r.outcome"),
    same("latency", "integer", MILLIS),
    same("latency_us", "integer", "r.end_us"),
    same("time_to_first_token", "integer", TTFT),
    same("ttft_us", "integer", "r.first_token_us"),
    same("prompt_tokens", "integer", FRESH),
    same("completion_tokens", "integer", SPOKEN),
    same("reasoning_tokens", "integer", "r.reasoning_tokens"),
    same("prompt_cache_read_tokens", "integer", "r.cache_read_tokens"),
    same("prompt_cache_write_tokens", "integer", "r.cache_write_tokens"),
    same("input_tokens", "integer", "r.input_tokens"),
    same("output_tokens", "integer", "r.output_tokens"),
    same("total_tokens", "integer", "(r.input_tokens + r.output_tokens)"),
    each("cost", "number", COST_SQLITE, COST_POSTGRES),
    each("provider_total_cost", "number", COST_SQLITE, COST_POSTGRES),
    same("cost_nano", "integer", "r.cost_nano"),
    same("cost_state", "text", "r.cost_state"),
    same("provider", "text", "r.provider"),
    same("model", "text", "r.model"),
    same("response_model", "text", "r.model"),
    same("request_model", "text", "r.requested_model"),
    same("requested_model", "text", "r.requested_model"),
    same("user_id", "text", "r.user_id"),
    same("session_id", "text", "r.session_id"),
    same("session_path", "text", "r.session_path"),
    same("session_name", "text", "r.session_name"),
    same("prompt_id", "text", "r.prompt_id"),
    same("prompt_version", "text", "r.prompt_version"),
    same("api", "text", "r.api"),
    same("request_path", "text", "r.path"),
    same("target_url", "text", "r.path"),
    same("stream", "boolean", "r.stream"),
    same("finish_reason", "text", "r.finish_reason"),
    same("service_tier", "text", "r.service_tier"),
    same("error_kind", "text", "r.error_kind"),
    same("error_code", "text", "r.error_code"),
    same("error_message", "text", "r.error_message"),
    each("key_id", "text", id!(sqlite "r.key_id"), "CAST(r.key_id AS text)"),
    same("cache_status", "text", "r.cache_status"),
    same("cache_enabled", "boolean", "(r.cache_status IS NOT NULL)"),
    same("origin", "text", "r.origin"),
    same("step", "text", "r.step"),
    same("name", "text", "r.name"),
    same("trace_id", "text", "r.trace_id"),
    same("span_id", "text", "r.span_id"),
    same("parent_span_id", "text", "r.parent_span_id"),
    same("attempts", "integer", "r.attempt_count"),
    same("size_bytes", "integer", "(r.request_len + r.response_len)"),
    same("threat", "boolean", "FALSE"),
    same("country_code", "text", "''"),
    each("properties", "json", "COALESCE(r.properties, '{}')", "COALESCE(CAST(r.properties AS text), '{}')"),
    // Filled in behind the statement, where `request_id` stands beside them.
    same("request_body", "text", "CAST(NULL AS TEXT)"),
    same("response_body", "text", "CAST(NULL AS TEXT)"),
];

const SESSIONS: &[ViewColumn] = &[
    same("session_id", "text", "r.session_id"),
    same("session_name", "text", "r.session_name"),
    each("created_at", "text", moment!(sqlite "MIN(r.received_at)"), moment!(postgres "MIN(r.received_at)")),
    each(
        "latest_request_created_at",
        "text",
        moment!(sqlite "MAX(r.received_at)"),
        moment!(postgres "MAX(r.received_at)"),
    ),
    same("total_requests", "integer", "COUNT(*)"),
    each(
        "total_cost",
        "number",
        "SUM(CASE WHEN r.cost_outsize IS NOT NULL THEN CAST(r.cost_outsize AS REAL) \
         ELSE r.cost_nano / 1e9 + r.cost_rest / 1e18 END)",
        "SUM(CASE WHEN r.cost_outsize IS NOT NULL THEN CAST(r.cost_outsize AS numeric) \
         ELSE CAST(r.cost_nano AS numeric) * 0.000000001 + CAST(r.cost_rest AS numeric) * 0.000000000000000001 END)",
    ),
    same("input_tokens", "integer", "CAST(SUM(r.input_tokens) AS BIGINT)"),
    same("output_tokens", "integer", "CAST(SUM(r.output_tokens) AS BIGINT)"),
    same("total_tokens", "integer", "CAST(SUM(r.input_tokens + r.output_tokens) AS BIGINT)"),
    same("avg_latency", "number", "CAST(AVG(r.end_us) AS DOUBLE PRECISION) / 1000"),
];

/// All views. `request_response_rmt` is `requests` under the name that Helicone's users know.
pub const VIEWS: [View; 3] = [
    View { name: "request_response_rmt", about: "one call, under Helicone's name", columns: REQUESTS, rest: "" },
    View {
        name: "sessions",
        about: "one session",
        columns: SESSIONS,
        rest: " AND r.session_id IS NOT NULL GROUP BY r.session_id, r.session_name",
    },
    // The last one: to Postgres the name means the table until a view of the name was made.
    View { name: "requests", about: "one call", columns: REQUESTS, rest: "" },
];

impl View {
    /// The view as a `WITH` entry: what goes before the organisation's id, and behind it.
    pub(super) fn sql(&self, flavour: Flavour) -> (String, String) {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|column| {
                let sql = if flavour == Flavour::Sqlite { column.sqlite } else { column.postgres };
                format!("{sql} AS {}", flavour.quoted(column.name))
            })
            .collect();
        // A qualified name is never a name of `WITH`, which in SQLite one of the view's own would be.
        let table = if flavour == Flavour::Sqlite { "main.requests" } else { "requests" };
        let head =
            format!("{} AS (SELECT {} FROM {table} r WHERE r.org_id = ", flavour.quoted(self.name), columns.join(", "));
        (head, format!("{})", self.rest))
    }
}
