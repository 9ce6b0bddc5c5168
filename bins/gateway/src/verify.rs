//! `gateway verify-rollups`: whether what is added up is what was recorded.

use std::io::Write;

use serde_json::{Value, json};
use tachograph_gateway::commands::{CommandError, Period};
use tachograph_gateway::config::Config;
use tachograph_gateway::process;
use tachograph_record::Timestamp;
use tachograph_store::Verified;

/// In µs. Rollups are compared by the day, UTC.
const DAY: i64 = 86_400_000_000;

/// Compares day by day, each in a snapshot of its own, so that nobody has to wait meanwhile.
pub(crate) async fn verify_rollups(config: Config, period: Period) -> Result<(), CommandError> {
    let store = process::open_store(&config).await?;
    let (mut whole, mut told) = (Verified::default(), 0);
    for (org, first, last) in store.extent().await? {
        let (first, last) = (first.max(period.from), last.min(period.until));
        let mut day = first.micros().div_euclid(DAY) * DAY;
        while day <= last.micros() {
            let done = store.verify_rollups(org, Timestamp::from_micros(day)).await?;
            for difference in &done.differences {
                line(&json!(difference))?;
            }
            told += done.differences.len();
            whole.add(done);
            day += DAY;
        }
    }
    store.close().await?;
    let Verified { hours, dirty, cells, .. } = whole;
    line(&json!({ "hours": hours, "dirty_hours": dirty, "cells": cells, "differences": told }))?;
    match told {
        0 => Ok(()),
        told => Err(CommandError::Internal(format!("{told} sums of rollups are not those of the rows"))),
    }
}

fn line(value: &Value) -> Result<(), CommandError> {
    writeln!(std::io::stdout(), "{value}").map_err(CommandError::Io)
}
