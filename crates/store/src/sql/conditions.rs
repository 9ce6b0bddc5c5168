//! The filter tree and the values of fields as SQL. What is pushed are constants of this crate; all else is bound.
//!
//! SQL's logic has three values, the tree's two. A condition on NULL is NULL, which picks nothing, as it should; only
//! behind a NOT must it become false first, and there it does.

use sqlx::QueryBuilder;
use tachograph_record::{Money, OrgId, Timestamp};

use super::Dialect;
use crate::query::{Comparison, Condition, Fact, Field, Number, Predicate, Test};
use crate::{Filter, text};

/// ` WHERE` the row is one of the organisation that the filter picks.
pub(super) fn push_conditions<D: Dialect>(sql: &mut QueryBuilder<D>, org: OrgId, filter: &Filter) {
    sql.push(" WHERE r.org_id = ");
    D::bind_id(sql, org.uuid());
    let bounds = [(" AND r.received_at >= ", filter.from), (" AND r.received_at < ", filter.until)];
    for (condition, bound) in bounds {
        if let Some(bound) = bound.map(Timestamp::micros) {
            sql.push(condition);
            D::bind_int(sql, bound);
        }
    }
    let whole = std::slice::from_ref(&filter.only);
    let parts = match &filter.only {
        Predicate::All => &[],
        Predicate::And(parts) => parts.as_slice(),
        _ => whole,
    };
    for part in parts {
        sql.push(" AND ");
        push(sql, part);
    }
}

fn push<D: Dialect>(sql: &mut QueryBuilder<D>, predicate: &Predicate) {
    let (parts, joint, none) = match predicate {
        Predicate::All => {
            sql.push("1 = 1");
            return;
        }
        Predicate::Is(condition) => return push_condition(sql, condition),
        Predicate::Not(inner) => {
            sql.push("NOT COALESCE(");
            push(sql, inner);
            sql.push(", FALSE)");
            return;
        }
        Predicate::And(parts) => (parts, " AND ", "1 = 1"),
        Predicate::Or(parts) => (parts, " OR ", "1 = 0"),
    };
    if parts.is_empty() {
        sql.push(none);
        return;
    }
    for (at, part) in parts.iter().enumerate() {
        sql.push(if at == 0 { "(" } else { joint });
        push(sql, part);
    }
    sql.push(")");
}

fn push_condition<D: Dialect>(sql: &mut QueryBuilder<D>, condition: &Condition) {
    let Condition { field, test } = condition;
    match (field, test) {
        // Bodies are looked into before the store is asked; what is left of them here picks nothing.
        (Field::Fact(Fact::Text), _) => {
            sql.push("1 = 0");
        }
        (Field::Fact(Fact::Tag), _) => push_mark(sql, "tag", |sql| {
            if *test != Test::Present {
                sql.push(" AND ");
                push_test(sql, test, &|sql| {
                    sql.push("m.name");
                });
            }
        }),
        (Field::Score(name), _) => push_mark(sql, "score", |sql| {
            sql.push(" AND m.name = ");
            D::bind_text(sql, &text::stored(name));
            if *test != Test::Present {
                sql.push(" AND ");
                push_test(sql, test, &|sql| {
                    sql.push("m.micro");
                });
            }
        }),
        (Field::Property(name), Test::OneOf(values)) => push_property(sql, name, values),
        (Field::Fact(Fact::Cost), Test::Number(comparison, Number::Money(amount))) => {
            push_cost(sql, *comparison, *amount);
        }
        (Field::Fact(Fact::Cost), Test::Present) => {
            sql.push("(r.cost_nano IS NOT NULL OR r.cost_outsize IS NOT NULL)");
        }
        (Field::Fact(fact @ (Fact::User | Fact::Session)), Test::OneOf(values)) => {
            let column = if *fact == Fact::User { "r.user_id" } else { "r.session_id" };
            either(sql, values, |sql, value| D::long_text_is(sql, column, &text::stored(value)));
        }
        _ => push_test(sql, test, &|sql| push_value(sql, field)),
    }
}

/// `EXISTS` a mark of this kind on the row, of which more holds.
fn push_mark<D: Dialect>(sql: &mut QueryBuilder<D>, kind: &'static str, more: impl FnOnce(&mut QueryBuilder<D>)) {
    sql.push("EXISTS (SELECT 1 FROM request_marks m WHERE m.org_id = r.org_id AND m.id = r.id AND m.kind = '");
    sql.push(kind).push("'");
    more(sql);
    sql.push(")");
}

fn either<D: Dialect>(sql: &mut QueryBuilder<D>, values: &[String], one: impl Fn(&mut QueryBuilder<D>, &str)) {
    if values.is_empty() {
        sql.push("1 = 0");
        return;
    }
    for (at, value) in values.iter().enumerate() {
        sql.push(if at == 0 { "((" } else { ") OR (" });
        one(sql, value);
    }
    sql.push("))");
}

/// What was sent counts where nothing of the name was added later.
fn push_property<D: Dialect>(sql: &mut QueryBuilder<D>, name: &str, values: &[String]) {
    let name = text::stored(name);
    sql.push("((");
    either(sql, values, |sql, value| D::property_is(sql, &name, &text::stored(value)));
    sql.push(" AND NOT ");
    let named = |sql: &mut QueryBuilder<D>| {
        sql.push(" AND m.name = ");
        D::bind_text(sql, &name);
    };
    push_mark(sql, "property", named);
    sql.push(") OR ");
    push_mark(sql, "property", |sql| {
        named(sql);
        sql.push(" AND ");
        push_test(sql, &Test::OneOf(values.to_vec()), &|sql| {
            sql.push("m.text");
        });
    });
    sql.push(")");
}

/// By both columns; what does not fit them is beyond every amount that can be asked for.
fn push_cost<D: Dialect>(sql: &mut QueryBuilder<D>, comparison: Comparison, amount: Money) {
    let (nano, rest) = amount.to_columns().unwrap_or((0, 0));
    sql.push("((r.cost_nano, r.cost_rest) ").push(comparison.sql()).push(" (");
    D::bind_int(sql, nano);
    sql.push(", ");
    D::bind_int(sql, rest);
    sql.push(")");
    sql.push(match comparison {
        Comparison::Equal => ")",
        Comparison::Less | Comparison::AtMost => " OR r.cost_outsize LIKE '-%')",
        Comparison::More | Comparison::AtLeast => " OR r.cost_outsize NOT LIKE '-%')",
    });
}

fn push_test<D: Dialect>(sql: &mut QueryBuilder<D>, test: &Test, value: &dyn Fn(&mut QueryBuilder<D>)) {
    match test {
        Test::Present => {
            value(sql);
            sql.push(" IS NOT NULL");
        }
        Test::OneOf(texts) => match texts.as_slice() {
            [] => {
                sql.push("1 = 0");
            }
            texts => {
                value(sql);
                for (at, one) in texts.iter().enumerate() {
                    sql.push(if at == 0 { " IN (" } else { ", " });
                    D::bind_text(sql, &text::stored(one));
                }
                sql.push(")");
            }
        },
        Test::Ids(ids) => match ids.as_slice() {
            [] => {
                sql.push("1 = 0");
            }
            ids => {
                value(sql);
                for (at, id) in ids.iter().enumerate() {
                    sql.push(if at == 0 { " IN (" } else { ", " });
                    D::bind_id(sql, *id);
                }
                sql.push(")");
            }
        },
        Test::Flag(flag) => {
            value(sql);
            sql.push(if *flag { " = TRUE" } else { " = FALSE" });
        }
        Test::Like(pattern) => D::like(sql, value, pattern),
        Test::Number(comparison, number) => {
            value(sql);
            sql.push(" ").push(comparison.sql()).push(" ");
            match number {
                Number::Int(int) => D::bind_int(sql, *int),
                Number::Real(real) => D::bind_real(sql, *real),
                // Amounts are compared by both columns, above.
                Number::Money(_) => {
                    sql.push("NULL");
                }
            }
        }
    }
}

/// Output tokens × 10⁶ ÷ µs, in the same steps as [`crate::query::output_rate`] and what is made of it.
const RATE: &str = "CASE WHEN r.output_tokens > 0 AND r.end_us > COALESCE(r.first_token_us, 0) \
                    THEN CAST(r.output_tokens AS DOUBLE PRECISION) * 1000000.0 \
                    / CAST(r.end_us - COALESCE(r.first_token_us, 0) AS DOUBLE PRECISION) END";

/// Each half at most half of what fits, so that the sum does.
const TOKENS: &str = "(CASE WHEN r.input_tokens > 4611686018427387903 THEN 4611686018427387903 ELSE r.input_tokens END \
                      + CASE WHEN r.output_tokens > 4611686018427387903 THEN 4611686018427387903 ELSE r.output_tokens END)";

/// To the nano-dollar; what does not fit stands at the ends.
const COST: &str = "COALESCE(r.cost_nano, CASE WHEN r.cost_outsize LIKE '-%' THEN -9223372036854775807 \
                    WHEN r.cost_outsize IS NOT NULL THEN 9223372036854775807 END)";

const FAILED: &str = "(r.outcome NOT IN ('complete', 'client_gone'))";

/// The value of a field, in brackets where it needs them.
pub(super) fn push_value<D: Dialect>(sql: &mut QueryBuilder<D>, field: &Field) {
    match field {
        Field::Fact(fact) => {
            sql.push(column(*fact));
        }
        Field::Property(name) => {
            let name = text::stored(name);
            sql.push("COALESCE((SELECT m.text FROM request_marks m WHERE m.org_id = r.org_id AND m.id = r.id ");
            sql.push("AND m.kind = 'property' AND m.name = ");
            D::bind_text(sql, &name);
            sql.push("), ");
            D::property(sql, &name);
            sql.push(")");
        }
        Field::Score(name) => {
            sql.push("(SELECT m.micro FROM request_marks m WHERE m.org_id = r.org_id AND m.id = r.id ");
            sql.push("AND m.kind = 'score' AND m.name = ");
            D::bind_text(sql, &text::stored(name));
            sql.push(")");
        }
    }
}

/// The value of a field as text, which groups are told by.
pub(super) fn push_key<D: Dialect>(sql: &mut QueryBuilder<D>, field: &Field) {
    match field {
        Field::Fact(Fact::Key) => D::id_as_text(sql, "r.key_id"),
        Field::Fact(fact @ (Fact::Stream | Fact::Failed)) => {
            sql.push("CASE WHEN ").push(column(*fact)).push(" THEN 'true' ELSE 'false' END");
        }
        Field::Fact(fact @ (Fact::Status | Fact::Attempts)) => {
            sql.push("CAST(").push(column(*fact)).push(" AS TEXT)");
        }
        field => push_value(sql, field),
    }
}

const fn column(fact: Fact) -> &'static str {
    match fact {
        Fact::Id => "r.id",
        Fact::Time => "r.received_at",
        Fact::Key => "r.key_id",
        Fact::Origin => "r.origin",
        Fact::Step => "r.step",
        Fact::Name => "r.name",
        Fact::Api => "r.api",
        Fact::Method => "r.method",
        Fact::Path => "r.path",
        Fact::Model => "r.model",
        Fact::RequestedModel => "r.requested_model",
        Fact::Provider => "r.provider",
        Fact::Stream => "r.stream",
        Fact::Status => "r.status",
        Fact::StatusClass => "(CAST(r.status / 100 AS TEXT) || 'xx')",
        Fact::Outcome => "r.outcome",
        Fact::Failed => FAILED,
        Fact::ErrorKind => "r.error_kind",
        Fact::ErrorCode => "r.error_code",
        Fact::ErrorMessage => "r.error_message",
        Fact::User => "r.user_id",
        Fact::Session => "r.session_id",
        Fact::SessionPath => "r.session_path",
        Fact::SessionName => "r.session_name",
        Fact::Prompt => "r.prompt_id",
        Fact::PromptVersion => "r.prompt_version",
        Fact::Latency => "r.end_us",
        Fact::FirstToken => "r.first_token_us",
        Fact::FirstByte => "r.first_byte_us",
        Fact::InputTokens => "r.input_tokens",
        Fact::CacheReadTokens => "r.cache_read_tokens",
        Fact::CacheWriteTokens => "r.cache_write_tokens",
        Fact::OutputTokens => "r.output_tokens",
        Fact::ReasoningTokens => "r.reasoning_tokens",
        Fact::TotalTokens => TOKENS,
        Fact::TokensPerSecond => RATE,
        Fact::Cost => COST,
        Fact::CostState => "r.cost_state",
        Fact::Cache => "r.cache_status",
        Fact::Attempts => "COALESCE(r.attempt_count, 0)",
        Fact::FinishReason => "r.finish_reason",
        Fact::ServiceTier => "r.service_tier",
        Fact::Trace => "r.trace_id",
        Fact::Span => "r.span_id",
        Fact::ParentSpan => "r.parent_span_id",
        // Bodies and tags have no single value.
        Fact::Tag | Fact::Text => "NULL",
    }
}
