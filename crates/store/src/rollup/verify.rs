//! Comparing rollups with the rows they stand for.

use std::collections::BTreeMap;

use serde::Serialize;
use tachograph_record::{OrgId, Timestamp};
use uuid::Uuid;

use super::answer::state;
use super::block::{BlockReader, FIRST_WORD, MANY, Values, Words, unpack};
use super::cube::{CUBES, Cube, DIMS, FACTS, PROPERTY_NAME, PROPERTY_VALUE};
use super::fold::{Cells, block_of, fold_cells, fold_facts};
use super::span::{DAY, HOUR, MINUTE, Range};
use super::sums::{FIELDS, Sums};
use super::{Block, Fact, FactBlocks, OF_DAYS, OF_FACTS, OF_HOURS, OF_MINUTES, Session, damaged};
use crate::sql::rollups::{self, Wanted};
use crate::tables::Source as _;
use crate::{StoreError, sql};

/// Differences that are told at most.
const MOST: usize = 200;

/// A sum that rollups tell otherwise than the rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Whose rows.
    pub org: OrgId,
    /// The rollup: `calls`, `users`.
    pub cube: &'static str,
    /// `minute`, `hour` or `day`.
    pub length: &'static str,
    /// Where the span begins.
    pub at: Timestamp,
    /// The values that the cell is told by, from the first place on.
    pub values: Vec<Option<String>>,
    /// The sum.
    pub field: String,
    /// What the rows add up to.
    pub rows: String,
    /// What the rollup says.
    pub rollup: String,
}

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Hours that were compared.
    pub hours: u64,
    /// Hours that are asked of rows, since their rollups are yet to be made anew.
    pub dirty: u64,
    /// Cells that were compared.
    pub cells: u64,
    /// What differs; at most 200 sums.
    pub differences: Vec<Difference>,
}

impl Verified {
    /// Adds what another comparison came to.
    pub fn add(&mut self, other: Self) {
        self.hours += other.hours;
        self.dirty += other.dirty;
        self.cells += other.cells;
        self.differences.extend(other.differences);
        self.differences.truncate(MOST);
    }
}

/// The first and the last moment of which organisations have rows or rollups.
pub(crate) async fn extent<S: Session>(session: &mut S) -> Result<Vec<(OrgId, Timestamp, Timestamp)>, StoreError> {
    let mut all: BTreeMap<Uuid, (i64, i64)> = BTreeMap::new();
    let mut add = |org: Uuid, first: i64, last: i64| {
        let held = all.entry(org).or_insert((first, last));
        *held = (held.0.min(first), held.1.max(last));
    };
    for row in session.all(rollups::extent_of_blocks()).await? {
        add(row.some_id("org_id")?, row.some_int("first_at")?, row.some_int("last_at")?);
    }
    for org in sql::read_ids(&session.all(sql::organisations()).await?)? {
        for row in session.all(rollups::extent_of_rows(org)).await? {
            if let Some((first, last)) = row.int("first_at")?.zip(row.int("last_at")?) {
                add(org, first, last);
            }
        }
    }
    let moment = Timestamp::from_micros;
    Ok(all.into_iter().map(|(org, (first, last))| (org.into(), moment(first), moment(last))).collect())
}

/// Compares a day of an organisation's rollups with its rows, within the caller's snapshot.
pub(crate) async fn verify<S: Session>(session: &mut S, org: Uuid, day: i64) -> Result<Verified, StoreError> {
    let range = (day, day + DAY.0);
    let (dirty, floor) = state(session, org).await?;
    let mut hours = std::collections::BTreeSet::new();
    for statement in [rollups::hours_of_blocks(org, range), rollups::hours_of_rows(org, range)] {
        for row in session.all(statement).await? {
            hours.insert(row.some_int("at")?);
        }
    }
    let mut done = Verified::default();
    let mut whole: Vec<(&'static Cube, Cells)> = CUBES.iter().map(|cube| (cube, Cells::new())).collect();
    let mut words = Words::default();
    let is_dirty = |hour: i64| dirty.binary_search(&hour).is_ok();
    for &hour in &hours {
        if is_dirty(hour) {
            done.dirty += 1;
            continue;
        }
        done.hours += 1;
        let span = (hour, hour + HOUR.0);
        let facts = rows_of(session, org, span).await?;
        let held = blocks(session, org, &[(OF_HOURS, false), (OF_FACTS, true)], span).await?;
        compare(org, hour, "hour", &facts, &held, &CUBES, &mut done)?;
        for block in &facts {
            fold_facts(&block.data, &mut words, &mut whole).map_err(damaged("rows"))?;
        }
        if hour >= floor {
            let cubes: Vec<&'static Cube> = CUBES.iter().filter(|cube| cube.by_minute).collect();
            let held = blocks(session, org, &[(OF_MINUTES, false), (OF_FACTS, true)], span).await?;
            for minute in (0..60).map(|minute| hour + minute * MINUTE.0) {
                let at = |block: &&Block| block.at == minute;
                let facts: Vec<Block> = facts.iter().filter(at).cloned().collect();
                let held: Vec<Block> = held.iter().filter(at).cloned().collect();
                for cube in &cubes {
                    compare(org, minute, "minute", &facts, &held, std::slice::from_ref(*cube), &mut done)?;
                }
            }
            let all = blocks(session, org, &[(OF_FACTS, false)], span).await?;
            compare(org, hour, "facts", &facts, &all, &CUBES, &mut done)?;
        }
    }
    if !hours.iter().any(|hour| is_dirty(*hour)) {
        let held = blocks(session, org, &[(OF_DAYS, false), (OF_HOURS, true), (OF_FACTS, true)], range).await?;
        for (cube, cells) in whole {
            let data = block_of(day, cube, cells, &words);
            let expected =
                data.map(|data| Block { org, cube: cube.number, level: OF_DAYS, at: day, merged: false, data });
            let expected: Vec<Block> = expected.into_iter().collect();
            compare(org, day, "day", &expected, &held, std::slice::from_ref(cube), &mut done)?;
        }
    }
    done.differences.truncate(MOST);
    Ok(done)
}

/// The rows of a span as blocks of facts.
async fn rows_of<S: Session>(session: &mut S, org: Uuid, range: Range) -> Result<Vec<Block>, StoreError> {
    let mut facts = FactBlocks::default();
    for row in session.all(rollups::facts(org, range)).await? {
        facts.add(org, &Fact::read(&row)?);
    }
    Ok(facts.finish())
}

/// The blocks of some levels; of facts and hours all, or those that are not merged.
async fn blocks<S: Session>(
    session: &mut S,
    org: Uuid,
    levels: &[(i32, bool)],
    range: Range,
) -> Result<Vec<Block>, StoreError> {
    let mut wanted = Vec::new();
    for &(level, unmerged) in levels {
        let numbers: Vec<i32> =
            if level == OF_FACTS { vec![FACTS] } else { CUBES.iter().map(|cube| cube.number).collect() };
        wanted.extend(numbers.into_iter().map(|cube| Wanted { cube, level, range, unmerged }));
    }
    session.all(rollups::blocks(org, &wanted)).await?.iter().map(Block::read).collect()
}

type Told = BTreeMap<Vec<Option<String>>, Sums>;

/// The cells that blocks come to in one cube, told by words.
fn cells(cube: &'static Cube, blocks: &[Block]) -> Result<Told, StoreError> {
    let (mut words, mut cells) = (Words::default(), Cells::new());
    for block in blocks {
        if block.cube == FACTS {
            let mut one = [(cube, std::mem::take(&mut cells))];
            fold_facts(&block.data, &mut words, &mut one).map_err(damaged("facts"))?;
            [(_, cells)] = one;
        } else if block.cube == cube.number {
            fold_cells(&block.data, &mut words, cube, &mut cells).map_err(damaged(cube.name))?;
        }
    }
    // As it would be written, so that what takes too many values is told apart no more on both sides.
    let Some(data) = block_of(0, cube, cells, &words) else { return Ok(Told::new()) };
    let raw = unpack(&data).map_err(damaged(cube.name))?;
    let mut reader = BlockReader::open(&raw, cube.places).map_err(damaged(cube.name))?;
    let mut told = Told::new();
    while reader.next(true).map_err(damaged(cube.name))? {
        let key = cube.places.iter().map(|&place| word(&reader, &reader.values, place)).collect();
        told.insert(key, reader.sums.clone());
    }
    Ok(told)
}

fn word(block: &BlockReader<'_>, values: &Values, place: usize) -> Option<String> {
    match values[place].checked_sub(FIRST_WORD) {
        Some(at) => Some(block.words[at as usize].to_owned()),
        None if values[place] == MANY => Some("(more than are told apart)".to_owned()),
        None => None,
    }
}

fn compare(
    org: Uuid,
    at: i64,
    length: &'static str,
    rows: &[Block],
    held: &[Block],
    cubes: &'static [Cube],
    done: &mut Verified,
) -> Result<(), StoreError> {
    for cube in cubes {
        let (expected, told) = (cells(cube, rows)?, cells(cube, held)?);
        let mut keys: Vec<_> = expected.keys().chain(told.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let none = Sums::default();
        for key in keys {
            done.cells += 1;
            let (expected, told) = (expected.get(key).unwrap_or(&none), told.get(key).unwrap_or(&none));
            if expected == told || done.differences.len() >= MOST {
                continue;
            }
            for (field, rows, rollup) in fields(expected, told) {
                done.differences.push(Difference {
                    org: org.into(),
                    cube: cube.name,
                    length,
                    at: Timestamp::from_micros(at),
                    values: key.clone(),
                    field,
                    rows,
                    rollup,
                });
            }
        }
    }
    Ok(())
}

fn fields(rows: &Sums, rollup: &Sums) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for (at, field) in FIELDS.into_iter().enumerate() {
        if rows.fields[at] != rollup.fields[at] {
            all.push((field.to_owned(), rows.fields[at].to_string(), rollup.fields[at].to_string()));
        }
    }
    if rows.moments != rollup.moments {
        all.push(("first_at, last_at".to_owned(), format!("{:?}", rows.moments), format!("{:?}", rollup.moments)));
    }
    for (name, (rows, rollup)) in
        ["latency", "ttft", "tokens_per_second"].into_iter().zip(rows.spreads.iter().zip(&rollup.spreads))
    {
        if rows != rollup {
            all.push((format!("sketch of {name}"), format!("{rows:?}"), format!("{rollup:?}")));
        }
    }
    all
}

const _: () = assert!(PROPERTY_NAME == DIMS && PROPERTY_VALUE > PROPERTY_NAME);
