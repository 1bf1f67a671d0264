//! How a backend knows that a call is from its Tidings, and is not an old one sent again.

use std::fmt::Write as _;

use hyper::header::HeaderValue;
use ring::hmac;

use crate::config::Secret;

/// The header of the signature.
pub(crate) const SIGNATURE: &str = "tidings-signature";

/// Signs a body at a time (seconds since 1970) with each secret: while secrets are changed there
/// are two. `t=TIME,v1=HEX[,v1=HEX]`, of HMAC-SHA256 (RFC 2104) over `TIME.BODY`. `None` without a
/// secret.
pub(crate) fn sign(secrets: &[Secret], time: u64, body: &[u8]) -> Option<HeaderValue> {
    if secrets.is_empty() {
        return None;
    }
    let mut header = format!("t={time}");
    for secret in secrets {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        let mut signing = hmac::Context::with_key(&key);
        signing.update(format!("{time}.").as_bytes());
        signing.update(body);
        header.push_str(",v1=");
        for byte in signing.sign().as_ref() {
            let _ = write!(header, "{byte:02x}");
        }
    }
    HeaderValue::from_str(&header).ok()
}
