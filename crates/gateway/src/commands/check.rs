//! `gateway check`

use std::io::Write;

use super::CommandError;
use crate::config::Config;

/// Prints the effective configuration with its secrets hidden, as JSON, which is YAML too.
///
/// # Errors
/// Where it cannot be written.
pub fn check(config: &Config, out: &mut impl Write) -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(config).map_err(|error| CommandError::Internal(error.to_string()))?;
    writeln!(out, "{text}")?;
    Ok(())
}
