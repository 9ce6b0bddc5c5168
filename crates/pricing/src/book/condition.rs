//! When a price holds.

/// Names and values that a request must have.
pub type Attributes = Box<[(Box<str>, Box<str>)]>;

/// When a price holds. A dimension that is not named holds always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Condition {
    /// From this second of the Unix epoch on (a UTC midnight).
    pub from: Option<i64>,
    /// Until just before this second of the Unix epoch (a UTC midnight).
    pub until: Option<i64>,
    /// For this service tier: `batch`, `flex`, `priority`.
    pub tier: Option<Box<str>>,
    /// For requests whose whole input is more than so many tokens.
    pub over_input: Option<u64>,
    /// In one of these regions.
    pub regions: Box<[Box<str>]>,
    /// For this kind of deployment: `global`, `data_zone`, `regional`.
    pub deployment: Option<Box<str>>,
    /// For requests with all these attributes: `size` = `1024x1024`, `speed` = `fast`.
    pub attributes: Attributes,
    /// During one of these windows.
    pub windows: Box<[Window]>,
}

/// Hours of the day, on some days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first minute of the UTC day.
    pub start: u16,
    /// The minute after the last; 1440 is midnight. A window whose end is not after its start runs over midnight.
    pub end: u16,
    /// Bit 0 is Monday, bit 6 Sunday.
    pub weekdays: u8,
    /// Minutes that local time, which decides the weekday, is ahead of UTC.
    pub offset: i16,
}

/// Every day of the week.
pub(super) const ALL_DAYS: u8 = 0b111_1111;
const DAY: i64 = 86_400;

/// How telling a condition is: of two that hold, the price of the higher one counts. The service tier is not in it:
/// it is looked up first, dimension by dimension (see `choose`).
pub(crate) type Rank = (usize, bool, Option<(i64, i64)>, u8, bool, Option<u64>);

impl Window {
    /// `16:00-24:00 UTC` and, where not on all days, the weekdays' numbers, Monday being 1.
    fn label(self) -> String {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let hours = format!("{}-{} UTC", clock(self.start), clock(self.end));
        if self.weekdays == ALL_DAYS {
            return hours;
        }
        let days: String =
            (0..7_u8).filter(|day| self.weekdays & (1 << day) != 0).map(|day| char::from(b'1' + day)).collect();
        format!("{hours} on days {days}")
    }

    /// Whether a second of the Unix epoch falls into the window.
    #[must_use]
    pub fn contains(&self, second: i64) -> bool {
        let minute = second.rem_euclid(DAY) / 60;
        let (start, end) = (i64::from(self.start), i64::from(self.end));
        let in_hours = if start < end { (start..end).contains(&minute) } else { minute >= start || minute < end };
        in_hours && self.weekdays & (1 << weekday(second + i64::from(self.offset) * 60)) != 0
    }
}

/// The UTC date of a second of the Unix epoch, as price files write it (Howard Hinnant's civil-from-days).
fn written_date(second: i64) -> String {
    let days = second.div_euclid(DAY) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The day of the week, 0 for Monday. The epoch began on a Thursday.
const fn weekday(second: i64) -> i64 {
    (second.div_euclid(DAY) + 3).rem_euclid(7)
}

impl Condition {
    /// How telling it is: more attributes, then deployment, then dates, then hours, then region, then the higher
    /// threshold. Dates stand above thresholds because a past price list is a whole: what it does not split, it did not.
    pub(crate) fn rank(&self) -> Rank {
        let dated = (self.from.is_some() || self.until.is_some())
            .then(|| (self.from.unwrap_or(i64::MIN), -self.until.unwrap_or(i64::MAX)));
        let some_days = self.windows.iter().any(|window| window.weekdays != ALL_DAYS);
        let hours = u8::from(!self.windows.is_empty()) + u8::from(some_days);
        let region = !self.regions.is_empty();
        (self.attributes.len(), self.deployment.is_some(), dated, hours, region, self.over_input)
    }

    /// What it asks for, in the words of a price file: `tier=batch, over_input=200000`; empty where it asks for nothing.
    #[must_use]
    pub fn label(&self) -> String {
        let mut parts = Vec::new();
        let mut say = |name: &str, value: String| parts.push(format!("{name}={value}"));
        for (name, second) in [("from", self.from), ("until", self.until)] {
            if let Some(second) = second {
                say(name, written_date(second));
            }
        }
        if let Some(tier) = &self.tier {
            say("tier", tier.to_string());
        }
        if let Some(threshold) = self.over_input {
            say("over_input", threshold.to_string());
        }
        if !self.regions.is_empty() {
            say("region", self.regions.join("|"));
        }
        if let Some(deployment) = &self.deployment {
            say("deployment", deployment.to_string());
        }
        for (key, value) in &self.attributes {
            say(key, value.to_string());
        }
        for window in &self.windows {
            say("window", window.label());
        }
        parts.join(", ")
    }

    /// Whether both are the same but for their dates, and the dates meet.
    pub(super) fn collides(&self, other: &Self) -> bool {
        let undated = |condition: &Self| Self { from: None, until: None, ..condition.clone() };
        let is_dated = |condition: &Self| condition.from.is_some() || condition.until.is_some();
        let before = |until: Option<i64>, from: Option<i64>| matches!((until, from), (Some(u), Some(f)) if u <= f);
        is_dated(self) == is_dated(other)
            && undated(self) == undated(other)
            && !before(self.until, other.from)
            && !before(other.until, self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-20 was a Friday.
    const FRIDAY: i64 = 1_795_132_800;

    #[test]
    fn windows_know_hours_and_days() {
        let peak = Window { start: 60, end: 240, weekdays: 0b001_1111, offset: 0 };
        let at = |day: i64, minute: i64| FRIDAY + day * DAY + minute * 60;
        assert!(!peak.contains(at(0, 60) - 1) && peak.contains(at(0, 60)));
        assert!(peak.contains(at(0, 240) - 1) && !peak.contains(at(0, 240)));
        assert!(!peak.contains(at(1, 100)) && !peak.contains(at(2, 100)) && peak.contains(at(3, 100)));
    }

    #[test]
    fn windows_run_over_midnight() {
        let night = Window { start: 990, end: 30, weekdays: ALL_DAYS, offset: 0 };
        assert!(night.contains(FRIDAY + 990 * 60) && night.contains(FRIDAY + 29 * 60));
        assert!(!night.contains(FRIDAY + 30 * 60) && !night.contains(FRIDAY + 989 * 60));
    }

    #[test]
    fn the_weekday_can_be_told_by_local_time() {
        let weekend_in_shanghai = Window { start: 0, end: 1440, weekdays: 0b110_0000, offset: 480 };
        assert!(weekend_in_shanghai.contains(FRIDAY + 16 * 3600), "Friday 16:00 UTC is Saturday there");
        assert!(!weekend_in_shanghai.contains(FRIDAY + 16 * 3600 - 1));
    }

    #[test]
    fn says_what_it_asks_for() {
        assert_eq!(Condition::default().label(), "");
        let peak = Window { start: 60, end: 1440, weekdays: 0b001_0001, offset: 0 };
        let condition = Condition {
            from: Some(FRIDAY),
            until: Some(951_782_400),
            tier: Some("batch".into()),
            over_input: Some(200_000),
            regions: Box::new(["us".into(), "eu".into()]),
            attributes: Box::new([("size".into(), "1x1".into())]),
            windows: Box::new([peak]),
            ..Condition::default()
        };
        assert_eq!(
            condition.label(),
            "from=2026-11-20, until=2000-02-29, tier=batch, over_input=200000, region=us|eu, size=1x1, \
             window=01:00-24:00 UTC on days 15"
        );
    }

    #[test]
    fn dates_that_meet_collide() {
        let dated = |from, until| Condition { from, until, ..Condition::default() };
        assert!(dated(Some(0), Some(10)).collides(&dated(Some(9), None)));
        assert!(!dated(Some(0), Some(10)).collides(&dated(Some(10), None)));
        assert!(!dated(None, None).collides(&dated(Some(10), None)), "an undated price holds where no dated one does");
    }
}
