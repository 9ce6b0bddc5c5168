//! `gateway export`: recorded calls as a file.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use tachograph_console::{Export, ExportError, ExportFormat};
use tachograph_gateway::commands::{CommandError, Period};
use tachograph_gateway::config::Config;
use tachograph_gateway::process;
use tachograph_record::OrgId;
use tachograph_store::{Filter, Predicate, Search, StoreError};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// Which rows to write, and where.
#[derive(clap::Args)]
pub(crate) struct Rows {
    /// jsonl: an object on each line, as /api/requests shows it; csv; or parquet: the columns of csv, typed
    #[arg(long, default_value = "jsonl", value_name = "FORMAT")]
    format: ExportFormat,
    /// Which rows, in the words of the console: 'model:gpt-4o* cost>0.01 prop.team=search -status:200'
    #[arg(long, value_name = "WORDS")]
    filter: Option<String>,
    /// With what was sent and answered, as far as it was kept
    #[arg(long)]
    bodies: bool,
    /// At most so many rows
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
    /// Whose rows; those of the first organisation if absent
    #[arg(long, value_name = "ID")]
    org: Option<OrgId>,
    /// The file to write; it is there once it is whole. Standard output if absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes rows.
pub(crate) async fn export(config: Config, rows: Rows, period: Period) -> Result<(), CommandError> {
    let only = rows.filter.as_deref().map_or(Ok(Predicate::All), Predicate::from_words);
    let only = only.map_err(|bad| CommandError::Usage(format!("--filter: {bad}")))?;
    let filter = Filter { from: Some(period.from), until: Some(period.until), only };
    filter.check().map_err(|bad| CommandError::Usage(format!("--filter: {bad}")))?;
    let store = process::open_store(&config).await?;
    let search = Search::new(rows.org.unwrap_or(OrgId::HOME), filter);
    let most = rows.limit.unwrap_or(u64::MAX);
    let pieces = Export { search, format: rows.format, bodies: rows.bodies, most }.pieces(store.clone()).await;
    let pieces = pieces.map_err(|error| match error {
        ExportError::TooMany(_) => CommandError::Usage(error.to_string()),
        ExportError::Failed => CommandError::Internal(error.to_string()),
        ExportError::Store(error) => error.into(),
    })?;
    match &rows.out {
        None => write(pieces, &mut tokio::io::stdout()).await?,
        Some(path) => write_file(pieces, path).await?,
    }
    store.close().await?;
    Ok(())
}

async fn write_file(pieces: impl Stream<Item = Result<Bytes, StoreError>>, path: &Path) -> Result<(), CommandError> {
    let named =
        |error: io::Error| CommandError::Io(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    // What was said is in it: for its owner alone.
    let opened = tokio::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part).await;
    let mut file = opened.map_err(named)?;
    write(pieces, &mut file).await?;
    file.sync_all().await.map_err(named)?;
    tokio::fs::rename(&part, path).await.map_err(named)
}

async fn write(
    pieces: impl Stream<Item = Result<Bytes, StoreError>>,
    out: &mut (impl AsyncWrite + Unpin),
) -> Result<(), CommandError> {
    let mut pieces = pin!(pieces);
    while let Some(piece) = pieces.try_next().await? {
        out.write_all(&piece).await?;
    }
    out.flush().await?;
    Ok(())
}
