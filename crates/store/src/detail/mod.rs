//! What only the page of one call shows, in one column: a column of its own for each would cost time in every insert, and
//! its names in every row.
//!
//! # Format
//! A first byte says how the rest is written.
//!
//! - 2: parameters, what the gateway decided, the provider's reason to stop, what it charges, the names of properties in
//!   their order, usage, attempts, µs until the request was sent on, and the cost where its state does not say all; one
//!   behind the other in the form of `tachograph_record::Binary`. Only this is written.
//! - 0: lines in UTF-8, each a letter, which says what it is ([`lines`]), and JSON without a line feed.
//! - 1: the same as one zstd frame made with the dictionary `dictionary-1.txt`.

mod lines;

use bytes::Bytes;
use tachograph_record::{Attempt, Binary, Control, CostState, DecodeError, Input, Money, Parameters, Usage};

use crate::tables::says_all;
use crate::{Row, StoreError};

const MEMBERS: u8 = 2;
/// A detail is rarely longer, in bytes.
const USUAL: usize = 256;

/// What a detail says.
#[derive(Debug, Default)]
pub(crate) struct Detail {
    pub(crate) parameters: Parameters,
    pub(crate) control: Control,
    pub(crate) native_finish_reason: Option<String>,
    pub(crate) provider_cost: Option<Money>,
    /// The names of properties, where there are several.
    pub(crate) order: Vec<String>,
    pub(crate) usage: Option<Usage>,
    pub(crate) attempts: Vec<Attempt>,
    /// µs until the request was sent on.
    pub(crate) sent_us: Option<u64>,
    pub(crate) cost: Option<CostState>,
}

/// The detail of a row, whose parameters are these.
pub(crate) fn write(row: &Row, parameters: &Parameters, order: &Vec<String>) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL);
    out.push(MEMBERS);
    parameters.write(&mut out);
    row.control.write(&mut out);
    row.native_finish_reason.write(&mut out);
    row.provider_cost.write(&mut out);
    order.write(&mut out);
    row.usage.write(&mut out);
    row.attempts.write(&mut out);
    row.timing.upstream_sent_us.write(&mut out);
    let tells_more = !says_all(&row.cost);
    tells_more.write(&mut out);
    if tells_more {
        row.cost.write(&mut out);
    }
    out
}

impl Detail {
    pub(crate) fn read(written: Option<Vec<u8>>) -> Result<Self, StoreError> {
        let written = Bytes::from(written.unwrap_or_default());
        match written.first() {
            None => Ok(Self::default()),
            Some(&MEMBERS) => Self::members(&written.slice(1..)).map_err(|why| StoreError::unreadable("detail", why)),
            Some(&form) => lines::read(form, &written[1..]),
        }
    }

    fn members(written: &Bytes) -> Result<Self, DecodeError> {
        let mut input = Input::new(written);
        let input = &mut input;
        Ok(Self {
            parameters: Binary::read(input)?,
            control: Binary::read(input)?,
            native_finish_reason: Binary::read(input)?,
            provider_cost: Binary::read(input)?,
            order: Binary::read(input)?,
            usage: Binary::read(input)?,
            attempts: Binary::read(input)?,
            sent_us: Binary::read(input)?,
            cost: Binary::read(input)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Detail::read(Some(bytes.clone()));
            for form in 0..4 {
                let _ = Detail::read(Some([&[form][..], &bytes].concat()));
            }
        }
    }

    #[test]
    fn what_a_newer_program_wrote_is_refused() {
        assert!(Detail::read(Some(vec![9, 9])).unwrap_err().to_string().contains("newer program"));
        assert!(Detail::read(None).unwrap().usage.is_none());
    }
}
