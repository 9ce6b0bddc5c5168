//! Writing rows into Postgres by `COPY … (FORMAT binary)`, the quickest way in; it knows no `ON CONFLICT`, so it is for rows
//! that are not there. <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4>

use std::collections::HashSet;

use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::error::sort;
use crate::StoreError;
use crate::tables::{Column, Table, Value};
use crate::text;

const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: [u8; 2] = (-1_i16).to_be_bytes();
const NULL: [u8; 4] = (-1_i32).to_be_bytes();
/// Bytes that are sent together.
const PIECE: usize = 256 << 10;

/// Which of these rows are there: organisation and id.
pub(super) async fn known(
    connection: &mut PgConnection,
    ids: &[(Uuid, Uuid)],
) -> Result<HashSet<(Uuid, Uuid)>, StoreError> {
    let (orgs, ids): (Vec<Uuid>, Vec<Uuid>) = ids.iter().copied().unzip();
    let query = sqlx::query(
        "SELECT r.org_id, r.id FROM UNNEST($1, $2) AS n (org_id, id) JOIN requests r ON r.org_id = n.org_id AND r.id = n.id",
    );
    let rows = query.bind(orgs).bind(ids).fetch_all(connection).await.map_err(sort)?;
    rows.iter().map(|row| Ok((row.try_get(0).map_err(sort)?, row.try_get(1).map_err(sort)?))).collect()
}

/// Writes rows, all of them or none: where one is there already, the transaction is to be rolled back.
pub(super) async fn copy<T>(
    connection: &mut PgConnection,
    table: &Table<T>,
    items: impl Iterator<Item = &T>,
) -> Result<(), sqlx::Error> {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let statement = format!("COPY {} ({}) FROM STDIN (FORMAT binary)", table.name, names.join(", "));
    let mut open = connection.copy_in_raw(&statement).await?;
    let mut piece = Vec::with_capacity(PIECE + (16 << 10));
    piece.extend_from_slice(HEAD);
    let count = i16::try_from(table.columns.len()).unwrap_or(i16::MAX).to_be_bytes();
    for item in items {
        piece.extend_from_slice(&count);
        for column in table.columns {
            push(&mut piece, column, item)?;
        }
        if piece.len() >= PIECE {
            open.send(piece.as_slice()).await?;
            piece.clear();
        }
    }
    piece.extend_from_slice(&END);
    open.send(piece.as_slice()).await?;
    open.finish().await?;
    Ok(())
}

fn push<T>(piece: &mut Vec<u8>, column: &Column<T>, item: &T) -> Result<(), sqlx::Error> {
    match column.value {
        Value::Id(value) => field(piece, value(item).as_ref().map(|id| id.as_bytes().as_slice())),
        Value::Int(value) => field(piece, value(item).map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice)),
        Value::Small(value) => field(piece, value(item).map(i32::to_be_bytes).as_ref().map(<[u8; 4]>::as_slice)),
        Value::Flag(value) => field(piece, Some(&[u8::from(value(item))])),
        Value::Text(value) => {
            let text = value(item).map(text::stored);
            field(piece, text.as_deref().map(str::as_bytes))
        }
        // jsonb is a version and the text.
        Value::Object(value) => match value(item) {
            None => field(piece, None),
            Some(text) => {
                piece.extend_from_slice(&length(text.len() + 1)?);
                piece.push(1);
                piece.extend_from_slice(text.as_bytes());
                Ok(())
            }
        },
        Value::Bytes(value) => field(piece, Some(value(item))),
    }
}

fn field(piece: &mut Vec<u8>, value: Option<&[u8]>) -> Result<(), sqlx::Error> {
    match value {
        None => piece.extend_from_slice(&NULL),
        Some(bytes) => {
            piece.extend_from_slice(&length(bytes.len())?);
            piece.extend_from_slice(bytes);
        }
    }
    Ok(())
}

/// A field holds 1 GiB at most, at the server too.
fn length(bytes: usize) -> Result<[u8; 4], sqlx::Error> {
    i32::try_from(bytes).map(i32::to_be_bytes).map_err(|why| sqlx::Error::Encode(why.into()))
}
