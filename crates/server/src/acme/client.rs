//! How an authority is spoken to: TLS only, answers of a bounded size, and its wish for patience
//! remembered, which errors do not carry.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use hyper::{Request, StatusCode, Uri};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::outbound::Outbound;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    outbound: Outbound,
    /// What the last refusal asked for in `Retry-After`, in milliseconds; 0: nothing.
    patience_ms: Arc<AtomicU64>,
}

impl Caller {
    pub(super) fn new(outbound: Outbound) -> Self {
        Self { outbound, patience_ms: Arc::default() }
    }

    /// What the last refusal asked for, once.
    pub(super) fn patience_ms(&self) -> Option<u64> {
        Some(self.patience_ms.swap(0, Relaxed)).filter(|ms| *ms > 0)
    }
}

impl HttpClient for Caller {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let Self { outbound, patience_ms } = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            if head.uri.scheme_str() != Some("https") {
                return Err(other(format!("{}: not https", head.uri)));
            }
            let Ok(body) = body.collect().await;
            let uri = head.uri.clone();
            let request = Request::from_parts(head, Full::new(body.to_bytes()));
            let answer = outbound.ask(request).await.map_err(|error| Error::Other(error.into()))?;
            let (parts, body) = answer.into_parts();
            if parts.status.is_client_error() || parts.status.is_server_error() {
                let wanted = retry_after(&parts.headers, SystemTime::now());
                patience_ms.store(wanted.map_or(0, millis), Relaxed);
                explained(&uri, parts.status, &parts.headers)?;
            }
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

fn other(why: String) -> Error {
    Error::Other(why.into())
}

/// An error without the document that should explain it is of something in between.
fn explained(uri: &Uri, status: StatusCode, headers: &HeaderMap) -> Result<(), Error> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.starts_with("application/problem+json") {
        true => Ok(()),
        false => Err(other(format!("{uri} answers {status}, and does not say why"))),
    }
}

fn millis(period: Duration) -> u64 {
    u64::try_from(period.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds or a date (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_wanted_in_seconds_or_until_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let date = httpdate::fmt_http_date(now + Duration::from_secs(90));
        for (text, seconds) in
            [("120", Some(120)), (&*date, Some(90)), ("soon", None), ("-1", None)]
        {
            let headers = [(RETRY_AFTER, text.parse().unwrap())].into_iter().collect();
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, now), expected, "{text}");
        }
    }
}
