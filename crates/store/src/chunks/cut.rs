//! Where a body is cut.

use std::ops::Range;

/// Bytes of a chunk at least, but for those before a long part.
const CHUNK: usize = 1 << 10;
/// Shorter parts are kept in the recipe.
const WORTH: usize = 256;

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) range: Range<usize>,
    pub(super) is_chunk: bool,
}

/// All of a body, cut into parts.
pub(super) fn parts(body: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut open, mut before) = (0, 0);
    let mut close = |from: usize, until: usize, last: bool| {
        if from < until {
            parts.push(Part { range: from..until, is_chunk: !last && until - from >= WORTH });
        }
    };
    for Cut { at, afresh } in cuts(body) {
        // What came since the last cut: by itself if it is long, else beside what is open.
        if at - before >= CHUNK {
            close(open, before, false);
            close(before, at, false);
            open = at;
        } else if at - open >= CHUNK || afresh {
            close(open, at, false);
            open = at;
        }
        before = at;
    }
    if body.len() - before >= CHUNK {
        close(open, before, false);
        open = before;
    }
    close(open, body.len(), true);
    parts
}

/// A place to cut at.
struct Cut {
    at: usize,
    /// Whether parts are put together anew from here: so an array's chunks do not hang on what stands before it.
    afresh: bool,
}

fn cuts(body: &[u8]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let (mut depth, mut in_array, mut at) = (0_u32, false, 0);
    while let Some(&byte) = body.get(at) {
        match byte {
            b'"' => {
                at = behind_text(body, at + 1);
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth == 2 {
                    in_array = byte == b'[';
                    if in_array {
                        cuts.push(Cut { at: at + 1, afresh: true });
                    }
                }
            }
            b'}' | b']' => {
                if depth == 2 && in_array {
                    cuts.push(Cut { at, afresh: false });
                    in_array = false;
                }
                depth = depth.saturating_sub(1);
            }
            b',' if depth == 1 || (depth == 2 && in_array) => cuts.push(Cut { at, afresh: false }),
            _ => {}
        }
        at += 1;
    }
    cuts
}

/// The place behind the text that begins there.
fn behind_text(body: &[u8], mut at: usize) -> usize {
    while let Some(found) = body.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        if body[at + found] == b'"' {
            return at + found + 1;
        }
        at += found + 2;
    }
    body.len()
}
