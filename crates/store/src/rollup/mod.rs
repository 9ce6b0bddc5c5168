//! Rollups: sums and sketches of rows, kept by minute, hour and day, that stand in for the rows in a question.
//!
//! # How they come about
//! Whoever writes rows writes in the same transaction what rollups know of each as a *fact*: its dimensions, its exact
//! sums, one bucket in each sketch. A row that was there already adds none, so a batch that is sent again changes nothing,
//! and two writers never wait for each other: facts are only added. [`roll_up`](crate::Store::roll_up) later folds the
//! facts of an hour into cubes ([`cube::CUBES`]), and the hours of a day into a day. What a change of a row makes of its
//! sums (a restated cost, usage that another row tells too) is one more fact, the difference.
//!
//! An hour in which rows changed in another way (they were let go of, or were there before rollups were) is marked dirty.
//! It is asked of its rows until it is made anew from them.
//!
//! # What is where
//! The table `rollups` has blocks of cells, `(org_id, cube, level, at, merged, data)`, several of one place and moment
//! where facts came at several times; all of them count.
//!
//! | level | cube | is | `merged` |
//! | --- | --- | --- | --- |
//! | 0 | 0 | facts of a minute | whether they are in the cubes, too |
//! | 1 | `calls` | a minute | always |
//! | 2 | each | an hour | whether it is in the day, too |
//! | 3 | each | a day | never |
//!
//! So an hour's sums are its blocks of level 2 and its facts that are not merged; a day's are its blocks of level 3, of
//! level 2 that are not merged, and its facts that are not merged. Facts and minutes are kept for [`FACTS_KEPT`]; before
//! that, what is not whole hours is asked of rows. `rollup_state` has the dirty hours (kind 0, `at` the hour) and the moment
//! from which on facts are kept (kind 1).
//!
//! # A block
//! A byte, 0 where the rest stands as it is and 1 where it is one zstd frame. Then, numbers being LEB128 and signed ones
//! zigzag: a byte that says whether a value is [`block::MANY`]; the block's moment; the count of words, and each with its
//! length; the count of cells, and each cell:
//!
//! - a bitmap: bit 0 says that the properties differ from the cell's before, bit *n* + 1 that the value of place *n* does;
//! - for each place that differs, the number of its word (0 none, 1 more than are told apart, from 2 on the words);
//! - the properties, if they differ: a count, and the words of name and value of each;
//! - a bitmap of the [sums](sums::FIELDS) that are not 0, with a last bit that says that moments follow; the sums; the
//!   first moment less the block's, and the last less the first;
//! - the length of the sketches in bytes; for each of [`sums::SPREADS`] the count of its buckets, and for each bucket its
//!   number less the one before and how many values it holds. Buckets are those of [`Sketch`](crate::Sketch): at most
//!   0.79 % off, and added up without loss.

mod answer;
mod block;
mod coding;
mod cube;
mod fact;
mod fold;
mod span;
mod sums;
mod upkeep;
mod verify;

pub(crate) use answer::{groups, property_names};
pub(crate) use cube::{DIMS, Dim};
pub(crate) use fact::{COLUMNS, Fact, FactBlocks, flag_word, is_unpriced, key_word};
pub(crate) use span::{DAY, HOUR, Range};
pub(crate) use sums::{FIELDS, Measured, Sums};
pub(crate) use upkeep::{due, hours_of, roll_up};
pub use verify::{Difference, Verified};
pub(crate) use verify::{extent, verify};

use std::future::Future;

use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::StoreError;
use crate::sql::Dialect;
use crate::tables::Source;

/// How long facts and minutes are kept, in days.
pub(crate) const FACTS_KEPT: i64 = 8;

const FACT_PLACES: [usize; cube::DIMS] = {
    let mut places = [0; cube::DIMS];
    let mut at = 0;
    while at < places.len() {
        places[at] = at;
        at += 1;
    }
    places
};

/// A block beside where it belongs.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) org: Uuid,
    pub(crate) cube: i32,
    pub(crate) level: i32,
    pub(crate) at: i64,
    pub(crate) merged: bool,
    pub(crate) data: Vec<u8>,
}

/// The levels of blocks.
pub(crate) const OF_FACTS: i32 = 0;
pub(crate) const OF_MINUTES: i32 = 1;
pub(crate) const OF_HOURS: i32 = 2;
pub(crate) const OF_DAYS: i32 = 3;

impl Block {
    pub(crate) fn read(source: &impl Source) -> Result<Self, StoreError> {
        let small = |column: &str| -> Result<i32, StoreError> {
            i32::try_from(source.some_int(column)?).map_err(|why| StoreError::unreadable(column, why))
        };
        Ok(Self {
            org: source.some_id("org_id")?,
            cube: small("cube")?,
            level: small("level")?,
            at: source.some_int("at")?,
            merged: source.flag("merged")?,
            data: source.bytes("data")?.unwrap_or_default(),
        })
    }
}

/// A connection, mostly in a transaction: what is the same in both databases is written once over it.
pub(crate) trait Session: Send {
    type Db: Dialect;
    type Row: Source + Send + Sync;

    /// The rows that a statement gives back.
    fn all(&mut self, sql: QueryBuilder<Self::Db>) -> impl Future<Output = Result<Vec<Self::Row>, StoreError>> + Send;

    /// Runs a statement. Returns how many rows it changed.
    fn run(&mut self, sql: QueryBuilder<Self::Db>) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

fn damaged(what: &str) -> impl Fn(coding::Damaged) -> StoreError + '_ {
    move |_| StoreError::unreadable("a rollup", format_args!("the block of {what} is damaged; mark its hours dirty"))
}
