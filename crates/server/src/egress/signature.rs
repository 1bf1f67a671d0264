//! How a backend knows that a call is from its Tidings, and is not an old one sent again.

use std::fmt::Write as _;
use std::path::Path;

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

/// A secret has at least this many bytes.
const BYTES_MIN: usize = 32;

/// What cannot be used: the field, why, and what to do.
type FieldFault = (&'static str, String, &'static str);

/// The secrets of an entry: its `secret`, or one or two lines of its `secret_file`. None if it has
/// neither.
///
/// # Errors
/// When they cannot be read or used. Nothing of them is told.
pub(crate) fn secrets(
    secret: Option<&Secret>,
    file: Option<&Path>,
    base_dir: &Path,
) -> Result<Vec<Secret>, FieldFault> {
    let (field, secrets) = match (secret, file) {
        (None, None) => return Ok(Vec::new()),
        (Some(_), Some(_)) => {
            return Err(("", "both `secret` and `secret_file`".into(), "keep one of them"));
        }
        (Some(secret), None) => (".secret", vec![secret.clone()]),
        (None, Some(file)) => {
            let path = base_dir.join(file);
            let text = std::fs::read_to_string(&path).map_err(|error| {
                let why = format!("{}: {error}", path.display());
                (".secret_file", why, "the path is relative to the configuration file")
            })?;
            let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
            (".secret_file", lines.map(|line| Secret::new(line.to_owned())).collect())
        }
    };
    let remedy = "make one: openssl rand -base64 32";
    if secrets.is_empty() || secrets.len() > 2 {
        return Err((field, "there are not one or two secrets in it".into(), remedy));
    }
    let weak = |secret: &Secret| {
        let secret = secret.expose();
        secret.len() < BYTES_MIN || secret.contains(|c: char| !c.is_ascii_graphic())
    };
    if secrets.iter().any(weak) {
        let why = "a secret has at least 32 printable characters and no white space".into();
        return Err((field, why, remedy));
    }
    Ok(secrets)
}
