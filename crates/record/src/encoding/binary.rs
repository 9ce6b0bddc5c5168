//! How values are written: one after the other, without names, as short as they are.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::{Array, SmallVec};
use uuid::Uuid;

use super::{DecodeError, words};
use crate::{KeyId, Money, OrgId, Quantity, RecordId, Timestamp};

/// A value with a binary form. It does not say what it is: who reads it knows.
pub trait Binary: Sized {
    /// Writes the value.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads it back.
    ///
    /// # Errors
    /// Where the bytes end early or hold no such value.
    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError>;
}

/// Bytes that are read from their beginning on.
#[derive(Debug)]
pub struct Input<'a> {
    whole: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// All of these bytes.
    #[must_use]
    pub fn new(whole: &'a Bytes) -> Self {
        Self { whole, rest: whole }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&first, rest) = self.rest.split_first().ok_or(DecodeError::Malformed)?;
        self.rest = rest;
        Ok(first)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next bytes, which share the buffer.
    pub(super) fn share(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        let taken = self.take(len)?;
        Ok(self.whole.slice_ref(taken))
    }

    pub(super) fn length(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(u64::read(self)?).map_err(|_| DecodeError::Malformed)
    }

    /// The next text: a word of the list, or its bytes.
    fn text(&mut self) -> Result<Text<'a>, DecodeError> {
        let tag = self.length()?;
        if tag & 1 == 1 {
            return words::of_code(tag >> 1).map(Text::Word).ok_or(DecodeError::Malformed);
        }
        let bytes = self.take(tag >> 1)?;
        str::from_utf8(bytes).map(Text::Other).map_err(|_| DecodeError::Malformed)
    }
}

enum Text<'a> {
    Word(&'static str),
    Other(&'a str),
}

impl<'a> Text<'a> {
    fn as_str(&self) -> &'a str {
        match self {
            Self::Word(word) => word,
            Self::Other(text) => text,
        }
    }
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn write_number(mut number: u128, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn read_number(from: &mut Input<'_>, bits: u32) -> Result<u128, DecodeError> {
    let (mut number, mut shift) = (0_u128, 0);
    loop {
        let byte = from.byte()?;
        let part = u128::from(byte & 0x7f);
        if shift >= bits || part.checked_shr(bits - shift).is_some_and(|beyond| beyond != 0) {
            return Err(DecodeError::Malformed);
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
        shift += 7;
    }
}

impl Binary for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        let mut number = *self;
        while number >= 0x80 {
            let [low, ..] = number.to_le_bytes();
            out.push(low | 0x80);
            number >>= 7;
        }
        let [low, ..] = number.to_le_bytes();
        out.push(low);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        // Most numbers are one or two bytes.
        match *from.rest {
            [low, ..] if low < 0x80 => {
                from.rest = &from.rest[1..];
                Ok(Self::from(low))
            }
            [low, high, ..] if high < 0x80 => {
                from.rest = &from.rest[2..];
                Ok(Self::from(low & 0x7f) | Self::from(high) << 7)
            }
            _ => Self::try_from(read_number(from, Self::BITS)?).map_err(|_| DecodeError::Malformed),
        }
    }
}

/// The sign goes into the lowest bit, so that small amounts of either sign are short.
impl Binary for i128 {
    fn write(&self, out: &mut Vec<u8>) {
        write_number(((self << 1) ^ (self >> (Self::BITS - 1))).cast_unsigned(), out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        let folded = read_number(from, Self::BITS)?;
        Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }
}

impl Binary for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Malformed),
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    match words::code_of(text) {
        Some(code) => (code << 1 | 1).write(out),
        None => {
            ((text.len() as u64) << 1).write(out);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

impl Binary for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        from.text().map(|text| text.as_str().to_owned())
    }
}

impl Binary for Arc<str> {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        from.text().map(|text| text.as_str().into())
    }
}

impl Binary for Cow<'static, str> {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        Ok(match from.text()? {
            Text::Word(word) => Cow::Borrowed(word),
            Text::Other(text) => Cow::Owned(text.to_owned()),
        })
    }
}

impl Binary for Bytes {
    fn write(&self, out: &mut Vec<u8>) {
        (self.len() as u64).write(out);
        out.extend_from_slice(self);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        let len = from.length()?;
        from.share(len)
    }
}

impl<T: Binary> Binary for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.write(out);
            }
        }
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        if bool::read(from)? { T::read(from).map(Some) } else { Ok(None) }
    }
}

impl<T: Binary> Binary for Box<T> {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        T::read(from).map(Self::new)
    }
}

impl<A: Binary, B: Binary> Binary for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        Ok((A::read(from)?, B::read(from)?))
    }
}

fn write_all<'t, T: Binary + 't>(items: impl ExactSizeIterator<Item = &'t T>, out: &mut Vec<u8>) {
    (items.len() as u64).write(out);
    items.for_each(|item| item.write(out));
}

/// As many as are said to be there; room is made as they come, so that a false number asks for no memory.
fn read_all<T: Binary, C: Default + Extend<T>>(from: &mut Input<'_>) -> Result<C, DecodeError> {
    let mut all = C::default();
    for _ in 0..from.length()? {
        all.extend(std::iter::once(T::read(from)?));
    }
    Ok(all)
}

impl<T: Binary> Binary for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_all(self.iter(), out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        read_all(from)
    }
}

impl<A: Array<Item: Binary>> Binary for SmallVec<A> {
    fn write(&self, out: &mut Vec<u8>) {
        write_all(self.iter(), out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        read_all(from)
    }
}

impl Binary for u16 {
    fn write(&self, out: &mut Vec<u8>) {
        u64::from(*self).write(out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        u64::read(from)?.try_into().map_err(|_| DecodeError::Malformed)
    }
}

impl Binary for u32 {
    fn write(&self, out: &mut Vec<u8>) {
        u64::from(*self).write(out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        u64::read(from)?.try_into().map_err(|_| DecodeError::Malformed)
    }
}

impl Binary for Money {
    fn write(&self, out: &mut Vec<u8>) {
        self.atto().write(out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        i128::read(from).map(Self::from_atto)
    }
}

impl Binary for Quantity {
    fn write(&self, out: &mut Vec<u8>) {
        self.micro().write(out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        u64::read(from).map(Self::from_micro)
    }
}

impl Binary for Timestamp {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.micros().to_le_bytes());
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        let bytes = from.take(8)?.try_into().map_err(|_| DecodeError::Malformed)?;
        Ok(Self::from_micros(i64::from_le_bytes(bytes)))
    }
}

impl Binary for Uuid {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        Self::from_slice(from.take(16)?).map_err(|_| DecodeError::Malformed)
    }
}

macro_rules! ids {
    ($($id:ty),*) => {$(
        impl Binary for $id {
            fn write(&self, out: &mut Vec<u8>) {
                self.uuid().write(out);
            }

            fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
                Uuid::read(from).map(Self::from)
            }
        }
    )*};
}

ids!(RecordId, OrgId, KeyId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn there_and_back<T: Binary>(value: &T) -> T {
        let mut out = Vec::new();
        value.write(&mut out);
        let bytes = Bytes::from(out);
        let mut input = Input::new(&bytes);
        let read = T::read(&mut input).unwrap();
        assert!(input.is_empty());
        read
    }

    proptest! {
        #[test]
        fn numbers_and_texts_come_back(small: u64, large: i128, text: String, word in 0..words::WORDS.len()) {
            for number in [small, small >> 32, small >> 50, small >> 57, u64::MAX, 0, 127, 128, 16_383, 16_384] {
                prop_assert_eq!(there_and_back(&number), number);
            }
            for amount in [large, -large.abs().max(0), large >> 64, i128::MAX, i128::MIN, 0, -1] {
                prop_assert_eq!(there_and_back(&amount), amount);
            }
            let word = words::WORDS[word].to_owned();
            prop_assert_eq!(there_and_back(&vec![Some(text.clone()), None, Some(word.clone())]), vec![Some(text), None, Some(word)]);
        }
    }

    #[test]
    fn what_is_no_number_or_text_is_refused() {
        for bytes in [&[0xff; 10][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], &[0x80]] {
            assert!(u64::read(&mut Input::new(&Bytes::copy_from_slice(bytes))).is_err(), "{bytes:?}");
        }
        for bytes in [&[4_u8, 0xff, 0xff][..], &[4, b'a'], &[0xff, 0xff, 3]] {
            assert!(String::read(&mut Input::new(&Bytes::copy_from_slice(bytes))).is_err(), "{bytes:?}");
        }
        assert!(Vec::<u64>::read(&mut Input::new(&Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f]))).is_err());
    }
}
