//! Numbers and bytes of a block: LEB128, signed ones folded so that small negatives are short (zigzag).

/// Bytes that no program of ours wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn put_signed(out: &mut Vec<u8>, number: i128) {
    put_varint(out, ((number << 1) ^ (number >> 127)).cast_unsigned());
}

/// Reads what was put, and never beyond its end.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn byte(&mut self) -> Result<u8, Damaged> {
        let (&first, rest) = self.rest.split_first().ok_or(Damaged)?;
        self.rest = rest;
        Ok(first)
    }

    fn varint(&mut self) -> Result<u128, Damaged> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(first.into());
        }
        let (mut number, mut shift) = (u128::from(first & 0x7F), 7_u32);
        loop {
            let byte = self.byte()?;
            number |= u128::from(byte & 0x7F).checked_shl(shift).ok_or(Damaged)?;
            if byte < 0x80 {
                return Ok(number);
            }
            shift += 7;
        }
    }

    pub(super) fn number(&mut self) -> Result<u64, Damaged> {
        u64::try_from(self.varint()?).map_err(|_| Damaged)
    }

    pub(super) fn signed(&mut self) -> Result<i128, Damaged> {
        let folded = self.varint()?;
        Ok((folded >> 1).cast_signed() ^ -((folded & 1).cast_signed()))
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Damaged> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Damaged)?;
        self.rest = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(signed in any::<i128>(), number in any::<u64>(), small in -70_i128..70) {
            let mut out = Vec::new();
            put_signed(&mut out, signed);
            put_varint(&mut out, number.into());
            put_signed(&mut out, small);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.signed(), Ok(signed));
            prop_assert_eq!(reader.number(), Ok(number));
            prop_assert_eq!(reader.signed(), Ok(small));
            prop_assert_eq!(reader.byte(), Err(Damaged));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader::new(&bytes);
            while reader.signed().is_ok() {}
        }
    }
}
