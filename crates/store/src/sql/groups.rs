//! Sums and percentiles over groups of rows.

use sqlx::QueryBuilder;
use tachograph_record::{Money, Timestamp};

use super::Dialect;
use super::conditions::{push_conditions, push_key};
use super::former::push_rows_as_known;
use crate::StoreError;
use crate::query::{Breakdown, Every, Group, Groups, Measure, Spread};
use crate::rollup::{FIELDS, Sums};
use crate::tables::Source;

/// What the inner statement hands on for sums.
const COLUMNS: [&str; 24] = [
    "received_at",
    "outcome",
    "cost_state",
    "cost_nano",
    "cost_rest",
    "cost_outsize",
    "retry_nano",
    "retry_rest",
    "saved_nano",
    "saved_rest",
    "saved_us",
    "input_nano",
    "cache_read_nano",
    "cache_write_nano",
    "output_nano",
    "attempt_count",
    "cache_status",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "first_token_us",
    "end_us",
];

const COUNTS: [(&str, &str); 6] = [
    ("requests", "COUNT(*)"),
    ("errors", "COUNT(CASE WHEN g.outcome NOT IN ('complete', 'client_gone') THEN 1 END)"),
    ("unpriced", "COUNT(CASE WHEN g.cost_state IN ('unknown_model', 'invalid_usage') THEN 1 END)"),
    ("first_tokens", "COUNT(g.first_token_us)"),
    ("cache_asked", "COUNT(g.cache_status)"),
    ("cache_served", "COUNT(CASE WHEN g.cache_status <> 'miss' THEN 1 END)"),
];

/// Each is summed in two halves, `n >> 32` and `n & 0xFFFFFFFF`, which no number of rows that fits on a disk makes
/// overflow; a plain sum of 64-bit numbers would after a few large ones.
const SUMS: [(&str, &str); 21] = [
    ("cost_nano", "g.cost_nano"),
    ("cost_rest", "g.cost_rest"),
    ("retry_nano", "g.retry_nano"),
    ("retry_rest", "g.retry_rest"),
    ("saved_nano", "g.saved_nano"),
    ("saved_rest", "g.saved_rest"),
    ("input_nano", "g.input_nano"),
    ("cache_read_nano", "g.cache_read_nano"),
    ("cache_write_nano", "g.cache_write_nano"),
    ("output_nano", "g.output_nano"),
    ("retries", "(CASE WHEN g.attempt_count > 1 THEN g.attempt_count - 1 END)"),
    ("input_tokens", "g.input_tokens"),
    ("cache_read_tokens", "g.cache_read_tokens"),
    ("cache_write_tokens", "g.cache_write_tokens"),
    ("output_tokens", "g.output_tokens"),
    ("reasoning_tokens", "g.reasoning_tokens"),
    ("latency_us", "g.end_us"),
    ("first_token_us", "g.first_token_us"),
    (
        "generated_tokens",
        "(CASE WHEN g.output_tokens > 0 AND g.end_us > COALESCE(g.first_token_us, 0) THEN g.output_tokens END)",
    ),
    (
        "generating_us",
        "(CASE WHEN g.output_tokens > 0 AND g.end_us > COALESCE(g.first_token_us, 0) \
         THEN g.end_us - COALESCE(g.first_token_us, 0) END)",
    ),
    ("saved_us", "g.saved_us"),
];

/// Buckets of one answer at most.
const MOST_BUCKETS: i64 = 2_000_000;

fn key(at: usize) -> String {
    format!("k{at}")
}

/// `SELECT` the groups' keys and, with `columns`, what is summed `FROM` the rows that are picked.
fn push_inner<D: Dialect>(sql: &mut QueryBuilder<D>, asked: &Breakdown, columns: impl FnOnce(&mut QueryBuilder<D>)) {
    sql.push("SELECT ");
    for (at, field) in asked.by.iter().enumerate() {
        push_key(sql, field);
        sql.push(" AS ").push(key(at)).push(", ");
    }
    if let Some(Every { micros, offset }) = asked.every {
        sql.push("r.received_at - (((r.received_at + ");
        D::bind_int(sql, offset);
        for sign in [") % ", " + ", ") % "] {
            sql.push(sign);
            D::bind_int(sql, micros);
        }
        sql.push(") AS at, ");
    }
    columns(sql);
    match asked.as_known {
        None => drop(sql.push(" FROM requests r")),
        Some(at) => push_rows_as_known(sql, asked.org, at),
    }
    push_conditions(sql, asked.org, &asked.filter);
}

fn push_keys<D: Dialect>(sql: &mut QueryBuilder<D>, asked: &Breakdown) {
    for at in 0..asked.by.len() {
        sql.push("g.").push(key(at)).push(", ");
    }
    if asked.every.is_some() {
        sql.push("g.at, ");
    }
}

/// ` GROUP BY` the keys, and `more`, where there is any.
fn push_group_by<D: Dialect>(sql: &mut QueryBuilder<D>, asked: &Breakdown, more: Option<&'static str>) {
    let mut names: Vec<String> = (0..asked.by.len()).map(|at| format!("g.{}", key(at))).collect();
    names.extend(asked.every.map(|_| "g.at".to_owned()));
    names.extend(more.map(str::to_owned));
    if !names.is_empty() {
        sql.push(" GROUP BY ").push(names.join(", "));
    }
}

/// The statement for the sums of a [`Breakdown`]: one statement, so that all figures are of the same moment. It asks for
/// one group more than is wanted.
pub(crate) fn groups<D: Dialect>(asked: &Breakdown) -> QueryBuilder<D> {
    let mut sql = all_groups(asked);
    push_order(&mut sql, asked);
    sql.push(" LIMIT ");
    D::bind_int(&mut sql, i64::from(asked.most()) + 1);
    sql.push(" OFFSET ");
    D::bind_int(&mut sql, i64::from(asked.skip));
    sql
}

/// The same for all groups, in any order.
pub(crate) fn all_groups<D: Dialect>(asked: &Breakdown) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT ");
    push_keys(&mut sql, asked);
    for (name, count) in COUNTS {
        sql.push(count).push(" AS ").push(name).push(", ");
    }
    for (name, summed) in SUMS {
        sql.push(format_args!(
            "CAST(COALESCE(SUM({summed} >> 32), 0) AS BIGINT) AS {name}_high, \
             CAST(COALESCE(SUM({summed} & 4294967295), 0) AS BIGINT) AS {name}_low, "
        ));
    }
    sql.push("STRING_AGG(g.cost_outsize, ' ') AS cost_outsize, ");
    sql.push("MIN(g.received_at) AS first_at, MAX(g.received_at) AS last_at FROM (");
    push_inner(&mut sql, asked, |sql| {
        let mut list = sql.separated(", ");
        for column in COLUMNS {
            list.push(format_args!("r.{column}"));
        }
    });
    sql.push(") g");
    push_group_by(&mut sql, asked, None);
    sql
}

/// Halves put together again as a fraction, which is near enough to sort by and the same in every database.
const COST_ORDER: &str = "CAST(COALESCE(SUM(g.cost_nano >> 32), 0) AS DOUBLE PRECISION) * 4294967296.0 \
                          + CAST(COALESCE(SUM(g.cost_nano & 4294967295), 0) AS DOUBLE PRECISION)";
const TOKENS_ORDER: &str = "(CAST(COALESCE(SUM(g.input_tokens >> 32), 0) AS DOUBLE PRECISION) \
                            + CAST(COALESCE(SUM(g.output_tokens >> 32), 0) AS DOUBLE PRECISION)) * 4294967296.0 \
                            + (CAST(COALESCE(SUM(g.input_tokens & 4294967295), 0) AS DOUBLE PRECISION) \
                            + CAST(COALESCE(SUM(g.output_tokens & 4294967295), 0) AS DOUBLE PRECISION))";
const LATENCY_ORDER: &str = "(CAST(COALESCE(SUM(g.end_us >> 32), 0) AS DOUBLE PRECISION) * 4294967296.0 \
                             + CAST(COALESCE(SUM(g.end_us & 4294967295), 0) AS DOUBLE PRECISION)) / COUNT(*)";

fn push_order<D: Dialect>(sql: &mut QueryBuilder<D>, asked: &Breakdown) {
    if asked.by.is_empty() && asked.every.is_none() {
        return;
    }
    sql.push(" ORDER BY ");
    if asked.every.is_some() {
        sql.push("g.at, ");
    }
    sql.push(match asked.order {
        Measure::Requests => COUNTS[0].1,
        Measure::Cost => COST_ORDER,
        Measure::Errors => COUNTS[1].1,
        Measure::Tokens => TOKENS_ORDER,
        Measure::Latency => LATENCY_ORDER,
        Measure::LastAt => "MAX(g.received_at)",
        Measure::FirstAt => "MIN(g.received_at)",
    });
    sql.push(if asked.ascending { "" } else { " DESC" });
    for at in 0..asked.by.len() {
        let key = key(at);
        sql.push(format_args!(", g.{key} IS NULL, g.{key}")).push(D::BYTEWISE);
    }
}

/// The answer of [`groups`]. Without fields and spans it is one group, though nothing was picked.
pub(crate) fn read_groups<S: Source>(asked: &Breakdown, sources: &[S]) -> Result<Groups, StoreError> {
    let most = asked.most() as usize;
    let groups = read_all_groups(asked, &sources[..most.min(sources.len())])?;
    Ok(Groups { more: sources.len() > most, ..groups })
}

/// The answer of [`all_groups`].
pub(crate) fn read_all_groups<S: Source>(asked: &Breakdown, sources: &[S]) -> Result<Groups, StoreError> {
    let read = |source: &S| -> Result<Group, StoreError> {
        let (keys, at) = read_keys(asked, source)?;
        Ok(Group { keys, at, totals: read_sums(source)?.totals()?, spreads: Vec::new() })
    };
    Ok(Groups { groups: sources.iter().map(read).collect::<Result<_, _>>()?, more: false })
}

type Key = (Vec<Option<String>>, Option<Timestamp>);

fn read_keys(asked: &Breakdown, source: &impl Source) -> Result<Key, StoreError> {
    let value = |(at, field): (usize, &crate::query::Field)| -> Result<Option<String>, StoreError> {
        let value = source.text(&key(at))?;
        let is_id = *field == crate::query::Field::Fact(crate::query::Fact::Key);
        Ok(value.map(|value| match uuid::Uuid::parse_str(&value) {
            Ok(id) if is_id => id.to_string(),
            _ => value,
        }))
    };
    let keys = asked.by.iter().enumerate().map(value).collect::<Result<_, _>>()?;
    let at = asked.every.map(|_| source.some_int("at")).transpose()?.map(Timestamp::from_micros);
    Ok((keys, at))
}

/// The sums of one group.
pub(crate) fn read_sums(source: &impl Source) -> Result<Sums, StoreError> {
    let half = |name: &str, which: &str| source.some_int(&format!("{name}_{which}")).map(i128::from);
    let mut sums = Sums::default();
    for (name, sum) in FIELDS.into_iter().zip(&mut sums.fields) {
        if COUNTS.iter().any(|(count, _)| *count == name) {
            *sum = source.some_int(name)?.into();
        } else if SUMS.iter().any(|(summed, _)| *summed == name) {
            *sum = (half(name, "high")? << 32) + half(name, "low")?;
        }
    }
    for outsize in source.text("cost_outsize")?.unwrap_or_default().split_ascii_whitespace() {
        let outsize: Money = outsize.parse().map_err(|why| StoreError::unreadable("cost_outsize", why))?;
        sums.add_outsize(outsize);
    }
    sums.moments = source.int("first_at")?.zip(source.int("last_at")?);
    Ok(sums)
}

/// The whole number that a sketch counts, for one row.
fn measured(spread: Spread) -> &'static str {
    match spread {
        Spread::Latency => "r.end_us",
        Spread::FirstToken => "r.first_token_us",
        Spread::InputTokens => "r.input_tokens",
        Spread::OutputTokens => "r.output_tokens",
        // Rates are rounded down to thousandths.
        Spread::MilliTokensPerSecond => {
            "CASE WHEN r.output_tokens > 0 AND r.output_tokens <= 9000000000 AND r.end_us > COALESCE(r.first_token_us, 0) \
             THEN r.output_tokens * 1000000000 / (r.end_us - COALESCE(r.first_token_us, 0)) END"
        }
        Spread::NanoCost => "r.cost_nano",
    }
}

/// `⌊log₂ v⌋ − 6`, at least 0: a search by halves over powers of two, since not every database has logarithms.
fn exponent(least: u32, greatest: u32) -> String {
    if least == greatest {
        return least.to_string();
    }
    let middle = least + (greatest - least) / 2;
    let bound = 1_u64 << (middle + 1 + crate::query::SKETCH_BITS);
    format!("CASE WHEN h.v < {bound} THEN {} ELSE {} END", exponent(least, middle), exponent(middle + 1, greatest))
}

/// The statement for the buckets of one [`Spread`], over the groups of a [`Breakdown`].
pub(crate) fn buckets<D: Dialect>(asked: &Breakdown, spread: Spread) -> QueryBuilder<D> {
    let bits = crate::query::SKETCH_BITS;
    let mut sql = QueryBuilder::new("SELECT ");
    push_keys(&mut sql, asked);
    sql.push(format_args!("(g.e << {bits}) + CAST(g.v >> g.e AS INTEGER) AS bucket, COUNT(*) AS held FROM (SELECT "));
    for at in 0..asked.by.len() {
        sql.push("h.").push(key(at)).push(", ");
    }
    if asked.every.is_some() {
        sql.push("h.at, ");
    }
    sql.push("h.v, ").push(exponent(0, 56)).push(" AS e FROM (");
    push_inner(&mut sql, asked, |sql| {
        // Negative values count as nothing: they are no values of what is measured.
        let measured = measured(spread);
        sql.push(format_args!("CASE WHEN {measured} < 0 THEN 0 ELSE {measured} END AS v"));
    });
    sql.push(") h WHERE h.v IS NOT NULL) g");
    push_group_by(&mut sql, asked, Some("bucket"));
    sql.push(" LIMIT ");
    D::bind_int(&mut sql, MOST_BUCKETS);
    sql
}

/// Reads the answer of [`buckets`] into the groups that were read before.
pub(crate) fn read_buckets<S: Source>(asked: &Breakdown, groups: &mut Groups, sources: &[S]) -> Result<(), StoreError> {
    if i64::try_from(sources.len()).is_ok_and(|read| read >= MOST_BUCKETS) {
        return Err(StoreError::Failed("too many groups for percentiles; ask for fewer at a time".into()));
    }
    let mut places = std::collections::HashMap::with_capacity(groups.groups.len());
    for (place, group) in groups.groups.iter_mut().enumerate() {
        group.spreads.push(crate::query::Sketch::default());
        places.insert((group.keys.clone(), group.at), place);
    }
    for source in sources {
        let bucket = u16::try_from(source.some_int("bucket")?).map_err(|why| StoreError::unreadable("bucket", why))?;
        let held = source.some_count("held")?;
        if let Some(&place) = places.get(&read_keys(asked, source)?)
            && let Some(sketch) = groups.groups[place].spreads.last_mut()
        {
            sketch.add_bucket(bucket, held);
        }
    }
    Ok(())
}
