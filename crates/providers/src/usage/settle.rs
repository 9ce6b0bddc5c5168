//! From counts that overlap to leaves that do not.

use tachograph_record::{CacheTtl, Direction, Kind, Leaf, Modality, Quantity, Unit, Usage};

use super::UsageError;
use super::node::Node;
use super::number::{count, quantity};
use super::shape::{Paths, Place, Row, find};

const LONGEST_WORD: usize = 64;

type Checked<T> = Result<T, UsageError>;

/// The numbers of a usage object by what they count, as sent.
#[derive(Debug, Default)]
pub(super) struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    read: u64,
    write: Option<u64>,
    write_5m: u64,
    write_1h: u64,
    reasoning: u64,
    tool: u64,
    citation: u64,
    billed: Option<(u64, u64)>,
    input_of: Vec<(Modality, u64)>,
    read_of: Vec<(Modality, u64)>,
    output_of: Vec<(Modality, u64)>,
    units: Vec<(Unit, Quantity)>,
}

impl Counts {
    pub(super) fn read(row: &'static Row, usage: &Node<'_>) -> Checked<Self> {
        let one = |paths: Paths| first(usage, paths, count);
        let some = |paths: Paths| Ok(one(paths)?.unwrap_or(0));
        let each = |table: &'static [(Modality, Paths)]| -> Checked<Vec<(Modality, u64)>> {
            table.iter().map(|&(modality, paths)| Ok((modality, some(paths)?))).collect()
        };
        let counts = Self {
            input: one(row.input)?,
            output: one(row.output)?,
            // A total is only a witness: a bad one proves nothing.
            total: one(row.total).unwrap_or_default(),
            read: some(row.cache_read)?,
            write: one(row.cache_write)?,
            write_5m: some(row.write_5m)?,
            write_1h: some(row.write_1h)?,
            reasoning: some(row.reasoning)?,
            tool: some(row.tool)?,
            citation: some(row.citation)?,
            billed: billed(one(row.billed.0)?, one(row.billed.1)?),
            input_of: each(row.input_of)?,
            read_of: each(row.read_of)?,
            output_of: each(row.output_of)?,
            units: row
                .units
                .iter()
                .filter_map(|&(unit, paths)| {
                    first(usage, paths, quantity).transpose().map(|found| found.map(|quantity| (unit, quantity)))
                })
                .collect::<Checked<_>>()?,
        };
        let nothing = counts.input.is_none() && counts.output.is_none() && counts.reasoning == 0 && counts.tool == 0;
        if nothing && counts.units.is_empty() { Err(UsageError::NoUsage) } else { Ok(counts) }
    }
}

/// What is billed, if both or one is told.
fn billed(input: Option<u64>, output: Option<u64>) -> Option<(u64, u64)> {
    (input.is_some() || output.is_some()).then(|| (input.unwrap_or(0), output.unwrap_or(0)))
}

fn first<T>(usage: &Node<'_>, paths: Paths, read: fn(&Node<'_>) -> Result<T, &'static str>) -> Checked<Option<T>> {
    for &field in paths {
        if let Some(value) = find(usage, field) {
            return read(value).map(Some).map_err(|why| UsageError::Invalid { field, why });
        }
    }
    Ok(None)
}

/// Which sub-counts stand beside their totals. Mostly the shape says so; where a stated total exceeds input and output,
/// the sub-counts that make up exactly the difference are beside, whatever the shape says.
#[derive(Debug)]
struct Beside {
    reasoning: bool,
    cache: bool,
    audio: bool,
    /// Tokens in the total that nothing names.
    unnamed: u64,
}

impl Beside {
    fn find(row: &Row, provider: &str, counts: &Counts, searches: bool) -> Self {
        let shape = Self {
            reasoning: row.reasoning_is == Place::Beside || searches,
            cache: row.cache == Place::Beside,
            audio: false,
            unnamed: 0,
        };
        let (input, output) = (counts.input.unwrap_or(0), counts.output.unwrap_or(0));
        let Some(total) = counts.total else {
            return Self { reasoning: shape.reasoning || provider == "xai", ..shape };
        };
        let over = total.saturating_sub(input.saturating_add(output));
        if over == 0 || searches || counts.input.is_none() {
            return shape;
        }
        let cache = counts.read.saturating_add(counts.write.unwrap_or(0));
        let audio = counts.input_of.iter().find(|(modality, _)| *modality == Modality::Audio).map_or(0, |&(_, n)| n);
        let parts = [counts.reasoning, cache, audio];
        for picked in 1..8_u8 {
            let chosen = |at: usize| picked & (1 << at) != 0;
            let all_count = (0..3).all(|at| !chosen(at) || parts[at] > 0);
            let sum = (0..3).filter(|&at| chosen(at)).fold(0_u64, |sum, at| sum.saturating_add(parts[at]));
            if all_count && sum == over {
                return Self { reasoning: chosen(0), cache: chosen(1), audio: chosen(2), unnamed: 0 };
            }
        }
        Self { unnamed: over, ..shape }
    }
}

/// The leaves.
pub(super) fn settle(row: &'static Row, provider: &str, usage: &Node<'_>, counts: &Counts) -> Checked<Usage> {
    // Perplexity's deep research counts citations and reasoning beside what it wrote, and leaves them out of the total.
    let searches = row.citation.iter().chain(&["num_search_queries"]).any(|path| find(usage, path).is_some());
    let beside = Beside::find(row, provider, counts, searches);
    let heard = find(usage, "prompt_audio_seconds").and_then(Node::as_f64).is_some_and(|seconds| seconds > 0.0);
    let mut leaves = Usage::reported([]);
    settle_input(row, counts, &beside, &mut leaves)?;
    settle_output(row, counts, &beside, &mut leaves);
    // What only the total knows is sound that was heard, where some was, else hidden reasoning.
    let unnamed = if heard { Leaf::new(Direction::Input, Kind::Plain, Modality::Audio) } else { Leaf::REASONING };
    leaves.add(unnamed, beside.unnamed);
    if let Some((input, output)) =
        counts.billed.filter(|billed| *billed != (leaves.input_total(), leaves.output_total()))
    {
        leaves.set_billed(input, output);
    }
    for &(unit, quantity) in &counts.units {
        leaves.add_unit(unit, quantity);
    }
    for &(name, paths) in row.facts {
        let told = paths.iter().find_map(|path| find(usage, path)).and_then(Node::as_str);
        // A word, not a text: what is longer is none that a price list knows.
        if let Some(word) = told.filter(|word| !word.is_empty() && word.len() <= LONGEST_WORD) {
            leaves.add_fact(name, word);
        }
    }
    Ok(leaves)
}

fn settle_input(row: &'static Row, counts: &Counts, beside: &Beside, leaves: &mut Usage) -> Checked<()> {
    let split = counts.write_5m.saturating_add(counts.write_1h);
    let write = counts.write.unwrap_or(split);
    if split > write {
        return Err(UsageError::Invalid { field: row.cache_write[0], why: "is less than its parts by lifetime" });
    }
    leaves.add(Leaf::cache_write(CacheTtl::FiveMinutes), counts.write_5m);
    leaves.add(Leaf::cache_write(CacheTtl::OneHour), counts.write_1h);
    leaves.add(Leaf::CACHE_WRITE, write - split);
    leaves.add(Leaf::new(Direction::Input, Kind::Tool, Modality::Text), counts.tool);

    let input = counts.input.unwrap_or(0);
    let mut fresh = if beside.cache {
        input
    } else {
        let cached = counts.read.saturating_add(write);
        let why = "is more than the whole input";
        let field = row.cache_read.first().copied().unwrap_or("cached tokens");
        input.checked_sub(cached).ok_or(UsageError::Invalid { field, why })?
    };
    let mut read = counts.read;
    for &(modality, stated) in &counts.input_of {
        // Of a modality's tokens some may be cached. Where nothing says how many, as few as can be.
        let stated_read = counts.read_of.iter().find(|(of, _)| *of == modality).map_or(0, |&(_, count)| count);
        let is_beside = beside.audio && modality == Modality::Audio;
        let fresh_part = if is_beside { stated } else { (stated - stated_read.min(stated)).min(fresh) };
        let read_part = (stated - fresh_part).min(read);
        if fresh_part + read_part < stated {
            let field = row.input_of.iter().find(|(of, _)| *of == modality).map_or("input", |(_, paths)| paths[0]);
            return Err(UsageError::Invalid { field, why: "is more than the whole input" });
        }
        leaves.add(Leaf::new(Direction::Input, Kind::Plain, modality), fresh_part);
        leaves.add(Leaf::new(Direction::Input, Kind::CacheRead, modality), read_part);
        fresh -= if is_beside { 0 } else { fresh_part };
        read -= read_part;
    }
    leaves.add(Leaf::INPUT, fresh);
    leaves.add(Leaf::CACHE_READ, read);
    Ok(())
}

fn settle_output(row: &Row, counts: &Counts, beside: &Beside, leaves: &mut Usage) {
    let mut visible = counts.output.unwrap_or(0);
    // Reasoning inside the output cannot be more than it; the output is what is billed, so it bounds the part.
    let reasoning = if beside.reasoning { counts.reasoning } else { counts.reasoning.min(visible) };
    visible -= if beside.reasoning { 0 } else { reasoning };
    leaves.add(Leaf::REASONING, reasoning);
    leaves.add(Leaf::new(Direction::Output, Kind::Citation, Modality::Text), counts.citation);
    for &(modality, stated) in &counts.output_of {
        let part = stated.min(visible);
        leaves.add(Leaf::new(Direction::Output, Kind::Plain, modality), part);
        visible -= part;
    }
    leaves.add(Leaf::new(Direction::Output, Kind::Plain, row.output_is), visible);
}
