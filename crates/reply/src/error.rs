//! What went wrong, for a caller.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// What kind of error it is: decides the status, unless one is given, and each dialect's own word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request cannot be understood or asks for what cannot be done.
    InvalidRequest,
    /// No key, or not one of ours.
    Authentication,
    /// A key that may not do this.
    Permission,
    /// No such path, model or provider.
    NotFound,
    /// The body is over a limit.
    TooLarge,
    /// Too many calls, tokens or dollars.
    RateLimit,
    /// The provider did not answer in time.
    Timeout,
    /// The provider could not be reached or answered with what is no answer.
    Upstream,
    /// The provider has too much to do.
    Overloaded,
    /// Our own fault.
    Internal,
}

impl ErrorKind {
    /// The status that fits the kind.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Authentication => StatusCode::UNAUTHORIZED,
            Self::Permission => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Upstream => StatusCode::BAD_GATEWAY,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The kind's stable name, as on the record.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::NotFound => "not_found",
            Self::TooLarge => "too_large",
            Self::RateLimit => "rate_limit",
            Self::Timeout => "timeout",
            Self::Upstream => "upstream",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
        }
    }

    /// The kind that fits a provider's status.
    #[must_use]
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Authentication,
            402 | 403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::InvalidRequest,
            _ => Self::Upstream,
        }
    }
}

/// An error as a caller may see it: nothing secret and nothing internal is in it, and the message says what to do.
#[derive(Clone, Debug)]
pub struct ApiError(Box<Inside>);

/// Boxed, for errors are rare and the results that may hold one are moved often.
#[derive(Clone, Debug)]
struct Inside {
    kind: ErrorKind,
    status: StatusCode,
    code: Cow<'static, str>,
    message: Cow<'static, str>,
    native_kind: Option<String>,
    param: Option<String>,
    retry_after: Option<Duration>,
    provider: Option<String>,
    raw: Option<Bytes>,
    headers: Option<HeaderMap>,
}

impl ApiError {
    /// An error of this kind, with a stable code and a message that says what to do.
    #[must_use]
    pub fn new(kind: ErrorKind, code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inside {
            kind,
            status: kind.status(),
            code: code.into(),
            message: message.into(),
            native_kind: None,
            param: None,
            retry_after: None,
            provider: None,
            raw: None,
            headers: None,
        }))
    }

    /// The request cannot be understood: 400.
    #[must_use]
    pub fn invalid(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidRequest, code, message)
    }

    /// No key, or not one of ours: 401.
    #[must_use]
    pub fn unauthorized(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Authentication, code, message)
    }

    /// No such path, model or provider: 404.
    #[must_use]
    pub fn not_found(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::NotFound, code, message)
    }

    /// Answers with this status instead of the kind's own.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// Names the request's field that is at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Says when trying again makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Keeps the error's type in the provider's own word, where the caller's dialect has a place for it.
    #[must_use]
    pub fn with_native_kind(mut self, kind: impl Into<String>) -> Self {
        self.0.native_kind = Some(kind.into());
        self
    }

    /// Names the provider that answered so, and keeps its own body beside ours.
    #[must_use]
    pub fn from_provider(mut self, provider: impl Into<String>, raw: Bytes) -> Self {
        self.0.provider = Some(provider.into());
        self.0.raw = Some(raw);
        self
    }

    /// Names the provider whose fault it is.
    #[must_use]
    pub fn by_provider(mut self, provider: impl Into<String>) -> Self {
        self.0.provider = Some(provider.into());
        self
    }

    /// Headers of the provider's answer that go on to the caller (`retry-after`, rate limits, request id).
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.0.headers = Some(headers);
        self
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The status to answer with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// What happened and what to do.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The request's field that is at fault.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// The error's type in the provider's own word.
    #[must_use]
    pub fn native_kind(&self) -> Option<&str> {
        self.0.native_kind.as_deref()
    }

    /// When trying again makes sense.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The provider that answered so.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// The provider's own body.
    #[must_use]
    pub fn raw(&self) -> Option<&Bytes> {
        self.0.raw.as_ref()
    }

    /// Headers of the provider's answer that go on to the caller.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.0.headers.as_ref()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.message, self.0.code)
    }
}

impl std::error::Error for ApiError {}
