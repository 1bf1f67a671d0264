//! Answers that take long leave hyper: of its state, an idle client would cost the server some
//! 10 KB. Only over HTTP/1.1; the streams of HTTP/2 share one connection.
//!
//! The request's service never answers then. It leaves a [`Takeover`] behind, whoever runs the
//! connection takes the socket back from hyper, and the answer is written by hand.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::Version;
use hyper::header::{self, HeaderMap, HeaderValue};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::sync::oneshot;

use super::accept::{self, Counted};
use super::fallback::{EventBody, poll_answer};
use super::socket::Socket;
use crate::shard::Shard;

/// What a client may send behind a poll that waits.
const EARLY_BYTES: usize = 16 << 10;

/// What goes on without hyper.
pub(super) enum Takeover {
    /// A stream of events, behind these lines of an answer.
    Events(EventBody, Vec<u8>),
    /// A poll that waits.
    Poll(Waiting),
}

/// A poll that waits for its answer.
pub(super) struct Waiting {
    pub(super) answered: oneshot::Receiver<Bytes>,
    /// The answer's header lines, but for those that depend on it.
    pub(super) lines: Box<[u8]>,
    /// Whether the client may ask again on the same connection.
    pub(super) keep: bool,
}

/// Where a request's service leaves a takeover.
#[derive(Default)]
pub(super) struct Slot(RefCell<Option<Takeover>>);

impl Slot {
    pub(super) fn take(&self) -> Option<Takeover> {
        self.0.take()
    }

    /// Leaves hyper; does not return.
    pub(super) async fn leave(&self, takeover: Takeover) -> ! {
        self.0.replace(Some(takeover));
        std::future::pending().await
    }
}

/// Header lines as they go over the wire.
pub(super) fn header_lines(headers: &HeaderMap, now_ms: u64) -> Vec<u8> {
    let mut lines = Vec::with_capacity(320);
    for (name, value) in headers {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value.as_bytes());
        lines.extend_from_slice(b"\r\n");
    }
    let now = std::time::UNIX_EPOCH + Duration::from_millis(now_ms);
    let _ = write!(lines, "date: {}\r\n", httpdate::fmt_http_date(now));
    lines
}

/// Whether the connection may carry another request (RFC 9112 section 9.3).
pub(super) fn keeps(version: Version, headers: &HeaderMap) -> bool {
    let close = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or("close").to_ascii_lowercase();
        text.split(',').any(|option| option.trim() == "close")
    };
    version == Version::HTTP_11 && !headers.get_all(header::CONNECTION).iter().any(close)
}

/// Goes on with a socket that was taken back from hyper.
pub(super) fn go_on(
    shard: &Rc<Shard>,
    counted: Rc<RefCell<Counted>>,
    socket: Socket,
    takeover: Takeover,
) {
    match takeover {
        Takeover::Events(body, lines) => {
            let Some((connection, first)) = body.into_parts() else { return };
            let mut head = Vec::with_capacity(lines.len() + first.len() + 40);
            head.extend_from_slice(b"HTTP/1.1 200 OK\r\nconnection: close\r\n");
            head.extend_from_slice(&lines);
            head.extend_from_slice(b"\r\n");
            head.extend_from_slice(&first);
            // What came behind the request is nothing: the connection ends with this answer.
            let (stream, _) = socket.into_stream();
            shard.carry(&connection, stream, head.into());
        }
        Takeover::Poll(waiting) => {
            tokio::task::spawn_local(wait(shard.clone(), counted, socket, waiting));
        }
    }
}

/// A poll that waits: this task is all that there is of it, beside its session.
async fn wait(
    shard: Rc<Shard>,
    counted: Rc<RefCell<Counted>>,
    mut socket: Socket,
    mut waiting: Waiting,
) {
    let answer = match answered(&mut socket, &mut waiting.answered).await {
        Wait::Answered(answer) => answer,
        Wait::HungUp => return,
    };
    let limits = shard.settings().limits.clone();
    let patience = Duration::from_millis(limits.heartbeat.ms + limits.pong_timeout.ms);
    let bytes = write_answer(answer, &waiting);
    match tokio::time::timeout(patience, socket.write_all(&bytes)).await {
        Ok(Ok(())) if waiting.keep => accept::serve_again(shard, counted, socket),
        Ok(Ok(())) => drop(tokio::time::timeout(patience, socket.shutdown()).await),
        Ok(Err(_)) | Err(_) => {}
    }
}

enum Wait {
    Answered(Option<Bytes>),
    HungUp,
}

async fn answered(socket: &mut Socket, answered: &mut oneshot::Receiver<Bytes>) -> Wait {
    let (first, mut early) = (Cell::new(true), Vec::new());
    let outcome = std::future::poll_fn(|cx| {
        if first.replace(false) {
            socket.wait_writable(cx);
        }
        if let Poll::Ready(answer) = Pin::new(&mut *answered).poll(cx) {
            return Poll::Ready(Wait::Answered(answer.ok()));
        }
        loop {
            let mut room = [0; 512];
            let mut buffer = ReadBuf::new(&mut room);
            match Pin::new(&mut *socket).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    early.extend_from_slice(buffer.filled());
                }
                Poll::Ready(_) => return Poll::Ready(Wait::HungUp),
            }
            if early.len() > EARLY_BYTES {
                return Poll::Ready(Wait::HungUp);
            }
        }
    })
    .await;
    socket.unread(early.into());
    outcome
}

fn write_answer(answer: Option<Bytes>, waiting: &Waiting) -> Vec<u8> {
    let (status, kind, body) = poll_answer(answer);
    let mut bytes = Vec::with_capacity(waiting.lines.len() + body.len() + 160);
    let connection = if waiting.keep { "keep-alive" } else { "close" };
    let _ = write!(
        bytes,
        "HTTP/1.1 {status}\r\nconnection: {connection}\r\ncontent-type: {kind}\r\n\
         content-length: {}\r\n",
        body.len()
    );
    bytes.extend_from_slice(&waiting.lines);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes
}
