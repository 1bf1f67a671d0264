//! A WebSocket over a stream: texts in, texts out, Pings answered.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tidings_websocket::{
    Close, CloseHandshake, Config, Decoder, Item, MessageKind, Role, close_code, encode,
};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::{Instant, timeout_at};

use crate::Error;
use crate::error::Closed;
use crate::tls::Stream;

/// Bytes of one read.
const READ_BYTES: usize = 16 << 10;

/// One open WebSocket.
pub(crate) struct Socket {
    stream: Box<dyn Stream>,
    decoder: Decoder,
    config: Config,
    closing: CloseHandshake,
    /// Texts that have arrived.
    arrived: VecDeque<String>,
    /// How it ended, once the texts in front of that have been taken.
    end: Option<Error>,
    /// Frames that wait to be written.
    out: BytesMut,
    /// Whether written bytes may still be held back by the layer below.
    unflushed: bool,
    heard: Instant,
    /// After this much silence the connection counts as lost.
    pub(crate) patience: Duration,
}

impl Socket {
    /// `rest` is what came behind the upgrade.
    pub(crate) fn new(
        stream: Box<dyn Stream>,
        mut rest: BytesMut,
        message_bytes: usize,
        patience: Duration,
    ) -> Self {
        let config =
            Config { max_frame: message_bytes, max_message: message_bytes, ..Config::default() };
        let mut socket = Self {
            stream,
            decoder: Decoder::new(Role::Client),
            config,
            closing: CloseHandshake::new(),
            arrived: VecDeque::new(),
            end: None,
            out: BytesMut::new(),
            unflushed: false,
            heard: Instant::now(),
            patience,
        };
        socket.handle_bytes(&mut rest);
        socket
    }

    /// Queues a text; it goes out while [`Socket::recv`] or [`Socket::flush`] is polled.
    pub(crate) fn send(&mut self, text: &str) {
        if self.closing.may_send() {
            let mask = Some(mask());
            encode::put_message(&mut self.out, MessageKind::Text, text.as_bytes(), mask);
        }
    }

    /// Waits for the next text.
    pub(crate) async fn recv(&mut self) -> Result<String, Error> {
        loop {
            if let Some(text) = self.arrived.pop_front() {
                return Ok(text);
            }
            if let Some(end) = self.end.take() {
                self.end = Some(Error::Lost(io::ErrorKind::NotConnected.into()));
                return Err(end);
            }
            self.progress().await?;
        }
    }

    /// Waits until everything that was queued has been written.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        while !self.out.is_empty() || self.unflushed {
            if self.end.is_some() {
                return Ok(());
            }
            self.progress().await?;
        }
        Ok(())
    }

    /// Says good-bye and waits a moment for the answer.
    pub(crate) async fn close(&mut self) {
        if self.closing.start() {
            let mask = Some(mask());
            let close = Close { code: close_code::NORMAL, reason: "" };
            encode::put_close(&mut self.out, Some(close), mask);
        }
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.end.is_none() {
            match timeout_at(deadline, self.progress()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
        let _ = timeout_at(deadline, self.flush()).await;
    }

    /// Writes or reads something. Reading goes on while a write waits: a server that cannot write
    /// to us does not read from us either.
    async fn progress(&mut self) -> Result<(), Error> {
        let deadline = self.heard + self.patience;
        let mut buffer = [0; READ_BYTES];
        let step = timeout_at(deadline, poll_fn(|cx| self.poll_progress(cx, &mut buffer))).await;
        let length = match step {
            Ok(Ok(Step::Read(length))) => length,
            Ok(Ok(Step::Written)) => return Ok(()),
            Ok(Err(error)) => return Err(Error::Lost(error)),
            Err(_) => return Err(Error::Timeout("the server has gone silent")),
        };
        if length == 0 {
            self.finish(Closed {
                code: 1006,
                reason: "no good-bye".into(),
                reconnect: true,
                retry_after: None,
            });
        }
        self.heard = Instant::now();
        self.handle_bytes(&mut buffer[..length]);
        Ok(())
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Step>> {
        let stream = &mut self.stream;
        if !self.out.is_empty() {
            if let Poll::Ready(written) = Pin::new(&mut *stream).poll_write(cx, &self.out) {
                let written = written?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.out.advance(written);
                self.unflushed = true;
                return Poll::Ready(Ok(Step::Written));
            }
        } else if self.unflushed && Pin::new(&mut *stream).poll_flush(cx)?.is_ready() {
            self.unflushed = false;
            return Poll::Ready(Ok(Step::Written));
        }
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(Step::Read(buffer.filled().len())))
    }

    fn handle_bytes(&mut self, bytes: &mut [u8]) {
        let mut ended = None;
        let (mut pongs, mut answer) = (Vec::new(), None);
        let mut reader = self.decoder.read(&self.config, bytes, None);
        loop {
            match reader.next_item() {
                Ok(Some(Item::Text(text))) => self.arrived.push_back(text.to_owned()),
                Ok(Some(Item::Ping(payload))) => pongs.push(payload.to_vec()),
                Ok(Some(Item::Pong(_) | Item::Binary(_))) => {}
                Ok(Some(Item::Close(close))) => {
                    let code = close.map_or(close_code::NORMAL, |close| close.code);
                    answer = Some((code, self.closing.handle_close()));
                    let seen = close.map_or(1005, |close| close.code);
                    let reason = close.map_or("", |close| close.reason).to_owned();
                    let reconnect = !(4400..4500).contains(&seen);
                    let closed = Closed { code: seen, reason, reconnect, retry_after: None };
                    ended = Some(Error::Closed(closed));
                }
                Ok(None) => break,
                Err(error) => {
                    answer = Some((error.close_code(), self.closing.handle_error()));
                    ended = Some(Error::Protocol(error.to_string()));
                    break;
                }
            }
        }
        for payload in pongs {
            let mask = Some(mask());
            // Its payload is that of a Ping: never too long.
            let _ = encode::put_pong(&mut self.out, &payload, mask);
        }
        if let Some((code, true)) = answer {
            let mask = Some(mask());
            encode::put_close(&mut self.out, Some(Close { code, reason: "" }), mask);
        }
        if self.end.is_none() {
            self.end = ended;
        }
    }

    fn finish(&mut self, closed: Closed) {
        self.end.get_or_insert(Error::Closed(closed));
    }
}

/// A fresh masking key (RFC 6455 section 5.3). Without randomness from the system it is zero: masks
/// protect old proxies from pages in browsers, which this is not.
fn mask() -> [u8; 4] {
    getrandom::u32().unwrap_or_default().to_ne_bytes()
}

enum Step {
    Read(usize),
    Written,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("end", &self.end).finish_non_exhaustive()
    }
}
