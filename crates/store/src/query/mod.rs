//! The question algebra: which rows, in what order, grouped how. It knows no SQL; `sql/` writes it for each database, and
//! [`Predicate::picks`] decides it for a row in memory. All three give equal answers.
//!
//! # As JSON
//! `{"field":"model","op":"eq","value":"gpt-4o"}`, joined by `{"and":[…]}`, `{"or":[…]}` and `{"not":…}`; `{}` is every row.
//! Operators are `eq`, `ne`, `in`, `lt`, `lte`, `gt`, `gte`, `contains`, `like` (with `*` and `?`) and `exists`.
//!
//! # As words
//! `model:gpt-4o* cost>0.01 prop.team=search -status:200 "free text"`, see [`Predicate::from_words`].
//!
//! # Logic
//! A condition on what a row does not have is false, and its negation true: `ne` holds where there is no value.

mod field;
mod group;
mod json;
mod pattern;
mod picks;
mod predicate;
mod sketch;
mod totals;
mod value;
mod words;

pub use field::{Fact, Field, Kind};
pub use group::{Breakdown, Every, Group, Groups, Measure, Spread};
pub use pattern::Pattern;
pub use picks::Seen;
pub use predicate::{BadQuery, Comparison, Condition, Number, Predicate, Test};
pub use sketch::Sketch;
pub use totals::{CostParts, Totals, output_rate};
pub use value::{MICRO, read_decimal, read_moment, write_decimal};

pub(crate) use pattern::Piece;
pub(crate) use picks::{word_key, word_picks};
pub(crate) use sketch::SKETCH_BITS;
pub(crate) use totals::{failed, failed_code, nano_parts, retry_cost};
