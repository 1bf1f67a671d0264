//! Clients that are spoken to in answers to HTTP requests, and say nothing themselves.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::bar;
use super::idle::Transport;
use crate::error::{Error, Result};
use crate::options::Target;
use crate::wire;

/// How long one client may take to come in.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clients that have subscribed and wait.
pub(super) struct Waiting<'a> {
    target: &'a Target,
    clients: Vec<Client>,
}

struct Client {
    socket: BufReader<TcpStream>,
    /// What the server calls it.
    connection: String,
}

impl<'a> Waiting<'a> {
    /// `count` of them come, one after the other.
    pub(super) fn gather(
        target: &'a Target,
        transport: Transport,
        run: &str,
        count: usize,
        channels: usize,
    ) -> Result<Self> {
        let bar = bar("connecting", count as u64);
        let mut clients = Vec::with_capacity(count);
        for index in 0..count {
            let (mut hello, mut subscribe) = (String::new(), String::new());
            wire::hello(&mut hello, target.tokens.of(index).as_deref());
            let channel = format!("{}:{run}-{}", target.namespace, index % channels);
            wire::subscribe(&mut subscribe, &channel, None);
            clients.push(Client::open(target, transport, &format!("{hello}\n{subscribe}"))?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(Self { target, clients })
    }

    /// All say good-bye, so that the server forgets them.
    pub(super) fn leave(self) -> Result<()> {
        for client in self.clients {
            let connection = client.connection;
            let head = format!(r#"{{"connection":"{connection}","batch":1,"close":true}}"#);
            let mut socket = connect(self.target)?;
            ask(&mut socket, self.target, "send", &head)?;
            let (status, _) = read_head(&mut socket)?;
            if status != 204 {
                return Err(Error::server(format!("answered a good-bye with status {status}")));
            }
        }
        Ok(())
    }

    /// What went wrong while they rested: a connection that has ended.
    pub(super) fn fault(&mut self) -> Option<String> {
        self.clients.iter_mut().find_map(|client| client.fault())
    }
}

impl Client {
    fn open(target: &Target, transport: Transport, lines: &str) -> Result<Self> {
        let mut client = Self { socket: connect(target)?, connection: String::new() };
        let path = if transport == Transport::Sse { "events" } else { "poll" };
        ask(&mut client.socket, target, path, lines)?;
        if transport == Transport::Sse {
            expect_ok(&mut client.socket)?;
            while !client.hear()? {}
            return Ok(client);
        }
        let mut ack = 0;
        loop {
            let length = expect_ok(&mut client.socket)?;
            let mut body = vec![0; length];
            client.socket.read_exact(&mut body).map_err(Error::system("read an answer"))?;
            let mut subscribed = false;
            for line in String::from_utf8_lossy(&body).lines() {
                subscribed |= client.understand(line)?;
            }
            let connection = &client.connection;
            let more = format!(r#"{{"connection":"{connection}","ack":{ack}}}"#);
            ask(&mut client.socket, target, "poll", &more)?;
            ack += 1;
            if subscribed {
                return Ok(client);
            }
        }
    }

    /// Reads one line of a stream of events: whether the client has subscribed now.
    fn hear(&mut self) -> Result<bool> {
        let mut line = String::new();
        let count = self.socket.read_line(&mut line).map_err(Error::system("read an event"))?;
        if count == 0 {
            return Err(Error::server("ended the stream"));
        }
        line.trim_end().strip_prefix("data: ").map_or(Ok(false), |frame| self.understand(frame))
    }

    fn understand(&mut self, frame: &str) -> Result<bool> {
        let value: Value = serde_json::from_str(frame).unwrap_or_default();
        match value["type"].as_str() {
            Some("opened") => {
                value["connection"].as_str().unwrap_or_default().clone_into(&mut self.connection);
                Ok(false)
            }
            Some("subscribed") => Ok(true),
            Some("error" | "bye") => Err(Error::server(format!("said {frame}"))),
            Some(_) => Ok(false),
            None => Err(Error::server(format!("sent {frame:?}"))),
        }
    }

    fn fault(&mut self) -> Option<String> {
        let socket = self.socket.get_ref();
        socket.set_nonblocking(true).err().map(|error| error.to_string()).or_else(|| {
            match socket.peek(&mut [0]) {
                Ok(0) => Some("the server ended a connection".to_owned()),
                Err(error) if error.kind() != ErrorKind::WouldBlock => Some(error.to_string()),
                Ok(_) | Err(_) => None,
            }
        })
    }
}

fn connect(target: &Target) -> Result<BufReader<TcpStream>> {
    let socket = TcpStream::connect_timeout(&target.url.address, PATIENCE)
        .map_err(Error::system("one more socket"))?;
    socket.set_nodelay(true).map_err(Error::system("TCP_NODELAY"))?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(Error::system("a timeout"))?;
    Ok(BufReader::with_capacity(1 << 10, socket))
}

fn ask(to: &mut BufReader<TcpStream>, target: &Target, path: &str, body: &str) -> Result<()> {
    let request = target.url.post(path, body);
    to.get_mut().write_all(request.as_bytes()).map_err(Error::system("send a request"))
}

/// The status, and how long the body is if that is said.
fn read_head(from: &mut BufReader<TcpStream>) -> Result<(u16, usize)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let count = from.read_line(&mut head).map_err(Error::system("read an answer"))?;
        if count == 0 {
            return Err(Error::server("closed the connection instead of answering"));
        }
    }
    let head = head.to_ascii_lowercase();
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    Ok((status, length.and_then(|length| length.parse().ok()).unwrap_or(0)))
}

fn expect_ok(from: &mut BufReader<TcpStream>) -> Result<usize> {
    let (status, length) = read_head(from)?;
    let refused = || Error::server(format!("answered with status {status}"));
    (status == 200).then_some(length).ok_or_else(refused)
}
