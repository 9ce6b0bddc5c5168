//! What a start does about what the last run left.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use uuid::Uuid;

use crate::format::{self, SEGMENT_HEAD};
use crate::reader::set_aside;
use crate::scan::{Scan, Step};
use crate::segment::Segment;

pub(crate) struct Found {
    pub(crate) segment: Segment,
    pub(crate) next: u64,
    /// Bytes of the segments before.
    pub(crate) behind: u64,
    pub(crate) torn: u64,
    pub(crate) quarantined: u64,
}

/// What is in it is for its owner alone: it holds prompts.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// The spool's id, made at its first opening.
pub(crate) fn id(dir: &Path) -> io::Result<Uuid> {
    let path = dir.join("id");
    if let Some(id) = std::fs::read_to_string(&path).ok().and_then(|text| Uuid::parse_str(text.trim()).ok()) {
        return Ok(id);
    }
    let id = Uuid::now_v7();
    let fresh = dir.join("id.new");
    std::fs::write(&fresh, format!("{id}\n"))?;
    File::open(&fresh)?.sync_all()?;
    std::fs::rename(fresh, path)?;
    Ok(id)
}

/// Finds the end of the last segment. A block that was begun and not finished is cut off; damaged bytes at the end are put
/// aside first. Damage in the middle is the reader's to find.
pub(crate) fn recover(dir: &Path, id: Uuid) -> io::Result<Found> {
    let segments = format::segments(dir)?;
    let Some((&last, before)) = segments.split_last() else {
        let segment = Segment::create(dir, id, 1)?;
        return Ok(Found { segment, next: 1, behind: 0, torn: 0, quarantined: 0 });
    };
    let mut behind = 0;
    for &segment in before {
        behind += std::fs::metadata(format::segment_path(dir, segment))?.len();
    }
    let file = File::open(format::segment_path(dir, last))?;
    let limit = file.metadata()?.len();
    if limit < SEGMENT_HEAD as u64 {
        // The process died while it made the file.
        let segment = Segment::create(dir, id, last)?;
        return Ok(Found { segment, next: last, behind, torn: 0, quarantined: 0 });
    }
    let mut scan = Scan::default();
    if !format::is_segment_head(&scan.bytes(&file, 0, SEGMENT_HEAD as u64, limit)?) {
        tracing::warn!(
            segment = last,
            "the head of a segment of the spool is damaged; its blocks are read all the same"
        );
    }
    let (mut end, mut next, mut torn, mut quarantined) = (SEGMENT_HEAD as u64, last, 0, 0);
    loop {
        match scan.step(&file, end, limit)? {
            Step::Block { head, next: behind, .. } => (end, next) = (behind, head.sequence + 1),
            // Whole blocks follow, or its own head tells how long it is: the reader puts it aside when it gets there.
            Step::Damaged { to, sequence } if to < limit || sequence.is_some() => {
                next = sequence.map_or(next, |sequence| sequence + 1);
                end = to;
            }
            Step::Damaged { to, .. } => {
                set_aside(dir, last, end, &scan.bytes(&file, end, to - end, limit)?)?;
                quarantined += 1;
                break;
            }
            Step::Torn => {
                torn += 1;
                break;
            }
            Step::End => break,
        }
    }
    let segment = Segment::resume(dir, last, end)?;
    Ok(Found { segment, next, behind, torn, quarantined })
}
