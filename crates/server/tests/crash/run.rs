//! What all clients of a run share: where the server is now, and what has happened.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::json;
use tidings_sim::checker::{History, Op, Pos};

use crate::common::Socket;

/// Where clients meet.
pub(crate) const CHANNELS: [&str; 3] = ["chat:one", "chat:two", "chat:three"];

/// A run.
#[derive(Debug)]
pub(crate) struct Run {
    /// Where the server listens now.
    pub(crate) port: AtomicU16,
    /// Publishers go on.
    pub(crate) publishing: AtomicBool,
    /// How many publishes were acknowledged.
    pub(crate) acknowledged: AtomicU64,
    /// Subscribers that have all there is.
    pub(crate) at_rest: AtomicU64,
    /// Where each channel stands after everything has come to rest.
    goals: Mutex<Option<BTreeMap<String, u64>>>,
    numbers: AtomicU64,
    begin: Instant,
    history: Mutex<History>,
}

impl Run {
    pub(crate) fn new() -> Self {
        let run = Self {
            port: AtomicU16::new(0),
            publishing: AtomicBool::new(true),
            acknowledged: AtomicU64::new(0),
            at_rest: AtomicU64::new(0),
            goals: Mutex::new(None),
            numbers: AtomicU64::new(0),
            begin: Instant::now(),
            history: Mutex::new(History::default()),
        };
        for channel in CHANNELS {
            run.note(Op::Channel { channel: channel.into(), durable: true, keeps: 100_000 });
        }
        run
    }

    /// A number that is used once in the run.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Writes something down.
    pub(crate) fn note(&self, op: Op) {
        let at_ms = u64::try_from(self.begin.elapsed().as_millis()).unwrap();
        self.lock().push(at_ms, op);
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap()
    }

    /// The server was killed: nothing durable may be lost by that.
    pub(crate) fn fault(&self) {
        self.note(Op::Fault { what: "kill -9".into(), memory: true, durable: false });
    }

    /// All that happened.
    pub(crate) fn history(&self) -> History {
        self.lock().clone()
    }

    /// A connection to the server, wherever it is now, and its number.
    pub(crate) fn connect(&self) -> io::Result<(u64, Socket)> {
        let tcp = TcpStream::connect(("127.0.0.1", self.port.load(Ordering::SeqCst)))?;
        tcp.set_nodelay(true)?;
        // Short, so that a client looks up now and then; a server that is up answers sooner.
        tcp.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok((self.number(), Socket::upgrade(tcp, "")?))
    }

    /// A connection to the server, tried until it is there.
    pub(crate) fn connect_again(&self) -> (u64, Socket) {
        crate::common::until("the server is there", || self.connect().ok())
    }

    /// Where a channel stands at the end, once publishing has ended.
    pub(crate) fn goal(&self, channel: &str) -> Option<u64> {
        self.goals.lock().unwrap().as_ref().and_then(|goals| goals.get(channel).copied())
    }

    /// Publishing has ended: reads every channel by pages of history.
    pub(crate) fn rest(&self, socket: &mut Socket) {
        let mut goals = BTreeMap::new();
        let mut finals = Vec::new();
        for channel in CHANNELS {
            let (at, events) = read_all(socket, channel);
            goals.insert(channel.to_owned(), at.offset);
            let channel = channel.into();
            finals.push(Op::Final { channel, at, events, changed: Vec::new() });
        }
        *self.goals.lock().unwrap() = Some(goals);
        crate::common::until("all subscribers have everything", || {
            (self.at_rest.load(Ordering::SeqCst) == crate::SUBSCRIBERS).then_some(())
        });
        for op in finals {
            self.note(op);
        }
    }
}

/// The whole history of a channel, forwards.
fn read_all(socket: &mut Socket, channel: &str) -> (Pos, Vec<(u64, String)>) {
    let mut events: Vec<(u64, String)> = Vec::new();
    loop {
        let after = events.last().map_or(0, |(offset, _)| *offset);
        let page = socket.ask(json!({
            "type": "history", "channel": channel, "after": after, "limit": 100
        }));
        assert_eq!(page["type"], "history", "{page}");
        for event in page["events"].as_array().unwrap() {
            events.push((event["offset"].as_u64().unwrap(), event["data"].to_string()));
        }
        if page["more"] != true {
            return (position(&page), events);
        }
    }
}

/// The position in a reply.
pub(crate) fn position(reply: &serde_json::Value) -> Pos {
    let epoch = reply["epoch"].as_str().unwrap().to_owned();
    Pos { epoch, offset: reply["offset"].as_u64().unwrap() }
}
