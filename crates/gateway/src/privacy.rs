//! What is taken out of records before anything is written: composed of the configuration and of the secrets it holds.

use std::sync::Arc;

use tachograph_providers::Registry;
use tachograph_record::LogRecord;
use tachograph_redact::Redactor;
use tachograph_telemetry::RecordEdit;

use crate::commands::CommandError;
use crate::config::{Config, ProviderConfig};

/// Takes out of records what must not be kept.
struct Redacting(Redactor);

impl RecordEdit for Redacting {
    fn edit(&self, record: &mut LogRecord) {
        self.0.record(record);
    }
}

/// What every record goes through on its way to the logger.
///
/// # Errors
/// Where a rule of the configuration cannot be read.
pub fn edit(config: &Config) -> Result<Arc<dyn RecordEdit>, CommandError> {
    let configured = config.providers.values().flat_map(ProviderConfig::secrets).chain(&config.api_key);
    let mut known: Vec<String> = configured.map(|secret| secret.expose().to_owned()).collect();
    let variables = Registry::builtin().iter().flat_map(|provider| provider.env.iter());
    let amazons = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    let variables = variables.map(String::as_str).chain(amazons);
    known.extend(variables.filter_map(|name| std::env::var(name).ok()));
    let redactor = config.logging.redactor(known.iter().map(String::as_str));
    let redactor = redactor
        .map_err(|faults| CommandError::Usage(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    Ok(Arc::new(Redacting(redactor)))
}
