//! `gateway keys provider`

use std::io::{Read, Write};

use jiff::Timestamp as Moment;
use tachograph_providers::Registry;
use tachograph_record::OrgId;
use tachograph_store::Store;

use super::CommandError;
use crate::config::{Config, Secret};
use crate::vault::{Vault, forget_provider_key, provider_keys as listed};

/// The longest key that is read, in bytes: a service account's JSON is about 2,400.
const LONGEST: u64 = 64 << 10;

/// What to do with providers' keys.
pub enum ProviderKeysCommand {
    /// Keep one, encrypted.
    Add {
        /// Whose key it is.
        provider: String,
        /// A name for people.
        name: String,
        /// The environment variable that holds it; absent, it is read from standard input.
        from: Option<String>,
    },
    /// List them; the keys themselves are not shown.
    List,
    /// Forget one.
    Revoke {
        /// Its id, as listed.
        id: String,
    },
}

/// Keeps, lists and forgets providers' keys.
///
/// # Errors
/// Where the store or the master key fails, the provider or the id is none, or nothing can be read or written.
pub async fn provider_keys(
    command: ProviderKeysCommand,
    config: &Config,
    store: &dyn Store,
    input: &mut impl Read,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    match command {
        ProviderKeysCommand::Add { provider, name, from } => {
            let known = Registry::builtin().get(&provider).map(|row| row.name.to_string());
            let own = config.providers.contains_key(&provider).then(|| provider.clone());
            let unknown = || CommandError::Usage(format!("no provider is called {provider:?}; see docs/providers.md"));
            let provider = known.or(own).ok_or_else(unknown)?;
            let key = read(from.as_deref(), input)?;
            let vault = Vault::open(&config.data_dir, &|name| std::env::var(name).ok())?;
            let kept = vault.add(store, OrgId::HOME, &provider, &name, &key).await?;
            writeln!(out, "{}", kept.id)?;
        }
        ProviderKeysCommand::List => {
            for key in listed(store, OrgId::HOME).await? {
                let at = Moment::from_microsecond(key.at.micros()).map(|at| at.to_string()).unwrap_or_default();
                writeln!(out, "{}  {}  …{:4}  {at}  {}", key.id, key.provider, key.hint, key.name)?;
            }
        }
        ProviderKeysCommand::Revoke { id } => {
            let none = || {
                CommandError::Usage(format!("no provider's key has the id {id:?}; see `gateway keys provider list`"))
            };
            let uuid = id.parse().map_err(|_| none())?;
            if !forget_provider_key(store, OrgId::HOME, uuid).await? {
                return Err(none());
            }
            writeln!(out, "forgot {id}")?;
        }
    }
    Ok(())
}

fn read(from: Option<&str>, input: &mut impl Read) -> Result<Secret, CommandError> {
    let text = match from {
        Some(name) => std::env::var(name)
            .map_err(|_| CommandError::Usage(format!("the environment variable {name} is not set")))?,
        None => {
            let mut text = String::new();
            input.take(LONGEST).read_to_string(&mut text)?;
            text
        }
    };
    let key = text.trim();
    if key.is_empty() {
        return Err(CommandError::Usage(
            "no key came; write it to standard input, or name its variable with --key-env".to_owned(),
        ));
    }
    Ok(Secret::from(key))
}
