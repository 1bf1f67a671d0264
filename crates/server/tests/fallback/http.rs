//! An HTTP/1.1 client by hand: one connection for each request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::common::Server;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Its lines, as JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{self:?}");
        self.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Sends a request, the answer to which ends the connection.
pub(crate) fn begin(server: &Server, line: &str, head: &str, body: &[u8]) -> TcpStream {
    let mut tcp = server.tcp();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\nContent-Length: {length}\r\n{head}\r\n",
        server.port
    );
    tcp.write_all(request.as_bytes()).unwrap();
    // A server that has refused already may have closed its side.
    let _ = tcp.write_all(body);
    tcp
}

fn read_head(from: &mut impl BufRead) -> (u16, String) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(from.read_line(&mut head).unwrap() > 0, "no answer: {head:?}");
    }
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase())
}

pub(crate) fn finish(tcp: TcpStream) -> Answer {
    let mut from = BufReader::new(tcp);
    let (status, head) = read_head(&mut from);
    let mut body = String::new();
    from.read_to_string(&mut body).unwrap();
    Answer { status, head, body }
}

/// A request and its answer.
pub(crate) fn ask(server: &Server, line: &str, head: &str, body: &str) -> Answer {
    finish(begin(server, line, head, body.as_bytes()))
}

/// Objects, one a line.
pub(crate) fn lines(objects: &[Value]) -> String {
    objects.iter().fold(String::new(), |lines, object| lines + &object.to_string() + "\n")
}

/// `POST /send`.
pub(crate) fn send(server: &Server, connection: &str, batch: u64, commands: &[Value]) -> u16 {
    let head = json!({"connection": connection, "batch": batch});
    ask(server, "POST /send", "", &(head.to_string() + "\n" + &lines(commands))).status
}

/// `POST /poll` for more.
pub(crate) fn poll(server: &Server, connection: &str, ack: u64) -> Answer {
    ask(server, "POST /poll", "", &json!({"connection": connection, "ack": ack}).to_string())
}

/// Polls until a frame of this type has come; all that came.
pub(crate) fn poll_until(server: &Server, at: &mut (String, u64), kind: &str) -> Vec<Value> {
    let mut all = Vec::new();
    while !all.iter().any(|frame: &Value| frame["type"] == kind) {
        let mut lines = poll(server, &at.0, at.1).lines();
        assert_eq!(lines[0], json!({"type": "batch", "batch": at.1 + 1}));
        at.1 += 1;
        all.extend(lines.drain(1..));
    }
    all
}

/// One Server-Sent Event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

/// A stream of Server-Sent Events.
#[derive(Debug)]
pub(crate) struct Events {
    from: BufReader<TcpStream>,
    pub(crate) status: u16,
    pub(crate) head: String,
    body: Vec<u8>,
    /// Comments that came.
    pub(crate) comments: Vec<String>,
}

impl Events {
    /// `POST /events`, and what its client is called.
    pub(crate) fn open(server: &Server, head: &str, commands: &[Value]) -> (Self, String) {
        let tcp = begin(server, "POST /events", head, lines(commands).as_bytes());
        let mut events = Self::read(tcp);
        assert_eq!(events.status, 200, "{}", events.head);
        let opened = events.frame();
        assert_eq!(opened["type"], "opened");
        (events, opened["connection"].as_str().unwrap().to_owned())
    }

    pub(crate) fn read(tcp: TcpStream) -> Self {
        let mut from = BufReader::new(tcp);
        let (status, head) = read_head(&mut from);
        Self { from, status, head, body: Vec::new(), comments: Vec::new() }
    }

    /// The next chunk of the body, or what there is where it is not chunked.
    fn more(&mut self) -> bool {
        if !self.head.contains("transfer-encoding: chunked") {
            let got = self.from.fill_buf().unwrap().to_vec();
            self.from.consume(got.len());
            self.body.extend_from_slice(&got);
            return !got.is_empty();
        }
        let mut size = String::new();
        if self.from.read_line(&mut size).is_err() {
            return false;
        }
        let Ok(size @ 1..) = usize::from_str_radix(size.trim(), 16) else { return false };
        let mut chunk = vec![0; size + 2];
        if self.from.read_exact(&mut chunk).is_err() {
            return false;
        }
        self.body.extend_from_slice(&chunk[..size]);
        true
    }

    /// The next event; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = self.body.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.body.drain(..end + 2).collect();
                let block = String::from_utf8(block).unwrap();
                let field = |name: &str| {
                    block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                };
                match field("data: ") {
                    Some(data) => {
                        let data = serde_json::from_str(&data).unwrap();
                        return Some(Event { id: field("id: "), data });
                    }
                    None => self.comments.push(block),
                }
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// The next frame.
    pub(crate) fn frame(&mut self) -> Value {
        self.next().expect("the stream goes on").data
    }

    /// The next frame of this type; others are passed over.
    pub(crate) fn wait(&mut self, kind: &str) -> Event {
        loop {
            let event = self.next().expect("the stream goes on");
            if event.data["type"] == kind {
                return event;
            }
        }
    }
}
