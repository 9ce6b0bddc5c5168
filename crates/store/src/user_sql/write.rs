//! Writes a statement anew from its tree, node by node. What is not written here is refused.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, Distinct, DuplicateTreatment, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, JoinConstraint, JoinOperator, LimitClause, ObjectName,
    ObjectNamePart, OrderByExpr, OrderByKind, OrderBySort, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, SetOperator, SetQuantifier, Subscript, TableAlias, TableFactor, TableWithJoins, UnaryOperator, Value,
    WildcardAdditionalOptions, WindowType,
};

use super::functions::{Kind, UNITS, known, names};
use super::{BadSql, VIEWS};

/// Which database is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    Sqlite,
    Postgres,
}

impl Flavour {
    /// A name in quotes. SQLite takes an unknown name in double quotes for a text, so there it gets backticks.
    pub(super) fn quoted(self, name: &str) -> String {
        match self {
            Self::Sqlite => format!("`{}`", name.replace('`', "``")),
            Self::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }
}

/// A statement: its own `WITH` entries, each with a comma before it, and the rest.
pub(super) struct Written {
    pub(super) with: String,
    pub(super) text: String,
}

/// Subqueries within each other at most, tables of one statement, and expressions.
const DEEPEST: usize = 8;
const MOST_TABLES: usize = 12;
const MOST_EXPRESSIONS: usize = 2_000;
/// Texts put together at most: each may double what the last one made.
const MOST_JOINTS: usize = 16;

type Result<T> = std::result::Result<T, BadSql>;

fn refused<T>(what: &str) -> Result<T> {
    Err(BadSql::statement(format!("{what} is not allowed here")))
}

pub(super) fn query(query: &Query, flavour: Flavour, rows: u32) -> Result<Written> {
    let mut writer = Writer { flavour, names: Vec::new(), depth: 0, tables: 0, expressions: 0, joints: 0 };
    let mut with = String::new();
    if let Some(entries) = &query.with {
        if entries.recursive {
            return refused("WITH RECURSIVE");
        }
        for entry in &entries.cte_tables {
            if entry.from.is_some() || entry.materialized.is_some() || !entry.alias.columns.is_empty() {
                return refused("that form of WITH");
            }
            let name = name(&entry.alias.name)?;
            if VIEWS.iter().any(|view| view.name == name) || writer.names.contains(&name) {
                return Err(BadSql::statement(format!("the name `{name}` is taken")));
            }
            let body = writer.subquery(&entry.query)?;
            with.push_str(&format!(", {} AS ({body})", flavour.quoted(&name)));
            // Only what follows may use it, so that no name can mean one thing here and another to the database.
            writer.names.push(name);
        }
    }
    let text = writer.query_body(query, Some(rows))?;
    Ok(Written { with, text })
}

/// A name as it is meant: in lower case, unless it was quoted.
fn name(ident: &Ident) -> Result<String> {
    let name = match ident.quote_style {
        None => ident.value.to_lowercase(),
        Some('"' | '`') => ident.value.clone(),
        Some(_) => return refused("that kind of quotes"),
    };
    if name.is_empty() || name.contains('\0') || name.len() > 128 {
        return refused("that name");
    }
    Ok(name)
}

struct Writer {
    flavour: Flavour,
    /// Names of `WITH` that stand before.
    names: Vec<String>,
    depth: usize,
    tables: usize,
    expressions: usize,
    joints: usize,
}

impl Writer {
    fn subquery(&mut self, query: &Query) -> Result<String> {
        if query.with.is_some() {
            return refused("WITH inside another query");
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(BadSql::statement(format!("subqueries are nested more than {DEEPEST} deep")));
        }
        let text = self.query_body(query, None)?;
        self.depth -= 1;
        Ok(text)
    }

    fn query_body(&mut self, query: &Query, most: Option<u32>) -> Result<String> {
        if query.fetch.is_some()
            || !query.locks.is_empty()
            || query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            return refused("FETCH, FOR, SETTINGS or FORMAT");
        }
        let mut text = self.set(&query.body)?;
        if let Some(order) = &query.order_by {
            let (OrderByKind::Expressions(by), None) = (&order.kind, &order.interpolate) else {
                return refused("that ORDER BY");
            };
            text.push_str(" ORDER BY ");
            text.push_str(&self.ordered(by)?);
        }
        let (limit, offset) = match &query.limit_clause {
            None => (None, None),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => (
                limit.as_ref().map(count).transpose()?,
                offset.as_ref().map(|offset| count(&offset.value)).transpose()?,
            ),
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(count(limit)?), Some(count(offset)?)),
            Some(LimitClause::LimitOffset { .. }) => return refused("LIMIT BY"),
        };
        // One row more than may be told, so that it is known whether there are more.
        let limit = match (limit, most.map(|most| u64::from(most) + 1)) {
            (Some(limit), Some(most)) => Some(limit.min(most)),
            (limit, most) => limit.or(most),
        };
        if let Some(limit) = limit {
            text.push_str(&format!(" LIMIT {limit}"));
        }
        match (offset, limit, self.flavour) {
            (None, ..) => {}
            (Some(offset), None, Flavour::Sqlite) => text.push_str(&format!(" LIMIT -1 OFFSET {offset}")),
            (Some(offset), ..) => text.push_str(&format!(" OFFSET {offset}")),
        }
        Ok(text)
    }

    fn set(&mut self, set: &SetExpr) -> Result<String> {
        match set {
            SetExpr::Select(select) => self.select(select),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let operator = match (op, set_quantifier) {
                    (SetOperator::Union, SetQuantifier::All) => "UNION ALL",
                    (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => "UNION",
                    (SetOperator::Intersect, SetQuantifier::None | SetQuantifier::Distinct) => "INTERSECT",
                    (SetOperator::Except, SetQuantifier::None | SetQuantifier::Distinct) => "EXCEPT",
                    _ => return refused("that set operation"),
                };
                self.depth += 1;
                if self.depth > DEEPEST {
                    return refused("a UNION of so many");
                }
                let (left, right) = (self.set(left)?, self.set(right)?);
                self.depth -= 1;
                Ok(format!("{left} {operator} {right}"))
            }
            _ => refused("anything but SELECT"),
        }
    }

    fn select(&mut self, select: &Select) -> Result<String> {
        let plain = select.optimizer_hints.is_empty()
            && select.select_modifiers.is_none()
            && select.top.is_none()
            && select.exclude.is_none()
            && select.into.is_none()
            && select.lateral_views.is_empty()
            && select.prewhere.is_none()
            && select.connect_by.is_empty()
            && select.cluster_by.is_empty()
            && select.distribute_by.is_empty()
            && select.sort_by.is_empty()
            && select.named_window.is_empty()
            && select.qualify.is_none()
            && select.value_table_mode.is_none();
        if !plain {
            return refused("INTO, TOP, QUALIFY, PREWHERE or another special clause");
        }
        let mut text = String::from(match &select.distinct {
            None | Some(Distinct::All) => "SELECT ",
            Some(Distinct::Distinct) => "SELECT DISTINCT ",
            Some(Distinct::On(_)) => return refused("DISTINCT ON"),
        });
        let items: Result<Vec<String>> = select.projection.iter().map(|item| self.item(item)).collect();
        text.push_str(&items?.join(", "));
        let from: Result<Vec<String>> = select.from.iter().map(|table| self.joined(table)).collect();
        let from = from?;
        if !from.is_empty() {
            text.push_str(" FROM ");
            text.push_str(&from.join(", "));
        }
        if let Some(condition) = &select.selection {
            text.push_str(" WHERE ");
            text.push_str(&self.expression(condition)?);
        }
        match &select.group_by {
            GroupByExpr::Expressions(by, modifiers) if modifiers.is_empty() => {
                if !by.is_empty() {
                    text.push_str(" GROUP BY ");
                    text.push_str(&self.list(by)?);
                }
            }
            _ => return refused("that GROUP BY"),
        }
        if let Some(condition) = &select.having {
            text.push_str(" HAVING ");
            text.push_str(&self.expression(condition)?);
        }
        Ok(text)
    }

    fn item(&mut self, item: &SelectItem) -> Result<String> {
        match item {
            SelectItem::UnnamedExpr(expression) => {
                let text = self.expression(expression)?;
                // A column keeps its name; of anything else each database would make up another.
                Ok(match expression {
                    Expr::Identifier(_) | Expr::CompoundIdentifier(_) => text,
                    other => {
                        let called: String = other.to_string().to_lowercase().chars().take(60).collect();
                        format!("{text} AS {}", self.flavour.quoted(&called.replace('\0', "")))
                    }
                })
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let text = self.expression(expr)?;
                Ok(format!("{text} AS {}", self.flavour.quoted(&name(alias)?)))
            }
            SelectItem::Wildcard(options) if is_plain(options) => Ok("*".into()),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(table), options)
                if is_plain(options) =>
            {
                Ok(format!("{}.*", self.flavour.quoted(&single(table)?)))
            }
            _ => refused("that column"),
        }
    }

    fn joined(&mut self, table: &TableWithJoins) -> Result<String> {
        let mut text = self.table(&table.relation)?;
        for join in &table.joins {
            if join.global {
                return refused("GLOBAL JOIN");
            }
            let (kind, constraint) = match &join.join_operator {
                JoinOperator::Join(on) | JoinOperator::Inner(on) => (" JOIN ", on),
                JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (" LEFT JOIN ", on),
                JoinOperator::CrossJoin(on @ JoinConstraint::None) => (" CROSS JOIN ", on),
                _ => return refused("that kind of JOIN"),
            };
            text.push_str(kind);
            text.push_str(&self.table(&join.relation)?);
            match constraint {
                JoinConstraint::On(condition) => {
                    text.push_str(" ON ");
                    text.push_str(&self.expression(condition)?);
                }
                JoinConstraint::Using(columns) => {
                    let columns: Result<Vec<String>> =
                        columns.iter().map(|column| Ok(self.flavour.quoted(&single(column)?))).collect();
                    text.push_str(&format!(" USING ({})", columns?.join(", ")));
                }
                JoinConstraint::None if kind == " CROSS JOIN " => {}
                JoinConstraint::None | JoinConstraint::Natural => return refused("a JOIN without ON"),
            }
        }
        Ok(text)
    }

    fn table(&mut self, table: &TableFactor) -> Result<String> {
        self.tables += 1;
        if self.tables > MOST_TABLES {
            return Err(BadSql::statement(format!("a statement reads at most {MOST_TABLES} tables")));
        }
        match table {
            TableFactor::Table {
                name: called,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                let called = single(called).map_err(|_| unknown_table(&called.to_string()))?;
                let is_view = VIEWS.iter().any(|view| view.name == called);
                if !is_view && !self.names.contains(&called) {
                    return Err(unknown_table(&called));
                }
                Ok(self.flavour.quoted(&called) + &self.alias(alias.as_ref())?)
            }
            TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                let inner = self.subquery(subquery)?;
                // Postgres before version 16 wants a name for it.
                let alias = match alias {
                    None => format!(" AS {}", self.flavour.quoted(&format!("unnamed_{}", self.tables))),
                    alias => self.alias(alias.as_ref())?,
                };
                Ok(format!("({inner}){alias}"))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                Ok(format!("({})", self.joined(table_with_joins)?))
            }
            TableFactor::Table { name, .. } => Err(unknown_table(&name.to_string())),
            _ => refused("a table function"),
        }
    }

    fn alias(&self, alias: Option<&TableAlias>) -> Result<String> {
        match alias {
            None => Ok(String::new()),
            Some(alias) if alias.columns.is_empty() => Ok(format!(" AS {}", self.flavour.quoted(&name(&alias.name)?))),
            Some(_) => refused("naming the columns of a table"),
        }
    }

    fn ordered(&mut self, by: &[OrderByExpr]) -> Result<String> {
        let one = |writer: &mut Self, one: &OrderByExpr| -> Result<String> {
            if one.with_fill.is_some() {
                return refused("WITH FILL");
            }
            let text = writer.expression(&one.expr)?;
            let direction = match one.options.sort {
                None | Some(OrderBySort::Asc) => "",
                Some(OrderBySort::Desc) => " DESC",
                Some(OrderBySort::Using(_)) => return refused("ORDER BY … USING"),
            };
            // Both databases the same: absent values last.
            let nulls = if one.options.nulls_first == Some(true) { " NULLS FIRST" } else { " NULLS LAST" };
            Ok(format!("{text}{direction}{nulls}"))
        };
        let all: Result<Vec<String>> = by.iter().map(|each| one(self, each)).collect();
        Ok(all?.join(", "))
    }

    fn list(&mut self, expressions: &[Expr]) -> Result<String> {
        let all: Result<Vec<String>> = expressions.iter().map(|one| self.expression(one)).collect();
        Ok(all?.join(", "))
    }

    fn expression(&mut self, expression: &Expr) -> Result<String> {
        self.expressions += 1;
        if self.expressions > MOST_EXPRESSIONS {
            return Err(BadSql::statement(format!("a statement has at most {MOST_EXPRESSIONS} expressions")));
        }
        Ok(match expression {
            Expr::Identifier(ident) => self.flavour.quoted(&name(ident)?),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] => {
                    format!("{}.{}", self.flavour.quoted(&name(table)?), self.flavour.quoted(&name(column)?))
                }
                _ => return refused("a name of more than two parts"),
            },
            Expr::Value(value) => self.value(&value.value)?,
            Expr::Nested(inner) => format!("({})", self.expression(inner)?),
            Expr::IsNull(inner) => format!("({} IS NULL)", self.expression(inner)?),
            Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", self.expression(inner)?),
            Expr::IsTrue(inner) => format!("({} IS TRUE)", self.expression(inner)?),
            Expr::IsFalse(inner) => format!("({} IS FALSE)", self.expression(inner)?),
            Expr::IsNotTrue(inner) => format!("({} IS NOT TRUE)", self.expression(inner)?),
            Expr::IsNotFalse(inner) => format!("({} IS NOT FALSE)", self.expression(inner)?),
            Expr::InList { expr, list, negated } => {
                format!("({} {}IN ({}))", self.expression(expr)?, not(*negated), self.list(list)?)
            }
            Expr::InSubquery { expr, subquery, negated } => {
                format!("({} {}IN ({}))", self.expression(expr)?, not(*negated), self.subquery(subquery)?)
            }
            Expr::Exists { subquery, negated } => format!("({}EXISTS ({}))", not(*negated), self.subquery(subquery)?),
            Expr::Subquery(subquery) => format!("({})", self.subquery(subquery)?),
            Expr::Between { expr, negated, low, high } => format!(
                "({} {}BETWEEN {} AND {})",
                self.expression(expr)?,
                not(*negated),
                self.expression(low)?,
                self.expression(high)?
            ),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right)?,
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => format!("(NOT {})", self.expression(expr)?),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => format!("(- {})", self.expression(expr)?),
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                self.like(expr, pattern, *negated, false)?
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char: None } => {
                self.like(expr, pattern, *negated, true)?
            }
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
                format!("CAST({} AS {})", self.expression(expr)?, cast_type(data_type)?)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let mut text = String::from("CASE");
                if let Some(operand) = operand {
                    text.push_str(&format!(" {}", self.expression(operand)?));
                }
                for branch in conditions {
                    text.push_str(&format!(
                        " WHEN {} THEN {}",
                        self.expression(&branch.condition)?,
                        self.expression(&branch.result)?
                    ));
                }
                if let Some(other) = else_result {
                    text.push_str(&format!(" ELSE {}", self.expression(other)?));
                }
                text + " END"
            }
            Expr::Function(function) => self.function(function)?,
            Expr::Trim { trim_where: None, trim_what: None, expr, trim_characters: None } => {
                format!("TRIM({})", self.expression(expr)?)
            }
            Expr::Substring { expr, substring_from: Some(from), substring_for, .. } => {
                let (text, from) = (self.expression(expr)?, self.expression(from)?);
                match substring_for {
                    Some(length) => format!("SUBSTR({text}, {from}, {})", self.expression(length)?),
                    None => format!("SUBSTR({text}, {from})"),
                }
            }
            // properties['Team']
            Expr::CompoundFieldAccess { root, access_chain } => match access_chain.as_slice() {
                [AccessExpr::Subscript(Subscript::Index { index })] => self.member(root, index)?,
                _ => return refused("that access"),
            },
            _ => return refused("that expression"),
        })
    }

    fn binary(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<String> {
        let operator = match op {
            BinaryOperator::Plus => "+",
            BinaryOperator::Minus => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            BinaryOperator::Modulo => "%",
            BinaryOperator::Gt => ">",
            BinaryOperator::Lt => "<",
            BinaryOperator::GtEq => ">=",
            BinaryOperator::LtEq => "<=",
            BinaryOperator::Eq => "=",
            BinaryOperator::NotEq => "<>",
            BinaryOperator::And => "AND",
            BinaryOperator::Or => "OR",
            BinaryOperator::StringConcat => {
                self.joints += 1;
                if self.joints > MOST_JOINTS {
                    return refused("putting so many texts together");
                }
                "||"
            }
            BinaryOperator::LongArrow | BinaryOperator::Arrow => return self.member(left, right),
            _ => return refused("that operator"),
        };
        Ok(format!("({} {operator} {})", self.expression(left)?, self.expression(right)?))
    }

    /// `LIKE` keeps ASCII case apart and `ILIKE` does not, in both databases.
    fn like(&mut self, held: &Expr, pattern: &Expr, negated: bool, fold: bool) -> Result<String> {
        let Expr::Value(value) = pattern else { return refused("a pattern that is no text") };
        let Value::SingleQuotedString(pattern) = &value.value else { return refused("a pattern that is no text") };
        let read = crate::query::Pattern::like(pattern, fold).map_err(|bad| BadSql::statement(bad.to_string()))?;
        let held = self.expression(held)?;
        let not = not(negated);
        Ok(match (self.flavour, fold) {
            (Flavour::Sqlite, false) => {
                format!("({held} {not}GLOB {})", text(&crate::sqlite::glob_pattern(&read))?)
            }
            (Flavour::Sqlite, true) => {
                format!("({held} {not}LIKE {} ESCAPE '\\')", text(&crate::sql::like_pattern(&read))?)
            }
            (Flavour::Postgres, false) => {
                format!("({held} {not}LIKE {} ESCAPE '\\')", text(&crate::sql::like_pattern(&read))?)
            }
            (Flavour::Postgres, true) => format!(
                "(lower(({held}) COLLATE \"C\") {not}LIKE {} ESCAPE '\\')",
                text(&crate::sql::like_pattern(&read).to_ascii_lowercase())?
            ),
        })
    }

    /// A property by its name.
    fn member(&mut self, object: &Expr, key: &Expr) -> Result<String> {
        let is_properties = match object {
            Expr::Identifier(ident) => name(ident)? == "properties",
            Expr::CompoundIdentifier(parts) => parts.len() == 2 && name(&parts[1])? == "properties",
            _ => false,
        };
        let key = match key {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(key) if is_properties => text(key)?,
                _ => return refused("a member that is not properties['name']"),
            },
            _ => return refused("a member that is not properties['name']"),
        };
        let object = self.expression(object)?;
        Ok(match self.flavour {
            Flavour::Sqlite => format!("(SELECT p.atom FROM json_each({object}) AS p WHERE p.key = {key})"),
            Flavour::Postgres => format!("(CAST({object} AS jsonb) ->> {key})"),
        })
    }

    fn value(&self, value: &Value) -> Result<String> {
        Ok(match value {
            Value::Number(digits, false)
                if digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+')) =>
            {
                digits.clone()
            }
            Value::SingleQuotedString(held) => text(held)?,
            Value::Boolean(flag) => if *flag { "TRUE" } else { "FALSE" }.into(),
            Value::Null => "NULL".into(),
            _ => return refused("that kind of constant"),
        })
    }

    fn function(&mut self, function: &Function) -> Result<String> {
        let called = single(&function.name).map_err(|_| unknown_function(&function.name.to_string()))?;
        let plain = !function.uses_odbc_syntax
            && matches!(function.parameters, FunctionArguments::None)
            && function.within_group.is_empty()
            && function.null_treatment.is_none();
        let FunctionArguments::List(list) = &function.args else { return Err(unknown_function(&called)) };
        if !plain || !list.clauses.is_empty() {
            return Err(unknown_function(&called));
        }
        let mut distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
        let mut arguments = Vec::new();
        let mut unit = None;
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if called == "count" && list.args.len() == 1 => {}
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => {
                    if let (Expr::Value(value), true) = (expression, called == "date_trunc" && unit.is_none())
                        && let Value::SingleQuotedString(held) = &value.value
                    {
                        unit = Some(held.to_lowercase());
                        continue;
                    }
                    arguments.push(self.expression(expression)?);
                }
                _ => return Err(unknown_function(&called)),
            }
        }
        let of_unit =
            unit.and_then(|unit| UNITS.iter().find(|(known, _)| *known == unit)).map(|(_, function)| *function);
        let found = known(of_unit.unwrap_or(&called), arguments.len()).ok_or_else(|| unknown_function(&called))?;
        if distinct && (found.kind != Kind::Aggregate || arguments.len() != 1) {
            return refused("DISTINCT there");
        }
        // These count distinct values by themselves.
        distinct &= !found.sqlite.contains("DISTINCT");
        let mut text = found.call(self.flavour, &arguments, distinct);
        if let Some(condition) = &function.filter {
            if found.kind != Kind::Aggregate {
                return refused("FILTER there");
            }
            text.push_str(&format!(" FILTER (WHERE {})", self.expression(condition)?));
        }
        match (&function.over, found.kind) {
            (None, Kind::Plain | Kind::Aggregate) => {}
            (Some(WindowType::WindowSpec(window)), Kind::Window | Kind::Aggregate)
                if window.window_name.is_none() && window.window_frame.is_none() =>
            {
                let mut over = Vec::new();
                if !window.partition_by.is_empty() {
                    over.push(format!("PARTITION BY {}", self.list(&window.partition_by)?));
                }
                if !window.order_by.is_empty() {
                    over.push(format!("ORDER BY {}", self.ordered(&window.order_by)?));
                }
                text.push_str(&format!(" OVER ({})", over.join(" ")));
            }
            _ => return refused("that OVER"),
        }
        Ok(text)
    }
}

fn is_plain(options: &WildcardAdditionalOptions) -> bool {
    let WildcardAdditionalOptions { opt_ilike, opt_exclude, opt_except, opt_replace, opt_rename, .. } = options;
    opt_ilike.is_none()
        && opt_exclude.is_none()
        && opt_except.is_none()
        && opt_replace.is_none()
        && opt_rename.is_none()
}

fn single(called: &ObjectName) -> Result<String> {
    match called.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => name(ident),
        _ => refused("a name with dots"),
    }
}

fn unknown_table(called: &str) -> BadSql {
    let views = VIEWS.each_ref().map(|view| view.name).join(", ");
    BadSql::new("HQL_INVALID_TABLE", format!("`{called}` is no table here; there are {views}"))
}

fn unknown_function(called: &str) -> BadSql {
    BadSql::new(
        "HQL_INVALID_FUNCTION",
        format!("`{called}` is no function here, or takes other arguments; there are {}, date_trunc", names()),
    )
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

/// A text in quotes. In both databases a quote is doubled, and nothing else has a meaning.
fn text(held: &str) -> Result<String> {
    let held = crate::text::stored(held);
    Ok(format!("'{}'", held.replace('\'', "''")))
}

fn count(expression: &Expr) -> Result<u64> {
    let Expr::Value(value) = expression else { return refused("a LIMIT that is no number") };
    let Value::Number(digits, false) = &value.value else { return refused("a LIMIT that is no number") };
    digits
        .parse()
        .ok()
        .filter(|count| *count <= 1_000_000_000)
        .ok_or_else(|| BadSql::statement("that LIMIT is too large"))
}

fn cast_type(data_type: &DataType) -> Result<&'static str> {
    Ok(match data_type {
        DataType::Int(None) | DataType::Integer(None) | DataType::BigInt(None) => "BIGINT",
        DataType::Text | DataType::Varchar(None) | DataType::String(None) => "TEXT",
        DataType::Float(_) | DataType::Real | DataType::Double(_) | DataType::DoublePrecision | DataType::Float64 => {
            "DOUBLE PRECISION"
        }
        DataType::Numeric(_) | DataType::Decimal(_) => "NUMERIC",
        _ => return refused("a CAST to that type"),
    })
}
