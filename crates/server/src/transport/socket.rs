//! A socket that HTTP/1.1 is spoken on. It can be taken back from hyper at any time: by a
//! WebSocket, by a stream of events, or while a poll waits.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::stream::Stream;

/// See the module.
#[derive(Debug)]
pub(crate) struct Socket {
    kind: Kind,
    /// What was read from it already: comes first.
    early: Bytes,
}

#[derive(Debug)]
enum Kind {
    Plain(TcpStream),
    /// Boxed: its state is over a kilobyte.
    Tls(Box<TlsStream<TcpStream>>),
}

impl From<TcpStream> for Socket {
    fn from(tcp: TcpStream) -> Self {
        Self { kind: Kind::Plain(tcp), early: Bytes::new() }
    }
}

impl From<TlsStream<TcpStream>> for Socket {
    fn from(tls: TlsStream<TcpStream>) -> Self {
        Self { kind: Kind::Tls(Box::new(tls)), early: Bytes::new() }
    }
}

impl Socket {
    /// Gives back what was read from it and not used.
    pub(super) fn unread(&mut self, bytes: Bytes) {
        self.early = match (bytes.is_empty(), self.early.is_empty()) {
            (true, _) => return,
            (false, true) => bytes,
            (false, false) => [&bytes[..], &self.early].concat().into(),
        };
    }

    /// As a shard's connection has it, and what came behind the request.
    pub(super) fn into_stream(self) -> (Stream, Bytes) {
        let stream = match self.kind {
            Kind::Plain(tcp) => Stream::new(tcp, None),
            Kind::Tls(tls) => {
                let (tcp, tls) = tls.into_inner();
                Stream::new(tcp, Some(tls))
            }
        };
        (stream, self.early)
    }

    /// Takes over the place of the task that waited for it to take more: that one is over, and
    /// would be kept in memory by its place.
    pub(super) fn wait_writable(&self, cx: &mut Context<'_>) {
        let tcp = match &self.kind {
            Kind::Plain(tcp) => tcp,
            Kind::Tls(tls) => tls.get_ref().0,
        };
        let _ = tcp.poll_write_ready(cx);
    }

    fn kind(self: Pin<&mut Self>) -> &mut Kind {
        &mut self.get_mut().kind
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let count = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early.split_to(count));
            return Poll::Ready(Ok(()));
        }
        match self.kind() {
            Kind::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Kind::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.kind() {
            Kind::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Kind::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.kind() {
            Kind::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Kind::Tls(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Kind::Plain(tcp) => tcp.is_write_vectored(),
            Kind::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.kind() {
            Kind::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Kind::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.kind() {
            Kind::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Kind::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}
