//! What an authority checks of each request (RFC 8555 section 6.2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

/// A public key on P-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    point: Vec<u8>,
    /// RFC 7638.
    pub(crate) thumbprint: String,
}

/// What a request says, its signature not yet checked.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) head: Value,
    /// `None`: it only asks (POST-as-GET).
    pub(crate) payload: Option<Value>,
    signed: String,
    signature: Vec<u8>,
}

pub(crate) fn base64(text: &Value) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_str()?).ok()
}

pub(crate) fn base64_of(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl PublicKey {
    pub(crate) fn from_jwk(jwk: &Value) -> Option<Self> {
        let (x, y) = (base64(&jwk["x"])?, base64(&jwk["y"])?);
        let fits = jwk["kty"] == "EC" && jwk["crv"] == "P-256" && x.len() == 32 && y.len() == 32;
        let (x64, y64) = (jwk["x"].as_str()?, jwk["y"].as_str()?);
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x64}","y":"{y64}"}}"#);
        let digest = ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes());
        let point = [&[4], &x[..], &y[..]].concat();
        fits.then(|| Self { point, thumbprint: base64_of(digest.as_ref()) })
    }
}

impl Signed {
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let outer: Value = serde_json::from_slice(body).ok()?;
        let payload = base64(&outer["payload"])?;
        let payload = match payload.is_empty() {
            true => None,
            false => Some(serde_json::from_slice(&payload).ok()?),
        };
        Some(Self {
            head: serde_json::from_slice(&base64(&outer["protected"])?).ok()?,
            payload,
            signed: format!("{}.{}", outer["protected"].as_str()?, outer["payload"].as_str()?),
            signature: base64(&outer["signature"])?,
        })
    }

    pub(crate) fn is_from(&self, key: &PublicKey) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.point);
        self.head["alg"] == "ES256" && key.verify(self.signed.as_bytes(), &self.signature).is_ok()
    }
}
