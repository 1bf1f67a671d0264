//! A URL that may be called.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::Uri;
use url::{Host, Url};

use super::guard::Guard;

/// A URL with this many bytes is nobody's endpoint.
const URL_BYTES_MAX: usize = 2048;

/// Where a call goes: a URL that was checked as far as it can be without a resolver.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(super) uri: Uri,
    /// As logs name it: without path and query, which may hold secrets.
    origin: Arc<str>,
}

impl Target {
    /// Reads a URL as browsers do (WHATWG), so that `http://2130706433/` is the address that it
    /// would lead to.
    ///
    /// # Errors
    /// Why it cannot be called.
    pub(crate) fn parse(text: &str, guard: &Guard) -> Result<Self, TargetError> {
        if text.len() > URL_BYTES_MAX {
            return Err(TargetError::TooLong);
        }
        let url = Url::parse(text).map_err(|error| TargetError::Url(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::Credentials);
        }
        let address = match url.host() {
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
            Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
            None => return Err(TargetError::Scheme),
        };
        if let Some(address) = address.filter(|address| !guard.allows(*address)) {
            return Err(TargetError::Internal(address));
        }
        if !matches!(url.scheme(), "https" | "http") {
            return Err(TargetError::Scheme);
        }
        let origin = url.origin().ascii_serialization().into();
        let mut url = url;
        url.set_fragment(None);
        let uri = url.as_str().parse().map_err(|_| TargetError::Url("no URI".into()))?;
        Ok(Self { uri, origin })
    }

    /// Its scheme, host and port.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.origin).finish()
    }
}

/// Why a URL is not called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TargetError {
    /// It has a user name or a password, which would end up in logs.
    Credentials,
    /// It leads to an address that is not on the public internet.
    Internal(IpAddr),
    /// Neither `https:` nor `http:`.
    Scheme,
    /// It is longer than 2,048 bytes.
    TooLong,
    /// It is no URL.
    Url(String),
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetError::Credentials => f.write_str("a URL with a user name or a password"),
            TargetError::Internal(address) => {
                write!(f, "{address} is an internal address, and not in egress.allow")
            }
            TargetError::Scheme => f.write_str("neither an https: nor an http: URL"),
            TargetError::TooLong => f.write_str("longer than 2048 bytes"),
            TargetError::Url(why) => write!(f, "not a URL: {why}"),
        }
    }
}

impl std::error::Error for TargetError {}
