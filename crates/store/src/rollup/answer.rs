//! Answering a question from rollups, and from rows where they do not reach.

use std::collections::{BTreeMap, HashMap};

use sqlx::QueryBuilder;
use tachograph_record::Timestamp;

use super::block::{BlockReader, FIRST_WORD, MANY, NONE, Words, unpack};
use super::cube::{CUBES, Cube, FACTS, PROPERTY_NAME, PROPERTY_VALUE, place, places_of, wants_property};
use super::fold::places;
use super::span::{Cut, DAY, Grain, HOUR, MINUTE, Range};
use super::sums::{SPREADS, Sums};
use super::{Block, OF_DAYS, OF_FACTS, OF_HOURS, Session, damaged};
use crate::query::{Breakdown, Condition, Fact, Field, Group, Groups, Predicate, Test, word_key, word_picks};
use crate::sql::{self, rollups::Wanted};
use crate::{Filter, StoreError, text};

/// Most of facts alone are read for so long a time where an index on rows would find what is asked sooner, in µs.
const FACTS_BEFORE_INDEX: i64 = 2 * DAY.0;

/// A question that rollups can be asked.
struct Plan<'a> {
    asked: &'a Breakdown,
    cube: Option<&'static Cube>,
    property: Option<String>,
    filter: Node,
    conditions: Vec<&'a Condition>,
}

/// The filter's tree, its conditions by number.
enum Node {
    All,
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Is(usize),
}

impl Node {
    fn of<'a>(predicate: &'a Predicate, conditions: &mut Vec<&'a Condition>) -> Self {
        match predicate {
            Predicate::All => Self::All,
            Predicate::And(parts) => Self::And(parts.iter().map(|part| Self::of(part, conditions)).collect()),
            Predicate::Or(parts) => Self::Or(parts.iter().map(|part| Self::of(part, conditions)).collect()),
            Predicate::Not(inner) => Self::Not(Box::new(Self::of(inner, conditions))),
            Predicate::Is(condition) => {
                conditions.push(condition);
                Self::Is(conditions.len() - 1)
            }
        }
    }

    fn picks(&self, holds: &mut impl FnMut(usize) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::And(parts) => parts.iter().all(|part| part.picks(holds)),
            Self::Or(parts) => parts.iter().any(|part| part.picks(holds)),
            Self::Not(inner) => !inner.picks(holds),
            Self::Is(condition) => holds(*condition),
        }
    }
}

impl<'a> Plan<'a> {
    fn of(asked: &'a Breakdown) -> Option<Self> {
        let (told, property) = places_of(&asked.filter.only, &asked.by)?;
        if asked.as_known.is_some()
            || property.as_ref().is_some_and(|name| !wants_property(&asked.filter.only, name))
            || asked.spreads.iter().any(|spread| !SPREADS.contains(spread))
            || [asked.filter.from, asked.filter.until].into_iter().flatten().any(|at| Cut::is_too_far(at.micros()))
        {
            return None;
        }
        let mut conditions = Vec::new();
        let filter = Node::of(&asked.filter.only, &mut conditions);
        Some(Self { asked, cube: Cube::telling(&told), property, filter, conditions })
    }

    fn grain(&self) -> Grain {
        let Some(cube) = self.cube else { return Grain { minutes: false, hours: false, days: false } };
        let fits =
            |length: i64| self.asked.every.is_none_or(|every| every.micros % length == 0 && every.offset % length == 0);
        Grain { minutes: cube.by_minute && fits(MINUTE.0), hours: fits(HOUR.0), days: fits(DAY.0) }
    }

    fn cut(&self, dirty: &[i64], floor: i64) -> Cut {
        let Filter { from, until, .. } = &self.asked.filter;
        Cut::of(from.map(Timestamp::micros), until.map(Timestamp::micros), self.grain(), dirty, floor)
    }

    /// Whether rows would be found by an index, so that many facts are not worth reading.
    fn has_index(&self) -> bool {
        let indexed = |part: &Predicate| {
            matches!(
                part,
                Predicate::Is(Condition { field: Field::Fact(Fact::User) | Field::Property(_), test: Test::OneOf(_) })
            )
        };
        match &self.asked.filter.only {
            Predicate::And(parts) => parts.iter().any(indexed),
            part => indexed(part),
        }
    }
}

/// One group while it is added up.
type Key = (Vec<u32>, i64);

/// Groups while they are added up.
struct Sum<'a> {
    plan: &'a Plan<'a>,
    words: Words,
    groups: HashMap<Key, Sums>,
}

impl<'a> Sum<'a> {
    /// Adds the cells of a block that were received in a range. False, and nothing added, where the block does not tell
    /// apart what is asked.
    fn add_block(&mut self, block: &Block, range: Option<Range>) -> Result<bool, StoreError> {
        let what = block.at.to_string();
        let unreadable = damaged(&what);
        let layout = places(block.cube).ok_or_else(|| StoreError::unreadable("cube", "it is unknown"))?;
        let raw = unpack(&block.data).map_err(&unreadable)?;
        let mut cells = BlockReader::open(&raw, layout).map_err(&unreadable)?;
        let mut reading = Reading::of(self.plan, &cells);
        if cells.many {
            let mut scan = BlockReader::open(&raw, layout).map_err(&unreadable)?;
            while scan.next(false).map_err(&unreadable)? {
                if reading.is_for(&scan) && reading.asks_many(&scan) {
                    return Ok(false);
                }
            }
        }
        let spreads = !self.plan.asked.spreads.is_empty();
        while cells.next(spreads).map_err(&unreadable)? {
            if let Some((from, until)) = range
                && cells.sums.moments.is_none_or(|(at, _)| at < from || at >= until)
            {
                continue;
            }
            if !reading.prepare(&mut cells) || !reading.picks(&cells) {
                continue;
            }
            let key = reading.key(&cells, &mut self.words, block.at);
            match self.groups.get_mut(&key) {
                Some(sums) => sums.add(&cells.sums),
                None => drop(self.groups.insert(key, cells.sums.clone())),
            }
        }
        Ok(true)
    }

    /// Adds groups of rows.
    fn add_rows(&mut self, rows: Vec<(Group, Sums)>) {
        for (group, sums) in rows {
            let keys = group.keys.iter().map(|key| key.as_ref().map_or(NONE, |word| self.words.number(word))).collect();
            let key = (keys, group.at.map_or(0, Timestamp::micros));
            self.groups.entry(key).or_default().add(&sums);
        }
    }

    fn finish(self) -> Result<Groups, StoreError> {
        let asked = self.plan.asked;
        let timed = asked.every.is_some();
        let mut all: Vec<(Vec<Option<&str>>, i64, f64, Sums)> = self
            .groups
            .into_iter()
            .filter(|(_, sums)| sums.fields[super::sums::REQUESTS] != 0)
            .map(|((keys, at), sums)| {
                (keys.iter().map(|&key| self.words.word(key)).collect(), at, sums.rank(asked.order), sums)
            })
            .collect();
        if asked.by.is_empty() && !timed && all.is_empty() {
            all.push((Vec::new(), 0, 0.0, Sums::default()));
        }
        let stored = |keys: &[Option<&str>]| -> Vec<(bool, Vec<u8>)> {
            keys.iter().map(|key| (key.is_none(), text::stored(key.unwrap_or_default()).as_bytes().to_vec())).collect()
        };
        all.sort_by(|(one_keys, one_at, one_rank, _), (other_keys, other_at, other_rank, _)| {
            let rank = one_rank.total_cmp(other_rank);
            let at = if timed { one_at.cmp(other_at) } else { std::cmp::Ordering::Equal };
            at.then(if asked.ascending { rank } else { rank.reverse() })
                .then_with(|| stored(one_keys).cmp(&stored(other_keys)))
        });
        let most = asked.most() as usize;
        let more = all.len().saturating_sub(asked.skip as usize) > most;
        let group = |(keys, at, _, sums): (Vec<Option<&str>>, i64, f64, Sums)| -> Result<Group, StoreError> {
            Ok(Group {
                keys: keys.into_iter().map(|key| key.map(str::to_owned)).collect(),
                at: timed.then_some(Timestamp::from_micros(at)),
                totals: sums.totals()?,
                spreads: asked.spreads.iter().map(|&spread| sums.sketch(spread)).collect(),
            })
        };
        let groups = all.into_iter().skip(asked.skip as usize).take(most).map(group).collect::<Result<_, _>>()?;
        Ok(Groups { groups, more })
    }
}

const UNKNOWN: u32 = u32::MAX;

/// A block being read for a question: what was found out of its words.
struct Reading<'a> {
    plan: &'a Plan<'a>,
    /// The place of each condition, and of each word whether it holds.
    conditions: Vec<(usize, Vec<Option<bool>>)>,
    /// The place of each field, and of each word its number among the answer's.
    by: Vec<(usize, Vec<u32>)>,
    /// The number of the property's name.
    property: Option<u32>,
}

impl<'a> Reading<'a> {
    fn of(plan: &'a Plan<'a>, block: &BlockReader<'_>) -> Self {
        let words = block.words.len() + FIRST_WORD as usize;
        let of_condition = |condition: &&Condition| (place(&condition.field).unwrap_or(0), vec![None; words]);
        let of_field = |field: &Field| (place(field).unwrap_or(0), vec![UNKNOWN; words]);
        let number = |name: &String| {
            let at = block.words.iter().position(|word| word == name);
            at.and_then(|at| u32::try_from(at).ok()).map_or(UNKNOWN, |at| at + FIRST_WORD)
        };
        Self {
            plan,
            conditions: plan.conditions.iter().map(of_condition).collect(),
            by: plan.asked.by.iter().map(of_field).collect(),
            property: plan.property.as_ref().map(number),
        }
    }

    /// Whether a cell of a cube has to do with the question.
    fn is_for(&self, cell: &BlockReader<'_>) -> bool {
        self.property.is_none_or(|name| cell.values[PROPERTY_NAME] == name)
    }

    fn asks_many(&self, cell: &BlockReader<'_>) -> bool {
        let places = self.conditions.iter().map(|(place, _)| *place).chain(self.by.iter().map(|(place, _)| *place));
        places.into_iter().any(|place| cell.values[place] == MANY)
    }

    /// Puts the property that is asked for into a fact's place for it. False where the cell has it not.
    fn prepare(&self, cell: &mut BlockReader<'_>) -> bool {
        let Some(name) = self.property else { return true };
        // A cube's cell has one property; its values are what the next cell's are told by.
        if cell.values[PROPERTY_NAME] != NONE {
            return cell.values[PROPERTY_NAME] == name;
        }
        let held = cell.properties.iter().find(|(held, _)| *held == name);
        cell.values[PROPERTY_VALUE] = held.map_or(NONE, |(_, value)| *value);
        held.is_some()
    }

    fn picks(&mut self, cell: &BlockReader<'_>) -> bool {
        let (plan, known) = (self.plan, &mut self.conditions);
        plan.filter.picks(&mut |number| {
            let (place, words) = &mut known[number];
            let value = cell.values[*place];
            *words[value as usize].get_or_insert_with(|| match value.checked_sub(FIRST_WORD) {
                None => false,
                Some(at) => word_picks(plan.conditions[number], cell.words[at as usize]),
            })
        })
    }

    fn key(&mut self, cell: &BlockReader<'_>, answer: &mut Words, at: i64) -> Key {
        let mut keys = Vec::with_capacity(self.by.len());
        for ((place, numbers), field) in self.by.iter_mut().zip(&self.plan.asked.by) {
            let value = cell.values[*place];
            let number = &mut numbers[value as usize];
            if *number == UNKNOWN {
                *number = match value.checked_sub(FIRST_WORD) {
                    None => NONE,
                    Some(at) => answer.number(&word_key(field, cell.words[at as usize])),
                };
            }
            keys.push(*number);
        }
        let start = self.plan.asked.every.map_or(0, |every| {
            // A fact has a moment of its own; a cube's cells are of one span that is asked for.
            let at = cell.sums.moments.map_or(at, |(first, _)| first);
            at - (at.saturating_add(every.offset)).rem_euclid(every.micros)
        });
        (keys, start)
    }
}

/// Dirty hours of an organisation, in order, and the moment from which on there are facts.
pub(super) async fn state<S: Session>(session: &mut S, org: uuid::Uuid) -> Result<(Vec<i64>, i64), StoreError> {
    use crate::tables::Source as _;
    let (mut dirty, mut floor) = (Vec::new(), i64::MIN / 4);
    for row in session.all(sql::rollups::state(org)).await? {
        let at = row.some_int("at")?;
        match row.some_int("kind")? {
            0 => dirty.push(at),
            _ => floor = floor.max(at),
        }
    }
    dirty.sort_unstable();
    Ok((dirty, floor))
}

/// The answer to a question from rollups; nothing where it is better asked of rows alone.
pub(crate) async fn groups<S: Session>(session: &mut S, asked: &Breakdown) -> Result<Option<Groups>, StoreError> {
    let Some(plan) = Plan::of(asked) else { return Ok(None) };
    let (dirty, floor) = state(session, asked.org.uuid()).await?;
    let cut = plan.cut(&dirty, floor);
    let facts: i64 = cut.facts.iter().map(|(from, until)| until.saturating_sub(*from)).fold(0, i64::saturating_add);
    if cut.is_of_rows()
        || (plan.cube.is_none() && (!cut.rows.is_empty() || (plan.has_index() && facts > FACTS_BEFORE_INDEX)))
    {
        return Ok(None);
    }
    if let Some(name) = &plan.property
        && !session.all(sql::rollups::is_marked(asked.org.uuid(), name)).await?.is_empty()
    {
        return Ok(None);
    }
    let mut sum = Sum { plan: &plan, words: Words::default(), groups: HashMap::new() };
    let mut rows = cut.rows.clone();
    let wanted = wanted(&plan, &cut);
    for row in session.all(sql::rollups::blocks(asked.org.uuid(), &wanted)).await? {
        let block = Block::read(&row)?;
        let range = (block.level == OF_FACTS).then(|| clip(&cut, block.at)).flatten();
        if !sum.add_block(&block, range)? {
            let length = if block.level == OF_DAYS { DAY } else { HOUR };
            rows.push((block.at, block.at + length.0));
        }
    }
    if rows.len() > cut.rows.len() {
        // What a block does not tell apart is asked of rows, and of nothing else: so all once more, without it.
        return again(session, &plan, dirty, floor, &rows[cut.rows.len()..]).await;
    }
    for range in rows {
        sum.add_rows(of_rows(session, asked, range).await?);
    }
    sum.finish().map(Some)
}

/// The answer where some spans are told by rows alone.
async fn again<S: Session>(
    session: &mut S,
    plan: &Plan<'_>,
    mut dirty: Vec<i64>,
    floor: i64,
    untold: &[Range],
) -> Result<Option<Groups>, StoreError> {
    for &(from, until) in untold {
        dirty.extend((from / HOUR.0..until / HOUR.0).map(|hour| hour * HOUR.0));
    }
    dirty.sort_unstable();
    dirty.dedup();
    let cut = plan.cut(&dirty, floor);
    if cut.is_of_rows() {
        return Ok(None);
    }
    let mut sum = Sum { plan, words: Words::default(), groups: HashMap::new() };
    for row in session.all(sql::rollups::blocks(plan.asked.org.uuid(), &wanted(plan, &cut))).await? {
        let block = Block::read(&row)?;
        let range = (block.level == OF_FACTS).then(|| clip(&cut, block.at)).flatten();
        if !sum.add_block(&block, range)? {
            return Ok(None);
        }
    }
    for &range in &cut.rows {
        sum.add_rows(of_rows(session, plan.asked, range).await?);
    }
    sum.finish().map(Some)
}

/// The range that facts of a minute are asked for, where it is not the whole minute.
fn clip(cut: &Cut, at: i64) -> Option<Range> {
    let over = |range: &&Range| range.0 < at.saturating_add(MINUTE.0) && range.1 > at;
    let range = cut.facts.iter().find(over)?;
    (range.0 > at || range.1 < at.saturating_add(MINUTE.0)).then_some(*range)
}

fn wanted(plan: &Plan<'_>, cut: &Cut) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    let facts = |range: Range, unmerged: bool| Wanted { cube: FACTS, level: OF_FACTS, range, unmerged };
    for &range in &cut.facts {
        wanted.push(facts((MINUTE.floor(range.0), range.1), false));
    }
    let Some(cube) = plan.cube else { return wanted };
    let of_cube = |level: i32, range: Range, unmerged: bool| Wanted { cube: cube.number, level, range, unmerged };
    for &range in &cut.minutes {
        wanted.extend([of_cube(super::OF_MINUTES, range, false), facts(range, true)]);
    }
    for &range in &cut.hours {
        wanted.extend([of_cube(OF_HOURS, range, false), facts(range, true)]);
    }
    for &range in &cut.days {
        wanted.extend([of_cube(OF_DAYS, range, false), of_cube(OF_HOURS, range, true), facts(range, true)]);
    }
    wanted
}

/// The same question of the rows of a range.
async fn of_rows<S: Session>(
    session: &mut S,
    asked: &Breakdown,
    (from, until): Range,
) -> Result<Vec<(Group, Sums)>, StoreError> {
    let filter = Filter {
        from: Some(Timestamp::from_micros(from)),
        until: Some(Timestamp::from_micros(until)),
        only: asked.filter.only.clone(),
    };
    let part = Breakdown { filter, skip: 0, ..asked.clone() };
    let rows = session.all(sql::all_groups(&part)).await?;
    let mut sums: Vec<Sums> = rows.iter().map(sql::read_sums).collect::<Result<_, _>>()?;
    let mut groups = sql::read_all_groups(&part, &rows)?;
    for (at, &spread) in part.spreads.iter().enumerate() {
        sql::read_buckets(&part, &mut groups, &session.all(sql::buckets(&part, spread)).await?)?;
        let Some(place) = SPREADS.iter().position(|held| *held == spread) else { continue };
        for (sums, group) in sums.iter_mut().zip(&groups.groups) {
            let buckets = group.spreads[at].buckets();
            sums.spreads[place] =
                buckets.map(|(bucket, count)| (bucket, i64::try_from(count).unwrap_or(i64::MAX))).collect();
        }
    }
    // Without fields and spans the answer is one group of nothing, which has no place among others.
    let all = groups.groups.into_iter().zip(sums);
    Ok(all.filter(|(_, sums)| sums.fields[super::sums::REQUESTS] != 0).collect())
}

/// How many rows have each property, from rollups; nothing where that is better asked of rows.
pub(crate) async fn property_names<S: Session>(
    session: &mut S,
    org: uuid::Uuid,
    filter: &Filter,
) -> Result<Option<BTreeMap<String, u64>>, StoreError> {
    let Some((mut told, None)) = places_of(&filter.only, &[]) else { return Ok(None) };
    told.push(PROPERTY_VALUE);
    let Some(cube) = Cube::telling(&told) else { return Ok(None) };
    let asked = Breakdown::whole(org.into(), filter.clone());
    let mut conditions = Vec::new();
    let node = Node::of(&filter.only, &mut conditions);
    let plan = Plan { asked: &asked, cube: Some(cube), property: None, filter: node, conditions };
    let (dirty, floor) = state(session, org).await?;
    let cut = plan.cut(&dirty, floor);
    if !cut.rows.is_empty() || cut.is_of_rows() {
        return Ok(None);
    }
    let mut names: BTreeMap<String, u64> = BTreeMap::new();
    for row in session.all(sql::rollups::blocks(org, &wanted(&plan, &cut))).await? {
        let block = Block::read(&row)?;
        let range = (block.level == OF_FACTS).then(|| clip(&cut, block.at)).flatten();
        if !count_names(&plan, &block, range, &mut names)? {
            return Ok(None);
        }
    }
    names.retain(|_, count| *count > 0);
    Ok(Some(names))
}

fn count_names(
    plan: &Plan<'_>,
    block: &Block,
    range: Option<Range>,
    names: &mut BTreeMap<String, u64>,
) -> Result<bool, StoreError> {
    let what = block.at.to_string();
    let unreadable = damaged(&what);
    let layout = places(block.cube).ok_or_else(|| StoreError::unreadable("cube", "it is unknown"))?;
    let raw = unpack(&block.data).map_err(&unreadable)?;
    let mut cells = BlockReader::open(&raw, layout).map_err(&unreadable)?;
    let mut reading = Reading::of(plan, &cells);
    let mut counts = vec![0_i128; cells.words.len() + FIRST_WORD as usize];
    while cells.next(false).map_err(&unreadable)? {
        let outside = |(from, until): Range| cells.sums.moments.is_none_or(|(at, _)| at < from || at >= until);
        if range.is_some_and(outside) {
            continue;
        }
        if reading.asks_many(&cells) {
            return Ok(false);
        }
        if !reading.picks(&cells) {
            continue;
        }
        let requests = cells.sums.fields[super::sums::REQUESTS];
        match block.cube {
            FACTS => {
                for (name, _) in &cells.properties {
                    counts[*name as usize] += requests;
                }
            }
            _ => counts[cells.values[PROPERTY_NAME] as usize] += requests,
        }
    }
    for (word, count) in cells.words.iter().zip(&counts[FIRST_WORD as usize..]) {
        if *count != 0 {
            *names.entry((*word).to_owned()).or_default() += u64::try_from(*count).unwrap_or(0);
        }
    }
    Ok(true)
}

/// For the statements that this module pushes.
pub(super) type Sql<S> = QueryBuilder<<S as Session>::Db>;

const _: () = assert!(CUBES.len() == 6);
