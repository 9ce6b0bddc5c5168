//! What a caller wants of the cache, as headers tell it.

use std::time::Duration;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue};
use tachograph_reply::ApiError;

/// How long an answer is kept where nobody says, as Helicone keeps it.
pub const USUAL_TTL: Duration = Duration::from_secs(7 * 86_400);
/// The longest that an answer is kept.
const LONGEST_TTL: u64 = 365 * 86_400;
/// So many answers to one request are kept, at most.
const MOST_BUCKETS: u32 = 20;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// A longer key is no key.
const LONGEST_IDEMPOTENCY_KEY: usize = 255;

/// What holds where a caller says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// Whether answers are read from the cache and kept in it.
    pub enabled: bool,
    /// For how long they are kept.
    pub ttl: Duration,
    /// Whether the answer to a request of the same meaning will do.
    pub similar: bool,
}

impl Default for Usual {
    fn default() -> Self {
        Self { enabled: false, ttl: USUAL_TTL, similar: false }
    }
}

/// What a caller wants of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// A stored answer will do.
    pub read: bool,
    /// The answer is to be kept.
    pub save: bool,
    /// The stored answer to a request of the same meaning will do.
    pub similar: bool,
    /// Whether the caller said so itself, in a header.
    pub told: bool,
    /// For how long it is kept.
    pub ttl: Duration,
    /// How many answers to the same request are kept, one of which is served at random once all are there.
    pub buckets: u32,
    /// A namespace.
    pub seed: Option<String>,
    /// Fields at the top of the body that make no difference.
    pub ignore: Vec<String>,
    /// Whether a stored stream comes at the pace at which it once came, and not at once.
    pub paced: bool,
    /// `Idempotency-Key`: the same call, however often it is sent.
    pub idempotency_key: Option<String>,
}

impl Wish {
    /// Reads `Helicone-Cache-Enabled`, `-Read`, `-Save`, `-Bucket-Max-Size`, `-Seed` and `-Ignore-Keys` (each also as
    /// `Tachograph-Cache-…`), `Tachograph-Cache-Replay: recorded` and `-Semantic`, the ages and the `no-store` and `no-cache` of
    /// `Cache-Control`, and `Idempotency-Key`.
    ///
    /// # Errors
    /// 400, where a bucket's size is not a number from 1 to 20, fields to be ignored cannot be read, or an idempotency
    /// key is empty, too long or not ASCII.
    pub fn of(headers: &HeaderMap, usual: Usual) -> Result<Self, ApiError> {
        // One pass over the names: most calls say nothing of a cache.
        let ours = |prefix: &'static str| {
            headers.iter().filter_map(move |(name, value)| Some((name.as_str().strip_prefix(prefix)?, value)))
        };
        let ours: Vec<(&str, &HeaderValue)> = ours("helicone-cache-").chain(ours("tachograph-cache-")).collect();
        let text = |name: &str| {
            let (_, value) = ours.iter().find(|(held, _)| *held == name)?;
            value.to_str().ok().map(str::trim)
        };
        let flag = |name: &str| text(name).map(|value| value.eq_ignore_ascii_case("true"));
        let (enabled, read, save) = (flag("enabled"), flag("read"), flag("save"));
        let told = [enabled, read, save].contains(&Some(true));
        let all = enabled.unwrap_or(usual.enabled && read.is_none() && save.is_none());
        let control = Control::of(headers);
        let ttl = control.max_age.map_or(usual.ttl, |age| Duration::from_secs(age.min(LONGEST_TTL)));
        let reads = (all || read == Some(true)) && !control.no_cache && !control.no_store;
        Ok(Self {
            read: reads,
            similar: reads && flag("semantic").unwrap_or(usual.similar),
            save: (all || save == Some(true)) && !control.no_store && !ttl.is_zero(),
            told,
            ttl,
            buckets: text("bucket-max-size").map_or(Ok(1), buckets)?,
            seed: text("seed").map(str::to_owned),
            ignore: text("ignore-keys").map_or(Ok(Vec::new()), fields)?,
            paced: text("replay").is_some_and(|pace| pace.eq_ignore_ascii_case("recorded")),
            idempotency_key: idempotency_key(headers)?,
        })
    }

    /// Whether there is anything to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        !self.read && !self.save && self.idempotency_key.is_none()
    }
}

fn buckets(text: &str) -> Result<u32, ApiError> {
    match text.parse::<u32>() {
        Ok(size @ 1..=MOST_BUCKETS) => Ok(size),
        // Helicone's words, which its clients may look for.
        Ok(size) if size > MOST_BUCKETS => {
            let message = format!("Cache bucket size cannot be greater than {MOST_BUCKETS}");
            Err(ApiError::invalid("invalid_cache_bucket_size", message))
        }
        _ => {
            let message = format!("Helicone-Cache-Bucket-Max-Size takes a number from 1 to {MOST_BUCKETS}.");
            Err(ApiError::invalid("invalid_cache_bucket_size", message))
        }
    }
}

/// `"a","b"`, `["a","b"]` or `a,b`.
fn fields(text: &str) -> Result<Vec<String>, ApiError> {
    if text.contains(['"', '[']) {
        let list = if text.starts_with('[') { text.to_owned() } else { format!("[{text}]") };
        return serde_json::from_str(&list).map_err(|_| {
            let message =
                "Helicone-Cache-Ignore-Keys takes names of top-level fields: request_id,timestamp or \"request_id\",\"timestamp\".";
            ApiError::invalid("invalid_cache_ignore_keys", message)
        });
    }
    Ok(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
    match text.filter(|text| text.len() <= LONGEST_IDEMPOTENCY_KEY) {
        Some(text) => Ok(Some(text.to_owned())),
        None => {
            let message = format!("Idempotency-Key takes 1 to {LONGEST_IDEMPOTENCY_KEY} ASCII characters.");
            Err(ApiError::invalid("invalid_idempotency_key", message))
        }
    }
}

/// What `Cache-Control` says of interest here.
#[derive(Default)]
struct Control {
    no_store: bool,
    no_cache: bool,
    max_age: Option<u64>,
}

impl Control {
    fn of(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        let (mut private, mut shared) = (None, None);
        let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        for directive in values.flat_map(|value| value.split(',')) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            let seconds = value.trim().trim_matches('"').parse::<u64>().ok();
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" => control.no_store = true,
                "no-cache" => control.no_cache = true,
                "max-age" => private = private.or(seconds),
                "s-maxage" => shared = shared.or(seconds),
                _ => {}
            }
        }
        // RFC 9111 §5.2.2.10: this is a shared cache.
        control.max_age = shared.or(private);
        control
    }
}
