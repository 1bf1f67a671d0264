//! Who pushes: the key that push services know this server by, and the tokens that it signs for
//! them (VAPID, RFC 8292).

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::HeaderValue;
use rcgen::PKCS_ECDSA_P256_SHA256;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::secret;

/// How long a token is good: half of what push services accept.
const GOOD_SECS: u64 = 12 * 3600;

/// How long it is used.
const USED_SECS: u64 = 6 * 3600;

/// Push services whose tokens are kept. There are some five; users may make up others.
const TOKENS_MAX: usize = 100;

/// See the module.
pub(super) struct Vapid {
    key: EcdsaKeyPair,
    /// base64url.
    public: String,
    subject: String,
    random: SystemRandom,
    /// By origin: when each was made, and the header.
    tokens: Mutex<HashMap<Box<str>, (u64, HeaderValue)>>,
}

impl fmt::Debug for Vapid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vapid").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Vapid {
    /// Reads the key, or makes one if there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is no such key.
    pub(super) fn open(file: &Path, subject: &str) -> io::Result<Self> {
        if !file.exists() {
            let made = rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
            secret::keep(file, made.map_err(io::Error::other)?.serialize_pem().as_bytes())?;
        }
        Self::read(file, subject)
    }

    /// Reads the key.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub(super) fn read(file: &Path, subject: &str) -> io::Result<Self> {
        let wrong = |why: String| io::Error::other(format!("{}: {why}", file.display()));
        let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem)
            .map_err(|_| wrong("there is no PKCS #8 private key (PEM) in it".into()))?;
        let random = SystemRandom::new();
        let der = der.secret_pkcs8_der();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random)
            .map_err(|_| wrong("its key is not one of P-256".into()))?;
        let public = URL_SAFE_NO_PAD.encode(key.public_key());
        let subject = subject.to_owned();
        Ok(Self { key, public, subject, random, tokens: Mutex::default() })
    }

    /// What browsers subscribe with.
    pub(super) fn public(&self) -> &str {
        &self.public
    }

    /// The `Authorization` of a call to a push service. `now_secs`: since 1970.
    pub(super) fn authorization(&self, origin: &str, now_secs: u64) -> Option<HeaderValue> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, header)) = tokens.get(origin)
            && (*made..made + USED_SECS).contains(&now_secs)
        {
            return Some(header.clone());
        }
        let header = self.sign(origin, now_secs)?;
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(origin.into(), (now_secs, header.clone()));
        Some(header)
    }

    fn sign(&self, origin: &str, now_secs: u64) -> Option<HeaderValue> {
        let claims = serde_json::json!({
            "aud": origin, "exp": now_secs + GOOD_SECS, "sub": self.subject,
        });
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let head = encode(r#"{"typ":"JWT","alg":"ES256"}"#);
        let signed = format!("{head}.{}", encode(&claims.to_string()));
        // It fails only without random numbers.
        let signature = self.key.sign(&self.random, signed.as_bytes()).ok()?;
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        let header = format!("vapid t={signed}.{signature}, k={}", self.public);
        let mut header = HeaderValue::try_from(header).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("push-key.pem");
        let made = Vapid::open(&file, "mailto:a@example.com").unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = Vapid::open(&file, "mailto:a@example.com").unwrap();
        assert_eq!(again.public(), made.public());
        assert_eq!(URL_SAFE_NO_PAD.decode(made.public()).unwrap().len(), 65);
    }

    #[test]
    fn what_is_no_key_is_named_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key.pem");
        std::fs::write(&file, "no key").unwrap();
        let error = Vapid::open(&file, "mailto:a@example.com").unwrap_err().to_string();
        assert!(error.contains("key.pem: there is no PKCS #8"), "{error}");
        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        std::fs::write(&file, other.serialize_pem()).unwrap();
        let error = Vapid::open(&file, "mailto:a@example.com").unwrap_err().to_string();
        assert!(error.ends_with("its key is not one of P-256"), "{error}");
    }

    #[test]
    fn a_token_is_of_one_push_service_and_used_for_hours() {
        let dir = tempfile::tempdir().unwrap();
        let vapid = Vapid::open(&dir.path().join("key"), "mailto:a@example.com").unwrap();
        let first = vapid.authorization("https://a.example", 1000).unwrap();
        assert_eq!(
            vapid.authorization("https://a.example", 1000 + USED_SECS - 1),
            Some(first.clone())
        );
        assert_ne!(vapid.authorization("https://a.example", 1000 + USED_SECS), Some(first.clone()));
        assert_ne!(vapid.authorization("https://b.example", 1000), Some(first));
        for number in 0..1000 {
            vapid.authorization(&format!("https://{number}"), 1000).unwrap();
        }
        assert!(vapid.tokens.lock().unwrap().len() <= TOKENS_MAX);
    }
}
