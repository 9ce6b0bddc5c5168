//! To a logger elsewhere, over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use tachograph_record::LogRecord;

use crate::client::Client;
use crate::destination::{Delivery, Destination, Progress, Undelivered};
use crate::wire::{self, CONTENT, PATH, PROGRESS_PATH};

/// How long a logger may take to store a batch. It answers once its store has it.
const ANSWER: Duration = Duration::from_secs(150);

/// A logger elsewhere, over HTTP: batches are compressed, shown with a key, and let go of once it says that its store has
/// them. What it answers decides: 2xx is taken; 400, 413 and 422 are a batch that it will not take; everything else, a wrong
/// key too, is tried again.
pub struct ToLogger {
    client: Client,
    records: Uri,
    progress: Uri,
    key: HeaderValue,
}

/// Why a logger cannot be shipped to.
#[derive(Debug, thiserror::Error)]
pub enum BadLogger {
    /// The URL.
    #[error("logger.url must be http://<host> or https://<host>, without a query")]
    Url,
    /// The key.
    #[error("logger.key must be what the logger has as its logger.key, in visible ASCII")]
    Key,
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl ToLogger {
    /// Ships to the logger at this URL, with this key.
    ///
    /// # Errors
    /// Where the URL or the key cannot be used.
    pub fn new(url: &str, key: &str) -> Result<Self, BadLogger> {
        let base = url.trim_end_matches('/');
        let at = |path: &str| format!("{base}{path}").parse::<Uri>().map_err(|_| BadLogger::Url);
        let (records, progress) = (at(PATH)?, at(PROGRESS_PATH)?);
        if !matches!(records.scheme_str(), Some("http" | "https")) || records.query().is_some() {
            return Err(BadLogger::Url);
        }
        let mut key = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| BadLogger::Key)?;
        key.set_sensitive(true);
        let client = Client::new(ANSWER)?;
        Ok(Self { client, records, progress, key })
    }

    async fn post(&self, to: &Uri, encoding: Option<&'static str>, body: Vec<u8>) -> Result<(), Undelivered> {
        let later = |why: String| Undelivered::Later(why, None);
        let mut request = Request::post(to).header(AUTHORIZATION, &self.key).header(CONTENT_TYPE, CONTENT);
        if let Some(encoding) = encoding {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| later(error.to_string()))?;
        let answer = self.client.send(request).await.map_err(|why| later(format!("of the logger: {why}")))?;
        let (status, text) = (answer.status, answer.text);
        let why = format!("the logger answered {status}: {}", String::from_utf8_lossy(&text).trim());
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(Undelivered::Refused(why))
            }
            _ => Err(Undelivered::Later(why, answer.after)),
        }
    }
}

impl Destination for ToLogger {
    fn deliver<'a>(&'a self, records: &'a [LogRecord]) -> Delivery<'a> {
        Box::pin(async move {
            let plain = wire::write(records).map_err(|error| Undelivered::Refused(error.to_string()))?;
            let packed = tokio::task::spawn_blocking(move || zstd::bulk::compress(&plain, 1)).await;
            let packed = packed.map_err(|error| Undelivered::Later(error.to_string(), None))?;
            let packed = packed.map_err(|error| Undelivered::Refused(error.to_string()))?;
            self.post(&self.records, Some("zstd"), packed).await
        })
    }

    fn progress<'a>(&'a self, progress: &'a Progress) -> Delivery<'a> {
        Box::pin(async move {
            let body = serde_json::to_vec(progress).map_err(|error| Undelivered::Refused(error.to_string()))?;
            self.post(&self.progress, None, body).await
        })
    }
}
