//! Bodies of conversations, their history kept once.
//!
//! Each request of a conversation sends all that was said before. Such a body is cut at the elements of its arrays into
//! chunks, which are kept by their content's hash, and is itself a *recipe*: which chunks it is made of, and the few bytes
//! between them. The bytes come back exactly: a body is the parts that it was cut into, one behind the other.
//!
//! # Which bodies
//! A request's JSON object of 4 KiB or more, once a part of it was seen before; a body that resembles none is one
//! zstd frame, which is shorter than many chunks. What was seen is remembered by the process that writes, so that the first
//! request of a conversation, and the first after a restart, are whole.
//!
//! # Where it is cut
//! Before each comma between the members of the object and between the elements of an array that is a member, behind such
//! an array's bracket and before the one that closes it. So an element is cut alike whether another follows it or not. Parts of
//! 1 KiB or more are a chunk each, shorter ones are put together until they are as long. What is left between is kept in the recipe.
//!
//! # How long
//! Chunks are kept by organisation and by day (UTC) of the request, under the first 128 bits of their BLAKE3 hash, and only
//! bodies of that day refer to them. So a day's chunks go when its bodies have gone, and no count of references is kept.
//!
//! # A recipe
//! LEB128 numbers: the count of parts, and for each its length times two, plus one where it is a chunk; the hashes of the
//! chunks, 16 bytes each; and all other parts behind one another, as one zstd frame.

mod cut;
mod recipe;
mod seen;

pub(crate) use recipe::{Recipe, chunks_of};
pub(crate) use seen::{ChunkKey, Seen};

use bytes::Bytes;
use uuid::Uuid;

/// A request's day, µs of its beginning.
pub(crate) fn day(received_at: i64) -> i64 {
    const DAY: i64 = 86_400_000_000;
    received_at.saturating_sub(received_at.rem_euclid(DAY))
}

/// The hash that a chunk is found by.
fn hash(chunk: &[u8]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&blake3::hash(chunk).as_bytes()[..16]);
    Uuid::from_bytes(bytes)
}

/// A body cut up: its recipe, and the chunks that it refers to.
pub(crate) struct Chunked {
    pub(crate) recipe: Vec<u8>,
    pub(crate) chunks: Vec<(Uuid, Bytes)>,
}

/// Cuts a body; nothing where it is better kept whole. `is_known` is told each chunk's hash and says whether it was seen before.
pub(crate) fn chunked(body: &Bytes, mut is_known: impl FnMut(Uuid) -> bool) -> Option<Chunked> {
    const SHORTEST: usize = 4 << 10;
    if body.len() < SHORTEST || body.first() != Some(&b'{') {
        return None;
    }
    let parts = cut::parts(body);
    let chunks: Vec<(Uuid, Bytes)> = parts
        .iter()
        .filter(|part| part.is_chunk)
        .map(|part| {
            let chunk = body.slice(part.range.clone());
            (hash(&chunk), chunk)
        })
        .collect();
    let known: Vec<bool> = chunks.iter().map(|(hash, _)| is_known(*hash)).collect();
    if !known.contains(&true) {
        return None;
    }
    let hashes: Vec<Uuid> = chunks.iter().map(|(hash, _)| *hash).collect();
    Some(Chunked { recipe: recipe::write(body, &parts, &hashes)?, chunks })
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    /// Cuts bodies one after another as a writer does, and puts each together again.
    fn kept(bodies: &[Bytes]) -> (usize, usize, usize) {
        let (mut seen, mut store) = (HashSet::new(), HashMap::new());
        let (mut ours, mut alone, mut cut) = (0, 0, 0);
        for body in bodies {
            let frame = zstd::bulk::compress(body, 3).unwrap();
            alone += frame.len();
            match chunked(body, |hash| !seen.insert(hash)) {
                None => ours += frame.len(),
                Some(Chunked { recipe, chunks }) => {
                    cut += 1;
                    ours += recipe.len();
                    for (hash, chunk) in chunks {
                        store.entry(hash).or_insert_with(|| {
                            // And the row that it takes.
                            ours += zstd::bulk::compress(&chunk, 3).unwrap().len().min(chunk.len()) + 48;
                            chunk
                        });
                    }
                    let recipe = Recipe::read(&recipe).unwrap();
                    assert_eq!(recipe.together(&store, body.len()).unwrap().unwrap(), *body);
                }
            }
        }
        (ours, alone, cut)
    }

    fn words(count: usize, seed: u64) -> String {
        let mut state = seed;
        let mut text = String::new();
        for _ in 0..count {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let word = (state >> 33) % 4_000;
            let letters = "etaoinshrdlucmfwypvbgkjqxz".as_bytes();
            let mut rest = word * word % 99_991 + 7;
            while rest > 0 {
                text.push(char::from(letters[usize::try_from(rest % 13).unwrap()]));
                rest /= 13;
            }
            text.push(' ');
        }
        text
    }

    /// The requests of a conversation: each the one before, the answer and what is said next.
    fn conversation(turns: u64) -> Vec<Bytes> {
        let mut messages = vec![format!(r#"{{"role":"system","content":"{}"}}"#, words(250, 1))];
        (0..turns)
            .map(|turn| {
                messages.push(format!(r#"{{"role":"user","content":"{}"}}"#, words(60, turn * 2 + 5)));
                let body = format!(
                    r#"{{"model":"gpt-4o","temperature":0.7,"messages":[{}],"stream":true}}"#,
                    messages.join(",")
                );
                messages.push(format!(r#"{{"role":"assistant","content":"{}"}}"#, words(240, turn * 2 + 6)));
                body.into()
            })
            .collect()
    }

    #[test]
    fn a_conversation_of_25_turns_is_kept_at_least_five_times_smaller_than_by_requests() {
        let (ours, alone, cut) = kept(&conversation(25));
        assert!(cut >= 20, "{cut}");
        assert!(ours * 5 <= alone, "{alone} bytes by requests, {ours} ours");
    }

    #[test]
    fn bodies_that_resemble_none_are_whole() {
        let bodies: Vec<Bytes> = (0..20)
            .map(|at| format!(r#"{{"messages":[{{"content":"{}"}}]}}"#, words(900, at * 1_000 + 77)).into())
            .collect();
        assert_eq!(kept(&bodies).2, 0);
    }

    proptest! {
        #[test]
        fn whatever_is_cut_comes_back(
            text in "\\{([a-z\\\\\"\\[\\]{},:é ]{0,40}(\"[a-z]{900,1300}\",?)?){0,12}",
            times in 1_usize..4,
        ) {
            let body = Bytes::from(text.repeat(times));
            kept(&[body.clone(), body]);
        }

        #[test]
        fn no_recipe_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(recipe) = Recipe::read(&bytes) {
                let _ = recipe.together(&HashMap::new(), 100);
            }
        }
    }
}
