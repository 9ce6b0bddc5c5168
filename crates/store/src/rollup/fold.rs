//! Folding: cells of many blocks into cells of few.

use std::collections::HashMap;

use super::FACT_PLACES;
use super::block::{BlockReader, BlockWriter, FIRST_WORD, MANY, NONE, Values, Words, unpack};
use super::coding::Damaged;
use super::cube::{Cube, FACTS, PLACES, PROPERTY_NAME};
use super::sums::Sums;

/// Cells of one block at most; beyond, what takes many values is told apart no more.
const MOST_CELLS: usize = 30_000;
/// Cells of one property.
const MOST_OF_PROPERTY: usize = 5_000;

/// The cells of one cube, in the numbers of one set of words.
pub(super) type Cells = HashMap<Values, Sums>;

/// Adds a row's or a cell's sums where its values belong.
fn put(cells: &mut Cells, cube: &Cube, values: &Values, sums: &Sums) {
    let mut own = [NONE; PLACES];
    for &place in cube.places {
        own[place] = values[place];
    }
    cells.entry(own).or_default().add(sums);
}

/// The numbers that a block's words have among others.
pub(super) fn numbers(words: &mut Words, block: &BlockReader<'_>) -> Vec<u32> {
    let own = block.words.iter().map(|word| words.number(word));
    [NONE, MANY].into_iter().chain(own).collect()
}

fn renumbered(values: &Values, numbers: &[u32]) -> Values {
    values.map(|value| numbers[value as usize])
}

/// Adds the facts of a block to cells of cubes.
pub(super) fn fold_facts(data: &[u8], words: &mut Words, cubes: &mut [(&'static Cube, Cells)]) -> Result<(), Damaged> {
    let raw = unpack(data)?;
    let mut block = BlockReader::open(&raw, &FACT_PLACES)?;
    let numbers = numbers(words, &block);
    while block.next(true)? {
        let values = renumbered(&block.values, &numbers);
        for (cube, cells) in cubes.iter_mut() {
            if !cube.is_of_properties() {
                put(cells, cube, &values, &block.sums);
                continue;
            }
            for &pair in &block.properties {
                put(cells, cube, &renumbered(&block.with_property(pair), &numbers), &block.sums);
            }
        }
    }
    Ok(())
}

/// Adds the cells of a cube's block to others of the same cube.
pub(super) fn fold_cells(
    data: &[u8],
    words: &mut Words,
    cube: &'static Cube,
    cells: &mut Cells,
) -> Result<(), Damaged> {
    let raw = unpack(data)?;
    let mut block = BlockReader::open(&raw, cube.places)?;
    let numbers = numbers(words, &block);
    while block.next(true)? {
        put(cells, cube, &renumbered(&block.values, &numbers), &block.sums);
    }
    Ok(())
}

/// Several blocks of facts of one minute as one.
pub(super) fn joined_facts<'a>(at: i64, blocks: impl Iterator<Item = &'a [u8]>) -> Result<Vec<u8>, Damaged> {
    let (mut words, mut writer) = (Words::default(), BlockWriter::new(at, &FACT_PLACES));
    for data in blocks {
        let raw = unpack(data)?;
        let mut block = BlockReader::open(&raw, &FACT_PLACES)?;
        let numbers = numbers(&mut words, &block);
        while block.next(true)? {
            let properties: Vec<(u32, u32)> = block
                .properties
                .iter()
                .map(|&(name, value)| (numbers[name as usize], numbers[value as usize]))
                .collect();
            writer.push(&renumbered(&block.values, &numbers), &properties, &block.sums);
        }
    }
    Ok(writer.finish(&words))
}

/// Gives up telling apart what takes too many values.
fn limited(cube: &'static Cube, cells: Cells) -> Cells {
    // Properties by their names, other cubes as a whole: a name's place is none in all their cells.
    let most = if cube.is_of_properties() { MOST_OF_PROPERTY } else { MOST_CELLS };
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for values in cells.keys() {
        let count = counts.entry(values[PROPERTY_NAME]).or_default();
        // What was given up once stays so, in whatever order cells come together.
        let given_up = cube.places[..cube.subject].iter().any(|&place| values[place] == MANY);
        *count += if given_up { most + 1 } else { 1 };
    }
    let too_many = |values: &Values| counts.get(&values[PROPERTY_NAME]).is_some_and(|count| *count > most);
    if !cells.keys().any(too_many) {
        return cells;
    }
    let mut fewer = Cells::new();
    for (values, sums) in &cells {
        let mut values = *values;
        if too_many(&values) {
            for &place in &cube.places[..cube.subject] {
                values[place] = MANY;
            }
        }
        fewer.entry(values).or_default().add(sums);
    }
    fewer
}

/// Cells as a block; nothing where nothing is left of them.
pub(super) fn block_of(at: i64, cube: &'static Cube, cells: Cells, words: &Words) -> Option<Vec<u8>> {
    let mut cells: Vec<(Values, Sums)> =
        limited(cube, cells).into_iter().filter(|(_, sums)| !sums.is_nothing()).collect();
    if cells.is_empty() {
        return None;
    }
    // Alike beside alike, which makes for short bytes; and the same cells are the same bytes.
    let key = |values: &Values| -> Vec<Option<&str>> {
        cube.places.iter().rev().map(|&place| words.word(values[place])).collect()
    };
    cells.sort_by_cached_key(|(values, _)| {
        key(values).into_iter().map(|word| word.map(str::to_owned)).collect::<Vec<_>>()
    });
    let mut own = Words::default();
    let mut writer = BlockWriter::new(at, cube.places);
    for (values, sums) in &cells {
        let values = values.map(|value| match words.word(value) {
            Some(word) => own.number(word),
            None => value.min(MANY),
        });
        writer.push(&values, &[], sums);
    }
    Some(writer.finish(&own))
}

/// The places of a block's cells by the number of its cube.
pub(super) fn places(cube: i32) -> Option<&'static [usize]> {
    if cube == FACTS { Some(&FACT_PLACES) } else { Cube::of_number(cube).map(|cube| cube.places) }
}

const _: () = assert!(FIRST_WORD > MANY && MANY > NONE);
