//! Which store a URL names.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use crate::StoreError;

/// The database's name where the URL gives none.
const FILE: &str = "tachograph.db";

/// What may stand behind the `?` of a Postgres URL. sqlx logs others with their values, which may be secrets.
const POSTGRES_PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];

/// Where a store is. Without `Debug`, which would show the password.
pub(crate) enum Location {
    /// A file.
    SqliteFile(PathBuf),
    /// This process's memory, gone when the store is closed.
    SqliteMemory,
    /// A server.
    Postgres(Box<PgConnectOptions>),
}

impl Location {
    /// Reads a URL. Its text is never repeated in an error: it may hold a password, also where it is misspelt.
    pub(crate) fn read(url: &str, data_dir: &Path) -> Result<Self, StoreError> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(StoreError::UnknownUrl("has no scheme".into()));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => Ok(sqlite(rest, data_dir)),
            "postgres" | "postgresql" => postgres(url, rest),
            other if is_scheme(other) => Err(StoreError::UnknownUrl(format!("is of the kind {other:?}"))),
            _ => Err(StoreError::UnknownUrl("has no scheme".into())),
        }
    }
}

fn sqlite(rest: &str, data_dir: &Path) -> Location {
    match rest.strip_prefix("//").unwrap_or(rest) {
        "" => Location::SqliteFile(data_dir.join(FILE)),
        ":memory:" => Location::SqliteMemory,
        path => Location::SqliteFile(path.into()),
    }
}

fn postgres(url: &str, rest: &str) -> Result<Location, StoreError> {
    let malformed = "is no well-formed Postgres URL (in a name or password, characters such as @ : / ? # % are \
                     percent-encoded)";
    let refuse = |why: &str| Err(StoreError::UnknownUrl(why.into()));
    let Some(behind) = rest.strip_prefix("//") else { return refuse(malformed) };
    // Behind the host there is no bare @ or #: where there is, a password holds a character that ended the host early.
    let behind_host = behind.find(['/', '?', '#']).map_or("", |end| &behind[end..]);
    if behind_host.contains(['@', '#']) {
        return refuse(malformed);
    }
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let names = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next().unwrap_or(pair));
    if names.into_iter().any(|name| !POSTGRES_PARAMETERS.contains(&name)) {
        return refuse(&format!("has a parameter that is none of {}", POSTGRES_PARAMETERS.join(", ")));
    }
    match PgConnectOptions::from_str(url) {
        Ok(options) => Ok(Location::Postgres(Box::new(options))),
        Err(_) => refuse(malformed),
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.len() <= 16 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(url: &str) -> PathBuf {
        match Location::read(url, Path::new("data")) {
            Ok(Location::SqliteFile(path)) => path,
            _ => panic!("{url} names no file"),
        }
    }

    #[test]
    fn sqlite_names_a_file() {
        for (url, path) in [
            ("sqlite:", "data/tachograph.db"),
            ("sqlite://", "data/tachograph.db"),
            ("SQLite:rows.db", "rows.db"),
            ("sqlite:./a b?c.db", "./a b?c.db"),
            ("sqlite:/var/rows.db", "/var/rows.db"),
            ("sqlite:///var/rows.db", "/var/rows.db"),
        ] {
            assert_eq!(file(url), Path::new(path), "{url}");
        }
        assert!(matches!(Location::read("sqlite::memory:", Path::new("")), Ok(Location::SqliteMemory)));
    }

    #[test]
    fn postgres_names_a_server() {
        for url in
            ["postgres://me:pa%40ss@db.example:5433/rows?sslmode=require", "postgresql://me@db.example:5433/rows"]
        {
            let Ok(Location::Postgres(options)) = Location::read(url, Path::new("")) else { panic!("{url}") };
            assert_eq!((options.get_host(), options.get_port()), ("db.example", 5433));
            assert_eq!((options.get_username(), options.get_database()), ("me", Some("rows")));
        }
    }

    #[test]
    fn what_is_refused_is_not_repeated() {
        for url in [
            "",
            "sesame",
            "mysql://me:sesame@host/db",
            "me:sesame@host/db",
            "postgres//me:sesame@host",
            "postgres:me:sesame@host",
            "postgres://me:1/sesame@host:x/db",
            "postgres://me:2?sesame@host/db",
            "postgres://me:x#sesame@host:y/db",
            "postgres://me:1#sesame@host/db",
            "postgres://me@host/db?passwort=sesame",
            "postgres://me:x@host:sesame/db",
            "postgres://me@host/db?sslmode=sesame",
        ] {
            let Err(error) = Location::read(url, Path::new("data")) else { panic!("{url} was taken") };
            assert!(matches!(error, StoreError::UnknownUrl(_)), "{url}");
            assert!(!error.to_string().contains("sesame"), "{url}: {error}");
        }
    }
}
