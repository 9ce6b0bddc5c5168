//! Who is asked, in which order, and when again.
//!
//! [`Failover`] is a tower service: it asks one target after another until one serves, never a target whose circuit
//! breaker is open while there is another, and goes round again only where that does no harm and the budget allows. What
//! a call, a try and an answer are, a [`Policy`] says; nothing here knows of HTTP clients, providers or prices.
//!
//! ```
//! use std::sync::Arc;
//! use tachograph_routing::{
//!     Backoff, Class, Clock, Failover, Failure, Journey, Lanes, Permit, Policy, RetryBudget, Stop,
//! };
//! use tower::{ServiceExt, service_fn};
//!
//! #[derive(Clone)]
//! struct TwoServers(Arc<Lanes>, Clock);
//!
//! impl Policy<String> for TwoServers {
//!     type Try = (&'static str, Arc<String>);
//!     type Answer = String;
//!     type Error = &'static str;
//!
//!     fn journey(&self, _question: &String) -> Journey {
//!         let stop = |name| Stop { lane: self.0.get(name), only_after: None };
//!         let stops = vec![stop("first"), stop("second")];
//!         Journey { stops, rounds: 2, backoff: Backoff::default(), idempotent: false, unbudgeted: false, random: 7 }
//!     }
//!     fn attempt(&self, question: &Arc<String>, stop: usize, _more: bool) -> Self::Try {
//!         (["first", "second"][stop], question.clone())
//!     }
//!     fn judge(&self, _question: &String, _stop: usize, _error: &&'static str) -> Failure {
//!         Failure::of(Class::Overloaded)
//!     }
//!     fn served(&self, _question: &String, _stop: usize, _answer: &mut String, permit: Permit, _before: u32) {
//!         permit.succeeded(self.1.now());
//!     }
//!     fn failed(&self, _question: &String, error: &'static str, _tries: u32) -> &'static str {
//!         error
//!     }
//!     fn nobody(&self, _question: &String) -> &'static str {
//!         "there is nobody to ask"
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let servers = service_fn(|(name, question): (&'static str, Arc<String>)| async move {
//!     if name == "first" { Err("overloaded") } else { Ok(format!("{question} {name}!")) }
//! });
//! let (lanes, clock) = (Arc::new(Lanes::default()), Clock::start());
//! let asking = Failover::new(servers, TwoServers(lanes.clone(), clock), Arc::new(RetryBudget::percent(10)), clock);
//! assert_eq!(asking.oneshot("hello".to_owned()).await, Ok("hello second!".to_owned()));
//! assert_eq!(lanes.status(clock.now())[0].failed, 1);
//! # }
//! ```
//!
//! The parts stand alone too, as plain state machines that are told the time: [`Chain`] takes model names apart, [`Route`]
//! is a virtual model, [`order`] balances, [`Breaker`] and [`Keys`] bench what fails, [`RetryBudget`] keeps repetitions
//! within a share of requests, [`retry_after`] reads when a server wants to be asked again.
//!
//! # Rules
//!
//! - Whoever can serve now, serves: all targets are asked once before one is asked twice.
//! - A failure counts against whose fault it is ([`Class::blame`]): a bad key is benched alone, a bad request benches
//!   nobody.
//! - What may have been taken already (no answer, 502, 504) is never asked of the same target again, unless the caller
//!   says that it is idempotent.
//! - A cooldown ends at the later of two deadlines. Behind it one probe at a time is let through.
//! - Where every breaker is open, the target that is back first is asked all the same.

mod backoff;
mod balance;
mod breaker;
mod budget;
mod failover;
mod failure;
mod keys;
mod lane;
mod name;
mod retry_after;
mod route;

pub use backoff::{Backoff, mix, unit};
pub use balance::{Choice, Strategy, hash, name_hash, order};
pub use breaker::{Breaker, Pass, State};
pub use budget::RetryBudget;
pub use failover::{Clock, Failover, Journey, Policy, Stop};
pub use failure::{Blame, Class, Failure};
pub use keys::Keys;
pub use lane::{Lane, LaneStatus, Lanes, Permit};
pub use name::{Chain, Directory, Item, NameError, fits};
pub use retry_after::retry_after;
pub use route::{Condition, Route, Routes, Share, Sticky, Target, find};
