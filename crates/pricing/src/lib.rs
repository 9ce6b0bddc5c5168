//! Usage × price = an exact cost, or an explicit "unknown".
//!
//! A [`Catalog`] is the price book: who lists which model at which price, and when that price holds. The one that is
//! built into the binary comes from the files under `pricing/` of this repository; directories of the operator's own
//! files can be laid over it.
//!
//! ```
//! use tachograph_pricing::{Catalog, PriceContext};
//! use tachograph_record::{CostState, Leaf, Timestamp, Usage, UsageReading};
//!
//! let book = Catalog::embedded();
//! let usage = UsageReading::Known(Usage::reported([(Leaf::INPUT, 500), (Leaf::OUTPUT, 300)]));
//! let cost = book.cost("openai", "gpt-4o-mini", &usage, &PriceContext::at(Timestamp::now()));
//! assert_eq!(cost.total().unwrap().to_string(), "0.000255");
//!
//! let unknown = book.cost("openai", "gpt-none", &usage, &PriceContext::at(Timestamp::now()));
//! assert_eq!(unknown, CostState::UnknownModel);
//! ```
//!
//! The way from a call to its cost has three steps, each usable alone:
//!
//! 1. [`Catalog::resolve`] finds the row for a model name, and says by which [`MatchRule`]. It never guesses: a name
//!    that no rule leads to is unknown.
//! 2. Each class of tokens is billed at its own rate or at that of its nearest priced ancestor: cached audio as cached
//!    input, reasoning as output. Of the rates of a meter the most telling one whose condition holds counts: service
//!    tier, attributes, dates, hours, region, and the threshold of the whole input ([`Catalog::price`]).
//! 3. Quantities are multiplied exactly ([`Money`](tachograph_record::Money) is an integer of 10⁻¹⁸ USD). Nothing is
//!    rounded but a line whose price is no whole number of those; it says so.
//!
//! [`PriceBook`] holds the catalogs of a running program, those of contracts too, and swaps them when files change. [`Card`] prices usage by a
//! handful of given prices instead of the book. There is no IO but the reading of overlay files.

mod book;
mod card;
mod catalog;
mod compare;
mod context;
mod contract;
mod engine;
mod footprint;
mod matching;
mod price_book;
mod rollup;

pub use book::{Attributes, Condition, Fault, Limits, Model, Multiplier, Price, PriceMeter, Rate, Window};
pub use card::{Card, CardError};
pub use catalog::{Catalog, LoadError, ProviderRow};
pub use compare::{Change, MeterChange, compare};
pub use context::PriceContext;
pub use contract::{Contract, ContractHolder, Discount};
pub use matching::{Match, MatchRule};
pub use price_book::{PriceBook, PriceSources};
