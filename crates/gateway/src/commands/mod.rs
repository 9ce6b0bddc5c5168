//! What the `gateway` program does besides serving. Each command writes to the handle it is given and says how it went by
//! an error type that the binary turns into an exit code.

mod check;
mod demo;
mod history;
mod keys;
mod price;
mod pricing;
mod provider_keys;
mod reconcile;
mod report;
mod reprice;
mod what_if;

pub use check::check;
pub use demo::{DemoReport, demo};
pub use history::{Period, moment};
pub use keys::{KeysCommand, first_key, keys};
pub use price::price;
pub use pricing::{PricingCommand, pricing};
pub use provider_keys::{ProviderKeysCommand, provider_keys};
pub use reconcile::{Bill, ReconcileCommand, reconcile};
pub use report::{ReportCommand, report};
pub use reprice::{RepriceCommand, reprice};
pub use what_if::{WhatIfCommand, what_if};

use std::io;

use tachograph_store::StoreError;
use thiserror::Error;

use crate::config::Faults;
use crate::vault::VaultError;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The configuration is wrong.
    #[error("{0}")]
    Configuration(#[from] Faults),
    /// The command's own arguments are wrong.
    #[error("{0}")]
    Usage(String),
    /// A service it needs cannot be reached.
    #[error("{0}")]
    Unavailable(String),
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Something broke inside.
    #[error("{0}")]
    Internal(String),
}

impl CommandError {
    /// The process's exit code, after BSD's `sysexits.h`.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) | Self::Usage(_) => 64,
            Self::Unavailable(_) => 69,
            Self::Internal(_) => 70,
            Self::Io(_) => 74,
        }
    }
}

impl From<VaultError> for CommandError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => error.into(),
            VaultError::Io(error) => error.into(),
            VaultError::BadMasterKey(_) => Self::Usage(error.to_string()),
            VaultError::Random(_) | VaultError::DoesNotOpen => Self::Internal(error.to_string()),
        }
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownUrl(_) => Self::Usage(error.to_string()),
            StoreError::Unreachable(_) => Self::Unavailable(error.to_string()),
            StoreError::Failed(_) => Self::Internal(error.to_string()),
        }
    }
}
