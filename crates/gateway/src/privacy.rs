//! What is taken out of records before anything is written: composed of the configuration and of the secrets it holds.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tachograph_providers::Registry;
use tachograph_record::LogRecord;
use tachograph_redact::Redactor;
use tachograph_telemetry::RecordEdit;

use crate::commands::CommandError;
use crate::config::{Config, LoggingConfig, ProviderConfig};

/// Takes out of records what must not be kept.
pub struct Redacting {
    redactor: ArcSwap<Redactor>,
    rules: LoggingConfig,
    /// Secrets of the configuration and the environment.
    known: Vec<String>,
    /// Those of the vault, which come and go.
    vaulted: Mutex<Vec<String>>,
}

impl RecordEdit for Redacting {
    fn edit(&self, record: &mut LogRecord) {
        self.redactor.load().record(record);
    }
}

impl Redacting {
    /// Takes out these secrets of the vault too, and no longer those before them.
    pub(crate) fn know(&self, vaulted: Vec<String>) {
        let mut held = self.vaulted.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == vaulted {
            return;
        }
        let all = self.known.iter().chain(&vaulted);
        // The rules could be read before, and secrets cannot be wrong.
        if let Ok(redactor) = self.rules.redactor(all.map(String::as_str)) {
            self.redactor.store(Arc::new(redactor));
        }
        *held = vaulted;
    }
}

/// What every record goes through on its way to the logger.
///
/// # Errors
/// Where a rule of the configuration cannot be read.
pub fn edit(config: &Config) -> Result<Arc<Redacting>, CommandError> {
    let configured = config.providers.values().flat_map(ProviderConfig::secrets).chain(&config.api_key);
    let mut known: Vec<String> = configured.map(|secret| secret.expose().to_owned()).collect();
    let variables = Registry::builtin().iter().flat_map(|provider| provider.env.iter());
    let amazons = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    let variables = variables.map(String::as_str).chain(amazons);
    known.extend(variables.filter_map(|name| std::env::var(name).ok()));
    let rules = config.logging.clone();
    let redactor = rules
        .redactor(known.iter().map(String::as_str))
        .map_err(|faults| CommandError::Usage(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    let redactor = ArcSwap::from_pointee(redactor);
    Ok(Arc::new(Redacting { redactor, rules, known, vaulted: Mutex::default() }))
}
