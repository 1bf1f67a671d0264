//! Errors of the API: problem details (RFC 9457).

use std::borrow::Cow;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use schemars::JsonSchema;
use serde::Serialize;
use tidings_proto::{ErrorCode, ServerFrame};

use crate::transport::http::{Answer, text};

/// What went wrong (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// Names the kind of problem: `urn:tidings:error:` and the code.
    #[serde(rename = "type")]
    kind: Box<str>,
    /// The kind of problem, for people.
    title: &'static str,
    /// The status of the answer, or what it would be for one channel alone.
    pub(crate) status: u16,
    /// What is wrong with this request.
    detail: Cow<'static, str>,
    /// As an `error` frame has it: `bad_request`, `invalid_data` ...
    code: &'static str,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// `invalid_data`: where in `data`, or in the body of an edit, as a JSON Pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Box<str>>,
    /// `too_large`, `limit_exceeded`: which limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Box<str>>,
    /// `conflict`: the version that the key has, 0 if it is absent.
    // Boxed: it is rare, and all else of the API returns one of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Box<u64>>,
}

impl Problem {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let (status, title) = status(code);
        Self {
            kind: format!("urn:tidings:error:{}", code.as_str()).into(),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            code: code.as_str(),
            retryable: code.retryable(),
            path: None,
            limit: None,
            version: None,
        }
    }

    /// Where in the body it is, as a JSON Pointer.
    pub(crate) fn at(self, path: &str) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// What kind of problem it is.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::BadRequest, detail)
    }

    pub(crate) fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Forbidden, detail)
    }

    pub(crate) fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::NotFound, detail)
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(ErrorCode::Unavailable, "the server cannot take it now; try again")
    }

    pub(crate) fn unauthorized() -> Self {
        let why = "send a key of [[api.key]] as `Authorization: Bearer SECRET`";
        Self::new(ErrorCode::Unauthorized, why)
    }

    /// A request that HTTP itself refuses.
    pub(crate) fn of_http(status: StatusCode, detail: &str) -> Self {
        let too_large = status == StatusCode::PAYLOAD_TOO_LARGE;
        let code = if too_large { ErrorCode::TooLarge } else { ErrorCode::BadRequest };
        let title = status.canonical_reason().unwrap_or("Bad Request");
        let detail = detail.trim_end().to_owned();
        Self { status: status.as_u16(), title, ..Self::new(code, detail) }
    }

    /// What an `error` frame says.
    pub(crate) fn of_frame(frame: &ServerFrame<'_>) -> Option<Self> {
        let said = frame.code.map_or("", |code| code.get().trim_matches('"'));
        let code = ErrorCode::ALL.iter().find(|code| code.as_str() == said)?;
        let detail = frame.message.as_ref().map(|message| message.to_string());
        Some(Self {
            path: frame.path.as_ref().map(|path| (**path).into()),
            limit: frame.limit.as_ref().map(|limit| (**limit).into()),
            version: frame.version.map(Box::new),
            ..Self::new(*code, detail.unwrap_or_default())
        })
    }

    pub(crate) fn answer(&self) -> Answer {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = serde_json::to_vec(self).unwrap_or_default();
        let mut answer = text(status, Bytes::from(body));
        let headers = answer.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.retryable {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        answer
    }
}

fn status(code: ErrorCode) -> (StatusCode, &'static str) {
    use ErrorCode as E;
    match code {
        E::AlreadySubscribed | E::NotSubscribed | E::OutOfSequence => {
            (StatusCode::CONFLICT, "Not in this state")
        }
        E::BadRequest => (StatusCode::BAD_REQUEST, "The request is not understood"),
        E::Conflict => (StatusCode::CONFLICT, "Somebody was faster"),
        E::DocumentReset => (StatusCode::CONFLICT, "The document was reset"),
        E::Forbidden => (StatusCode::FORBIDDEN, "This is not allowed"),
        E::InvalidData => (StatusCode::UNPROCESSABLE_ENTITY, "The data is refused"),
        E::LimitExceeded => (StatusCode::TOO_MANY_REQUESTS, "A limit was met"),
        E::NotFound => (StatusCode::NOT_FOUND, "There is no such thing"),
        E::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        E::Server => (StatusCode::INTERNAL_SERVER_ERROR, "A fault of the server"),
        E::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Something is too large"),
        E::Unauthorized => (StatusCode::UNAUTHORIZED, "There is no key, or a wrong one"),
        E::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Not possible now"),
    }
}
