//! `storm`: everybody loses the connection at once, misses something, and comes back at once.

use std::time::Duration;

use clap::Args;
use hdrhistogram::Histogram;

use super::{Spent, TURN_MAX, Watched, bar, gather, linger, run_id};
use crate::error::{Error, Result};
use crate::options::{Need, ServerArgs, Target};
use crate::order::{Faults, Order};
use crate::report::{Outcome, histogram};
use crate::swarm::{Behaviour, Peer, Swarm};
use crate::wire::{self, Message, Reader};

/// Publishes of one connection that wait for a reply: below what a server promises to take.
const IN_FLIGHT: usize = 32;
const PUBLISHERS: usize = 20;
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a client waits that was turned away.
const RETRY_NS: u64 = 200_000_000;
/// Watched for events that nobody should get any more.
const AFTERMATH: Duration = Duration::from_secs(1);

/// The return of clients that all lost their connection.
#[derive(Args, Clone, Debug)]
pub struct StormArgs {
    /// How many clients.
    #[arg(long, default_value_t = 10_000)]
    pub clients: usize,
    /// Spread over how many channels.
    #[arg(long, default_value_t = 100)]
    pub channels: usize,
    /// Events that each channel gets while they are away.
    #[arg(long, default_value_t = 50)]
    pub missed: u64,
    /// How many upgrades are on their way at once [default: all].
    #[arg(long)]
    pub at_once: Option<usize>,
    /// When to give up.
    #[arg(long, default_value_t = 60.0)]
    pub timeout: f64,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the fields are options that clap documents")]
    pub server: ServerArgs,
}

impl StormArgs {
    /// Runs it.
    pub(crate) fn run(&self) -> Result<Outcome> {
        if self.clients == 0 || self.channels == 0 || self.missed == 0 {
            return Err(Error::usage("nothing to do: one of the numbers is 0"));
        }
        let target = self.server.target(Need::History)?;
        let run = run_id();
        let mut swarm = Swarm::new(&target.url)?;
        let mut herd = Herd::new(&target, &run, self);
        gather(&mut swarm, self.clients, &mut herd, |herd| herd.subscribed == self.clients)?;
        for index in 0..self.clients {
            swarm.peer(index).cut();
        }
        herd.away();
        self.publish_missed(&target, &run)?;

        let before = Spent::now(target.process)?;
        self.come_back(&mut swarm, &mut herd)?;
        let after = Spent::now(target.process)?;
        linger(&mut swarm, AFTERMATH, &mut herd, |_| false)?;
        Ok(self.report(&herd, &before, &after))
    }

    fn report(&self, herd: &Herd<'_>, before: &Spent, after: &Spent) -> Outcome {
        let Self { clients, missed, .. } = self;
        let mut outcome = Outcome::new(format!("storm, {clients} clients, {missed} missed"));
        outcome.figure("all are back after", after.seconds_since(before), "s");
        outcome.latency("one is back after", &herd.times);
        if let Some(ns) = after.server_since(before) {
            outcome.figure("server's CPU", ns as f64 / 1e9, "s");
        }
        outcome.figure("loader's CPU", after.loader_since(before) as f64 / 1e9, "s");
        outcome.figure("turned away and came again", herd.retries as f64, "");
        let faults = herd.faults();
        outcome.figure("lost", faults.lost as f64, "");
        outcome.figure("duplicated", faults.duplicated as f64, "");
        outcome.figure("out of order", faults.out_of_order as f64, "");
        if herd.back < *clients {
            outcome.faults.push(format!("{} clients are not back", clients - herd.back));
        }
        if !faults.none() {
            outcome.faults.push(format!("{faults:?}"));
        }
        outcome.faults.extend(herd.broken.clone());
        outcome
    }

    fn publish_missed(&self, target: &Target, run: &str) -> Result<()> {
        let mut swarm = Swarm::new(&target.url)?;
        let total = self.missed * self.channels as u64;
        let channels = self.channels as u64;
        let mut press = Press {
            target,
            run,
            channels,
            total,
            next: vec![0; PUBLISHERS],
            reader: Reader::new(),
            out: String::new(),
            ready: 0,
            done: 0,
            broken: None,
        };
        gather(&mut swarm, PUBLISHERS, &mut press, |press| press.ready == PUBLISHERS)?;
        for index in 0..PUBLISHERS {
            for _ in 0..IN_FLIGHT {
                press.publish(index, swarm.peer(index));
            }
        }
        linger(&mut swarm, PUBLISH_TIMEOUT, &mut press, |press| {
            press.done == total || press.broken.is_some()
        })?;
        match press.broken {
            Some(why) => Err(Error::server(why)),
            None if press.done < total => Err(Error::server("did not take the missed events")),
            None => Ok(()),
        }
    }

    fn come_back(&self, swarm: &mut Swarm, herd: &mut Herd<'_>) -> Result<()> {
        let bar = bar("recovering", self.clients as u64);
        let at_once = self.at_once.unwrap_or(self.clients);
        let start = swarm.now_ns();
        let end = start + (self.timeout * 1e9) as u64;
        herd.start_ns = start;
        let mut next = 0;
        while herd.back < self.clients && swarm.now_ns() < end {
            // In between, what has come is handled: else the last connect stands before the first
            // upgrade.
            let batch = at_once.saturating_sub(swarm.upgrading()).min(256);
            for _ in 0..batch.min(self.clients - next) {
                swarm.reconnect(next)?;
                next += 1;
            }
            herd.now_ns = swarm.now_ns();
            while let Some((at_ns, index)) = herd.waiting.front().copied()
                && at_ns <= herd.now_ns
            {
                herd.waiting.pop_front();
                swarm.reconnect(index)?;
            }
            let patience = if next < self.clients { Duration::ZERO } else { TURN_MAX };
            swarm.turn(patience, herd)?;
            bar.set_position(herd.back as u64);
        }
        bar.finish_and_clear();
        Ok(())
    }
}

struct Client {
    epoch: String,
    order: Order,
    token: Option<String>,
    back: bool,
}

/// The clients. Channel of a client: its index modulo the number of channels.
struct Herd<'a> {
    target: &'a Target,
    run: &'a str,
    channels: usize,
    missed: u64,
    clients: Vec<Client>,
    reader: Reader,
    returning: bool,
    subscribed: usize,
    back: usize,
    retries: u64,
    /// Who was turned away, and when they come again.
    waiting: std::collections::VecDeque<(u64, usize)>,
    now_ns: u64,
    start_ns: u64,
    times: Histogram<u64>,
    broken: Option<String>,
}

impl<'a> Herd<'a> {
    fn new(target: &'a Target, run: &'a str, args: &StormArgs) -> Self {
        let client = |index| Client {
            epoch: String::new(),
            order: Order::default(),
            token: target.tokens.of(index),
            back: false,
        };
        Self {
            target,
            run,
            channels: args.channels,
            missed: args.missed,
            clients: (0..args.clients).map(client).collect(),
            reader: Reader::new(),
            returning: false,
            subscribed: 0,
            back: 0,
            retries: 0,
            waiting: std::collections::VecDeque::new(),
            now_ns: 0,
            start_ns: 0,
            times: histogram(),
            broken: None,
        }
    }

    /// From now on they come back.
    fn away(&mut self) {
        self.returning = true;
    }

    fn faults(&self) -> Faults {
        let mut all = Faults::default();
        for client in &self.clients {
            all.add(client.order.finish(self.missed));
        }
        all
    }

    fn message(&mut self, index: usize, message: Message) {
        let client = &mut self.clients[index];
        match message {
            Message::Subscribed { epoch, offset, .. } if !self.returning => {
                client.epoch = epoch;
                client.order = Order::starting_at(offset);
                self.subscribed += 1;
            }
            Message::Subscribed { recovered: false, .. } => {
                self.broken.get_or_insert("did not recover a client".to_owned());
            }
            // A bye while they come back: the connection closes next, and the client comes again.
            Message::Broken(why) if self.returning && why.starts_with("said bye") => {}
            Message::Refused { reason, .. } | Message::Broken(reason) => {
                self.broken.get_or_insert(reason);
            }
            _ => {}
        }
    }
}

impl Behaviour for Herd<'_> {
    fn opened(&mut self, index: usize, peer: &mut Peer) {
        let client = &self.clients[index];
        let (mut hello, mut subscribe) = (String::new(), String::new());
        wire::hello(&mut hello, client.token.as_deref());
        let channel = channel(self.target, self.run, index % self.channels);
        let since = self.returning.then(|| (client.epoch.as_str(), client.order.last()));
        wire::subscribe(&mut subscribe, &channel, since);
        peer.send_both(&hello, &subscribe);
    }

    fn received(&mut self, index: usize, _: &mut Peer, payload: &[u8], now_ns: u64) {
        let event = match self.reader.read(payload) {
            Message::Event(event) => event,
            message => return self.message(index, message),
        };
        let client = &mut self.clients[index];
        client.order.see(event.offset);
        if !client.back && client.order.last() >= self.missed {
            client.back = true;
            self.back += 1;
            self.times.saturating_record(now_ns - self.start_ns);
        }
    }

    fn closed(&mut self, index: usize, why: &str) {
        if self.returning && !self.clients[index].back {
            self.retries += 1;
            self.waiting.push_back((self.now_ns + RETRY_NS, index));
        } else {
            self.broken.get_or_insert(why.to_owned());
        }
    }
}

impl Watched for Herd<'_> {
    fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn progress(&self) -> u64 {
        self.subscribed as u64
    }
}

fn channel(target: &Target, run: &str, number: usize) -> String {
    format!("{}:{run}-{number}", target.namespace)
}

/// Publishes what the clients miss.
struct Press<'a> {
    target: &'a Target,
    run: &'a str,
    channels: u64,
    total: u64,
    /// Each publisher's next event: it takes every `PUBLISHERS`-th.
    next: Vec<u64>,
    reader: Reader,
    out: String,
    ready: usize,
    done: u64,
    broken: Option<String>,
}

impl Press<'_> {
    fn publish(&mut self, index: usize, peer: &mut Peer) {
        let number = self.next[index] * PUBLISHERS as u64 + index as u64;
        if number >= self.total {
            return;
        }
        self.next[index] += 1;
        let channel = channel(self.target, self.run, (number % self.channels) as usize);
        wire::publish(&mut self.out, &channel, number, 0, 8);
        peer.send(&self.out);
    }
}

impl Behaviour for Press<'_> {
    fn opened(&mut self, index: usize, peer: &mut Peer) {
        // Not one of the clients' users.
        let token = self.target.tokens.of(1_000_000 + index);
        wire::hello(&mut self.out, token.as_deref());
        peer.send(&self.out);
    }

    fn received(&mut self, index: usize, peer: &mut Peer, payload: &[u8], _: u64) {
        match self.reader.read(payload) {
            Message::Welcome => self.ready += 1,
            Message::Published { .. } => {
                self.done += 1;
                self.publish(index, peer);
            }
            Message::Refused { reason, .. } | Message::Broken(reason) => {
                self.broken.get_or_insert(reason);
            }
            Message::Event(_) | Message::Subscribed { .. } | Message::Other => {}
        }
    }

    fn closed(&mut self, _: usize, why: &str) {
        self.broken.get_or_insert(why.to_owned());
    }
}

impl Watched for Press<'_> {
    fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn progress(&self) -> u64 {
        self.ready as u64
    }
}
