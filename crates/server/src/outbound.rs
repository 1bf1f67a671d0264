//! Requests that the server makes of those whom the operator has named: a certificate authority, a
//! collector. They may well be internal, unlike what `egress` calls, and each has roots of its own.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// How long a connection may take to be there; the system alone would try for two minutes.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long a connection is kept for the next request.
const KEPT: Duration = Duration::from_secs(30);

/// How much an answer may have: a chain of certificates has some kilobytes, and whoever sends more
/// means no good.
const ANSWER_BYTES: usize = 256 << 10;

/// A client for HTTP/1.1, with TLS or without.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    within: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct OutboundError(String);

impl fmt::Display for OutboundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OutboundError {}

impl Outbound {
    /// Trusts the authorities in this PEM file only, or those that browsers trust. These are part
    /// of the program: images for containers often come without any.
    ///
    /// # Errors
    /// When the file is not what it should be.
    pub(crate) fn new(trusted: Option<&Path>, within: Duration) -> Result<Self, OutboundError> {
        let roots = match trusted {
            Some(path) => roots_in(path)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| OutboundError(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_WITHIN));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT)
            .pool_max_idle_per_host(2)
            .build(connector);
        Ok(Self { client, within })
    }

    /// Asks, and takes the whole answer.
    ///
    /// # Errors
    /// When there is none in time, or one that is too long.
    pub(crate) async fn ask(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, OutboundError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let failed = |why: &dyn fmt::Display| OutboundError(format!("{host}: {why}"));
        let asking = async {
            let answer = self.client.request(request).await.map_err(|e| failed(&Causes(&e)))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| failed(&Causes(&*error)))?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        match tokio::time::timeout(self.within, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(failed(&format_args!("no answer within {:?}", self.within))),
        }
    }
}

/// An error with what it came from: "client error (Connect)" alone helps nobody.
struct Causes<'a>(&'a (dyn std::error::Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

fn roots_in(path: &Path) -> Result<RootCertStore, OutboundError> {
    let wrong = |what: &dyn fmt::Display| OutboundError(format!("{}: {what}", path.display()));
    let mut roots = RootCertStore::empty();
    for found in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
        let certificate = found.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    match roots.is_empty() {
        true => Err(wrong(&"there is no certificate in it")),
        false => Ok(roots),
    }
}
