//! Reading bodies with the chunks that they are made of, the same in every database.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use tachograph_record::{OrgId, RecordId};
use uuid::Uuid;

use crate::rollup::Session;
use crate::tables::{BodyColumns, Held, Source as _, read_chunk, read_row};
use crate::{StoreError, StoredRecord, chunks, sql};

/// Chunks of one statement.
const CHUNKS: usize = 1_000;

async fn chunks<S: Session>(
    session: &mut S,
    org: Uuid,
    day: i64,
    hashes: &[Uuid],
    found: &mut HashMap<Uuid, Bytes>,
) -> Result<(), StoreError> {
    for some in hashes.chunks(CHUNKS) {
        for row in session.all(sql::chunks(org, day, some)).await? {
            let (hash, chunk) = read_chunk(&row).await?;
            found.insert(hash, chunk);
        }
    }
    Ok(())
}

async fn unpacked(held: Option<Held>, chunks: &HashMap<Uuid, Bytes>) -> Result<Bytes, StoreError> {
    match held {
        Some(held) => held.unpack(chunks).await,
        None => Ok(Bytes::new()),
    }
}

/// One row with its bodies.
pub(crate) async fn fetch<S: Session>(
    session: &mut S,
    org: OrgId,
    id: RecordId,
) -> Result<Option<StoredRecord>, StoreError> {
    let rows = session.all(sql::record(org, id)).await?;
    let Some(source) = rows.first() else { return Ok(None) };
    let row = read_row(source)?;
    let request = Held::read(source, &sql::REQUEST_BODY)?;
    let response = Held::read(source, &sql::RESPONSE_BODY)?;
    let hashes: Vec<Uuid> = [&request, &response].into_iter().flatten().flat_map(Held::chunks).collect();
    let (day, mut found) = (chunks::day(row.timing.received_at.micros()), HashMap::new());
    chunks(session, org.uuid(), day, &hashes, &mut found).await?;
    let (request, response) = (unpacked(request, &found).await?, unpacked(response, &found).await?);
    Ok(Some(StoredRecord { row, request, response }))
}

/// The bodies of several rows: id, request, answer.
pub(crate) async fn bodies<S: Session>(
    session: &mut S,
    org: OrgId,
    ids: &[RecordId],
) -> Result<Vec<(RecordId, Bytes, Bytes)>, StoreError> {
    const COLUMNS: BodyColumns = BodyColumns { codec: "codec", raw_len: "raw_len", data: "data" };
    let (mut held, mut wanted) = (Vec::new(), BTreeMap::<i64, Vec<Uuid>>::new());
    for source in session.all(sql::bodies(org, ids)).await? {
        let day = chunks::day(source.some_int("received_at")?);
        let body = Held::read(&source, &COLUMNS)?;
        wanted.entry(day).or_default().extend(body.iter().flat_map(Held::chunks));
        held.push((RecordId::from(source.some_id("id")?), source.some_text("side")?, day, body));
    }
    let mut found: BTreeMap<i64, HashMap<Uuid, Bytes>> = BTreeMap::new();
    for (day, mut hashes) in wanted {
        hashes.sort_unstable();
        hashes.dedup();
        chunks(session, org.uuid(), day, &hashes, found.entry(day).or_default()).await?;
    }
    let (none, mut all) = (HashMap::new(), HashMap::<RecordId, (Bytes, Bytes)>::new());
    for (id, side, day, body) in held {
        let body = unpacked(body, found.get(&day).unwrap_or(&none)).await?;
        let both = all.entry(id).or_default();
        match side.as_str() {
            "request" => both.0 = body,
            _ => both.1 = body,
        }
    }
    Ok(all.into_iter().map(|(id, (request, response))| (id, request, response)).collect())
}
