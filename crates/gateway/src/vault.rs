//! Providers' keys that are kept in the store, encrypted.
//!
//! Each is sealed with XChaCha20-Poly1305 under one master key, bound to its tenant, its id and its provider, so that a
//! row which is copied to another place does not open there. The master key is `TACHOGRAPH_MASTER_KEY` or, where that is
//! not set, 32 random bytes in `master.key` in the data directory, made on the first start and readable by its owner alone.
//! Gateways that share a store need the same one.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde_json::{Value, json};
use tachograph_record::{OrgId, Timestamp};
use tachograph_store::{Document, Store, StoreError};
use uuid::Uuid;

use crate::config::{Environment, Secret};
use crate::endpoint::Endpoints;
use crate::privacy::Redacting;

/// The kind of its documents in the store.
const KIND: &str = "provider_key";
/// The variable that holds the master key: 32 bytes, in hex or base64.
const VARIABLE: &str = "TACHOGRAPH_MASTER_KEY";
/// Its file in the data directory.
const FILE: &str = "master.key";

/// Why there is no vault, or nothing comes out of it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The master key is none.
    #[error("{0} does not hold 32 bytes in hex or base64")]
    BadMasterKey(String),
    /// The master key cannot be read or made.
    #[error("the master key {FILE} cannot be read or made: {0}")]
    Io(#[from] io::Error),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// It was sealed under another master key, or altered.
    #[error("it does not open: it was sealed under another master key, or altered")]
    DoesNotOpen,
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is known of a kept key without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderKey {
    /// Its id.
    pub id: Uuid,
    /// Whose key it is, by the provider's own name.
    pub provider: String,
    /// What people call it.
    pub name: String,
    /// Its last four characters; none of a short one.
    pub hint: String,
    /// When it was added.
    pub at: Timestamp,
    /// Whether it is in use.
    pub active: bool,
}

/// What is to be different of a kept key; what is absent stays.
#[derive(Default)]
pub struct KeyChange {
    /// Its text.
    pub key: Option<Secret>,
    /// What people call it.
    pub name: Option<String>,
    /// Whether it is in use.
    pub active: Option<bool>,
}

/// Seals and opens.
pub struct Vault {
    cipher: XChaCha20Poly1305,
    /// The keys that the endpoints have.
    loaded: Mutex<Option<Vec<Version>>>,
}

impl Vault {
    /// The vault under the master key of the environment, or of the data directory, where one is made if there is none.
    ///
    /// # Errors
    /// Where the master key is none, or cannot be read or made.
    pub fn open(data_dir: &Path, environment: Environment<'_>) -> Result<Self, VaultError> {
        let file = data_dir.join(FILE);
        let (text, place) = match environment(VARIABLE).filter(|text| !text.is_empty()) {
            Some(text) => (text, VARIABLE.to_owned()),
            None => (read_or_make(&file)?, file.display().to_string()),
        };
        let key = master_key(text.trim()).ok_or(VaultError::BadMasterKey(place))?;
        Ok(Self { cipher: XChaCha20Poly1305::new(&key.into()), loaded: Mutex::new(None) })
    }

    /// Keeps a key of a provider.
    ///
    /// # Errors
    /// Where it cannot be sealed or stored.
    pub async fn add(
        &self,
        store: &dyn Store,
        org: OrgId,
        provider: &str,
        name: &str,
        key: &Secret,
    ) -> Result<ProviderKey, VaultError> {
        let document = self.seal(org, Uuid::now_v7(), provider, name, key)?;
        store.put_document(&document).await?;
        Ok(described(&document))
    }

    /// Changes a kept key: another text, another name, in use or not. Returns whether it was there.
    ///
    /// # Errors
    /// Where it cannot be sealed or stored.
    pub async fn change(
        &self,
        store: &dyn Store,
        org: OrgId,
        id: Uuid,
        change: &KeyChange,
    ) -> Result<bool, VaultError> {
        let held = store.documents(org, KIND).await?.into_iter().find(|document| document.id == id);
        let Some(mut document) = held else { return Ok(false) };
        if let Some(key) = &change.key {
            let (provider, name) = (text(&document.body, "provider"), text(&document.body, "name"));
            document = self.seal(org, id, provider, name, key)?;
        }
        if let Some(name) = &change.name {
            document.body["name"] = name.as_str().into();
        }
        if let Some(active) = change.active {
            document.body["active"] = active.into();
        }
        store.put_document(&document).await?;
        Ok(true)
    }

    fn seal(&self, org: OrgId, id: Uuid, provider: &str, name: &str, key: &Secret) -> Result<Document, VaultError> {
        let mut nonce = [0_u8; 24];
        getrandom::fill(&mut nonce)?;
        let bound = bound_to(org, id, provider);
        let payload = Payload { msg: key.expose().as_bytes(), aad: &bound };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::DoesNotOpen)?;
        let characters: Vec<char> = key.expose().chars().collect();
        let hint: String =
            if characters.len() >= 16 { characters[characters.len() - 4..].iter().collect() } else { String::new() };
        let body = json!({
            "provider": provider, "name": name, "hint": hint, "nonce": STANDARD.encode(nonce), "sealed": STANDARD.encode(sealed),
        });
        Ok(Document { org, kind: KIND.to_owned(), id, at: Timestamp::now(), body })
    }

    fn unseal(&self, document: &Document) -> Result<Secret, VaultError> {
        let bytes = |name: &str| STANDARD.decode(text(&document.body, name)).map_err(|_| VaultError::DoesNotOpen);
        let nonce: [u8; 24] = bytes("nonce")?.try_into().map_err(|_| VaultError::DoesNotOpen)?;
        let bound = bound_to(document.org, document.id, text(&document.body, "provider"));
        let payload = Payload { msg: &bytes("sealed")?, aad: &bound };
        let opened = self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::DoesNotOpen)?;
        String::from_utf8(opened).map(|text| Secret::from(text.as_str())).map_err(|_| VaultError::DoesNotOpen)
    }

    /// Gives the endpoints the keys that all organisations keep now, and has them taken out of records. One that does not
    /// open is left out, and said so.
    ///
    /// # Errors
    /// Where the store cannot be read; the keys stay as they were.
    pub async fn load(
        &self,
        store: &dyn Store,
        endpoints: &Endpoints,
        redacting: &Redacting,
    ) -> Result<(), VaultError> {
        let documents = all_documents(store).await?;
        let versions: Vec<Version> = documents.iter().map(version).collect();
        if *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) == Some(versions.clone()) {
            return Ok(());
        }
        let mut kept: BTreeMap<&str, Vec<(&Document, Secret)>> = BTreeMap::new();
        for document in &documents {
            let provider = text(&document.body, "provider");
            match self.unseal(document) {
                Ok(key) => kept.entry(provider).or_default().push((document, key)),
                Err(error) => tracing::warn!(id = %document.id, provider, %error, "a provider's key cannot be used"),
            }
        }
        redacting.know(kept.values().flatten().map(|(_, key)| key.expose().to_owned()).collect());
        for endpoint in endpoints.all() {
            let held = kept.remove(&**endpoint.name()).unwrap_or_default();
            let versions = held.iter().map(|(document, _)| version(document)).collect();
            let mut keys: HashMap<OrgId, Vec<Secret>> = HashMap::new();
            for (document, key) in held {
                keys.entry(document.org).or_default().push(key);
            }
            endpoint.take_vaulted(versions, keys);
        }
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(versions);
        Ok(())
    }
}

/// Which key, and which text of it: each sealing has a nonce of its own.
pub(crate) type Version = (Uuid, String);

fn version(document: &Document) -> Version {
    (document.id, text(&document.body, "nonce").to_owned())
}

/// What is kept and in use, of all organisations that have a key of ours.
async fn all_documents(store: &dyn Store) -> Result<Vec<Document>, StoreError> {
    let mut orgs: Vec<OrgId> = store.keys().await?.into_iter().map(|row| row.org).chain([OrgId::HOME]).collect();
    orgs.sort_unstable();
    orgs.dedup();
    let mut all = Vec::new();
    for org in orgs {
        all.extend(store.documents(org, KIND).await?.into_iter().filter(|document| document.body["active"] != false));
    }
    Ok(all)
}

/// The keys that are kept, oldest first.
///
/// # Errors
/// Where the store cannot be read.
pub async fn provider_keys(store: &dyn Store, org: OrgId) -> Result<Vec<ProviderKey>, StoreError> {
    Ok(store.documents(org, KIND).await?.iter().map(described).collect())
}

/// Forgets a kept key. Returns whether it was there.
///
/// # Errors
/// Where the store cannot be written.
pub async fn forget_provider_key(store: &dyn Store, org: OrgId, id: Uuid) -> Result<bool, StoreError> {
    store.remove_document(org, KIND, id).await
}

/// Reads the kept keys anew again and again, for ever.
pub async fn reload_vault(
    vault: Arc<Vault>,
    endpoints: Arc<Endpoints>,
    store: Arc<dyn Store>,
    redacting: Arc<Redacting>,
    every: std::time::Duration,
) {
    loop {
        tokio::time::sleep(every).await;
        if let Err(error) = vault.load(&*store, &endpoints, &redacting).await {
            tracing::warn!(%error, "providers' keys could not be read anew; those known stay in use");
        }
    }
}

fn described(document: &Document) -> ProviderKey {
    let of = |name: &str| text(&document.body, name).to_owned();
    ProviderKey {
        id: document.id,
        provider: of("provider"),
        name: of("name"),
        hint: of("hint"),
        at: document.at,
        active: document.body["active"] != false,
    }
}

fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_default()
}

fn bound_to(org: OrgId, id: Uuid, provider: &str) -> Vec<u8> {
    [KIND.as_bytes(), org.uuid().as_bytes(), id.as_bytes(), provider.as_bytes()].concat()
}

fn master_key(text: &str) -> Option<[u8; 32]> {
    let bytes = hex::decode(text).ok().or_else(|| STANDARD.decode(text).ok())?;
    bytes.try_into().ok()
}

/// Two processes that start at once agree on the one that was there first.
fn read_or_make(file: &Path) -> Result<String, VaultError> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random)?;
    let beside = file.with_extension(format!("new-{}", std::process::id()));
    if !file.exists() {
        let mut made = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        made.write_all(hex::encode(random).as_bytes())?;
        made.sync_all()?;
        // Whole or not at all, and never over one that is there.
        let linked = std::fs::hard_link(&beside, file);
        std::fs::remove_file(&beside)?;
        if let Err(error) = linked
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error.into());
        }
    }
    Ok(std::fs::read_to_string(file)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_sealed_key_opens_only_in_its_place_and_under_its_master_key() {
        let with = |byte: u8| Vault { cipher: XChaCha20Poly1305::new(&[byte; 32].into()), loaded: Mutex::new(None) };
        let vault = with(7);
        let document = vault
            .seal(OrgId::HOME, Uuid::now_v7(), "openai", "main", &Secret::from("sk-canary-0123456789"))
            .ok()
            .unwrap();
        assert!(!document.body.to_string().contains("canary"));
        assert_eq!(described(&document).hint, "6789");
        let opens = |vault: &Vault, document: &Document| vault.unseal(document).ok().map(|key| key.expose().to_owned());
        assert_eq!(opens(&vault, &document).as_deref(), Some("sk-canary-0123456789"));
        assert_eq!(opens(&with(8), &document), None, "another master key");
        let mut moved = document.clone();
        moved.id = Uuid::now_v7();
        assert_eq!(opens(&vault, &moved), None, "another id");
        let mut renamed = document.clone();
        renamed.body["provider"] = "groq".into();
        assert_eq!(opens(&vault, &renamed), None, "another provider");
        let mut altered = document;
        altered.body["sealed"] = STANDARD.encode([0; 40]).into();
        assert_eq!(opens(&vault, &altered), None, "altered");
    }

    #[tokio::test]
    async fn keys_serve_the_calls_of_their_organisation_alone_and_are_taken_out_of_records() {
        let store = tachograph_store::open("sqlite::memory:", Path::new("nowhere")).await.unwrap();
        store.migrate().await.unwrap();
        let other = OrgId::generate();
        let (_, mut row) = crate::keys::generate("other").unwrap();
        row.org = other;
        store.insert_key(&row).await.unwrap();
        let vault = Vault { cipher: XChaCha20Poly1305::new(&[7; 32].into()), loaded: Mutex::new(None) };
        let configured = crate::config::ProviderConfig {
            api_keys: vec!["configured".into()],
            ..crate::config::ProviderConfig::default()
        };
        let endpoints = Endpoints::new(&[("groq".to_owned(), configured)].into(), &|_| None);
        let redacting = crate::privacy::edit(&crate::config::Config::default()).ok().unwrap();
        let load = async || vault.load(&*store, &endpoints, &redacting).await.unwrap();
        let sent = |provider: &str, org| match &endpoints.get(provider)?.credential(org)?.kind {
            crate::credential::Kind::Header(_, value) => value.to_str().ok().map(str::to_owned),
            _ => None,
        };
        for (org, provider) in [(OrgId::HOME, "openai"), (other, "openai"), (OrgId::HOME, "groq"), (other, "groq")] {
            let key = Secret::from(&*format!("canary-{provider}-{}", if org == other { "other" } else { "home" }));
            vault.add(&*store, org, provider, "n", &key).await.unwrap();
        }
        load().await;
        let bearer = |key: &str| Some(format!("Bearer {key}"));
        assert_eq!(sent("openai", OrgId::HOME), bearer("canary-openai-home"));
        assert_eq!(sent("openai", other), bearer("canary-openai-other"));
        assert_eq!(sent("groq", OrgId::HOME), bearer("configured"), "the gateway's own configuration first");
        assert_eq!(sent("groq", other), bearer("canary-groq-other"), "its own before the gateway's");
        let stranger = OrgId::generate();
        assert_eq!((sent("openai", stranger), sent("groq", stranger)), (None, bearer("configured")));
        let openai = endpoints.get("openai").unwrap();
        assert!(openai.has_key_for(other) && !openai.has_key_for(stranger));
        let kept = |record: &tachograph_record::LogRecord| record.asked.path.clone();
        let mut record = record_of("/x/canary-openai-other");
        tachograph_telemetry::RecordEdit::edit(&*redacting, &mut record);
        assert!(!kept(&record).contains("canary"), "{}", kept(&record));

        // Changed, switched off, forgotten: each counts at the next look.
        let id =
            provider_keys(&*store, other).await.unwrap().into_iter().find(|key| key.provider == "openai").unwrap().id;
        let change = KeyChange { key: Some(Secret::from("canary-renewed-key")), ..KeyChange::default() };
        assert!(!vault.change(&*store, OrgId::HOME, id, &change).await.unwrap(), "that is another's");
        assert!(vault.change(&*store, other, id, &change).await.unwrap());
        load().await;
        assert_eq!(sent("openai", other), bearer("canary-renewed-key"));
        let off = KeyChange { active: Some(false), name: Some("off".to_owned()), ..KeyChange::default() };
        assert!(vault.change(&*store, other, id, &off).await.unwrap());
        load().await;
        assert_eq!(sent("openai", other), None);
        let shown = provider_keys(&*store, other).await.unwrap().into_iter().find(|key| key.id == id).unwrap();
        assert_eq!((shown.active, &*shown.name, &*shown.hint), (false, "off", "-key"));
        assert!(forget_provider_key(&*store, other, id).await.unwrap());
    }

    fn record_of(path: &str) -> tachograph_record::LogRecord {
        let trip = tachograph_telemetry::Trip::begin(
            tachograph_record::RecordId::generate(),
            Timestamp::now(),
            http::Method::GET,
            path.parse().unwrap(),
        );
        trip.while_open(|record| record).unwrap()
    }

    #[test]
    fn the_master_key_is_made_once_for_its_owner_alone() {
        let folder = std::env::temp_dir().join(format!("tachograph-vault-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let nothing = |_: &str| None;
        assert!(Vault::open(&folder, &nothing).is_ok());
        let file = folder.join(FILE);
        let first = std::fs::read_to_string(&file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Vault::open(&folder, &nothing).is_ok());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), first);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        let refused = Vault::open(&folder, &|_| Some("short".to_owned())).err().unwrap();
        assert!(refused.to_string().starts_with("TACHOGRAPH_MASTER_KEY does not hold"), "{refused}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
