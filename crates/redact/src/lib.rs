//! What of a record is kept: secrets and personal data are taken out before a byte of it is written anywhere.
//!
//! ```
//! use bytes::Bytes;
//! use tachograph_record::{Asked, Body};
//! use tachograph_redact::{Privacy, Redactor};
//!
//! let privacy: Privacy = serde_json::from_str(r#"{ "redact": ["email", { "pattern": "T-[0-9]{4}", "replace": "[ticket]" }] }"#)?;
//! let redactor = Redactor::new(&privacy, []).unwrap();
//! let body = Bytes::from_static(br#"{"messages":[{"role":"user","content":"I am ada@example.com, T-1234"}]}"#);
//! let mut asked = Asked { body: Body::capture(&body, 1 << 20), ..Asked::default() };
//! redactor.asked(&mut asked);
//! assert_eq!(asked.body.bytes(), r#"{"messages":[{"role":"user","content":"I am [email], [ticket]"}]}"#);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! Rules look at *texts*: the strings of a JSON body with their escapes undone, names of members, numbers, what stands
//! outside; and in an event stream at each text as it grows over its events, so that nothing slips through between two
//! pieces. Everything that no rule touches stays byte for byte as it was.
//!
//! Most bodies hold nothing that any rule could find, and a first look (`filter`) lets those pass in one pass over their
//! bytes. To add a built-in rule, add a row to the table in `builtin`, with the pieces that its finds must hold.

mod builtin;
mod filter;
mod growth;
mod json;
mod policy;
mod redactor;
mod rule;
mod stream;

pub use policy::{BodyChoice, Policy, Privacy};
pub use redactor::Redactor;
pub use rule::{BadRule, Rule};
