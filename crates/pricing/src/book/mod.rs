//! The price book: its hand-written files, what they mean, and the compact form that is built into the binary.
//!
//! `build.rs` compiles these same modules, so a file that the program would refuse at run time already fails the build.
//! They therefore know nothing of the rest of the crate.

mod compile;
mod condition;
mod decimal;
mod decode;
#[allow(dead_code, reason = "the build script alone writes; the library reads")]
mod encode;
mod fault;
mod file;
mod meter;
mod model;

#[allow(unused_imports, reason = "the build script names no type of it")]
pub(crate) use compile::Compiled;
pub(crate) use compile::compile;
pub use condition::{Attributes, Condition, Window};
pub(crate) use decimal::Decimal;
pub(crate) use decode::decode;
#[allow(unused_imports, reason = "for the build script and tests")]
pub(crate) use encode::encode;
pub use fault::Fault;
pub use meter::PriceMeter;
pub use model::{Limits, Model, Multiplier, Price, Rate};
pub(crate) use model::{Listed, Mapping, Name, Prices, Provider};
