//! A WebSocket client that is written by hand, so that it can break every rule, and shares no code
//! with the server.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

/// What the server sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    /// A binary message.
    Binary(Vec<u8>),
    /// A text message, as JSON.
    Text(Value),
    /// A Ping.
    Ping,
    /// A Pong.
    Pong,
    /// A Close frame and its code.
    Close(u16),
}

/// A client's half of a WebSocket.
#[derive(Debug)]
pub(crate) struct Socket<S = TcpStream> {
    /// What it goes through.
    pub(crate) stream: S,
    /// The head of the server's answer to the upgrade.
    pub(crate) head: String,
    received: VecDeque<u8>,
    next_id: u64,
    /// What came while an answer was waited for.
    pushed: VecDeque<Value>,
    /// Pings are left without an answer.
    pub(crate) silent: bool,
}

/// The start of a client's frame: FIN and opcode, and a length which may be a lie. Its mask is 0,
/// so that the payload stands in clear behind it.
pub(crate) fn frame_head(first: u8, length: u64) -> Vec<u8> {
    let mut out = vec![first];
    match length {
        0..126 => out.push(0x80 | u8::try_from(length).unwrap_or(0)),
        126..65536 => {
            out.push(0x80 | 126);
            out.extend(u16::try_from(length).unwrap_or(0).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend(length.to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out
}

/// A client's frame.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = frame_head(first, payload.len() as u64);
    out.extend(payload);
    out
}

/// What a server answers to an upgrade, or why there is no WebSocket.
fn read_head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    match head.starts_with("HTTP/1.1 101 ") {
        true => Ok(head),
        false => Err(io::Error::other(head)),
    }
}

/// The head of an upgrade request with more fields, each of which ends in CR LF.
pub(crate) fn request(more: &str) -> String {
    request_of("/socket", more)
}

/// The same, of something else than `/socket`.
pub(crate) fn request_of(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

impl<S: Read + Write> Socket<S> {
    /// Asks for a WebSocket, with more header fields.
    pub(crate) fn upgrade(stream: S, more: &str) -> io::Result<Self> {
        Self::open(stream, &request(more))
    }

    /// Asks for one with this head of a request.
    pub(crate) fn open(mut stream: S, request: &str) -> io::Result<Self> {
        stream.write_all(request.as_bytes())?;
        stream.flush()?;
        let head = read_head(&mut stream)?;
        let (received, pushed) = (VecDeque::new(), VecDeque::new());
        Ok(Self { stream, head, received, next_id: 0, pushed, silent: false })
    }

    /// Sends bytes that are a frame, or not.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends a text message.
    pub(crate) fn send(&mut self, text: &str) -> io::Result<()> {
        self.send_raw(&frame(0x81, text.as_bytes()))
    }

    /// Takes so many bytes that were received.
    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut buffer = [0; 16 << 10];
        while self.received.len() < count {
            match self.stream.read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                got => self.received.extend(&buffer[..got]),
            }
        }
        Ok(self.received.drain(..count).collect())
    }

    /// The next message, whatever it is.
    pub(crate) fn receive(&mut self) -> io::Result<Message> {
        let head = self.take(2)?;
        assert_eq!(head[0] & 0x70, 0, "a reserved bit: nothing was negotiated");
        let length = match head[1] {
            126 => self.take(2)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            127 => self.take(8)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            length => usize::from(length),
        };
        let payload = self.take(length)?;
        Ok(match head[0] {
            0x81 => Message::Text(serde_json::from_slice(&payload)?),
            0x82 => Message::Binary(payload),
            0x88 if payload.is_empty() => Message::Close(1005),
            0x88 => Message::Close(u16::from_be_bytes([payload[0], payload[1]])),
            0x89 => Message::Ping,
            0x8a => Message::Pong,
            first => panic!("a frame that starts with {first:02x}"),
        })
    }

    /// The next frame of the protocol. Answers Pings, unless it is silent.
    pub(crate) fn try_next(&mut self) -> io::Result<Value> {
        loop {
            match self.receive()? {
                Message::Text(value) => return Ok(value),
                Message::Ping if self.silent => {}
                Message::Ping => self.send_raw(&frame(0x8a, b""))?,
                Message::Pong => {}
                Message::Binary(_) => panic!("a binary message among frames of JSON"),
                Message::Close(code) => {
                    return Err(io::Error::other(format!("closed with {code}")));
                }
            }
        }
    }

    /// Sends a command with an id of its own, which is returned.
    pub(crate) fn command(&mut self, mut command: Value) -> io::Result<u64> {
        self.next_id += 1;
        command["id"] = json!(self.next_id);
        self.send(&command.to_string())?;
        Ok(self.next_id)
    }

    /// Sends a command and waits for its answer; what else comes is kept.
    pub(crate) fn try_ask(&mut self, command: Value) -> io::Result<Value> {
        let id = self.command(command)?;
        loop {
            let value = self.try_next()?;
            if value["id"] == id {
                return Ok(value);
            }
            self.pushed.push_back(value);
        }
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn ask(&mut self, command: Value) -> Value {
        self.try_ask(command.clone()).unwrap_or_else(|error| panic!("{error} behind {command}"))
    }

    /// Subscribes.
    pub(crate) fn subscribe(&mut self, channel: &str) -> Value {
        let reply = self.ask(json!({"type": "subscribe", "channel": channel}));
        assert_eq!(reply["type"], "subscribed", "{reply}");
        reply
    }

    /// Publishes; the answer may be an error.
    pub(crate) fn publish(&mut self, channel: &str, data: Value) -> Value {
        self.ask(json!({"type": "publish", "channel": channel, "data": data}))
    }

    /// The next push, if the connection is still there.
    pub(crate) fn try_push(&mut self) -> io::Result<Value> {
        match self.pushed.pop_front() {
            Some(value) => Ok(value),
            None => self.try_next(),
        }
    }

    /// The next push.
    pub(crate) fn push(&mut self) -> Value {
        self.try_push().unwrap_or_else(|error| panic!("instead of a push: {error}"))
    }

    /// The next push, which must be an event.
    pub(crate) fn event(&mut self) -> Value {
        let value = self.push();
        assert_eq!(value["type"], "event", "{value}");
        value
    }

    /// So many events.
    pub(crate) fn events(&mut self, count: usize) -> Vec<Value> {
        (0..count).map(|_| self.event()).collect()
    }

    /// The server says `bye` with this code, closes with it and ends the connection. What it said
    /// before is returned, and the `bye` behind it.
    pub(crate) fn bye(&mut self, code: u16) -> Vec<Value> {
        let mut before: Vec<Value> = self.pushed.drain(..).collect();
        while before.last().is_none_or(|value| value["type"] != "bye") {
            match self.receive() {
                Ok(Message::Text(value)) => before.push(value),
                Ok(Message::Ping | Message::Pong) => {}
                other => panic!("instead of a bye with {code}: {other:?} behind {before:?}"),
            }
        }
        assert_eq!(before.last().map(|bye| &bye["code"]), Some(&json!(code)), "{before:?}");
        let close = self.receive();
        assert!(matches!(&close, Ok(Message::Close(same)) if *same == code), "{close:?}");
        let _ = self.send_raw(&frame(0x88, &code.to_be_bytes()));
        self.ended();
        before
    }

    /// Nothing more comes but the end.
    pub(crate) fn ended(&mut self) {
        match self.receive() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {}
            other => panic!("instead of the end: {other:?}"),
        }
    }
}
