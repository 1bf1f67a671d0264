//! Accepting connections: each shard has a listener of its own on the same port.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use hyper::header::HeaderMap;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, SockRef, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use super::certificate::PROOF;
use super::http;
use super::socket::Socket;
use super::takeover::{self, Slot};
use super::tls::HTTP2;
use crate::metrics::Refusal;
use crate::node::Seat;
use crate::shard::Shard;

/// Connections that the system holds until they are accepted: a return of all clients at once.
const BACKLOG: i32 = 8192;

/// How long accepting rests when the process is out of descriptors.
const REST: Duration = Duration::from_millis(100);

/// Requests under way on one HTTP/2 connection: the tabs of one browser, a poll and a batch each.
const STREAMS: u32 = 128;

/// Opens a listener that shares its port with the other shards'.
///
/// # Errors
/// When the address is taken or not this machine's.
pub(crate) fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until the shard ends: also while it is being stopped, when sessions that are spoken in
/// HTTP requests go on and new ones are told that they are late.
pub(crate) async fn accept(shard: Rc<Shard>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => {
                let _ = tcp.set_nodelay(true);
                let limits = shard.settings().limits.clone();
                let patience = limits.heartbeat.ms + limits.pong_timeout.ms;
                // Whoever takes nothing for so long is gone, also where nothing has to be answered.
                let patience = Some(Duration::from_millis(patience));
                let _ = SockRef::from(&tcp).set_tcp_user_timeout(patience);
                tokio::task::spawn_local(greet(shard.clone(), tcp, peer.ip()));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Errors that concern the connection that was to be accepted, not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(error.kind(), E::ConnectionAborted | E::ConnectionReset | E::Interrupted)
}

async fn greet(shard: Rc<Shard>, tcp: TcpStream, peer: IpAddr) {
    let Some(seat) = shard.node.seat() else {
        shard.tally.refused(Refusal::Busy);
        return http::refuse_busy(tcp).await;
    };
    let counted = Rc::new(RefCell::new(Counted { seat: Some(seat), peer }));
    let limit = Duration::from_millis(shard.settings().limits.header_timeout.ms);
    match shard.node.tls.as_ref().map(|keys| keys.acceptor()) {
        None => serve(shard, counted, tcp.into()).await,
        Some(acceptor) => match tokio::time::timeout(limit, acceptor.accept(tcp)).await {
            Ok(Ok(tls)) if tls.get_ref().1.alpn_protocol() == Some(HTTP2) => {
                serve_http2(shard, counted, TokioIo::new(tls)).await;
            }
            // The handshake was the answer: an authority asks for nothing else.
            Ok(Ok(tls)) if tls.get_ref().1.alpn_protocol() == Some(PROOF) => {}
            Ok(Ok(tls)) => serve(shard, counted, tls.into()).await,
            Ok(Err(error)) => {
                shard.tally.refused(Refusal::Tls);
                tracing::debug!(%error, "a TLS handshake failed");
            }
            Err(_) => {
                shard.tally.refused(Refusal::Tls);
                tracing::debug!("a TLS handshake took too long");
            }
        },
    }
}

/// A counted connection, and whose it is.
pub(super) struct Counted {
    seat: Option<Seat>,
    peer: IpAddr,
}

impl Counted {
    /// The connection goes on as a WebSocket, and its place is that one's.
    pub(super) fn take_seat(&mut self) -> Option<Seat> {
        self.seat.take()
    }

    /// Whether the connection's other end is on this machine: a client, or a proxy.
    pub(super) fn is_local(&self) -> bool {
        self.peer.to_canonical().is_loopback()
    }

    /// Counts the connection's place as one of a client's sessions; else after how many
    /// milliseconds it may be.
    pub(super) fn let_in(&mut self, shard: &Shard, client: IpAddr) -> Result<(), u64> {
        self.seat.as_mut().map_or(Ok(()), |seat| shard.let_in(seat, client))
    }

    /// The client's address: the peer's, or what a trusted proxy says.
    pub(super) fn client(&self, shard: &Shard, headers: &HeaderMap) -> IpAddr {
        shard.settings().proxies.client(self.peer, headers)
    }
}

/// Speaks HTTP/1.1 until the connection is upgraded, ends, or goes on without hyper.
async fn serve(shard: Rc<Shard>, counted: Rc<RefCell<Counted>>, socket: Socket) {
    let limits = shard.settings().limits.clone();
    let slot = Rc::new(Slot::default());
    let service = {
        let (shard, counted, slot) = (shard.clone(), counted.clone(), slot.clone());
        service_fn(move |request| {
            http::respond(shard.clone(), counted.clone(), Some(slot.clone()), request)
        })
    };
    let mut connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.header_timeout.ms))
        .max_buf_size(limits.header_bytes)
        .max_headers(limits.headers)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let taken = std::future::poll_fn(|cx| {
        let outcome = Pin::new(&mut connection).poll(cx);
        match slot.take() {
            Some(takeover) => Poll::Ready(Some(takeover)),
            None => outcome.map(|outcome| {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "an HTTP connection ended early");
                }
                None
            }),
        }
    })
    .await;
    if let Some(takeover) = taken
        && let Some(parts) = connection.into_parts()
    {
        let mut socket = parts.io.into_inner();
        socket.unread(parts.read_buf);
        takeover::go_on(&shard, counted, socket, takeover);
    }
}

/// Goes on with a socket whose last answer was not hyper's.
pub(super) fn serve_again(shard: Rc<Shard>, counted: Rc<RefCell<Counted>>, socket: Socket) {
    tokio::task::spawn_local(serve(shard, counted, socket));
}

/// Runs what hyper starts on this thread.
#[derive(Clone, Copy, Debug)]
struct Here;

impl<F: Future<Output = ()> + 'static> Executor<F> for Here {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

/// Speaks HTTP/2, over which many streams of events share one connection. A browser opens another
/// one for a WebSocket.
async fn serve_http2<I>(shard: Rc<Shard>, counted: Rc<RefCell<Counted>>, io: TokioIo<I>)
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let limits = shard.settings().limits.clone();
    let service =
        service_fn(move |request| http::respond(shard.clone(), counted.clone(), None, request));
    let outcome = hyper::server::conn::http2::Builder::new(Here)
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_millis(limits.heartbeat.ms))
        .keep_alive_timeout(Duration::from_millis(limits.pong_timeout.ms))
        .serve_connection(io, service)
        .await;
    if let Err(error) = outcome {
        tracing::debug!(%error, "an HTTP/2 connection ended early");
    }
}
