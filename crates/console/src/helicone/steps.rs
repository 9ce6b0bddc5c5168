//! Steps of a series: spans of one length, and months and years, which have none.

use std::collections::BTreeMap;

use serde_json::Value;
use tachograph_record::Timestamp;
use tachograph_store::{Breakdown, Every, Group};

use super::Failed;
use crate::api::Desk;
use crate::bill::calendar::{DAY, first_of, month_of};

/// `dbIncrement`, and how much local time is ahead of UTC, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    unit: Unit,
    offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// So many µs.
    Span(i64),
    Month,
    Year,
}

impl Step {
    /// Helicone's minutes are those of JavaScript: behind UTC, where ours are ahead.
    pub(super) fn read(body: &Value) -> Result<Self, Failed> {
        let minutes = |minutes: i64| Unit::Span(minutes * 60_000_000);
        let unit = match body["dbIncrement"].as_str().unwrap_or("hour") {
            "min" => minutes(1),
            "hour" => minutes(60),
            "day" => minutes(1_440),
            "week" => minutes(10_080),
            "month" => Unit::Month,
            "year" => Unit::Year,
            other => {
                let known = "min, hour, day, week, month or year";
                return Err(Failed::wrong(format!("`dbIncrement` is {known}, not `{other}`")));
            }
        };
        let offset = body["timeZoneDifference"].as_i64().unwrap_or(0).saturating_mul(-60_000_000);
        Ok(Self { unit, offset })
    }

    /// The start of the month or year that a moment is in, both in UTC.
    fn start(self, at: i64) -> i64 {
        let local_day = at.saturating_add(self.offset).div_euclid(DAY);
        let (year, month) = month_of(local_day);
        let first = if self.unit == Unit::Year { first_of(year, 1) } else { first_of(year, month) };
        first.saturating_mul(DAY).saturating_sub(self.offset)
    }
}

/// A series: the groups of a question in each step, in the order of time.
pub(super) async fn series(desk: &Desk, asked: Breakdown, step: Step) -> Result<Vec<Group>, Failed> {
    let every = |micros: i64| Some(Every { micros, offset: step.offset });
    let span = match step.unit {
        Unit::Span(micros) => micros,
        // Days add up to both.
        Unit::Month | Unit::Year => DAY,
    };
    let groups = desk.store.groups(&Breakdown { every: every(span), ..asked }).await?.groups;
    if step.unit == Unit::Span(span) {
        return Ok(groups);
    }
    let mut folded: BTreeMap<(i64, Vec<Option<String>>), Group> = BTreeMap::new();
    for group in groups {
        let start = step.start(group.at.map_or(0, Timestamp::micros));
        let place = (start, group.keys.clone());
        let whole = match folded.remove(&place) {
            None => Group { at: Some(Timestamp::from_micros(start)), ..group },
            Some(mut held) => {
                let too_much = || Failed::wrong("these add up to more than can be told");
                held.totals = held.totals.merged(&group.totals).ok_or_else(too_much)?;
                held.spreads.iter_mut().zip(&group.spreads).for_each(|(held, other)| held.merge(other));
                held
            }
        };
        folded.insert(place, whole);
    }
    Ok(folded.into_values().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn months_and_years_begin_where_the_caller_lives() {
        // 2024-03-01T00:30:00Z, which is still February in New York (300 minutes behind).
        let at = 1_709_253_000_000_000;
        let start = |increment: &str, minutes: i64| {
            Step::read(&json!({ "dbIncrement": increment, "timeZoneDifference": minutes })).unwrap().start(at)
        };
        assert_eq!(start("month", 0), 1_709_251_200_000_000);
        assert_eq!(start("month", 300), 1_706_763_600_000_000, "2024-02-01 there");
        assert_eq!(start("year", 0), 1_704_067_200_000_000);
        assert!(Step::read(&json!({ "dbIncrement": "decade" })).is_err());
    }
}
