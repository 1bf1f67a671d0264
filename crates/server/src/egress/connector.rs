//! How a call's connection is made: resolved once, every address checked, and connected to one that
//! was checked.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tower_service::Service;

use super::guard::Guard;

/// Turns names into addresses.
pub(super) trait Resolve: Send + Sync {
    /// All addresses of a name.
    fn resolve(
        &self,
        host: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

/// The system's resolver.
pub(super) struct System;

impl Resolve for System {
    fn resolve(
        &self,
        host: String,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum ConnectError {
    Internal(IpAddr),
    /// `http:` to an address that is not in `egress.allow`.
    Plain(IpAddr),
    Io(io::Error),
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ConnectError::Internal(address) => write!(f, "{address} is internal"),
            ConnectError::Plain(address) => write!(f, "{address} needs TLS"),
            ConnectError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        ConnectError::Io(error)
    }
}

/// Makes guarded connections.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) guard: Arc<Guard>,
    pub(super) tls: TlsConnector,
    pub(super) resolver: Arc<dyn Resolve>,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<Guarded, ConnectError> {
        let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host().ok_or_else(|| wrong("no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let addresses = self.addresses(&host, secure).await?;
        let tcp = connect_any(&addresses, port).await?;
        tcp.set_nodelay(true)?;
        if !secure {
            return Ok(Guarded { io: TokioIo::new(Box::new(tcp)), http2: false });
        }
        let name = ServerName::try_from(host).map_err(|_| wrong("no name for a certificate"))?;
        let tls = self.tls.connect(name, tcp).await?;
        let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Guarded { io: TokioIo::new(Box::new(tls)), http2 })
    }

    /// All addresses of a host, if all of them may be called: one internal address among public
    /// ones is no accident.
    async fn addresses(&self, host: &str, secure: bool) -> Result<Vec<IpAddr>, ConnectError> {
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => self.resolver.resolve(host.to_owned()).await?,
        };
        for &address in &addresses {
            if !self.guard.allows(address) {
                return Err(ConnectError::Internal(address));
            }
            if !secure && !self.guard.is_named(address) {
                return Err(ConnectError::Plain(address));
            }
        }
        Ok(addresses)
    }
}

async fn connect_any(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut outcome = Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for &address in addresses {
        outcome = TcpStream::connect(SocketAddr::new(address, port)).await;
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

impl Service<Uri> for Connector {
    type Response = Guarded;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Guarded, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// TCP or TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection to an address that was checked.
pub(super) struct Guarded {
    io: TokioIo<Box<dyn Stream>>,
    http2: bool,
}

impl Connection for Guarded {
    fn connected(&self) -> Connected {
        if self.http2 { Connected::new().negotiated_h2() } else { Connected::new() }
    }
}

impl hyper::rt::Read for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl hyper::rt::Write for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
