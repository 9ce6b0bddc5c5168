//! From a file's text to the book, or to everything that is wrong with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::condition::ALL_DAYS;
use super::fault::line_of;
use super::file::{Amount, MapTable, ModelTable, MultiplierTable, PriceFile, SourceTable, WhenTable, WindowTable};
use super::{
    Attributes, Condition, Decimal, Fault, Limits, Mapping, Model, Multiplier, Price, PriceMeter, Provider, Rate,
    Window,
};

/// A file that can be used, and what is odd about it.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The provider it describes.
    pub(crate) provider: Provider,
    /// What a person should look at: batch dearer than standard, cache reads dearer than input.
    pub(crate) warnings: Vec<Fault>,
}

const DEFAULT_PER: u64 = 1_000_000;

/// Reads a price file.
///
/// # Errors
///
/// All faults of the file: where it is no TOML or has a key or a type that the format does not know, the first of them;
/// else every duplicate name, overlapping date and malformed price in it.
pub(crate) fn compile(file: &str, text: &str) -> Result<Compiled, Vec<Fault>> {
    let fault = |offset: Option<usize>, message: String| Fault {
        file: file.to_owned(),
        line: offset.map(|offset| line_of(text, offset)),
        message,
    };
    let table: PriceFile = toml::from_str(text)
        .map_err(|error| vec![fault(error.span().map(|span| span.start), error.message().to_owned())])?;
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    let provider_line = Some(table.provider.id.span().start);
    let id = table.provider.id.into_inner();
    if id.is_empty()
        || !id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte))
    {
        faults.push(fault(
            provider_line,
            format!("provider id {id:?}: want lower-case letters, digits, '-', '.' and '_'"),
        ));
    }
    let mut names: HashMap<String, String> = HashMap::new();
    let mut models = Vec::with_capacity(table.model.len());
    let mut priced_regions = BTreeSet::new();
    for model_table in table.model {
        let offset = Some(model_table.id.span().start);
        let about = format!("model {:?}", model_table.id.as_ref());
        for name in std::iter::once(model_table.id.as_ref()).chain(&model_table.aliases) {
            if let Some(other) = names.insert(name.trim().to_ascii_lowercase(), about.clone()) {
                faults.push(fault(offset, format!("{about}: the name {name:?} is also that of {other}")));
            }
        }
        let mut notes = Notes::default();
        let looked_at = model_table.odd.is_some();
        let model = compile_model(model_table, &mut notes);
        if !looked_at {
            check_model(&model, &mut notes);
        }
        faults.extend(notes.faults.into_iter().map(|message| fault(offset, format!("{about}: {message}"))));
        warnings.extend(notes.warnings.into_iter().map(|message| fault(offset, format!("{about}: {message}"))));
        priced_regions.extend(model.conditions.iter().flat_map(|condition| &condition.regions).cloned());
        models.push(model.into());
    }
    let as_of = newest(&table.provider.source, &mut |message| faults.push(fault(provider_line, message)));
    let mappings = compile_mappings(&id, table.map, &mut |offset, message| faults.push(fault(offset, message)));
    if !faults.is_empty() {
        return Err(faults);
    }
    let provider = Provider {
        name: table.provider.name.unwrap_or_else(|| id.clone()).into(),
        aliases: table.provider.aliases.iter().map(|alias| alias.to_ascii_lowercase().into()).collect(),
        makes: table.provider.makes.iter().map(|start| start.to_ascii_lowercase().into()).collect(),
        id: id.into(),
        regions: priced_regions.into_iter().collect(),
        models,
        mappings,
        as_of,
    };
    Ok(Compiled { provider, warnings })
}

/// The newest date of a file's sources.
fn newest(sources: &[SourceTable], fault: &mut dyn FnMut(String)) -> Option<i64> {
    let dates = sources.iter().filter_map(|source| source.at.as_deref());
    let read = dates.filter_map(|text| date(text).map_err(|why| fault(format!("source date {text:?} {why}"))).ok());
    read.max()
}

#[derive(Default)]
struct Notes {
    faults: Vec<String>,
    warnings: Vec<String>,
}

fn compile_mappings(id: &str, tables: Vec<MapTable>, fault: &mut dyn FnMut(Option<usize>, String)) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::with_capacity(tables.len());
    for table in tables {
        if mappings.iter().any(|held| *held.from == **table.from.as_ref()) {
            fault(Some(table.from.span().start), format!("{:?} is mapped twice", table.from.as_ref()));
        }
        mappings.push(Mapping {
            from: table.from.into_inner().into(),
            provider: table.provider.unwrap_or_else(|| id.to_owned()).into(),
            model: table.to.into(),
        });
    }
    mappings
}

fn compile_model(table: ModelTable, notes: &mut Notes) -> Model {
    let mut builder = Builder::default();
    for price in table.price {
        let dates = |text: Option<&String>, notes: &mut Notes| {
            text.and_then(|text| date(text).map_err(|why| notes.faults.push(format!("date {text:?} {why}"))).ok())
        };
        let from = dates(price.from.as_ref(), notes);
        let until = dates(price.until.as_ref(), notes);
        if matches!((from, until), (Some(from), Some(until)) if from >= until) {
            notes.faults.push("a price ends before it begins".to_owned());
        }
        let block = Condition { from, until, ..Condition::default() };
        builder.add(&block, price.amounts, notes);
        for when in price.when {
            let (condition, amounts) = compile_when(&block, when, notes);
            builder.add(&condition, amounts, notes);
        }
    }
    let mut model = Model {
        id: table.id.into_inner().into(),
        aliases: table.aliases.into_iter().map(Into::into).collect(),
        mode: table.mode.map(Into::into),
        limits: Limits { context: table.context, max_input: table.max_input, max_output: table.max_output },
        conditions: builder.conditions.into(),
        rates: builder.rates.into(),
        multipliers: table.multiplier.into_iter().filter_map(|table| compile_multiplier(table, notes)).collect(),
    };
    model.sort_rates();
    model
}

#[derive(Default)]
struct Builder {
    conditions: Vec<Condition>,
    rates: Vec<Rate>,
}

impl Builder {
    fn add(&mut self, condition: &Condition, amounts: Vec<(PriceMeter, Amount)>, notes: &mut Notes) {
        let known = self.conditions.iter().position(|held| held == condition);
        let at = known.unwrap_or(self.conditions.len());
        for (meter, amount) in amounts {
            let clash = |rate: &&Rate| {
                let held = usize::try_from(rate.condition).ok().and_then(|at| self.conditions.get(at));
                rate.meter == meter && held.is_some_and(|held| held.collides(condition))
            };
            if self.rates.iter().any(|rate| clash(&rate)) {
                notes.faults.push(format!("`{}` has two prices for the same condition and date", meter.key()));
            }
            match (compile_amount(meter, &amount), u32::try_from(at)) {
                (Ok(price), Ok(condition)) => self.rates.push(Rate { meter, condition, price }),
                (Err(why), _) => notes.faults.push(why),
                (_, Err(_)) => notes.faults.push("too many conditions".to_owned()),
            }
        }
        if known.is_none() {
            self.conditions.push(condition.clone());
        }
    }
}

fn compile_amount(meter: PriceMeter, amount: &Amount) -> Result<Price, String> {
    let key = meter.key();
    let price = Decimal::parse(&amount.price).map_err(|why| format!("`{key}`: the price {:?} {why}", amount.price))?;
    let per = match amount.per {
        Some(0) => return Err(format!("`{key}`: `per` is 0")),
        Some(per) => per,
        None if meter.counts_tokens() => DEFAULT_PER,
        None => return Err(format!("`{key}` needs {{ price = …, per = … }}: only tokens have a usual million")),
    };
    let bound = |text: Option<&String>| -> Result<Option<u64>, String> {
        let Some(text) = text else { return Ok(None) };
        if meter.counts_tokens() {
            return Err(format!("`{key}`: only what is no token has bounds"));
        }
        let micro = Decimal::parse(text).ok().and_then(|bound| bound.micro());
        micro.map(Some).ok_or_else(|| format!("`{key}`: the bound {text:?} is no count with at most six decimals"))
    };
    let (least, most) = (bound(amount.at_least.as_ref())?.unwrap_or(0), bound(amount.at_most.as_ref())?);
    let most = most.unwrap_or(u64::MAX);
    if least > most {
        return Err(format!("`{key}`: `at_least` is more than `at_most`"));
    }
    Ok(Price { least, most, ..Price::new(price, per) })
}

fn compile_when(block: &Condition, when: WhenTable, notes: &mut Notes) -> (Condition, Vec<(PriceMeter, Amount)>) {
    let over_input = match (when.over_input, when.inclusive) {
        (Some(0), true) => {
            notes.faults.push("`over_input = 0` with `inclusive` is every request".to_owned());
            None
        }
        (Some(threshold), true) => Some(threshold - 1),
        (None, true) => {
            notes.faults.push("`inclusive` without `over_input`".to_owned());
            None
        }
        (threshold, false) => threshold,
    };
    let windows = when.window.iter().flat_map(|window| compile_window(window, notes)).collect();
    let condition = Condition {
        tier: when.tier.map(|tier| tier.to_ascii_lowercase().into()),
        over_input,
        regions: regions(when.region.0),
        deployment: when.deployment.map(|deployment| deployment.to_ascii_lowercase().into()),
        attributes: attributes(when.with),
        windows,
        ..block.clone()
    };
    if condition == *block {
        notes.faults.push("a `when` without a condition".to_owned());
    }
    (condition, when.amounts)
}

fn regions(regions: Vec<String>) -> Box<[Box<str>]> {
    regions.into_iter().map(|region| region.to_ascii_lowercase().into()).collect()
}

fn attributes(with: BTreeMap<String, String>) -> Attributes {
    with.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

fn compile_window(table: &WindowTable, notes: &mut Notes) -> Vec<Window> {
    let mut weekdays = if table.weekdays.is_empty() { ALL_DAYS } else { 0 };
    for &day in &table.weekdays {
        match day {
            1..=7 => weekdays |= 1 << (day - 1),
            _ => notes.faults.push(format!("weekday {day}: want 1 (Monday) to 7 (Sunday)")),
        }
    }
    let offset = table.utc_offset.as_deref().map_or(Some(0), utc_offset).unwrap_or_else(|| {
        notes.faults.push(format!("`utc_offset` {:?}: want the form \"+08:00\"", table.utc_offset));
        0
    });
    let mut windows = Vec::with_capacity(table.hours.len());
    for hours in &table.hours {
        let ends = hours.split_once('-').and_then(|(start, end)| Some((minute(start)?, minute(end)?)));
        match ends {
            Some((start, 0)) => windows.push(Window { start, end: 1440, weekdays, offset }),
            Some((start, end)) => windows.push(Window { start, end, weekdays, offset }),
            None => notes.faults.push(format!("hours {hours:?}: want the form \"01:00-04:00\"")),
        }
    }
    windows
}

fn utc_offset(text: &str) -> Option<i16> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    Some(sign * i16::try_from(minute(&text[1..])?).ok()?)
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok()).flatten();
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    (hour <= 24 && minute < 60 && hour * 60 + minute <= 1440).then_some(hour * 60 + minute)
}

fn compile_multiplier(table: MultiplierTable, notes: &mut Notes) -> Option<Multiplier> {
    let factor = Decimal::parse(&table.factor).map_err(|why| format!("the factor {:?} {why}", table.factor));
    let ratio = factor.and_then(|factor| factor.ratio().ok_or_else(|| "the factor has too many digits".to_owned()));
    if table.region.0.is_empty() && table.deployment.is_none() && table.with.is_empty() {
        notes.faults.push("a multiplier without a condition".to_owned());
    }
    match ratio {
        Ok((numerator, denominator)) => Some(Multiplier {
            numerator,
            denominator,
            regions: regions(table.region.0),
            deployment: table.deployment.map(|deployment| deployment.to_ascii_lowercase().into()),
            attributes: attributes(table.with),
        }),
        Err(why) => {
            notes.faults.push(why);
            None
        }
    }
}

/// What is allowed but more likely a slip.
fn check_model(model: &Model, notes: &mut Notes) {
    let Some(input) = model.base_rate(PriceMeter::Input) else { return };
    if let Some(read) = model.base_rate(PriceMeter::CacheRead)
        && input.price.is_below(&read.price)
    {
        notes.warnings.push("reading from the cache costs more than fresh input".to_owned());
    }
    for meter in [PriceMeter::Input, PriceMeter::Output] {
        let Some(standard) = model.base_rate(meter) else { continue };
        let only_batch = Condition { tier: Some("batch".into()), ..Condition::default() };
        let batch = model.rates_of(meter).iter().find(|rate| model.condition_of(rate) == Some(&only_batch));
        if batch.is_some_and(|batch| standard.price.is_below(&batch.price)) {
            notes.warnings.push(format!("`{}` costs more in a batch than outside", meter.key()));
        }
    }
}

/// The second of the Unix epoch at which a date begins in UTC.
fn date(text: &str) -> Result<i64, &'static str> {
    let form = "is no date such as \"2026-11-23\"";
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return Err(form);
    }
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<i64>().ok()).ok_or(form);
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month_index = usize::try_from(month - 1).ok().filter(|&index| index < 12).ok_or("has no such month")?;
    if day < 1 || day > days[month_index] {
        return Err("has no such day");
    }
    let years = year - 1970;
    let leaps = (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 - 477;
    let before: i64 = days[..month_index].iter().sum();
    Ok((years * 365 + leaps + before + day - 1) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        compile("x.toml", text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    const HEAD: &str = "[provider]\nid = \"x\"\n";

    #[test]
    fn reads_a_whole_file() {
        let text = r#"
            [provider]
            id = "acme"
            aliases = ["Ac"]
            makes = ["One"]
            [[provider.source]]
            tag = "by-hand"
            at = "1970-01-02"
            [[provider.source]]
            tag = "price-page"
            [[model]]
            id = "one"
            aliases = ["uno"]
            context = 200000
            [[model.price]]
            input = "3"
            output = "15"
            web_search = { price = "10", per = 1000 }
            [[model.price.when]]
            over_input = 200000
            input = "6"
            [[model.price.when]]
            tier = "batch"
            region = ["US", "eu"]
            window = [{ hours = ["01:00-04:00", "22:00-00:00"], weekdays = [1, 2, 3, 4, 5] }]
            input = "1.5"
            [[model.multiplier]]
            factor = "1.1"
            region = "*"
            [[map]]
            from = "mine"
            to = "one"
        "#;
        let provider = compile("acme.toml", text).unwrap().provider;
        assert_eq!((&*provider.id, &*provider.aliases[0], &*provider.makes[0]), ("acme", "ac", "one"));
        let model = provider.models[0].unpacked();
        assert_eq!(model.rates_of(PriceMeter::Input).len(), 3);
        assert_eq!(model.base_rate(PriceMeter::WebSearches).unwrap().price.per, 1000);
        assert_eq!((model.multipliers[0].numerator, model.multipliers[0].denominator), (11, 10));
        assert_eq!(&*provider.mappings[0].provider, "acme");
        assert_eq!(provider.as_of, Some(86_400));
    }

    #[test]
    fn refuses_unknown_keys_with_their_line() {
        let text = format!("{HEAD}[[model]]\nid = \"m\"\n[[model.price]]\ncache_raed = \"1\"\n");
        assert_eq!(faults(&text), ["x.toml:5: unknown key `cache_raed`"]);
        assert!(faults("[provider]\nid = \"x\"\nnmae = \"y\"\n")[0].starts_with("x.toml:3: unknown field `nmae`"));
    }

    #[test]
    fn tells_all_faults_at_once() {
        let text = format!(
            "{HEAD}[[model]]\nid = \"m\"\n[[model.price]]\ninput = \"-1\"\noutput = \"1e-6\"\nweb_search = \"10\"\n\
             cache_read = \"0.1234567890123456789\"\n[[model]]\nid = \"n\"\naliases = [\"M\"]\n"
        );
        let all = faults(&text);
        assert_eq!(all.len(), 5, "{all:?}");
        assert!(all[0].contains("x.toml:4:") && all.iter().any(|one| one.contains("negative")));
        for part in ["exponent", "18 decimals", "needs { price", "is also that of model \"m\""] {
            assert!(all.iter().any(|one| one.contains(part)), "{part}: {all:?}");
        }
    }

    #[test]
    fn refuses_prices_that_overlap() {
        let body = |second: &str| {
            format!(
                "{HEAD}[[model]]\nid = \"m\"\n[[model.price]]\nuntil = \"2026-08-17\"\ninput = \"1\"\n[[model.price]]\n{second}input = \"2\"\n"
            )
        };
        assert!(faults(&body("from = \"2026-08-16\"\n"))[0].contains("two prices"));
        assert!(compile("x.toml", &body("from = \"2026-08-17\"\n")).is_ok());
        assert!(compile("x.toml", &body("")).is_ok());
        assert!(faults(&body("from = \"2026-13-01\"\n"))[0].contains("no such month"));
        assert!(faults(&body("from = \"2026-02-29\"\n"))[0].contains("no such day"));
        let source = format!("{HEAD}[[provider.source]]\ntag = \"t\"\nat = \"lately\"\n");
        assert!(faults(&source)[0].contains("source date"));
    }

    #[test]
    fn numbers_are_no_prices() {
        let text = format!("{HEAD}[[model]]\nid = \"m\"\n[[model.price]]\ninput = 0.15\n");
        assert!(faults(&text)[0].contains("a price as a string"));
    }

    #[test]
    fn warns_of_what_is_odd() {
        let text = format!(
            "{HEAD}[[model]]\nid = \"m\"\n[[model.price]]\ninput = \"1\"\ncache_read = \"2\"\n[[model.price.when]]\n\
             tier = \"batch\"\ninput = \"3\"\n"
        );
        let warnings = compile("x.toml", &text).unwrap().warnings;
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        let looked_at = text.replace("id = \"m\"\n", "id = \"m\"\nodd = \"so on the vendor's page\"\n");
        assert!(compile("x.toml", &looked_at).unwrap().warnings.is_empty());
    }

    #[test]
    fn dates_are_utc_midnights() {
        for (text, second) in [("1970-01-01", 0), ("2000-03-01", 951_868_800), ("2026-11-20", 1_795_132_800)] {
            assert_eq!(date(text), Ok(second), "{text}");
        }
    }
}
