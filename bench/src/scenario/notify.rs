//! `notify`: a notification for everybody, and a long inbox that is opened.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::{Spent, TURN_MAX, Watched, bar, gather, linger};
use crate::error::{Error, Result};
use crate::options::{Need, ServerArgs, Target};
use crate::report::{Outcome, histogram};
use crate::swarm::{Behaviour, Peer, Swarm};
use crate::wire::{self, HELLO, Message, Reader};

/// Requests at the API at once.
const CALLERS: usize = 8;
/// Longer than any call takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a long inbox is opened by the first of its readers.
const COLD: usize = 5;
/// How often by those who come then.
const WARM: usize = 50;

/// Notifications: one for each of many users, and the time that a long inbox takes to open.
#[derive(Args, Clone, Debug)]
pub struct NotifyArgs {
    /// How many users are notified.
    #[arg(long, default_value_t = 100_000)]
    pub users: usize,
    /// How many of them are connected.
    #[arg(long, default_value_t = 1000)]
    pub connected: usize,
    /// How many are named in one call.
    #[arg(long, default_value_t = 10_000)]
    pub batch: usize,
    /// How long the inbox is that is opened.
    #[arg(long, default_value_t = 10_000)]
    pub items: usize,
    /// A key of the server's API, for a server that is not started here.
    #[arg(long, conflicts_with = "spawn")]
    pub api_key: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the fields are options that clap documents")]
    pub server: ServerArgs,
}

impl NotifyArgs {
    /// Runs it.
    pub(crate) fn run(&self) -> Result<Outcome> {
        if self.connected > self.users || self.batch == 0 {
            return Err(Error::usage("nothing to do: more are connected than there are"));
        }
        let mut target = self.server.target(Need::Durable)?;
        let key = self.api_key.clone().or_else(|| target.secret().map(ToOwned::to_owned));
        let key = key.ok_or_else(|| Error::usage("a server that runs needs --api-key"))?;
        let name = format!("notify, {} users, {} connected", self.users, self.connected);
        let mut outcome = Outcome::new(name);
        self.everybody(&target, &key, &mut outcome)?;
        if self.items > 0 {
            self.fill(&target, &key)?;
            self.open(&mut target, &mut outcome)?;
        }
        Ok(outcome)
    }

    /// One for each.
    fn everybody(&self, target: &Target, key: &str, outcome: &mut Outcome) -> Result<()> {
        let mut swarm = Swarm::new(&target.url)?;
        let mut crowd = Crowd::new(target, self.connected);
        gather(&mut swarm, self.connected, &mut crowd, |crowd| crowd.ready == self.connected)?;
        let numbers: Vec<usize> = (0..self.users).collect();
        let calls: Vec<String> = numbers
            .chunks(self.batch)
            .map(|users| {
                let users: Vec<String> = users.iter().map(|n| format!("bench-{n}")).collect();
                json!({"users": users, "topic": "news", "data": {"text": "All is well"}})
                    .to_string()
            })
            .collect();
        let before = Spent::now(target.process)?;
        let stored = std::thread::scope(|scope| -> Result<f64> {
            let press = scope.spawn(|| call_all(target, key, &calls));
            linger(&mut swarm, PATIENCE, &mut crowd, |crowd| {
                press.is_finished() && crowd.told == self.connected || crowd.broken.is_some()
            })?;
            press.join().map_err(|_| Error::server("stopped the loader"))?
        })?;
        let after = Spent::now(target.process)?;
        outcome.figure("all are stored after", stored, "s");
        outcome.figure("all are stored and told after", after.seconds_since(&before), "s");
        if let Some(ns) = after.server_since(&before) {
            outcome.figure("CPU per user", ns as f64 / 1e3 / self.users as f64, "us");
        }
        if crowd.told != self.connected {
            outcome.faults.push(format!("{} of {} were told", crowd.told, self.connected));
        }
        outcome.faults.extend(crowd.broken);
        Ok(())
    }

    /// Fills one inbox.
    fn fill(&self, target: &Target, key: &str) -> Result<()> {
        let call = |n: usize| {
            json!({
                "user": "bench-reader", "topic": "news", "subject": format!("article {}", n / 10),
                "data": {"title": "Somebody has answered you", "text": "x".repeat(80), "n": n},
            })
            .to_string()
        };
        let calls: Vec<String> = (0..self.items).map(call).collect();
        call_all(target, key, &calls).map(drop)
    }

    /// Opens it: behind a restart, and once it is in memory.
    fn open(&self, target: &mut Target, outcome: &mut Outcome) -> Result<()> {
        let (mut cold, mut warm) = (histogram(), histogram());
        for _ in 0..COLD {
            target.restart()?;
            let mut swarm = Swarm::new(&target.url)?;
            let mut desk = Desk::new(target);
            gather(&mut swarm, 1, &mut desk, |desk| desk.ready)?;
            desk.ask(&mut swarm, &mut cold)?;
            for _ in 0..WARM / COLD {
                desk.ask(&mut swarm, &mut warm)?;
            }
            if desk.unread != self.items as u64 {
                outcome.faults.push(format!("{} are unread, of {}", desk.unread, self.items));
            }
        }
        outcome.latency("the inbox opens, from disk", &cold);
        outcome.latency("again", &warm);
        Ok(())
    }
}

/// Makes these calls, some at once; seconds until all are answered.
fn call_all(target: &Target, key: &str, calls: &[String]) -> Result<f64> {
    let (start, next) = (Instant::now(), AtomicUsize::new(0));
    let bar = bar("notifying", calls.len() as u64);
    std::thread::scope(|scope| {
        let caller = || -> Result<()> {
            let mut caller = Caller::new(target, key)?;
            while let Some(call) = calls.get(next.fetch_add(1, Ordering::Relaxed)) {
                caller.call(call)?;
                bar.inc(1);
            }
            Ok(())
        };
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(caller)).collect();
        let ended = callers.into_iter().map(|caller| match caller.join() {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::server("stopped the loader")),
        });
        ended.collect::<Result<()>>()
    })?;
    bar.finish_and_clear();
    Ok(start.elapsed().as_secs_f64())
}

/// A connection to the API.
struct Caller<'a> {
    socket: BufReader<TcpStream>,
    target: &'a Target,
    key: &'a str,
}

impl<'a> Caller<'a> {
    fn new(target: &'a Target, key: &'a str) -> Result<Self> {
        let address = &target.url.address;
        let socket = TcpStream::connect(address).map_err(Error::system("one more socket"))?;
        socket.set_nodelay(true).map_err(Error::system("TCP_NODELAY"))?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(Error::system("a timeout"))?;
        Ok(Self { socket: BufReader::new(socket), target, key })
    }

    fn call(&mut self, body: &str) -> Result<()> {
        let (authority, key, length) = (self.target.url.address, self.key, body.len());
        let head = format!(
            "POST /api/v1/notify HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        let failed = || Error::system("call the API");
        self.socket.get_mut().write_all((head + body).as_bytes()).map_err(failed())?;
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let before = head.len();
            if self.socket.read_line(&mut head).map_err(failed())? == 0 {
                return Err(Error::server("closed the connection instead of answering"));
            }
            let line = head[before..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut answer = vec![0; length];
        self.socket.read_exact(&mut answer).map_err(failed())?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let failures = answer["failed"].as_array().map_or(0, Vec::len);
        if head.get(9..12) != Some("200") || failures > 0 {
            return Err(Error::server(format!("refused to notify: {answer}")));
        }
        Ok(())
    }
}

/// Those who are connected.
struct Crowd<'a> {
    target: &'a Target,
    reader: Reader,
    out: String,
    ready: usize,
    told: usize,
    heard: Vec<bool>,
    broken: Option<String>,
}

impl<'a> Crowd<'a> {
    fn new(target: &'a Target, count: usize) -> Self {
        let (reader, out, heard) = (Reader::new(), String::new(), vec![false; count]);
        Self { target, reader, out, ready: 0, told: 0, heard, broken: None }
    }
}

impl Behaviour for Crowd<'_> {
    fn opened(&mut self, index: usize, peer: &mut Peer) {
        wire::hello(&mut self.out, self.target.tokens.of(index).as_deref());
        peer.send(&self.out);
        wire::subscribe(&mut self.out, &format!("inbox:bench-{index}"), None);
        peer.send(&self.out);
    }

    fn received(&mut self, index: usize, _: &mut Peer, payload: &[u8], _: u64) {
        if payload.starts_with(b"{\"type\":\"notification\"") {
            let twice = std::mem::replace(&mut self.heard[index], true);
            self.told += 1;
            if twice {
                self.broken.get_or_insert("told somebody twice".to_owned());
            }
            return;
        }
        match self.reader.read(payload) {
            Message::Subscribed { .. } => self.ready += 1,
            Message::Refused { reason, .. } | Message::Broken(reason) => {
                self.broken.get_or_insert(reason);
            }
            _ => {}
        }
    }

    fn closed(&mut self, _: usize, why: &str) {
        self.broken.get_or_insert(why.to_owned());
    }
}

impl Watched for Crowd<'_> {
    fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn progress(&self) -> u64 {
        self.ready as u64
    }
}

/// Somebody who opens a long inbox.
struct Desk<'a> {
    target: &'a Target,
    out: String,
    ready: bool,
    asked_ns: u64,
    took_ns: Option<u64>,
    unread: u64,
    broken: Option<String>,
}

impl<'a> Desk<'a> {
    fn new(target: &'a Target) -> Self {
        let out = String::new();
        Self { target, out, ready: false, asked_ns: 0, took_ns: None, unread: 0, broken: None }
    }

    fn ask(&mut self, swarm: &mut Swarm, times: &mut Histogram<u64>) -> Result<()> {
        self.took_ns = None;
        self.asked_ns = swarm.now_ns();
        swarm.peer(0).send(r#"{"type":"inbox","id":9,"limit":50}"#);
        while self.took_ns.is_none() {
            swarm.turn(TURN_MAX, self)?;
            if let Some(why) = &self.broken {
                return Err(Error::server(why.clone()));
            }
        }
        times.saturating_record(self.took_ns.unwrap_or_default());
        Ok(())
    }
}

impl Behaviour for Desk<'_> {
    fn opened(&mut self, _: usize, peer: &mut Peer) {
        wire::hello(&mut self.out, self.target.tokens.named("bench-reader").as_deref());
        peer.send(&self.out);
    }

    fn received(&mut self, _: usize, _: &mut Peer, payload: &[u8], now_ns: u64) {
        let frame: Value = serde_json::from_slice(payload).unwrap_or_default();
        match frame["type"].as_str() {
            Some("welcome") if frame["id"] == HELLO => self.ready = true,
            Some("inbox") => {
                self.took_ns = Some(now_ns - self.asked_ns);
                self.unread = frame["unread"].as_u64().unwrap_or_default();
            }
            _ => {
                self.broken.get_or_insert(format!("said {frame}"));
            }
        }
    }

    fn closed(&mut self, _: usize, why: &str) {
        self.broken.get_or_insert(why.to_owned());
    }
}

impl Watched for Desk<'_> {
    fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn progress(&self) -> u64 {
        u64::from(self.ready)
    }
}
