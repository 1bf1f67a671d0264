//! A WebSocket over a stream: texts in, texts out, Pings answered.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tidings_websocket::{
    Close, CloseHandshake, Config, Decoder, Item, MessageKind, Role, close_code, encode,
};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::timeout;

use crate::Error;
use crate::error::Closed;
use crate::tls::Stream;

/// Bytes of one read.
const READ_BYTES: usize = 16 << 10;
/// How long a good-bye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// One open WebSocket. What is queued goes out while [`Socket::poll_recv`] is polled.
pub(crate) struct Socket {
    stream: Box<dyn Stream>,
    decoder: Decoder,
    config: Config,
    closing: CloseHandshake,
    /// Texts that have arrived: of one read, no more.
    arrived: VecDeque<String>,
    /// How it ended, once the texts in front of that have been taken.
    end: Option<Error>,
    /// Frames that wait to be written.
    out: BytesMut,
    /// Whether written bytes may still be held back by the layer below.
    unflushed: bool,
}

/// What has come.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A message.
    Text(String),
    /// Something else: a sign of life.
    Life,
}

impl Socket {
    /// `rest` is what came behind the upgrade.
    pub(crate) fn new(stream: Box<dyn Stream>, mut rest: BytesMut, message_bytes: usize) -> Self {
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
        };
        socket.handle_bytes(&mut rest);
        socket
    }

    /// Queues a text.
    pub(crate) fn send(&mut self, text: &str) {
        if self.closing.may_send() {
            let mask = Some(mask());
            encode::put_message(&mut self.out, MessageKind::Text, text.as_bytes(), mask);
        }
    }

    /// Queues a Ping, which every server answers.
    pub(crate) fn ping(&mut self) {
        if self.closing.may_send() {
            // An empty payload is never too long.
            let _ = encode::put_ping(&mut self.out, &[], Some(mask()));
        }
    }

    /// The next text, if it is there already.
    pub(crate) fn take(&mut self) -> Option<String> {
        self.arrived.pop_front()
    }

    /// Writes what can be written, and waits for what comes. Reading goes on while a write waits: a
    /// server that cannot write to us does not read from us either.
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arrival, Error>> {
        if let Some(text) = self.take() {
            return Poll::Ready(Ok(Arrival::Text(text)));
        }
        if let Some(end) = self.end.take() {
            self.end = Some(Error::lost(io::ErrorKind::NotConnected));
            return Poll::Ready(Err(end));
        }
        self.poll_write(cx).map_err(Error::lost)?;
        let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)).map_err(Error::lost)?;
        if buffer.filled().is_empty() {
            let closed = Closed {
                code: 1006,
                reason: "no good-bye".into(),
                reconnect: true,
                retry_after: None,
            };
            self.end.get_or_insert(Error::Closed(closed));
        }
        self.handle_bytes(buffer.filled_mut());
        Poll::Ready(Ok(match self.take() {
            Some(text) => Arrival::Text(text),
            None => Arrival::Life,
        }))
    }

    /// Writes as much as can be written now.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.out.is_empty() {
            let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, &self.out) else {
                return Ok(());
            };
            let written = written?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.out.advance(written);
            self.unflushed = true;
        }
        if self.unflushed && Pin::new(&mut self.stream).poll_flush(cx)?.is_ready() {
            self.unflushed = false;
        }
        Ok(())
    }

    /// Says good-bye and waits a moment for the answer.
    pub(crate) async fn close(&mut self) {
        if self.closing.start() {
            let close = Close { code: close_code::NORMAL, reason: "" };
            encode::put_close(&mut self.out, Some(close), Some(mask()));
        }
        let answered = async { while poll_fn(|cx| self.poll_recv(cx)).await.is_ok() {} };
        let _ = timeout(CLOSE_TIMEOUT, answered).await;
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
}

/// A fresh masking key (RFC 6455 section 5.3). Without randomness from the system it is zero: masks
/// protect old proxies from pages in browsers, which this is not.
fn mask() -> [u8; 4] {
    getrandom::u32().unwrap_or_default().to_ne_bytes()
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("end", &self.end).finish_non_exhaustive()
    }
}
