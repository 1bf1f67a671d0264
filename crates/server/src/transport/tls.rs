//! TLS: certificates from files that may change, from an authority, or a self-signed one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use super::certificate::{Certificate, PROOF, Proofs, Shown};
use crate::config::Tls;

/// The name of HTTP/2 in the TLS handshake (RFC 9113 section 3.2).
pub(crate) const HTTP2: &[u8] = b"h2";

/// The certificate in force, and where it came from.
pub(crate) struct TlsKeys {
    files: Option<Files>,
    current: RwLock<Arc<ServerConfig>>,
    /// When it expires, in milliseconds since 1970; 0: it is only there until there is one.
    expires_ms: AtomicU64,
    /// What an authority is shown; `None` if there is none that asks.
    proofs: Option<Arc<Proofs>>,
    /// Certificates that an authority issued, and orders that failed.
    pub(crate) issued: AtomicU64,
    pub(crate) failed: AtomicU64,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// When they were last changed, as far as that has been looked at.
    seen: RwLock<Stamp>,
}

type Stamp = (Option<SystemTime>, Option<SystemTime>);

impl fmt::Debug for TlsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsKeys").finish_non_exhaustive()
    }
}

/// Why there is no TLS.
#[derive(Debug)]
pub struct TlsError {
    what: String,
    remedy: &'static str,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.what, self.remedy)
    }
}

impl std::error::Error for TlsError {}

pub(crate) fn fail(what: impl fmt::Display, remedy: &'static str) -> TlsError {
    TlsError { what: what.to_string(), remedy }
}

impl TlsKeys {
    /// Reads the files, or makes a certificate. One that an authority gives comes later: until then
    /// there is one that nobody vouches for, so that probes which trust anybody find the server
    /// alive, and it is not started again and again while it waits.
    ///
    /// # Errors
    /// When a file cannot be read or they do not fit each other.
    pub(crate) fn load(tls: &Tls, base_dir: &Path) -> Result<Self, TlsError> {
        let (files, certificate) = if let Some(acme) = &tls.acme {
            (None, self_signed(acme.domains.clone())?)
        } else if tls.self_signed {
            (None, self_signed(["localhost", "127.0.0.1", "::1"].map(str::to_owned).into())?)
        } else {
            let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) else {
                let what = "[server.tls] needs `certificate` and `key`, or another kind";
                return Err(fail(what, "give both files in PEM form"));
            };
            let (certificate, key) = (base_dir.join(certificate), base_dir.join(key));
            let seen = RwLock::new(stamp(&certificate, &key));
            let read = from_files(&certificate, &key)?;
            (Some(Files { certificate, key, seen }), read)
        };
        let proofs = tls.acme.as_ref().map(|_| Arc::default());
        let config = server_config(&certificate, proofs.clone());
        let config = config.map_err(|error| fail(error, "this is a fault of the server"))?;
        let expires_ms = if proofs.is_some() { 0 } else { certificate.to_ms };
        Ok(Self {
            files,
            current: RwLock::new(Arc::new(config)),
            expires_ms: expires_ms.into(),
            proofs,
            issued: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// For the next connection. Open ones keep what they have.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone().into()
    }

    /// What an authority is shown that asks for proof.
    pub(crate) fn proofs(&self) -> Option<&Arc<Proofs>> {
        self.proofs.as_ref()
    }

    /// When the certificate in force expires: seconds since 1970, or 0 if it is none yet.
    pub(crate) fn expires(&self) -> u64 {
        self.expires_ms.load(Relaxed) / 1000
    }

    /// From the next connection on this one is shown.
    pub(crate) fn put(&self, certificate: &Certificate) -> Result<(), rustls::Error> {
        let config = Arc::new(server_config(certificate, self.proofs.clone())?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        self.expires_ms.store(certificate.to_ms, Relaxed);
        Ok(())
    }

    /// Takes over files that have changed. A pair that is not good is logged, and the old one
    /// stays in force until the files change again.
    pub(crate) fn refresh(&self) {
        let Some(files) = &self.files else { return };
        let now = stamp(&files.certificate, &files.key);
        if *files.seen.read().unwrap_or_else(PoisonError::into_inner) == now {
            return;
        }
        *files.seen.write().unwrap_or_else(PoisonError::into_inner) = now;
        let taken = from_files(&files.certificate, &files.key).and_then(|certificate| {
            self.put(&certificate).map_err(|error| fail(error, "this is a fault of the server"))
        });
        match taken {
            Ok(()) => tracing::info!("the new certificate is in force"),
            Err(error) => tracing::error!(%error, "the new certificate is not taken"),
        }
    }
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    (changed(certificate), changed(key))
}

fn from_files(certificate: &Path, key: &Path) -> Result<Certificate, TlsError> {
    let remedy = "both files are PEM; the certificate comes first in its chain";
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|e| fail(format!("{}: {e}", certificate.display()), remedy))?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| fail(format!("{}: {e}", key.display()), remedy))?;
    Certificate::new(chain, secret).map_err(|e| {
        let what = format!("{} and {}: {e}", certificate.display(), key.display());
        fail(what, "the key must be the certificate's own")
    })
}

fn self_signed(names: Vec<String>) -> Result<Certificate, TlsError> {
    let remedy = "give a certificate and its key instead";
    let made = rcgen::generate_simple_self_signed(names).map_err(|e| fail(e, remedy))?;
    let secret =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(|e| fail(e, remedy))?;
    Certificate::new(vec![made.cert.der().clone()], secret).map_err(|e| fail(e, remedy))
}

fn server_config(
    certificate: &Certificate,
    proofs: Option<Arc<Proofs>>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
    if proofs.is_some() {
        protocols.push(PROOF.to_vec());
    }
    let proofs = proofs.unwrap_or_default();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shown { certificate: certificate.key.clone(), proofs }));
    config.alpn_protocols = protocols;
    Ok(config)
}
