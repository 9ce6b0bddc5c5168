//! What only the page of one call shows, in one packed column: a column of its own for each would cost time in every
//! insert, and its names in every row.
//!
//! # Format
//! A first byte, and behind it lines in UTF-8. The byte is 0 where the lines stand as they are, and 1 where they are one
//! zstd frame made with the dictionary `dictionary-1.txt`, which is therefore never changed: another gets another byte.
//! Each line is a letter, which says what it is ([`Part`]), and text without a line feed, mostly JSON. Unknown letters
//! are passed over. A detail of no lines is empty.

use std::cell::RefCell;
use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use crate::StoreError;

const DICTIONARY: &[u8] = include_bytes!("dictionary-1.txt");
const PLAIN: u8 = 0;
const PACKED: u8 = 1;
/// Shorter lines are not worth a frame.
const SHORTEST: usize = 48;
/// A damaged frame must not ask for the machine's memory; what a row tells is shorter than the longest request.
const LONGEST: usize = 1 << 30;
const LEVEL: i32 = 1;

static ENCODER: LazyLock<Option<EncoderDictionary<'static>>> =
    LazyLock::new(|| EncoderDictionary::try_copy(DICTIONARY, LEVEL).ok());
static DECODER: LazyLock<Option<DecoderDictionary<'static>>> =
    LazyLock::new(|| DecoderDictionary::try_copy(DICTIONARY).ok());

thread_local! {
    static READER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Usage,
    Cost,
    Attempts,
    Control,
    Parameters,
    /// The names of properties in their order.
    Order,
    /// What the provider says it charges.
    ProviderCost,
    /// Why the model stopped, in the provider's words, as a JSON text.
    NativeFinish,
    /// µs until the request was sent on.
    Sent,
}

impl Part {
    const fn letter(self) -> u8 {
        match self {
            Self::Usage => b'u',
            Self::Cost => b'c',
            Self::Attempts => b'a',
            Self::Control => b'k',
            Self::Parameters => b'p',
            Self::Order => b'o',
            Self::ProviderCost => b'$',
            Self::NativeFinish => b'f',
            Self::Sent => b's',
        }
    }
}

/// Packs details; one for a whole batch, since making a compressor costs more than packing many.
pub(crate) struct Packer {
    compressor: Option<Compressor<'static>>,
    lines: Vec<u8>,
}

impl Packer {
    /// Without memory for a compressor, details are stored as they are.
    pub(crate) fn new() -> Self {
        let compressor = ENCODER.as_ref().and_then(|held| Compressor::with_prepared_dictionary(held).ok());
        Self { compressor, lines: Vec::with_capacity(2 << 10) }
    }

    /// Adds a line to the detail that is being made.
    pub(crate) fn push(&mut self, part: Part, text: &str) {
        debug_assert!(!text.contains('\n'), "{part:?} is one line");
        self.lines.push(part.letter());
        self.lines.extend_from_slice(text.as_bytes());
        self.lines.push(b'\n');
    }

    /// The detail of the lines that were added.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let lines = std::mem::take(&mut self.lines);
        let detail = self.pack(&lines);
        self.lines = lines;
        self.lines.clear();
        detail
    }

    fn pack(&mut self, lines: &[u8]) -> Vec<u8> {
        if lines.is_empty() {
            return Vec::new();
        }
        if lines.len() >= SHORTEST
            && let Some(compressor) = &mut self.compressor
        {
            let mut packed = vec![0; zstd::zstd_safe::compress_bound(lines.len()) + 1];
            packed[0] = PACKED;
            if let Ok(len) = compressor.compress_to_buffer(lines, &mut packed[1..])
                && len < lines.len()
            {
                packed.truncate(len + 1);
                packed.shrink_to_fit();
                return packed;
            }
        }
        let mut plain = Vec::with_capacity(lines.len() + 1);
        plain.push(PLAIN);
        plain.extend_from_slice(lines);
        plain
    }
}

/// A detail that was read back.
#[derive(Debug, Default)]
pub(crate) struct Detail(String);

impl Detail {
    pub(crate) fn read(packed: Option<&[u8]>) -> Result<Self, StoreError> {
        let unreadable = |why: &str| StoreError::unreadable("detail", why);
        let lines = match packed.and_then(<[u8]>::split_first) {
            None => Vec::new(),
            Some((&PLAIN, lines)) => lines.to_vec(),
            Some((&PACKED, frame)) => unpack(frame)?,
            Some(_) => return Err(unreadable("it was written by a newer program")),
        };
        String::from_utf8(lines).map(Self).map_err(|_| unreadable("it is no text"))
    }

    /// The text of a part.
    pub(crate) fn text(&self, part: Part) -> Option<&str> {
        self.0.split_terminator('\n').find_map(|line| line.strip_prefix(char::from(part.letter())))
    }
}

fn unpack(frame: &[u8]) -> Result<Vec<u8>, StoreError> {
    let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable("detail", why);
    let len = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten();
    let len = len.and_then(|len| usize::try_from(len).ok()).filter(|len| *len <= LONGEST);
    let len = len.ok_or_else(|| unreadable(&"its frame has no length"))?;
    READER.with_borrow_mut(|reader| {
        if reader.is_none() {
            let held = DECODER.as_ref().ok_or_else(|| unreadable(&"there is no memory for its dictionary"))?;
            *reader = Some(Decompressor::with_prepared_dictionary(held).map_err(|why| unreadable(&why))?);
        }
        match reader {
            Some(reader) => reader.decompress(frame, len).map_err(|why| unreadable(&why)),
            None => Err(unreadable(&"there is no reader")),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_come_back(usage in "[^\n]{0,400}", cost in "[^\n]{0,40}", twice in any::<bool>()) {
            let mut packer = Packer::new();
            for _ in 0..=u8::from(twice) {
                packer.push(Part::Usage, &usage);
                packer.push(Part::Cost, &cost);
                let packed = packer.finish();
                let read = Detail::read(Some(&packed)).unwrap();
                prop_assert_eq!(read.text(Part::Usage), Some(&*usage));
                prop_assert_eq!(read.text(Part::Cost), Some(&*cost));
                prop_assert_eq!(read.text(Part::Attempts), None);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Detail::read(Some(&bytes));
        }
    }

    #[test]
    fn what_rows_usually_tell_takes_a_tenth() {
        let usage = r#"{"tokens":[[{"direction":"input","kind":"plain","modality":"text"},1812],[{"direction":"output","kind":"plain","modality":"text"},77]],"source":"reported"}"#;
        let mut packer = Packer::new();
        packer.push(Part::Usage, usage);
        assert!(packer.finish().len() < 40);
        assert!(packer.finish().is_empty());
        assert_eq!(Detail::read(None).unwrap().text(Part::Usage), None);
        assert!(Detail::read(Some(&[9, 9])).is_err());
    }
}
