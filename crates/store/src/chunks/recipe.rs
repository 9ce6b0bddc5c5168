//! What a body is made of, as bytes.

use std::collections::HashMap;

use bytes::Bytes;
use uuid::Uuid;

use super::cut::Part;
use crate::StoreError;

const LEVEL: i32 = 3;

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0_u64, 0_u32);
    loop {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        number |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

pub(super) fn write(body: &[u8], parts: &[Part], hashes: &[Uuid]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(parts.len() * 3 + hashes.len() * 16 + 512);
    put(&mut out, parts.len() as u64);
    let mut between = Vec::new();
    for part in parts {
        put(&mut out, (part.range.len() as u64) << 1 | u64::from(part.is_chunk));
        if !part.is_chunk {
            between.extend_from_slice(&body[part.range.clone()]);
        }
    }
    for hash in hashes {
        out.extend_from_slice(hash.as_bytes());
    }
    out.extend_from_slice(&zstd::bulk::compress(&between, LEVEL).ok()?);
    Some(out)
}

/// A recipe that was read.
pub(crate) struct Recipe {
    /// Lengths, with the hash where the part is a chunk.
    parts: Vec<(usize, Option<Uuid>)>,
    between: Vec<u8>,
}

/// The hashes of the chunks that a recipe refers to.
pub(crate) fn chunks_of(recipe: &Recipe) -> impl Iterator<Item = Uuid> + '_ {
    recipe.parts.iter().filter_map(|(_, hash)| *hash)
}

impl Recipe {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, StoreError> {
        Self::parse(bytes).ok_or_else(|| StoreError::unreadable("a body", "its recipe is damaged"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let count = usize::try_from(number(&mut rest)?).ok().filter(|count| *count <= bytes.len())?;
        let (mut lengths, mut between) = (Vec::with_capacity(count), 0_usize);
        for _ in 0..count {
            let told = number(&mut rest)?;
            let len = usize::try_from(told >> 1).ok()?;
            if told & 1 == 0 {
                between = between.checked_add(len)?;
            }
            lengths.push((len, told & 1 == 1));
        }
        let mut parts = Vec::with_capacity(count);
        for (len, is_chunk) in lengths {
            let hash = match is_chunk {
                false => None,
                true => {
                    let (hash, behind) = rest.split_first_chunk::<16>()?;
                    rest = behind;
                    Some(Uuid::from_bytes(*hash))
                }
            };
            parts.push((len, hash));
        }
        let size = zstd::zstd_safe::get_frame_content_size(rest).ok().flatten()?;
        if usize::try_from(size).ok()? != between {
            return None;
        }
        Some(Self { parts, between: zstd::bulk::decompress(rest, between).ok()? })
    }

    /// The body; nothing where a chunk has been let go of.
    pub(crate) fn together(&self, chunks: &HashMap<Uuid, Bytes>, len: usize) -> Result<Option<Bytes>, StoreError> {
        let damaged = |why: &str| StoreError::unreadable("a body", why);
        let (mut body, mut between) = (Vec::with_capacity(len), self.between.as_slice());
        for (len, hash) in &self.parts {
            match hash {
                Some(hash) => match chunks.get(hash) {
                    None => return Ok(None),
                    Some(chunk) if chunk.len() != *len => return Err(damaged("a chunk is not as long as it was")),
                    Some(chunk) => body.extend_from_slice(chunk),
                },
                None => {
                    let (part, rest) = between.split_at_checked(*len).ok_or_else(|| damaged("a part is missing"))?;
                    between = rest;
                    body.extend_from_slice(part);
                }
            }
        }
        if body.len() != len {
            return Err(damaged("it is not as long as it was"));
        }
        Ok(Some(body.into()))
    }
}
