//! The reading side: in order, with a cursor that lasts.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::format::{self, SEGMENT_HEAD};
use crate::scan::{Scan, Step};
use crate::writer::Shared;

/// The cursor's file is written at most so often; what was acknowledged since is read again after a crash.
const CURSOR_EVERY: Duration = Duration::from_millis(100);
pub(crate) const QUARANTINE: &str = "quarantine";

/// Where a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Its segment, by its first number.
    pub(crate) segment: u64,
    /// Its offset there, in bytes.
    pub(crate) offset: u64,
}

/// A block as it was appended.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its number.
    pub sequence: u64,
    /// When it was written, µs since the epoch.
    pub written_at: i64,
    /// Where it stands.
    pub position: Position,
    /// The entry.
    pub entry: Bytes,
}

/// Reads a spool in order. What is [acknowledged](Self::acknowledge) is not read again, and its segments go.
pub struct Reader {
    shared: Arc<Shared>,
    at: Position,
    expected: u64,
    /// The file that is read, with the scan through it.
    open: Option<(u64, File, Scan)>,
    held: Vec<Position>,
    saved: Instant,
    unsaved: bool,
}

impl Reader {
    pub(crate) fn open(shared: Arc<Shared>) -> io::Result<Self> {
        let segments = format::segments(&shared.options.dir)?;
        let first = segments.first().copied().unwrap_or(shared.head().segment);
        let cursor = load(&shared.options.dir.join("cursor")).filter(|cursor| {
            // A cursor of segments that are gone, or beyond what was written, is of another time.
            cursor.at.segment >= first && segments.contains(&cursor.at.segment) && cursor.next <= shared.head().next
        });
        let start = Position { segment: first, offset: SEGMENT_HEAD as u64 };
        let cursor = cursor.unwrap_or(Cursor { at: start, next: first, held: Vec::new() });
        shared.gauges.acknowledged.store(cursor.next, Ordering::Relaxed);
        let Cursor { at, next, held } = cursor;
        Ok(Self { shared, at, expected: next, open: None, held, saved: Instant::now(), unsaved: false })
    }

    /// The blocks that were held when the cursor was saved last and can still be read.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn held(&mut self) -> io::Result<Vec<Block>> {
        let mut blocks = Vec::new();
        for position in self.held.clone() {
            let Ok(file) = File::open(format::segment_path(&self.shared.options.dir, position.segment)) else {
                continue;
            };
            let limit = self.limit(position.segment, &file)?;
            if let Step::Block { head, entry, .. } = Scan::default().step(&file, position.offset, limit)? {
                blocks.push(Block { sequence: head.sequence, written_at: head.written_at, position, entry });
            }
        }
        Ok(blocks)
    }

    /// The next number that will be read.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.expected
    }

    /// Waits until there may be more to read.
    pub async fn appended(&self) {
        if self.is_at_the_end() {
            self.shared.appended.notified().await;
        }
    }

    /// Whether everything that was written has been read.
    #[must_use]
    pub fn is_at_the_end(&self) -> bool {
        let head = self.shared.head();
        self.at.segment == head.segment && self.at.offset >= head.end
    }

    /// Reads on: at most so many blocks, and no more once their entries come to so many bytes. Damaged blocks are put aside
    /// in `quarantine/`, counted, and left out. Blocks while it reads; call it where that is allowed.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn read(&mut self, blocks: usize, bytes: usize) -> io::Result<Vec<Block>> {
        let (mut read, mut weight) = (Vec::new(), 0);
        while read.len() < blocks && weight < bytes && !self.is_at_the_end() {
            let (segment, offset) = (self.at.segment, self.at.offset);
            let Some(limit) = self.prepare(segment)? else {
                self.next_segment()?;
                continue;
            };
            let Some((_, file, scan)) = &mut self.open else { break };
            match scan.step(file, offset, limit)? {
                Step::Block { head, entry, next } => {
                    self.at.offset = next;
                    self.expect(head.sequence);
                    weight += entry.len();
                    let position = Position { segment, offset };
                    read.push(Block { sequence: head.sequence, written_at: head.written_at, position, entry });
                }
                Step::Damaged { to, .. } => self.quarantine(segment, offset, to, limit)?,
                Step::Torn => self.quarantine(segment, offset, limit, limit)?,
                Step::End if segment == self.shared.head().segment => break,
                Step::End => self.next_segment()?,
            }
        }
        Ok(read)
    }

    fn expect(&mut self, sequence: u64) {
        if sequence > self.expected {
            tracing::error!(from = self.expected, to = sequence - 1, "entries of the spool are missing");
        }
        self.expected = sequence + 1;
    }

    fn limit(&self, segment: u64, file: &File) -> io::Result<u64> {
        let head = self.shared.head();
        if segment == head.segment { Ok(head.end) } else { Ok(file.metadata()?.len()) }
    }

    /// Opens the segment; `None` where it is gone. Gives where its blocks end.
    fn prepare(&mut self, segment: u64) -> io::Result<Option<u64>> {
        if self.open.as_ref().is_none_or(|(open, ..)| *open != segment) {
            match File::open(format::segment_path(&self.shared.options.dir, segment)) {
                Ok(file) => self.open = Some((segment, file, Scan::default())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let Some((_, file, _)) = &self.open else { return Ok(None) };
        self.limit(segment, file).map(Some)
    }

    fn next_segment(&mut self) -> io::Result<()> {
        let segments = format::segments(&self.shared.options.dir)?;
        let next = segments.into_iter().find(|&first| first > self.at.segment);
        let next = next.unwrap_or(self.shared.head().segment);
        self.at = Position { segment: next, offset: SEGMENT_HEAD as u64 };
        Ok(())
    }

    fn quarantine(&mut self, segment: u64, from: u64, to: u64, limit: u64) -> io::Result<()> {
        if let Some((_, file, scan)) = &mut self.open {
            let bytes = scan.bytes(file, from, to - from, limit)?;
            set_aside(&self.shared.options.dir, segment, from, &bytes)?;
        }
        self.shared.gauges.quarantined.fetch_add(1, Ordering::Relaxed);
        self.at.offset = to;
        Ok(())
    }

    /// Everything that was read is done with, but for the blocks at `held`: they are found again after a crash
    /// ([`held`](Self::held)). Segments that nothing needs any more are removed.
    ///
    /// # Errors
    /// Where the cursor cannot be saved; what was acknowledged is then read again after a crash.
    pub fn acknowledge(&mut self, mut held: Vec<Position>) -> io::Result<()> {
        held.sort_unstable();
        self.held = held;
        self.unsaved = true;
        self.shared.gauges.acknowledged.store(self.expected, Ordering::Relaxed);
        let done: Vec<u64> = format::segments(&self.shared.options.dir)?
            .into_iter()
            .filter(|segment| *segment < self.at.segment && self.held.iter().all(|held| held.segment != *segment))
            .collect();
        if done.is_empty() {
            return if self.saved.elapsed() >= CURSOR_EVERY { self.save() } else { Ok(()) };
        }
        // A full disk may have no room for the cursor until they are gone. One that names a segment that is gone means
        // reading again from the first that is there.
        let saved = self.save();
        self.remove(&done)?;
        saved.or_else(|_| self.save())
    }

    fn remove(&mut self, segments: &[u64]) -> io::Result<()> {
        let mut freed = 0;
        for &segment in segments {
            let path = format::segment_path(&self.shared.options.dir, segment);
            let len = std::fs::metadata(&path)?.len();
            std::fs::remove_file(&path)?;
            freed += len;
        }
        self.shared.freed(freed);
        Ok(())
    }

    /// Saves the cursor now.
    ///
    /// # Errors
    /// Where the disk does not take it.
    pub fn save(&mut self) -> io::Result<()> {
        if self.unsaved {
            let cursor = Cursor { at: self.at, next: self.expected, held: self.held.clone() };
            save(&self.shared.options.dir, &cursor)?;
            (self.saved, self.unsaved) = (Instant::now(), false);
        }
        Ok(())
    }
}

/// Keeps damaged bytes for whoever wants to look at them.
pub(crate) fn set_aside(dir: &Path, segment: u64, from: u64, bytes: &[u8]) -> io::Result<()> {
    let aside = dir.join(QUARANTINE);
    std::fs::create_dir_all(&aside)?;
    let path = aside.join(format!("{segment:020}-{from}.damaged"));
    tracing::error!(path = %path.display(), bytes = bytes.len(), "a block of the spool is damaged; it is put aside");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

/// How far everything was done with. As a file: `TGCURS01`, segment, offset, next number, count of held blocks, each with
/// its segment and offset, all u64, then the crc32 of everything before.
#[derive(Debug)]
struct Cursor {
    at: Position,
    next: u64,
    held: Vec<Position>,
}

const CURSOR_MAGIC: &[u8; 8] = b"TGCURS01";

fn save(dir: &Path, cursor: &Cursor) -> io::Result<()> {
    let mut bytes = CURSOR_MAGIC.to_vec();
    let held = cursor.held.iter().flat_map(|held| [held.segment, held.offset]);
    let numbers = [cursor.at.segment, cursor.at.offset, cursor.next, cursor.held.len() as u64].into_iter().chain(held);
    numbers.for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    let fresh = dir.join("cursor.new");
    std::fs::write(&fresh, bytes)?;
    std::fs::rename(fresh, dir.join("cursor"))
}

fn load(path: &Path) -> Option<Cursor> {
    let bytes = std::fs::read(path).ok()?;
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    if sum != crc32fast::hash(body).to_le_bytes() || body.get(..8)? != CURSOR_MAGIC {
        return None;
    }
    let mut numbers = body[8..].chunks_exact(8).map(|eight| {
        let mut number = [0; 8];
        number.copy_from_slice(eight);
        u64::from_le_bytes(number)
    });
    let mut next = || numbers.next();
    let (at, sequence, held) = (Position { segment: next()?, offset: next()? }, next()?, next()?);
    let held = (0..held).map(|_| Some(Position { segment: next()?, offset: next()? })).collect::<Option<_>>()?;
    Some(Cursor { at, next: sequence, held })
}
