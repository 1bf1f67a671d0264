//! What operators and their machines ask: `/health`, `/ready`, `/metrics`. On an address of their
//! own, and on the main one as far as that is safe.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::RunError;
use crate::metrics;
use crate::node::Node;
use crate::transport::{accept, origin};

/// Connections to the address for operations at once: some scrapers and probes.
const CONNECTIONS: usize = 64;

/// How long the head of a request may take.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// How long accepting rests when it fails.
const REST: Duration = Duration::from_millis(100);

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;
const HURRYING: u8 = 3;

/// How the node is, for whoever asks. There before the node is.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    phase: AtomicU8,
    node: OnceLock<Weak<Node>>,
    /// Configurations that were taken, and refused.
    taken: AtomicU64,
    refused: AtomicU64,
}

/// An answer: its status and what it says.
type Said = (StatusCode, &'static str, Bytes);

impl Operations {
    /// The store is open and clients are served.
    pub(crate) fn ready(&self, node: &Arc<Node>) {
        // Said once: there is one node in a process.
        let _ = self.node.set(Arc::downgrade(node));
        self.phase.store(READY, Relaxed);
    }

    pub(crate) fn drains(&self) {
        self.phase.store(DRAINING, Relaxed);
    }

    /// Nobody is waited for any more.
    pub(crate) fn hurry(&self) {
        self.phase.store(HURRYING, Relaxed);
    }

    pub(crate) fn hurries(&self) -> bool {
        self.phase.load(Relaxed) == HURRYING
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.phase.load(Relaxed) == READY
    }

    pub(crate) fn reloads(&self) -> [(&'static str, u64); 2] {
        [("refused", self.refused.load(Relaxed)), ("taken", self.taken.load(Relaxed))]
    }

    /// A changed configuration was taken or not.
    pub(crate) fn reloaded(&self, taken: bool) {
        let counter = if taken { &self.taken } else { &self.refused };
        counter.fetch_add(1, Relaxed);
    }

    /// Answers what is asked on any address.
    pub(crate) fn probe(&self, path: &str) -> Option<Said> {
        let plain = "text/plain; charset=utf-8";
        let busy = |why| Some((StatusCode::SERVICE_UNAVAILABLE, plain, Bytes::from_static(why)));
        match (path, self.phase.load(Relaxed)) {
            ("/health", _) => Some((StatusCode::OK, plain, Bytes::from_static(b"ok\n"))),
            ("/ready", READY) => Some((StatusCode::OK, plain, Bytes::from_static(b"ready\n"))),
            ("/ready", STARTING) => busy(b"starting\n"),
            ("/ready", _) => busy(b"draining\n"),
            _ => None,
        }
    }

    /// The metrics, once there is something to measure.
    pub(crate) async fn metrics(&self) -> Said {
        let plain = "text/plain; charset=utf-8";
        let Some(node) = self.node.get().and_then(Weak::upgrade) else {
            let why = Bytes::from_static(b"starting\n");
            return (StatusCode::SERVICE_UNAVAILABLE, plain, why);
        };
        match metrics::scrape(&node).await {
            Some(text) => (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text.into()),
            None => {
                let why = Bytes::from_static(b"a shard does not answer\n");
                (StatusCode::SERVICE_UNAVAILABLE, plain, why)
            }
        }
    }
}

/// Who gets metrics from the main address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// Everybody: the server is for trying out.
    Open,
    /// Who is on this machine, as far as the request tells: the address is a loopback one, but a
    /// proxy for all the world may stand in front of it.
    Local,
    /// Nobody.
    Closed,
}

impl Exposure {
    pub(crate) fn new(listen: SocketAddr, operations: Option<SocketAddr>, dev: bool) -> Self {
        match (operations, dev) {
            (Some(_), _) => Exposure::Closed,
            (None, true) => Exposure::Open,
            (None, false) if listen.ip().is_loopback() => Exposure::Local,
            (None, false) => Exposure::Closed,
        }
    }

    /// Whether a request with these headers gets them. The `Host` of a web page that has its own
    /// name resolve to this machine is not a loopback one either.
    pub(crate) fn allows(self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        match self {
            Exposure::Open => true,
            Exposure::Local => {
                host.is_some_and(origin::is_loopback) && !origin::is_forwarded(headers)
            }
            Exposure::Closed => false,
        }
    }
}

/// Serves an address of their own, from a thread of its own: it answers also when shards do not.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) fn serve(address: SocketAddr, operations: Arc<Operations>) -> Result<(), RunError> {
    let failed = |error| RunError::Listen(address, error);
    // Two processes that share the port would answer for each other.
    drop(std::net::TcpListener::bind(address).map_err(failed)?);
    let listener = accept::listen(address).map_err(failed)?;
    let actual = listener.local_addr().map_err(failed)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Io)?;
    std::thread::Builder::new()
        .name("operations".into())
        .spawn(move || {
            tokio::task::LocalSet::new().block_on(&runtime, accept_all(listener, operations));
        })
        .map_err(RunError::Io)?;
    tracing::info!(address = %actual, "metrics, health and readiness are served");
    Ok(())
}

async fn accept_all(listener: std::net::TcpListener, operations: Arc<Operations>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "there is no listener for operations"),
    };
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        match listener.accept().await {
            Ok((tcp, _)) if open.load(Relaxed) >= CONNECTIONS => drop(tcp),
            Ok((tcp, _)) => {
                let (operations, open) = (operations.clone(), open.clone());
                open.fetch_add(1, Relaxed);
                tokio::task::spawn_local(async move {
                    talk(tcp, operations).await;
                    open.fetch_sub(1, Relaxed);
                });
            }
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

async fn talk(tcp: TcpStream, operations: Arc<Operations>) {
    let service = service_fn(move |request| answer(operations.clone(), request));
    // Who goes away in the middle is no concern of anybody.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(tcp), service)
        .await;
}

async fn answer(
    operations: Arc<Operations>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    let (status, kind, body) = match operations.probe(path) {
        _ if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            let why = Bytes::from_static(b"only GET is known here\n");
            (StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", why)
        }
        Some(said) => said,
        None if path == "/metrics" => operations.metrics().await,
        None => {
            let what = Bytes::from_static(b"/health, /ready and /metrics are here\n");
            (StatusCode::NOT_FOUND, "text/plain; charset=utf-8", what)
        }
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(n, v)| (n.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn metrics_are_never_open_by_accident() {
        let (loopback, public) =
            ("127.0.0.1:8000".parse().unwrap(), "0.0.0.0:8000".parse().unwrap());
        let own = Some("127.0.0.1:9090".parse().unwrap());
        assert_eq!(Exposure::new(public, None, false), Exposure::Closed);
        assert_eq!(Exposure::new(loopback, own, false), Exposure::Closed, "they are there alone");
        assert_eq!(Exposure::new(public, None, true), Exposure::Open, "dev is open");
        let local = Exposure::new(loopback, None, false);
        assert!(local.allows(&headers(&[("host", "127.0.0.1:8000")])));
        for proxied in [
            &[("host", "chat.example.com")][..],
            &[("host", "localhost:8000"), ("x-forwarded-for", "203.0.113.7")],
            &[("host", "localhost:8000"), ("via", "1.1 proxy")],
            &[],
        ] {
            assert!(!local.allows(&headers(proxied)), "{proxied:?}");
        }
    }
}
