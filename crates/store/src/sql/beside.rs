//! What stands beside rows: marks, documents, bodies by themselves, names of properties.

use std::collections::{BTreeMap, HashMap};

use sqlx::QueryBuilder;
use tachograph_record::{OrgId, RecordId, Timestamp};
use uuid::Uuid;

use super::{Dialect, push_columns, push_conditions};
use crate::document::Document;
use crate::marks::{Mark, MarkKind, Marked, Marks};
use crate::tables::{DOCUMENTS, Source, read_document};
use crate::{Filter, StoreError, text};

/// Sets one mark, in the place of one of the same kind and name.
pub(crate) fn put_mark<D: Dialect>(org: OrgId, mark: &Mark) -> QueryBuilder<D> {
    let (table, column) = table(&mark.on);
    let mut sql = QueryBuilder::new(format!(
        "INSERT INTO {table} (org_id, {column}, kind, name, text, micro, made_at, key_id) VALUES ("
    ));
    D::bind_id(&mut sql, org.uuid());
    sql.push(", ");
    bind_marked(&mut sql, &mark.on);
    for value in [mark.kind.code(), &mark.name] {
        sql.push(", ");
        D::bind_text(&mut sql, &text::stored(value));
    }
    sql.push(", ");
    match &mark.text {
        Some(value) => D::bind_text(&mut sql, &text::stored(value)),
        None => drop(sql.push("NULL")),
    }
    sql.push(", ");
    match mark.micro {
        Some(micro) => D::bind_int(&mut sql, micro),
        None => drop(sql.push("NULL")),
    }
    sql.push(", ");
    D::bind_int(&mut sql, mark.at.micros());
    sql.push(", ");
    match mark.key {
        Some(key) => D::bind_id(&mut sql, key.uuid()),
        None => drop(sql.push("NULL")),
    }
    sql.push(format_args!(
        ") ON CONFLICT (org_id, {column}, kind, name) DO UPDATE SET text = excluded.text, micro = excluded.micro, \
         made_at = excluded.made_at, key_id = excluded.key_id"
    ));
    sql
}

/// Takes one mark away.
pub(crate) fn remove_mark<D: Dialect>(org: OrgId, on: &Marked, kind: MarkKind, name: &str) -> QueryBuilder<D> {
    let (table, column) = table(on);
    let mut sql = QueryBuilder::new(format!("DELETE FROM {table} WHERE org_id = "));
    D::bind_id(&mut sql, org.uuid());
    sql.push(format_args!(" AND {column} = "));
    bind_marked(&mut sql, on);
    sql.push(" AND kind = ");
    D::bind_text(&mut sql, kind.code());
    sql.push(" AND name = ");
    D::bind_text(&mut sql, &text::stored(name));
    sql
}

fn table(on: &Marked) -> (&'static str, &'static str) {
    match on {
        Marked::Request(_) => ("request_marks", "id"),
        Marked::Session(_) => ("session_marks", "session_id"),
    }
}

fn bind_marked<D: Dialect>(sql: &mut QueryBuilder<D>, on: &Marked) {
    match on {
        Marked::Request(id) => D::bind_id(sql, id.uuid()),
        Marked::Session(id) => D::bind_text(sql, &text::stored(id)),
    }
}

/// The marks of some requests.
pub(crate) fn marks<D: Dialect>(org: OrgId, ids: &[RecordId]) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT m.id, m.kind, m.name, m.text, m.micro, m.made_at FROM request_marks m");
    push_ids(&mut sql, "m", org, ids);
    sql
}

/// ` WHERE` the id of `alias` is one of these; none of none.
fn push_ids<D: Dialect>(sql: &mut QueryBuilder<D>, alias: &'static str, org: OrgId, ids: &[RecordId]) {
    sql.push(format_args!(" WHERE {alias}.org_id = "));
    D::bind_id(sql, org.uuid());
    if ids.is_empty() {
        sql.push(" AND 1 = 0");
        return;
    }
    for (at, id) in ids.iter().enumerate() {
        match at {
            0 => sql.push(format_args!(" AND {alias}.id IN (")),
            _ => sql.push(", "),
        };
        D::bind_id(sql, id.uuid());
    }
    sql.push(")");
}

/// The answer of [`marks`].
pub(crate) fn read_marks<S: Source>(sources: &[S]) -> Result<HashMap<RecordId, Marks>, StoreError> {
    let mut all: HashMap<RecordId, Marks> = HashMap::new();
    for source in sources {
        let id: RecordId = source.some_id("id")?.into();
        all.entry(id).or_default().add(read_mark(source, Marked::Request(id))?);
    }
    Ok(all)
}

/// The marks of one session.
pub(crate) fn session_marks<D: Dialect>(org: OrgId, session: &str) -> QueryBuilder<D> {
    let mut sql =
        QueryBuilder::new("SELECT m.kind, m.name, m.text, m.micro, m.made_at FROM session_marks m WHERE m.org_id = ");
    D::bind_id(&mut sql, org.uuid());
    sql.push(" AND m.session_id = ");
    D::bind_text(&mut sql, &text::stored(session));
    sql
}

/// The answer of [`session_marks`].
pub(crate) fn read_session_marks<S: Source>(session: &str, sources: &[S]) -> Result<Marks, StoreError> {
    let mut marks = Marks::default();
    for source in sources {
        marks.add(read_mark(source, Marked::Session(session.to_owned()))?);
    }
    Ok(marks)
}

fn read_mark(source: &impl Source, on: Marked) -> Result<Mark, StoreError> {
    Ok(Mark {
        on,
        kind: source.some_text("kind")?.parse().map_err(|why| StoreError::unreadable("kind", why))?,
        name: source.some_text("name")?,
        text: source.text("text")?,
        micro: source.int("micro")?,
        at: Timestamp::from_micros(source.some_int("made_at")?),
        key: None,
    })
}

/// The bodies of some requests.
pub(crate) fn bodies<D: Dialect>(org: OrgId, ids: &[RecordId]) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT b.id, b.side, b.received_at, b.codec, b.raw_len, b.data FROM bodies b");
    push_ids(&mut sql, "b", org, ids);
    sql
}

/// Chunks of a day by their hashes.
pub(crate) fn chunks<D: Dialect>(org: Uuid, day: i64, hashes: &[Uuid]) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT c.hash, c.codec, c.raw_len, c.data FROM chunks c WHERE c.day = ");
    D::bind_int(&mut sql, day);
    sql.push(" AND c.org_id = ");
    D::bind_id(&mut sql, org);
    for (at, hash) in hashes.iter().enumerate() {
        sql.push(if at == 0 { " AND c.hash IN (" } else { ", " });
        D::bind_id(&mut sql, *hash);
    }
    sql.push(if hashes.is_empty() { " AND 1 = 0" } else { ")" });
    sql
}

/// How many of the rows have a property of each name, as it was sent.
pub(crate) fn property_names<D: Dialect>(org: OrgId, filter: &Filter, most: u32) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT p.key AS name, COUNT(*) AS requests FROM requests r ");
    sql.push(D::PROPERTY_NAMES);
    push_conditions(&mut sql, org, filter);
    sql.push(" GROUP BY p.key ORDER BY COUNT(*) DESC, p.key").push(D::BYTEWISE).push(" LIMIT ");
    D::bind_int(&mut sql, i64::from(most));
    sql
}

/// And how many have one that was added later and not sent.
pub(crate) fn added_property_names<D: Dialect>(org: OrgId, filter: &Filter, most: u32) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new(
        "SELECT m.name AS name, COUNT(*) AS requests FROM requests r \
         JOIN request_marks m ON m.org_id = r.org_id AND m.id = r.id AND m.kind = 'property' AND ",
    );
    sql.push(D::NO_SUCH_PROPERTY);
    push_conditions(&mut sql, org, filter);
    sql.push(" GROUP BY m.name ORDER BY COUNT(*) DESC, m.name").push(D::BYTEWISE).push(" LIMIT ");
    D::bind_int(&mut sql, i64::from(most));
    sql
}

/// Names and counts.
pub(crate) fn read_name_counts<S: Source>(sources: &[S]) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for source in sources {
        *counts.entry(source.some_text("name")?).or_default() += source.some_count("requests")?;
    }
    Ok(counts)
}

/// Names and counts with those that came later, the most frequent first.
pub(crate) fn read_names<S: Source>(
    mut counts: BTreeMap<String, u64>,
    added: &[S],
    most: u32,
) -> Result<Vec<(String, u64)>, StoreError> {
    for (name, count) in read_name_counts(added)? {
        *counts.entry(name).or_default() += count;
    }
    let mut names: Vec<_> = counts.into_iter().collect();
    names.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    names.truncate(most as usize);
    Ok(names)
}

/// Documents of one kind, oldest first.
pub(crate) fn documents<D: Dialect>(org: OrgId, kind: &str) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("SELECT ");
    push_columns(&mut sql, &DOCUMENTS);
    sql.push(" FROM documents r WHERE r.org_id = ");
    D::bind_id(&mut sql, org.uuid());
    sql.push(" AND r.kind = ");
    D::bind_text(&mut sql, kind);
    sql.push(" ORDER BY r.made_at, r.id");
    sql
}

/// Writes a document, in the place of the one before.
pub(crate) fn put_document<D: Dialect>(document: &Document) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("INSERT INTO documents (org_id, kind, id, made_at, body) VALUES (");
    D::bind_id(&mut sql, document.org.uuid());
    sql.push(", ");
    D::bind_text(&mut sql, &document.kind);
    sql.push(", ");
    D::bind_id(&mut sql, document.id);
    sql.push(", ");
    D::bind_int(&mut sql, document.at.micros());
    sql.push(", ");
    D::bind_text(&mut sql, &text::stored(&document.body.to_string()));
    sql.push(") ON CONFLICT (org_id, kind, id) DO UPDATE SET body = excluded.body");
    sql
}

/// Takes a document away.
pub(crate) fn remove_document<D: Dialect>(org: OrgId, kind: &str, id: Uuid) -> QueryBuilder<D> {
    let mut sql = QueryBuilder::new("DELETE FROM documents WHERE org_id = ");
    D::bind_id(&mut sql, org.uuid());
    sql.push(" AND kind = ");
    D::bind_text(&mut sql, kind);
    sql.push(" AND id = ");
    D::bind_id(&mut sql, id);
    sql
}

/// The answer of [`documents`].
pub(crate) fn read_documents<S: Source>(sources: &[S]) -> Result<Vec<Document>, StoreError> {
    sources.iter().map(|source| read_document(source)).collect()
}
