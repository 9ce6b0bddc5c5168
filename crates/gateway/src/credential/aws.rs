//! Amazon's signatures, version 4, by Amazon's own library.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request};
use tachograph_reply::{ApiError, ErrorKind};

use crate::config::{Environment, ProviderConfig, Secret};

/// Headers of a signature beside `Authorization`. A client's own signature is of the gateway's address and good for
/// nothing at another: it is taken off, and the request is signed anew.
pub(crate) const SIGNATURE_HEADERS: [&str; 3] = ["x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];
const SCHEME: &str = "AWS4-HMAC-SHA256";

/// Whether this is a signature and no key.
pub(crate) fn is_signature(authorization: &HeaderValue) -> bool {
    authorization.as_bytes().starts_with(SCHEME.as_bytes())
}

/// An access key and its secret.
#[derive(Clone)]
pub(crate) struct AwsKeys {
    access: Secret,
    secret: Secret,
    session: Option<Secret>,
}

impl AwsKeys {
    /// Both have to be there.
    pub(crate) fn new(access: &str, secret: &str, session: Option<&str>) -> Option<Self> {
        let session = session.filter(|token| !token.is_empty()).map(Secret::from);
        let whole = !access.is_empty() && !secret.is_empty();
        whole.then(|| Self { access: Secret::from(access), secret: Secret::from(secret), session })
    }

    pub(crate) fn configured(config: &ProviderConfig) -> Option<Self> {
        let (access, secret) = (config.access_key_id.as_ref()?, config.secret_access_key.as_ref()?);
        Self::new(access.expose(), secret.expose(), config.session_token.as_ref().map(Secret::expose))
    }

    pub(crate) fn of_environment(environment: Environment<'_>) -> Option<Self> {
        let (access, secret) = (environment("AWS_ACCESS_KEY_ID")?, environment("AWS_SECRET_ACCESS_KEY")?);
        Self::new(&access, &secret, environment("AWS_SESSION_TOKEN").as_deref())
    }

    /// Signs a request that is whole.
    ///
    /// # Errors
    /// Where it cannot be: its URL or a header of it is not of the letters that can be signed.
    pub(super) fn sign(
        &self,
        request: &mut Request<()>,
        body: &Bytes,
        region: &str,
        service: &str,
    ) -> Result<(), ApiError> {
        self.sign_at(SystemTime::now(), request, body, region, service).map_err(|why| {
            tracing::warn!(why, "a request could not be signed");
            let message = "The request could not be signed for Amazon; check its path and the credentials.";
            ApiError::new(ErrorKind::InvalidRequest, "unsignable_request", message)
        })
    }

    fn sign_at(
        &self,
        at: SystemTime,
        request: &mut Request<()>,
        body: &Bytes,
        region: &str,
        service: &str,
    ) -> Result<(), String> {
        let session = self.session.as_ref().map(|token| token.expose().to_owned());
        let identity = Credentials::new(self.access.expose(), self.secret.expose(), session, None, "tachograph").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service)
            .time(at)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        // What else there is may be changed on the way.
        let signed = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let headers: Vec<(&str, &str)> = signed.map(|value| ("content-type", value)).into_iter().collect();
        let (method, uri) = (request.method().as_str().to_owned(), request.uri().to_string());
        let signable = SignableRequest::new(&method, &uri, headers.into_iter(), SignableBody::Bytes(body))
            .map_err(|error| error.to_string())?;
        let (instructions, _) = sign(signable, &params).map_err(|error| error.to_string())?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// The signature was computed apart from this by the steps of Amazon's documentation: the path is encoded twice.
    #[test]
    fn a_model_id_with_a_colon_is_signed_as_amazon_reads_it() {
        let keys = AwsKeys::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Some("token")).unwrap();
        let body = Bytes::from_static(b"{\"messages\":[]}");
        let mut request = Request::post(
            "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.amazon.nova-2-lite-v1%3A0/converse",
        )
        .header("content-type", "application/json")
        .body(())
        .unwrap();
        let at = UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        keys.sign_at(at, &mut request, &body, "us-east-1", "bedrock").unwrap();
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-amz-date"), "20261118T110640Z");
        assert_eq!(header("x-amz-security-token"), "token");
        let signature = header("authorization");
        assert!(signature.contains("Credential=AKIDEXAMPLE/20261118/us-east-1/bedrock/aws4_request"), "{signature}");
        assert!(signature.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"), "{signature}");
        assert!(
            signature.ends_with("Signature=30083fcad61d0f9a72a6d212ad469ba7b7d41be5fddf0f4e0b166162958b16bd"),
            "{signature}"
        );
        assert!(is_signature(&request.headers()["authorization"]));
    }
}
