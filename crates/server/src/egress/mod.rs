//! What the server itself calls over HTTP: the application's backend. It never follows a redirect,
//! never calls an internal address that was not allowed ([`guard`]), and waits and reads only so
//! much.
//!
//! Calls run on a thread of their own: a backend that is slow, or a resolver, holds no shard up.

mod connector;
mod guard;
mod signature;
mod target;

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::config;
use connector::{ConnectError, Connector, Resolve, System};
pub(crate) use guard::Guard;
pub(crate) use signature::{SIGNATURE, secrets, sign};
pub(crate) use target::{Target, TargetError};

/// Connections to one host that are kept for the next call, and for how long.
const IDLE_PER_HOST: usize = 32;
const IDLE: Duration = Duration::from_secs(30);

/// The headers of an answer.
const HEADERS_MAX: usize = 64;

type HttpClient = Client<Connector, Full<Bytes>>;

/// Makes calls. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Egress {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Handle,
    current: RwLock<Current>,
    /// Its end ends the thread.
    _alive: oneshot::Sender<()>,
}

#[derive(Clone)]
struct Current {
    client: HttpClient,
    guard: Arc<Guard>,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").finish_non_exhaustive()
    }
}

/// What a backend answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer. None of these says anything of what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EgressError {
    /// No connection: refused, unreachable, no such name, a certificate that is not trusted.
    Connect(String),
    /// The name leads to an address that is not to be called.
    Internal(String),
    /// The connection broke, or what came is not HTTP.
    Broken(String),
    /// It took longer than allowed.
    TimedOut,
    /// The answer is longer than allowed.
    TooLarge,
}

impl fmt::Display for EgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EgressError::Connect(why) => write!(f, "no connection: {why}"),
            EgressError::Internal(why) => write!(f, "not called: {why} (see egress.allow)"),
            EgressError::Broken(why) => write!(f, "no answer: {why}"),
            EgressError::TimedOut => f.write_str("no answer in time"),
            EgressError::TooLarge => f.write_str("the answer is too large"),
        }
    }
}

impl std::error::Error for EgressError {}

/// What cannot be used of the configuration: where, why, and what to do.
pub(crate) type Fault = (&'static str, String, &'static str);

impl Egress {
    /// Starts the thread for calls. `config` has been checked; its file is relative to `base_dir`.
    ///
    /// # Errors
    /// When there can be no thread, or the file cannot be read any more.
    pub(crate) fn start(config: &config::Egress, base_dir: &Path) -> io::Result<Self> {
        Self::start_with(config, base_dir, Arc::new(System))
    }

    fn start_with(
        config: &config::Egress,
        base_dir: &Path,
        resolver: Arc<dyn Resolve>,
    ) -> io::Result<Self> {
        let current = current(config, base_dir, resolver)
            .map_err(|(key, why, _)| io::Error::other(format!("{key}: {why}")))?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel();
        let run = move || {
            let _ = runtime.block_on(ended);
            // A resolver that hangs is not waited for.
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name("egress".into()).spawn(run)?;
        let current = RwLock::new(current);
        Ok(Self { shared: Arc::new(Shared { runtime: handle, current, _alive: alive }) })
    }

    /// Checks what [`start`](Self::start) would refuse.
    ///
    /// # Errors
    /// What cannot be used.
    pub(crate) fn check(config: &config::Egress, base_dir: &Path) -> Result<(), Fault> {
        current(config, base_dir, Arc::new(System)).map(drop)
    }

    /// Takes a changed configuration; connections under the old one are not used again.
    ///
    /// # Errors
    /// When it cannot be used; the old one stays.
    pub(crate) fn reconfigure(
        &self,
        config: &config::Egress,
        base_dir: &Path,
    ) -> Result<(), Fault> {
        let new = current(config, base_dir, Arc::new(System))?;
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Runs something on the thread for calls.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.shared.runtime.spawn(task));
    }

    /// Which addresses may be called now.
    pub(crate) fn guard(&self) -> Arc<Guard> {
        self.current().guard
    }

    fn current(&self) -> Current {
        self.shared.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Posts `body`, and waits `timeout` for the whole answer, of which the body has at most `most`
    /// bytes. Only on the thread for calls (see [`spawn`](Self::spawn)).
    ///
    /// # Errors
    /// When there is no answer. A status is no error, and a redirect is an answer like others.
    pub(crate) async fn post(
        &self,
        to: &Target,
        headers: HeaderMap,
        body: Bytes,
        limits: (Duration, usize),
    ) -> Result<Reply, EgressError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers;
        self.call(to, request, limits).await
    }

    /// Reads what is at a URL; otherwise as [`post`](Self::post).
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn get(
        &self,
        from: &Target,
        limits: (Duration, usize),
    ) -> Result<Reply, EgressError> {
        self.call(from, Request::new(Full::default()), limits).await
    }

    async fn call(
        &self,
        to: &Target,
        mut request: Request<Full<Bytes>>,
        (timeout, most): (Duration, usize),
    ) -> Result<Reply, EgressError> {
        *request.uri_mut() = to.uri.clone();
        let agent = HeaderValue::from_static(concat!("tidings/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry(header::USER_AGENT).or_insert(agent);
        let client = self.current().client;
        let call = async {
            let answer = client.request(request).await.map_err(|error| of_client(&error))?;
            let (parts, body) = answer.into_parts();
            let body =
                Limited::new(body, most).collect().await.map_err(|error| match error
                    .downcast_ref::<LengthLimitError>(
                ) {
                    Some(_) => EgressError::TooLarge,
                    None => EgressError::Broken(root(&*error)),
                })?;
            let body = body.to_bytes();
            Ok(Reply { status: parts.status, headers: parts.headers, body })
        };
        tokio::time::timeout(timeout, call).await.unwrap_or(Err(EgressError::TimedOut))
    }
}

fn of_client(error: &ClientError) -> EgressError {
    let mut cause: &dyn std::error::Error = error;
    loop {
        match cause.downcast_ref::<ConnectError>() {
            Some(ConnectError::Io(_)) => return EgressError::Connect(root(error)),
            Some(refused) => return EgressError::Internal(refused.to_string()),
            None => {}
        }
        match cause.source() {
            Some(source) => cause = source,
            None if error.is_connect() => return EgressError::Connect(cause.to_string()),
            None => return EgressError::Broken(cause.to_string()),
        }
    }
}

/// What is at the bottom of an error.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn current(
    config: &config::Egress,
    base_dir: &Path,
    resolver: Arc<dyn Resolve>,
) -> Result<Current, Fault> {
    let guard = Guard::new(&config.allow).map_err(|place| {
        let why = format!("{:?} is neither a network nor an address", config.allow[place]);
        ("egress.allow", why, "write networks as \"10.1.0.0/16\", or an address")
    })?;
    let guard = Arc::new(guard);
    let tls = tls(config, base_dir).map_err(|why| {
        ("egress.certificates", why, "name a PEM file with the certificates of authorities")
    })?;
    let connector = Connector { guard: guard.clone(), tls, resolver };
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .http1_max_headers(HEADERS_MAX)
        .http2_max_header_list_size(16 << 10);
    Ok(Current { client: builder.build(connector), guard })
}

fn tls(config: &config::Egress, base_dir: &Path) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = &config.certificates {
        let file = File::open(base_dir.join(path)).map_err(|error| error.to_string())?;
        let before = roots.len();
        for certificate in CertificateDer::pem_reader_iter(file) {
            let certificate = certificate.map_err(|error| error.to_string())?;
            roots.add(certificate).map_err(|error| error.to_string())?;
        }
        if roots.len() == before {
            return Err("there is no certificate in it".into());
        }
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut tls = builder.with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(tls)))
}

#[cfg(test)]
mod tests;
