//! Walking over recorded traffic.

use std::collections::BTreeSet;

use tachograph_record::{OrgId, RecordId, Timestamp};
use tachograph_store::{Cursor, Filter, Row, Search, Store};
use uuid::Uuid;

use super::CommandError;

/// A span of time: rows received at or after `from` and before `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first moment.
    pub from: Timestamp,
    /// The moment after the last.
    pub until: Timestamp,
}

impl Period {
    /// Reads two dates (`2026-11-01`, the beginning of the day in UTC) or moments (`2026-11-01T12:00:00Z`). Without a
    /// beginning it is the whole past, without an end it goes on until now.
    ///
    /// # Errors
    /// Where a text is neither, or the period ends before it begins.
    pub fn read(from: Option<&str>, until: Option<&str>) -> Result<Self, CommandError> {
        let period = Self {
            from: from.map_or(Ok(Timestamp::from_micros(0)), moment)?,
            until: until.map_or_else(|| Ok(Timestamp::now()), moment)?,
        };
        if period.until <= period.from {
            return Err(CommandError::Usage("the period ends before it begins".to_owned()));
        }
        Ok(period)
    }
}

/// A date (`2026-11-01`, the beginning of the day in UTC) or a moment (`2026-11-01T12:00:00Z`).
///
/// # Errors
/// Where the text is neither.
pub fn moment(text: &str) -> Result<Timestamp, CommandError> {
    let whole = if text.len() == "2026-11-01".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let read = whole.parse::<jiff::Timestamp>().map_err(|_| {
        CommandError::Usage(format!(
            "{text:?} is no date such as 2026-11-01 and no moment such as 2026-11-01T12:00:00Z"
        ))
    })?;
    Ok(Timestamp::from_micros(read.as_microsecond()))
}

/// The organisations that have a key, and the first one.
pub(super) async fn organisations(store: &dyn Store) -> Result<BTreeSet<OrgId>, CommandError> {
    let keys = store.keys().await?;
    Ok(keys.into_iter().map(|key| key.org).chain([OrgId::HOME]).collect())
}

/// Rows of a page.
const PAGE: u32 = 1_000;

/// Every row of a period, oldest first, a page at a time.
pub(super) async fn each_row(
    store: &dyn Store,
    org: OrgId,
    period: &Period,
    mut see: impl FnMut(Row) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let filter = Filter { from: Some(period.from), until: Some(period.until), ..Filter::default() };
    // Before the first row that can be: cursors are exclusive.
    let start = Timestamp::from_micros(period.from.micros().saturating_sub(1));
    let mut after = Cursor { received_at: start, id: RecordId::from(Uuid::max()) };
    loop {
        let search = Search { after: Some(after), limit: PAGE, ..Search::new(org, filter.clone()) };
        let page = store.search(&search).await?;
        let Some(next) = page.next else { return Ok(()) };
        page.rows.into_iter().try_for_each(&mut see)?;
        after = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_dates_or_moments() {
        let period = Period::read(Some("2026-11-20"), Some("2026-11-20T12:00:00Z")).unwrap();
        assert_eq!((period.from.micros(), period.until.micros()), (1_795_132_800_000_000, 1_795_176_000_000_000));
        assert_eq!(Period::read(None, None).unwrap().from.micros(), 0);
        for (from, until) in
            [(Some("20.11.2026"), None), (Some("2026-11-20"), Some("2026-11-20")), (None, Some("soon"))]
        {
            assert_eq!(Period::read(from, until).unwrap_err().exit_code(), 64, "{from:?} {until:?}");
        }
    }
}
