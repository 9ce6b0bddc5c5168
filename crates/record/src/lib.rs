//! The one row everything is about.
//!
//! A call enters the gateway, and when it is over, however it ended, there is one [`LogRecord`]: who asked for what, who
//! served it, how long each part took, what was used and what it cost. Every other crate writes a part of it, carries it
//! or shows it; this one only says what it is. It does no IO and knows no provider, price or database.
//!
//! ```
//! use tachograph_record::{Leaf, Money, Usage};
//!
//! // 500 tokens in and 300 out at 0.15 and 0.60 USD per million are exactly 0.000255 USD.
//! let usage = Usage::reported([(Leaf::INPUT, 500), (Leaf::OUTPUT, 300)]);
//! let per_token = |usd_per_million: &str| -> Money { usd_per_million.parse::<Money>().unwrap().checked_div_exact(1_000_000).unwrap() };
//! let cost = per_token("0.15").checked_mul(500).unwrap().checked_add(per_token("0.60").checked_mul(300).unwrap()).unwrap();
//! assert_eq!(cost.to_string(), "0.000255");
//! assert_eq!(usage.input_total() + usage.output_total(), 800);
//! ```

mod asked;
mod attempt;
mod body;
mod control;
mod cost;
mod encoding;
mod id;
mod log_record;
mod money;
mod origin;
mod outcome;
mod reading;
mod timing;
mod usage;

pub use asked::{Asked, Attribution, Parameters, PromptRef, SessionRef};
pub use attempt::Attempt;
pub use body::{Body, BodyState};
pub use control::{CacheStatus, CacheVerdict, Control, LimitVerdict};
pub use cost::{Cost, CostLine, CostState};
pub use encoding::{Binary, DecodeError, Encoded, Input};
pub use id::{KeyId, OrgId, RecordId};
pub use log_record::{LogRecord, RecordedError};
pub use money::{Money, MoneyError};
pub use origin::{Origin, Step, UnknownCode};
pub use outcome::Outcome;
pub use reading::{FinishReason, Reading, Tap, UsageReading};
pub use timing::{Timestamp, Timing};
pub use usage::{CacheTtl, Direction, Kind, Leaf, Meter, Modality, Quantity, QuantityError, Unit, Usage, UsageSource};
