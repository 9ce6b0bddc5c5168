//! `gateway keys`

use std::io::Write;

use jiff::Timestamp as Moment;
use tachograph_record::{KeyId, Timestamp};
use tachograph_store::{KeyRow, Store};

use super::CommandError;
use crate::config::{Config, Secret};
use crate::keys::{generate, row_of};

/// What to do with API keys.
pub enum KeysCommand {
    /// Make one and print it, this once.
    Create {
        /// A name for people.
        name: String,
    },
    /// List them; the keys themselves are not known any more.
    List,
    /// Refuse one from now on.
    Revoke {
        /// Its id, as listed.
        id: String,
    },
}

/// Makes, lists and revokes API keys.
///
/// # Errors
/// Where the store fails, the id is none, or nothing can be written.
pub async fn keys(command: KeysCommand, store: &dyn Store, out: &mut impl Write) -> Result<(), CommandError> {
    match command {
        KeysCommand::Create { name } => {
            let (key, row) = generate(&name).map_err(|error| CommandError::Internal(error.to_string()))?;
            store.insert_key(&row).await?;
            writeln!(out, "{}", key.expose())?;
        }
        KeysCommand::List => {
            for row in store.keys().await? {
                list(&row, out)?;
            }
        }
        KeysCommand::Revoke { id } => {
            let id: KeyId = id
                .parse()
                .map_err(|_| CommandError::Usage(format!("{id:?} is no key's id; see `gateway keys list`")))?;
            if !store.revoke_key(id, Timestamp::now()).await? {
                return Err(CommandError::Usage(format!("no valid key has the id {id}; see `gateway keys list`")));
            }
            writeln!(out, "revoked {id}")?;
        }
    }
    Ok(())
}

fn list(row: &KeyRow, out: &mut impl Write) -> Result<(), CommandError> {
    let when = |at: Timestamp| Moment::from_microsecond(at.micros()).map(|at| at.to_string()).unwrap_or_default();
    let state = row.revoked_at.map_or_else(|| "valid".to_owned(), |at| format!("revoked {}", when(at)));
    writeln!(out, "{}  …{:4}  {}  {}  {}", row.id, row.hint, when(row.created_at), state, row.name)?;
    Ok(())
}

/// Sees to it that there is a key: the configured one, or, on a first start, a new one, which is returned to be shown once.
///
/// # Errors
/// Where the store fails, or the system gives no random bytes.
pub async fn first_key(config: &Config, store: &dyn Store) -> Result<Option<Secret>, CommandError> {
    let held = store.keys().await?;
    if let Some(given) = &config.api_key {
        let row = row_of(given.expose(), "from the configuration");
        match held.iter().find(|held| held.hash == row.hash) {
            Some(known) if known.revoked_at.is_some() => {
                tracing::warn!(id = %known.id, "the configured api_key has been revoked")
            }
            Some(_) => {}
            None => store.insert_key(&row).await?,
        }
        return Ok(None);
    }
    if !held.is_empty() {
        return Ok(None);
    }
    let (key, row) = generate("first key").map_err(|error| CommandError::Internal(error.to_string()))?;
    store.insert_key(&row).await?;
    Ok(Some(key))
}
