//! The functions that users' SQL may call, and how each database writes them.

use super::Flavour;

/// A function: its name, its arguments, and its SQL, in which `$1` to `$3` are the arguments.
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) arguments: usize,
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    /// May stand before `OVER`.
    Aggregate,
    /// Must stand before `OVER`.
    Window,
}

const fn plain(name: &'static str, arguments: usize, sql: &'static str) -> Known {
    Known { name, arguments, sqlite: sql, postgres: sql, kind: Kind::Plain }
}

const fn each(name: &'static str, arguments: usize, sqlite: &'static str, postgres: &'static str) -> Known {
    Known { name, arguments, sqlite, postgres, kind: Kind::Plain }
}

const fn aggregate(name: &'static str, arguments: usize, sql: &'static str) -> Known {
    Known { name, arguments, sqlite: sql, postgres: sql, kind: Kind::Aggregate }
}

const fn window(name: &'static str, arguments: usize, sql: &'static str) -> Known {
    Known { name, arguments, sqlite: sql, postgres: sql, kind: Kind::Window }
}

/// Names in lower case. Those of ClickHouse stand beside those of the standard: people copy them from Helicone's docs.
const KNOWN: &[Known] = &[
    aggregate("count", 0, "COUNT(*)"),
    aggregate("count", 1, "COUNT($1)"),
    aggregate("sum", 1, "SUM($1)"),
    aggregate("avg", 1, "AVG($1)"),
    aggregate("min", 1, "MIN($1)"),
    aggregate("max", 1, "MAX($1)"),
    aggregate("countif", 1, "COUNT(CASE WHEN $1 THEN 1 END)"),
    aggregate("sumif", 2, "SUM(CASE WHEN $2 THEN $1 END)"),
    aggregate("avgif", 2, "AVG(CASE WHEN $2 THEN $1 END)"),
    aggregate("uniq", 1, "COUNT(DISTINCT $1)"),
    aggregate("uniqexact", 1, "COUNT(DISTINCT $1)"),
    window("row_number", 0, "ROW_NUMBER()"),
    window("rank", 0, "RANK()"),
    window("dense_rank", 0, "DENSE_RANK()"),
    window("percent_rank", 0, "PERCENT_RANK()"),
    window("cume_dist", 0, "CUME_DIST()"),
    window("ntile", 1, "NTILE($1)"),
    window("lag", 1, "LAG($1)"),
    window("lead", 1, "LEAD($1)"),
    window("first_value", 1, "FIRST_VALUE($1)"),
    window("last_value", 1, "LAST_VALUE($1)"),
    plain("abs", 1, "ABS($1)"),
    each("round", 1, "ROUND($1)", "ROUND(CAST($1 AS numeric))"),
    each("round", 2, "ROUND($1, $2)", "ROUND(CAST($1 AS numeric), $2)"),
    plain("coalesce", 2, "COALESCE($1, $2)"),
    plain("coalesce", 3, "COALESCE($1, $2, $3)"),
    plain("ifnull", 2, "COALESCE($1, $2)"),
    plain("nullif", 2, "NULLIF($1, $2)"),
    plain("if", 3, "CASE WHEN $1 THEN $2 ELSE $3 END"),
    plain("lower", 1, "LOWER($1)"),
    plain("upper", 1, "UPPER($1)"),
    plain("length", 1, "LENGTH($1)"),
    plain("trim", 1, "TRIM($1)"),
    plain("substr", 2, "SUBSTR($1, $2)"),
    plain("substr", 3, "SUBSTR($1, $2, $3)"),
    plain("substring", 2, "SUBSTR($1, $2)"),
    plain("substring", 3, "SUBSTR($1, $2, $3)"),
    each("strpos", 2, "INSTR($1, $2)", "STRPOS($1, $2)"),
    each("instr", 2, "INSTR($1, $2)", "STRPOS($1, $2)"),
    each("greatest", 2, "MAX($1, $2)", "GREATEST($1, $2)"),
    each("least", 2, "MIN($1, $2)", "LEAST($1, $2)"),
    plain("isnull", 1, "($1 IS NULL)"),
    plain("isnotnull", 1, "($1 IS NOT NULL)"),
    // Moments are text: `2026-11-24 10:20:30.123456`, in UTC.
    each(
        "now",
        0,
        "strftime('%Y-%m-%d %H:%M:%S', 'now')",
        "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')",
    ),
    each("today", 0, "strftime('%Y-%m-%d', 'now')", "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')"),
    each(
        "days_ago",
        1,
        "strftime('%Y-%m-%d %H:%M:%S', unixepoch('now') - 86400 * ($1), 'unixepoch')",
        "to_char(now() AT TIME ZONE 'UTC' - ($1) * INTERVAL '1 day', 'YYYY-MM-DD HH24:MI:SS')",
    ),
    each(
        "hours_ago",
        1,
        "strftime('%Y-%m-%d %H:%M:%S', unixepoch('now') - 3600 * ($1), 'unixepoch')",
        "to_char(now() AT TIME ZONE 'UTC' - ($1) * INTERVAL '1 hour', 'YYYY-MM-DD HH24:MI:SS')",
    ),
    plain("todate", 1, "SUBSTR($1, 1, 10)"),
    plain("date", 1, "SUBSTR($1, 1, 10)"),
    plain("tohour", 1, "CAST(SUBSTR($1, 12, 2) AS INTEGER)"),
    plain("tostartofminute", 1, "(SUBSTR($1, 1, 16) || ':00')"),
    plain("tostartofhour", 1, "(SUBSTR($1, 1, 13) || ':00:00')"),
    plain("tostartofday", 1, "(SUBSTR($1, 1, 10) || ' 00:00:00')"),
    plain("tostartofmonth", 1, "(SUBSTR($1, 1, 7) || '-01')"),
    plain("tostring", 1, "CAST($1 AS TEXT)"),
];

/// `date_trunc('hour', moment)`, by its unit.
pub(super) const UNITS: [(&str, &str); 5] = [
    ("minute", "tostartofminute"),
    ("hour", "tostartofhour"),
    ("day", "tostartofday"),
    ("month", "tostartofmonth"),
    ("date", "todate"),
];

pub(super) fn known(name: &str, arguments: usize) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name && known.arguments == arguments)
}

pub(super) fn names() -> String {
    let mut names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
    names.dedup();
    names.join(", ")
}

impl Known {
    /// The call with its arguments written.
    pub(super) fn call(&self, flavour: Flavour, arguments: &[String], distinct: bool) -> String {
        let template = if flavour == Flavour::Sqlite { self.sqlite } else { self.postgres };
        let mut call = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('$') {
            let index = rest[at + 1..].chars().next().and_then(|digit| digit.to_digit(10)).unwrap_or(1) as usize;
            call.push_str(&rest[..at]);
            if distinct && call.ends_with('(') {
                call.push_str("DISTINCT ");
            }
            call.push_str(arguments.get(index - 1).map_or("NULL", String::as_str));
            rest = &rest[at + 2..];
        }
        call.push_str(rest);
        call
    }
}
