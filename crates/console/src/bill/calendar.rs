//! Days and months of the Gregorian calendar, counted from the epoch.

/// µs of a day.
pub(crate) const DAY: i64 = 86_400_000_000;

/// Year and month of a day since the epoch.
pub(crate) fn month_of(day: i64) -> (i64, i64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let of_era_year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * of_era_year + of_era_year / 4 - of_era_year / 100);
    let month = (5 * of_year + 2) / 153;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (of_era_year + era * 400 + i64::from(month <= 2), month)
}

/// The first day of a month, since the epoch.
pub(crate) fn first_of(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The first day of the month of a day, and of the month after.
pub(crate) fn month_around(day: i64) -> (i64, i64) {
    let (year, month) = month_of(day);
    let next = if month == 12 { first_of(year + 1, 1) } else { first_of(year, month + 1) };
    (first_of(year, month), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_and_end_where_they_should() {
        assert_eq!(month_of(0), (1970, 1));
        assert_eq!(month_around(0), (0, 31));
        // 2026-11-24
        assert_eq!(month_of(20_781), (2026, 11));
        let (first, next) = month_around(20_781);
        assert_eq!((20_781 - first, next - first), (23, 30));
        for day in -1_000..100_000 {
            let (first, next) = month_around(day);
            assert!(first <= day && day < next && (28..=31).contains(&(next - first)));
        }
    }
}
