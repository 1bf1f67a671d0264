//! TLS: certificates from files that may change, or a self-signed one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config::Tls;

/// The name of HTTP/2 in the TLS handshake (RFC 9113 section 3.2).
pub(crate) const HTTP2: &[u8] = b"h2";

/// The certificate in force, and where it came from.
pub(crate) struct TlsKeys {
    files: Option<Files>,
    current: RwLock<Arc<ServerConfig>>,
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

fn fail(what: impl fmt::Display, remedy: &'static str) -> TlsError {
    TlsError { what: what.to_string(), remedy }
}

impl TlsKeys {
    /// Reads the files, or makes a certificate for `localhost`.
    ///
    /// # Errors
    /// When a file cannot be read or they do not fit each other.
    pub(crate) fn load(tls: &Tls, base_dir: &Path) -> Result<Self, TlsError> {
        if tls.self_signed {
            let current = RwLock::new(Arc::new(self_signed()?));
            return Ok(Self { files: None, current });
        }
        let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) else {
            let what = "[server.tls] needs `certificate` and `key`, or `self_signed = true`";
            return Err(fail(what, "give both files in PEM form"));
        };
        let (certificate, key) = (base_dir.join(certificate), base_dir.join(key));
        let seen = RwLock::new(stamp(&certificate, &key));
        let current = RwLock::new(Arc::new(from_files(&certificate, &key)?));
        Ok(Self { files: Some(Files { certificate, key, seen }), current })
    }

    /// For the next connection. Open ones keep what they have.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone().into()
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
        match from_files(&files.certificate, &files.key) {
            Ok(config) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(config);
                tracing::info!("the new certificate is in force");
            }
            Err(error) => tracing::error!(%error, "the new certificate is not taken"),
        }
    }
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    (changed(certificate), changed(key))
}

fn from_files(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let remedy = "both files are PEM; the certificate comes first in its chain";
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|e| fail(format!("{}: {e}", certificate.display()), remedy))?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| fail(format!("{}: {e}", key.display()), remedy))?;
    server_config(chain, secret).map_err(|e| {
        let what = format!("{} and {}: {e}", certificate.display(), key.display());
        fail(what, "the key must be the certificate's own")
    })
}

fn self_signed() -> Result<ServerConfig, TlsError> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let remedy = "give a certificate and its key instead";
    let made = rcgen::generate_simple_self_signed(names).map_err(|e| fail(e, remedy))?;
    let secret =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(|e| fail(e, remedy))?;
    server_config(vec![made.cert.der().clone()], secret).map_err(|e| fail(e, remedy))
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    secret: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)?;
    config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
