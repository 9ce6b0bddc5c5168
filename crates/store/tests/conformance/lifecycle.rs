//! Opening, migrating, closing, and stores that are not there.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use tachograph_record::OrgId;
use tachograph_store::{Filter, StoreError, StoredRecord, open};

use crate::backend::{Place, on_each, with_each};
use crate::sample::{Dice, full, plain};

#[tokio::test]
async fn migrating_again_changes_nothing() {
    with_each(async |_, store| {
        let record = full(&mut Dice(1), OrgId::generate());
        store.append(std::slice::from_ref(&record)).await.unwrap();
        store.migrate().await.unwrap();
        store.migrate().await.unwrap();
        let fetched = store.fetch(record.asked.org, record.id).await.unwrap();
        assert_eq!(fetched, Some(StoredRecord::from(&record)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_open_and_migrate_at_once() {
    on_each(async |backend| {
        let mut openers = tokio::task::JoinSet::new();
        let directory = match &backend.place {
            Place::Directory(directory) => directory.clone(),
            Place::Memory | Place::Database { .. } => "nowhere".into(),
        };
        for at in 0..8 {
            let (url, directory) = (backend.url.clone(), directory.clone());
            openers.spawn(async move {
                let store = open(&url, &directory).await.unwrap();
                store.migrate().await.unwrap();
                store.append(&[plain(OrgId::HOME, at)]).await.unwrap();
                store
            });
        }
        let stores = openers.join_all().await;
        let expected = if backend.lasts() { 8 } else { 1 };
        for store in &stores {
            assert_eq!(store.totals(OrgId::HOME, &Filter::default()).await.unwrap().requests, expected);
        }
        for store in stores {
            store.close().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_written_is_there_when_opened_again() {
    with_each(async |backend, store| {
        let record = full(&mut Dice(2), OrgId::generate());
        store.append(std::slice::from_ref(&record)).await.unwrap();
        store.close().await.unwrap();
        let closed = store.append(&[plain(OrgId::HOME, 1)]).await;
        assert!(matches!(closed, Err(StoreError::Unreachable(_))), "{closed:?}");
        let again = backend.open().await;
        again.migrate().await.unwrap();
        let fetched = again.fetch(record.asked.org, record.id).await.unwrap();
        assert_eq!(fetched, Some(StoredRecord::from(&record)).filter(|_| backend.lasts()));
        again.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn one_store_sees_what_another_wrote() {
    with_each(async |backend, store| {
        if !backend.lasts() {
            return;
        }
        let other = backend.open().await;
        for at in 0..20 {
            let (writer, reader) = if at % 2 == 0 { (&store, &other) } else { (&other, &store) };
            let record = plain(OrgId::HOME, at);
            assert_eq!(writer.append(std::slice::from_ref(&record)).await.unwrap(), 1);
            assert_eq!(reader.append(std::slice::from_ref(&record)).await.unwrap(), 0);
            assert_eq!(reader.fetch(OrgId::HOME, record.id).await.unwrap(), Some(StoredRecord::from(&record)));
        }
        other.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_store_without_or_with_a_newer_schema_is_refused() {
    on_each(async |backend| {
        let store = backend.open().await;
        let append = store.append(&[plain(OrgId::HOME, 1)]).await;
        assert!(matches!(append, Err(StoreError::Failed(_))), "{append:?}");
        store.migrate().await.unwrap();
        if backend.lasts() {
            backend
                .tamper(
                    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (9999, 'from the future', TRUE, x'00', 0)",
                    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (9999, 'from the future', TRUE, '\\x00', 0)",
                )
                .await;
            let migrated = store.migrate().await;
            assert!(matches!(&migrated, Err(StoreError::Failed(why)) if why.contains("9999")), "{migrated:?}");
        }
        store.close().await.unwrap();
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    with_each(async |backend, store| {
        let Place::Directory(directory) = &backend.place else { return };
        store.append(&[plain(OrgId::HOME, 1)]).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(directory), 0o700);
        let files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 2, "the file and its WAL: {files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    })
    .await;
}

/// Cuts all connections of the database but the one that says so.
const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test]
async fn a_batch_whose_connection_was_cut_may_be_sent_again() {
    with_each(async |backend, store| {
        let Place::Database { .. } = &backend.place else { return };
        let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
                    'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END'; \
                    CREATE TRIGGER slow BEFORE INSERT ON requests FOR EACH ROW EXECUTE FUNCTION slow()";
        backend.tamper("", slow).await;
        let org = OrgId::generate();
        let batch: Vec<_> = (0..20).map(|at| plain(org, at)).collect();
        let cut = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            backend.tamper("", CUT).await;
        };
        let (appended, ()) = tokio::join!(store.append(&batch), cut);
        assert!(matches!(appended, Err(StoreError::Unreachable(_))), "{appended:?}");

        backend.tamper("", "DROP TRIGGER slow ON requests").await;
        assert_eq!(store.totals(org, &Filter::default()).await.unwrap().requests, 0);
        assert_eq!(store.append(&batch).await.unwrap(), 20);

        // Connections that lay idle while the server was gone are replaced unnoticed.
        backend.tamper("", CUT).await;
        assert_eq!(store.append(&batch).await.unwrap(), 0);
        assert_eq!(store.totals(org, &Filter::default()).await.unwrap().requests, 20);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable_and_its_password_not_told() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://me:sesame@127.0.0.1:{port}/rows");
    let Err(error) = open(&url, Path::new("nowhere")).await.map(drop) else { panic!("nobody listens there") };
    assert!(matches!(error, StoreError::Unreachable(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("sesame"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_cannot_be_made_is_unreachable() {
    let Err(error) = open("sqlite:/dev/null/rows.db", Path::new("nowhere")).await.map(drop) else { panic!("no place") };
    assert!(matches!(error, StoreError::Unreachable(_)), "{error}");
}
