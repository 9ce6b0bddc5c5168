//! Folding what was written into hours and days, and making dirty hours anew.

use std::collections::{BTreeMap, BTreeSet};

use tachograph_record::Timestamp;
use uuid::Uuid;

use super::answer::state;
use super::block::Words;
use super::coding::Damaged;
use super::cube::{CUBES, Cube, FACTS};
use super::fold::{Cells, block_of, fold_cells, fold_facts, joined_facts};
use super::span::{DAY, HOUR, Length, MINUTE};
use super::{Block, FACTS_KEPT, Fact, FactBlocks, OF_DAYS, OF_FACTS, OF_HOURS, OF_MINUTES, Session};
use crate::StoreError;
use crate::sql::rollups::{self, Wanted};
use crate::tables::Source as _;

/// How long after its end a span is folded: what belongs to it may still come.
const GRACE: i64 = 2 * MINUTE.0;
/// An hour that is not over is folded when its facts take so many blocks or bytes.
const MOST_BLOCKS: i64 = 600;
const MOST_BYTES: i64 = 1 << 20;

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Facts of an hour are not in the cubes.
    Fold(Uuid, i64),
    /// Hours of a day are not in it.
    FoldDay(Uuid, i64),
    /// An hour is dirty.
    Rebuild(Uuid, i64),
    /// Facts and minutes are kept longer than they shall be.
    Drop(i64),
}

/// The most urgent work at a moment, a bounded number of pieces.
pub(crate) async fn due<S: Session>(session: &mut S, now: Timestamp) -> Result<Vec<Work>, StoreError> {
    let mut work = Vec::new();
    for row in session.all(rollups::open_hours()).await? {
        let (org, at) = (row.some_id("org_id")?, row.some_int("at")?);
        let over = at.saturating_add(HOUR.0 + GRACE) <= now.micros();
        if over || row.some_int("blocks")? > MOST_BLOCKS || row.some_int("bytes")? > MOST_BYTES {
            work.push(Work::Fold(org, at));
        }
    }
    for row in session.all(rollups::dirty_hours()).await? {
        work.push(Work::Rebuild(row.some_id("org_id")?, row.some_int("at")?));
    }
    if !work.is_empty() {
        // What is folded or made anew may be of an old day, so days wait.
        return Ok(work);
    }
    let today = DAY.floor(now.micros().saturating_sub(GRACE));
    for row in session.all(rollups::open_days(today)).await? {
        work.push(Work::FoldDay(row.some_id("org_id")?, row.some_int("at")?));
    }
    let floor = floor_at(now);
    if state(session, Uuid::nil()).await?.1 < floor {
        work.push(Work::Drop(floor));
    }
    Ok(work)
}

/// The moment from which on facts are kept: a whole day, so that it moves seldom.
fn floor_at(now: Timestamp) -> i64 {
    DAY.floor(now.micros().saturating_sub(FACTS_KEPT * DAY.0))
}

/// Does a piece of work, within the caller's transaction.
pub(crate) async fn roll_up<S: Session>(session: &mut S, work: Work) -> Result<(), StoreError> {
    match work {
        Work::Fold(org, hour) => fold_hour(session, org, hour).await,
        Work::FoldDay(org, day) => fold_day(session, org, day).await,
        Work::Rebuild(org, hour) => rebuild(session, org, hour).await,
        Work::Drop(floor) => {
            session.run(rollups::drop_before(floor)).await?;
            for statement in rollups::set_floor(floor) {
                session.run(statement).await?;
            }
            Ok(())
        }
    }
}

async fn taken<S: Session>(session: &mut S, sql: super::answer::Sql<S>) -> Result<Vec<Block>, StoreError> {
    session.all(sql).await?.iter().map(Block::read).collect()
}

async fn insert<S: Session>(session: &mut S, blocks: Vec<Block>) -> Result<(), StoreError> {
    for statement in rollups::insert(blocks) {
        session.run(statement).await?;
    }
    Ok(())
}

async fn fold_hour<S: Session>(session: &mut S, org: Uuid, hour: i64) -> Result<(), StoreError> {
    let range = (hour, hour + HOUR.0);
    let facts = Wanted { cube: FACTS, level: OF_FACTS, range, unmerged: true };
    let new = taken(session, rollups::take(org, &facts)).await?;
    if new.is_empty() {
        return Ok(());
    }
    let (dirty, floor) = state(session, org).await?;
    if dirty.contains(&hour) {
        // It is made anew from its rows, which these facts are of.
        return Ok(());
    }
    let hours = taken(session, rollups::take_level(org, OF_HOURS, range, Some(false))).await?;
    let mut held = Vec::new();
    if hour >= floor {
        let minutes: BTreeSet<i64> = new.iter().map(|block| block.at).collect();
        for &minute in &minutes {
            let range = (minute, minute + MINUTE.0);
            for level in [OF_FACTS, OF_MINUTES] {
                held.extend(taken(session, rollups::take_level(org, level, range, Some(true))).await?);
            }
        }
    }
    let what = hour.to_string();
    let folded = aside(move || folded_hour(org, hour, &new, &hours, &held, hour >= floor)).await?;
    insert(session, folded.map_err(super::damaged(&what))?).await
}

/// The blocks that take the place of these: facts of an hour that are not in the cubes, the hour's cubes, and what is held
/// of the minutes.
fn folded_hour(
    org: Uuid,
    hour: i64,
    new: &[Block],
    hours: &[Block],
    held: &[Block],
    keep: bool,
) -> Result<Vec<Block>, Damaged> {
    let mut words = Words::default();
    let mut cubes: Vec<(&'static Cube, Cells)> = CUBES.iter().map(|cube| (cube, Cells::new())).collect();
    for block in hours {
        if let Some((cube, cells)) = cubes.iter_mut().find(|(cube, _)| cube.number == block.cube) {
            fold_cells(&block.data, &mut words, cube, cells)?;
        }
    }
    let mut by_minute: BTreeMap<i64, Vec<&Block>> = BTreeMap::new();
    for block in new {
        fold_facts(&block.data, &mut words, &mut cubes)?;
        by_minute.entry(block.at).or_default().push(block);
    }
    let block =
        |cube: i32, level: i32, at: i64, merged: bool, data: Vec<u8>| Block { org, cube, level, at, merged, data };
    let mut all = Vec::new();
    for (cube, cells) in cubes {
        all.extend(block_of(hour, cube, cells, &words).map(|data| block(cube.number, OF_HOURS, hour, false, data)));
    }
    for (at, new) in by_minute.into_iter().filter(|_| keep) {
        let of_level = |level: i32| held.iter().filter(move |block| block.level == level && block.at == at);
        let facts = of_level(OF_FACTS).chain(new.iter().copied()).map(|block| &*block.data);
        all.push(block(FACTS, OF_FACTS, at, true, joined_facts(at, facts)?));
        let mut words = Words::default();
        let mut cubes: Vec<_> = CUBES.iter().filter(|cube| cube.by_minute).map(|cube| (cube, Cells::new())).collect();
        for minute in of_level(OF_MINUTES) {
            if let Some((cube, cells)) = cubes.iter_mut().find(|(cube, _)| cube.number == minute.cube) {
                fold_cells(&minute.data, &mut words, cube, cells)?;
            }
        }
        for facts in new {
            fold_facts(&facts.data, &mut words, &mut cubes)?;
        }
        for (cube, cells) in cubes {
            all.extend(block_of(at, cube, cells, &words).map(|data| block(cube.number, OF_MINUTES, at, true, data)));
        }
    }
    Ok(all)
}

async fn fold_day<S: Session>(session: &mut S, org: Uuid, day: i64) -> Result<(), StoreError> {
    let range = (day, day + DAY.0);
    let hours = taken(session, rollups::unmerged(org, OF_HOURS, range)).await?;
    session.run(rollups::set_merged(org, range, true)).await?;
    let days = taken(session, rollups::take_level(org, OF_DAYS, range, None)).await?;
    let what = day.to_string();
    let folded = aside(move || {
        let mut all = Vec::new();
        for cube in &CUBES {
            let (mut words, mut cells) = (Words::default(), Cells::new());
            for block in hours.iter().chain(&days).filter(|block| block.cube == cube.number) {
                fold_cells(&block.data, &mut words, cube, &mut cells)?;
            }
            all.extend(block_of(day, cube, cells, &words).map(|data| Block {
                org,
                cube: cube.number,
                level: OF_DAYS,
                at: day,
                merged: false,
                data,
            }));
        }
        Ok(all)
    })
    .await?;
    insert(session, folded.map_err(super::damaged(&what))?).await
}

/// Makes an hour's facts anew from its rows; they are folded next. Its day is folded anew from its hours.
async fn rebuild<S: Session>(session: &mut S, org: Uuid, hour: i64) -> Result<(), StoreError> {
    if session.run(rollups::clean(org, hour)).await? == 0 {
        return Ok(());
    }
    let range = (hour, hour + HOUR.0);
    for level in [OF_FACTS, OF_MINUTES, OF_HOURS] {
        session.run(rollups::take_level(org, level, range, None)).await?;
    }
    let day = DAY.floor(hour);
    session.run(rollups::take_level(org, OF_DAYS, (day, day + DAY.0), None)).await?;
    session.run(rollups::set_merged(org, (day, day + DAY.0), false)).await?;
    let mut minute = hour;
    while minute < hour + HOUR.0 {
        let mut blocks = FactBlocks::default();
        for row in session.all(rollups::facts(org, (minute, minute + MINUTE.0))).await? {
            blocks.add(org, &Fact::read(&row)?);
        }
        insert(session, blocks.finish()).await?;
        minute += MINUTE.0;
    }
    Ok(())
}

/// Hours that moments are in, each once.
pub(crate) fn hours_of(moments: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let hours: BTreeSet<i64> = moments.into_iter().map(|at| Length::floor(HOUR, at)).collect();
    hours.into_iter().collect()
}

pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|why| StoreError::Failed(format!("folding rollups ended early: {why}")))
}
