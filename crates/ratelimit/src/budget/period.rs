//! For how long a budget is: calendar periods in a time zone, and rolling windows.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tachograph_record::Timestamp;

use crate::ledger::Slots;

/// A rolling window is counted in so many slots. What was spent in the oldest counts until all of it has passed.
const SLOTS: i64 = 60;
const UNITS: [(char, i64); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];

/// For how long an amount is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// From midnight to midnight: 23 or 25 hours where the clock is changed.
    Day,
    /// From Monday's midnight.
    Week,
    /// From the first's midnight.
    Month,
    /// The last so many seconds, at every moment.
    Rolling(i64),
}

/// One period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first second of the epoch; 0 for a rolling window, which has none.
    pub start_s: i64,
    /// The first second that is not in it any more; of a rolling window, when its oldest slot passes.
    pub end_s: i64,
    /// When nothing of it counts any more.
    pub(crate) gone_s: i64,
    pub(crate) slots: Slots,
}

impl Period {
    pub(super) fn check(self) -> Result<(), String> {
        match self {
            Self::Rolling(seconds) if !(SLOTS..=366 * 86_400).contains(&seconds) => {
                Err("a rolling window of 60s to 366d".to_owned())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn shown(self) -> String {
        match self {
            Self::Day => "a day".to_owned(),
            Self::Week => "a week".to_owned(),
            Self::Month => "a month".to_owned(),
            Self::Rolling(_) => format!("in any {self}"),
        }
    }

    /// The period that a moment lies in.
    pub(super) fn span(self, at: Timestamp, zone: &TimeZone) -> Span {
        let seconds = at.micros().div_euclid(1_000_000);
        if let Self::Rolling(window) = self {
            let slot_s = (window + SLOTS - 1) / SLOTS;
            let now = seconds.div_euclid(slot_s);
            // A slot counts for as long as any moment of it lies within the window.
            let oldest = (seconds - window).div_euclid(slot_s);
            let end_s = (now + 1) * slot_s;
            return Span { start_s: 0, end_s, gone_s: end_s + window, slots: Slots { now, oldest } };
        }
        let calendar =
            jiff::Timestamp::from_second(seconds).ok().and_then(|at| self.calendar(&at.to_zoned(zone.clone())));
        let (start_s, end_s) = calendar.unwrap_or((0, i64::MAX));
        Span { start_s, end_s, gone_s: end_s, slots: Slots { now: 0, oldest: 0 } }
    }

    fn calendar(self, at: &Zoned) -> Option<(i64, i64)> {
        let today = at.start_of_day().ok()?;
        let (start, end) = match self {
            Self::Day => (today.clone(), today.checked_add(1.day())),
            Self::Week => {
                let since_monday = i64::from(today.weekday().since(Weekday::Monday));
                let monday = today.checked_sub(since_monday.days()).ok()?.start_of_day().ok()?;
                (monday.clone(), monday.checked_add(1.week()))
            }
            Self::Month => {
                let first = today.first_of_month().ok()?.start_of_day().ok()?;
                (first.clone(), first.checked_add(1.month()))
            }
            Self::Rolling(_) => return None,
        };
        // A day may begin at one o'clock, where the clock is changed at midnight.
        let end = end.ok()?.start_of_day().ok()?;
        Some((start.timestamp().as_second(), end.timestamp().as_second()))
    }

    /// The seconds before a moment that may count at most, to look for what was spent.
    #[must_use]
    pub fn looks_back_s(self) -> i64 {
        match self {
            Self::Day => 90_000,
            Self::Week => 8 * 86_400,
            Self::Month => 32 * 86_400,
            Self::Rolling(window) => window + (window + SLOTS - 1) / SLOTS,
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day => f.write_str("day"),
            Self::Week => f.write_str("week"),
            Self::Month => f.write_str("month"),
            Self::Rolling(seconds) => {
                let fits = UNITS.iter().rev().find(|(_, factor)| seconds % factor == 0);
                let (unit, factor) = fits.copied().unwrap_or(UNITS[0]);
                write!(f, "{}{unit}", seconds / factor)
            }
        }
    }
}

impl FromStr for Period {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "not day, week, month or a window such as 24h or 30d";
        match text {
            "day" => return Ok(Self::Day),
            "week" => return Ok(Self::Week),
            "month" => return Ok(Self::Month),
            _ => {}
        }
        let unit = text.chars().next_back().ok_or(EXPECTED)?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(EXPECTED)?;
        let count: u32 = text[..text.len() - 1].parse().map_err(|_| EXPECTED)?;
        Ok(Self::Rolling(i64::from(count) * factor))
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|why| de::Error::custom(format_args!("{text:?} is {why}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(period: &str, zone: &str, at: &str) -> (String, String) {
        let at: jiff::Timestamp = at.parse().unwrap();
        let period: Period = period.parse().unwrap();
        let span = period.span(Timestamp::from_micros(at.as_microsecond()), &TimeZone::get(zone).unwrap());
        let text = |second| jiff::Timestamp::from_second(second).unwrap().to_string();
        (text(span.start_s), text(span.end_s))
    }

    #[test]
    fn calendar_periods_follow_the_clock_of_their_zone() {
        for (period, zone, at, start, end) in [
            ("day", "UTC", "2026-11-24T12:00:00Z", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"),
            // 23 and 25 hours long.
            ("day", "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("day", "Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            // Where the clock goes from midnight to one, the day begins at one.
            ("day", "Africa/Cairo", "2026-04-24T12:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"),
            ("week", "America/New_York", "2026-11-01T12:00:00Z", "2026-10-26T04:00:00Z", "2026-11-02T05:00:00Z"),
            ("month", "Asia/Tokyo", "2026-01-31T16:00:00Z", "2026-01-31T15:00:00Z", "2026-02-28T15:00:00Z"),
            ("month", "UTC", "2028-02-29T00:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        ] {
            assert_eq!(span(period, zone, at), (start.to_owned(), end.to_owned()), "{period} in {zone}");
        }
    }

    #[test]
    fn a_rolling_window_counts_at_least_what_lies_in_it() {
        let window: Period = "1h".parse().unwrap();
        let at = |s: i64| window.span(Timestamp::from_micros(s * 1_000_000), &TimeZone::UTC).slots;
        for s in [0, 59, 60, 3_599, 3_600, 1_795_176_123] {
            let slots = at(s);
            assert_eq!(slots.now - slots.oldest, 60);
            assert!(slots.oldest * 60 <= s - 3_600, "the oldest slot reaches back to the window's beginning");
        }
    }

    #[test]
    fn texts_that_are_no_period_are_refused() {
        for text in ["", "year", "h", "-1h", "1.5h", "5", "\u{1F980}"] {
            assert!(text.parse::<Period>().is_err(), "{text:?}");
        }
        for text in ["day", "week", "month", "24h", "30d", "90s"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string().parse::<Period>().unwrap(), text.parse().unwrap());
        }
        assert!(
            "59s".parse::<Period>().unwrap().check().is_err() && "367d".parse::<Period>().unwrap().check().is_err()
        );
    }
}
