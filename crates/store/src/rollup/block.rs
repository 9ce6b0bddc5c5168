//! Cells as bytes, and back.

use std::cell::RefCell;
use std::collections::HashMap;

use zstd::bulk::{Compressor, Decompressor};

use super::coding::{Damaged, Reader, put_signed, put_varint};
use super::cube::{PLACES, PROPERTY_NAME, PROPERTY_VALUE};
use super::sums::Sums;

/// The numbers of words that stand for none, and for more than are told apart.
pub(super) const NONE: u32 = 0;
pub(super) const MANY: u32 = 1;
/// The number of the first word.
pub(super) const FIRST_WORD: u32 = 2;

const PLAIN: u8 = 0;
const PACKED: u8 = 1;
/// Shorter cells are not worth a frame.
const SHORTEST: usize = 256;
/// A damaged frame must not ask for the machine's memory.
const LONGEST: usize = 1 << 30;
const LEVEL: i32 = 1;

thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The values of a cell by place, as numbers of words.
pub(super) type Values = [u32; PLACES];

/// Words that are numbered as they come.
#[derive(Default)]
pub(super) struct Words {
    numbers: HashMap<Box<str>, u32>,
    pub(super) all: Vec<Box<str>>,
}

impl Words {
    pub(super) fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX - FIRST_WORD) + FIRST_WORD;
        self.numbers.insert(word.into(), number);
        self.all.push(word.into());
        number
    }

    /// The word of a number.
    pub(super) fn word(&self, number: u32) -> Option<&str> {
        self.all.get(number.checked_sub(FIRST_WORD)? as usize).map(AsRef::as_ref)
    }
}

/// Writes a block: cells in any order, each beside the one before.
pub(super) struct BlockWriter {
    at: i64,
    places: &'static [usize],
    before: Values,
    properties: Vec<(u32, u32)>,
    cells: Vec<u8>,
    count: u64,
    many: bool,
}

impl BlockWriter {
    pub(super) fn new(at: i64, places: &'static [usize]) -> Self {
        Self { at, places, before: [NONE; PLACES], properties: Vec::new(), cells: Vec::new(), count: 0, many: false }
    }

    /// Adds a cell. Facts have properties, cubes have none: theirs are values.
    pub(super) fn push(&mut self, values: &Values, properties: &[(u32, u32)], sums: &Sums) {
        let mut changed = 0_u64;
        for (bit, &place) in self.places.iter().enumerate() {
            changed |= u64::from(values[place] != self.before[place]) << bit;
        }
        let other = properties != self.properties;
        put_varint(&mut self.cells, (u128::from(changed) << 1) | u128::from(other));
        for (bit, &place) in self.places.iter().enumerate() {
            if changed & (1 << bit) != 0 {
                put_varint(&mut self.cells, values[place].into());
                self.many |= values[place] == MANY;
            }
        }
        if other {
            put_varint(&mut self.cells, properties.len() as u128);
            for &(name, value) in properties {
                put_varint(&mut self.cells, name.into());
                put_varint(&mut self.cells, value.into());
            }
            self.properties.clear();
            self.properties.extend_from_slice(properties);
        }
        sums.write(self.at, &mut self.cells);
        self.before = *values;
        self.count += 1;
    }

    /// The block with the words its cells tell by number.
    pub(super) fn finish(self, words: &Words) -> Vec<u8> {
        let mut raw = Vec::with_capacity(self.cells.len() + words.all.len() * 12 + 16);
        raw.push(self.many.into());
        put_signed(&mut raw, self.at.into());
        put_varint(&mut raw, words.all.len() as u128);
        for word in &words.all {
            put_varint(&mut raw, word.len() as u128);
            raw.extend_from_slice(word.as_bytes());
        }
        put_varint(&mut raw, self.count.into());
        raw.extend_from_slice(&self.cells);
        pack(&raw)
    }
}

fn pack(raw: &[u8]) -> Vec<u8> {
    let packed = PACKER.with_borrow_mut(|packer| {
        if raw.len() < SHORTEST {
            return None;
        }
        if packer.is_none() {
            *packer = Compressor::new(LEVEL).ok();
        }
        packer.as_mut()?.compress(raw).ok()
    });
    let mut block = Vec::with_capacity(raw.len() + 1);
    match packed.filter(|packed| packed.len() < raw.len()) {
        Some(packed) => {
            block.push(PACKED);
            block.extend_from_slice(&packed);
        }
        None => {
            block.push(PLAIN);
            block.extend_from_slice(raw);
        }
    }
    block
}

/// The bytes of a block, unpacked.
pub(super) fn unpack(block: &[u8]) -> Result<Vec<u8>, Damaged> {
    match block.split_first() {
        Some((&PLAIN, raw)) => Ok(raw.to_vec()),
        Some((&PACKED, frame)) => {
            let len = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten();
            let len = len.and_then(|len| usize::try_from(len).ok()).filter(|len| *len <= LONGEST).ok_or(Damaged)?;
            UNPACKER.with_borrow_mut(|unpacker| {
                if unpacker.is_none() {
                    *unpacker = Decompressor::new().ok();
                }
                unpacker.as_mut().ok_or(Damaged)?.decompress(frame, len).map_err(|_| Damaged)
            })
        }
        _ => Err(Damaged),
    }
}

/// Reads a block, cell by cell.
pub(super) struct BlockReader<'a> {
    /// Whether a value somewhere is [`MANY`].
    pub(super) many: bool,
    at: i64,
    places: &'static [usize],
    /// The words, from [`FIRST_WORD`] on.
    pub(super) words: Vec<&'a str>,
    reader: Reader<'a>,
    left: u64,
    pub(super) values: Values,
    pub(super) properties: Vec<(u32, u32)>,
    pub(super) sums: Sums,
}

impl<'a> BlockReader<'a> {
    /// From bytes that were unpacked.
    pub(super) fn open(raw: &'a [u8], places: &'static [usize]) -> Result<Self, Damaged> {
        let mut reader = Reader::new(raw);
        let many = reader.byte()? != 0;
        let at = i64::try_from(reader.signed()?).map_err(|_| Damaged)?;
        let count = usize::try_from(reader.number()?).map_err(|_| Damaged)?;
        let mut words = Vec::with_capacity(count.min(raw.len()));
        for _ in 0..count {
            let len = usize::try_from(reader.number()?).map_err(|_| Damaged)?;
            words.push(std::str::from_utf8(reader.bytes(len)?).map_err(|_| Damaged)?);
        }
        let left = reader.number()?;
        let (values, properties, sums) = ([NONE; PLACES], Vec::new(), Sums::default());
        Ok(Self { many, at, places, words, reader, left, values, properties, sums })
    }

    /// Moves to the next cell, if there is one. Without `spreads` its percentiles are passed over.
    pub(super) fn next(&mut self, spreads: bool) -> Result<bool, Damaged> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(false) };
        self.left = left;
        let changed = self.reader.number()?;
        for (bit, &place) in self.places.iter().enumerate() {
            if changed & (2 << bit) != 0 {
                self.values[place] = self.word()?;
            }
        }
        if changed & 1 != 0 {
            self.properties.clear();
            for _ in 0..self.reader.number()? {
                let pair = (self.word()?, self.word()?);
                self.properties.push(pair);
            }
        }
        self.sums.read(self.at, &mut self.reader, spreads)?;
        Ok(true)
    }

    fn word(&mut self) -> Result<u32, Damaged> {
        let number = u32::try_from(self.reader.number()?).map_err(|_| Damaged)?;
        let known = (number as usize) < self.words.len() + FIRST_WORD as usize;
        if known { Ok(number) } else { Err(Damaged) }
    }

    /// The values of a fact for one of its properties.
    pub(super) fn with_property(&self, (name, value): (u32, u32)) -> Values {
        let mut values = self.values;
        values[PROPERTY_NAME] = name;
        values[PROPERTY_VALUE] = value;
        values
    }
}
