//! A certificate with its key, and what is shown instead when an authority asks for proof that a
//! name is ours (RFC 8737).

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use x509_parser::parse_x509_certificate;

/// The protocol in which an authority asks for proof (RFC 8737 section 3).
pub(crate) const PROOF: &[u8] = b"acme-tls/1";

/// A chain of certificates, the key of the first one, and from when to when that is good.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    /// Milliseconds since 1970.
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
}

impl Certificate {
    /// # Errors
    /// When the two do not belong together, or are not what they should be.
    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        secret: PrivateKeyDer<'static>,
    ) -> Result<Self, String> {
        let told = |error: &dyn Display| error.to_string();
        let leaf = chain.first().ok_or("there is no certificate in it")?;
        let (_, parsed) = parse_x509_certificate(leaf).map_err(|error| told(&error))?;
        let dates = parsed.validity();
        let millis = |seconds: i64| u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
        let from_ms = millis(dates.not_before.timestamp());
        let to_ms = millis(dates.not_after.timestamp());
        let provider = ring::default_provider();
        let key = CertifiedKey::from_der(chain, secret, &provider).map_err(|e| told(&e))?;
        Ok(Self { key: Arc::new(key), from_ms, to_ms })
    }

    /// Out of one PEM text with the key and the chain.
    ///
    /// # Errors
    /// As for [`Certificate::new`].
    pub(crate) fn from_pem(text: &[u8]) -> Result<Self, String> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        let secret = PrivateKeyDer::from_pem_slice(text).map_err(|error| error.to_string())?;
        Self::new(chain.map_err(|error| error.to_string())?, secret)
    }

    /// Its own certificate, which comes first in the chain.
    pub(crate) fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.key.cert.first()
    }
}

/// The answers to proofs that are asked for now, by name. As many as the configuration has names.
#[derive(Debug, Default)]
pub(crate) struct Proofs(RwLock<BTreeMap<String, Arc<CertifiedKey>>>);

impl Proofs {
    /// # Errors
    /// When the key is of a kind that is not known.
    pub(crate) fn show(
        &self,
        name: &str,
        proof: CertificateDer<'static>,
        secret: &PrivateKeyDer<'_>,
    ) -> Result<(), String> {
        // Not checked against each other as a certificate is: what is critical in a proof is not
        // known to who reads certificates for clients.
        let secret = ring::sign::any_supported_type(secret).map_err(|error| error.to_string())?;
        let key = Arc::new(CertifiedKey::new(vec![proof], secret));
        let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
        shown.insert(name.to_ascii_lowercase(), key);
        Ok(())
    }

    pub(crate) fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn get(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        shown.get(&name.to_ascii_lowercase()).cloned()
    }
}

/// Shows clients the certificate, and an authority the proof that it asks for.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) certificate: Arc<CertifiedKey>,
    pub(super) proofs: Arc<Proofs>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asks_for_proof = hello.alpn().is_some_and(|mut list| {
            // An authority offers nothing else; who does is a client.
            list.next() == Some(PROOF) && list.next().is_none()
        });
        match asks_for_proof {
            true => hello.server_name().and_then(|name| self.proofs.get(name)),
            false => Some(self.certificate.clone()),
        }
    }
}
