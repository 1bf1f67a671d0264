//! `publish`: whether publishers that wait for the disk share its work.

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

/// Durable publishes a second: of one connection that waits for each reply, and of many such.
#[derive(Args, Clone, Debug)]
pub struct PublishArgs {
    /// How many publish at once in the second half.
    #[arg(long, default_value_t = 100)]
    pub publishers: usize,
    /// How many publishes of one connection wait at once, in the second half.
    #[arg(long, default_value_t = 1)]
    pub in_flight: usize,
    /// How long each half takes.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Letters in each event, besides the loader's two numbers.
    #[arg(long, default_value_t = 64)]
    pub pad: usize,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the fields are options that clap documents")]
    pub server: ServerArgs,
}

impl PublishArgs {
    /// Runs it.
    pub(crate) fn run(&self) -> Result<Outcome> {
        if self.publishers == 0 || self.in_flight == 0 {
            return Err(Error::usage("nothing to do: no publishers"));
        }
        let target = self.server.target(Need::Durable)?;
        let mut swarm = Swarm::new(&target.url)?;
        let mut desk = Desk::new(&target, self.publishers, self.pad);
        gather(&mut swarm, self.publishers, &mut desk, |desk| desk.ready == self.publishers)?;

        let mut outcome = Outcome::new(format!("publish, {} publishers", self.publishers));
        // The first publishes open channels and files.
        self.phase(&mut swarm, &mut desk, self.publishers, 0.5)?;
        let alone = self.phase(&mut swarm, &mut desk, 1, self.seconds)?;
        outcome.figure("alone", alone.rate, "/s");
        outcome.latency("alone", &alone.times);
        let before = Spent::now(target.process)?;
        let many = self.phase(&mut swarm, &mut desk, self.publishers, self.seconds)?;
        let spent = Spent::now(target.process)?.server_since(&before);
        outcome.figure("together", many.rate, "/s");
        outcome.latency("together", &many.times);
        outcome.figure("ratio", many.rate / alone.rate.max(1e-9), "x");
        if let Some(ns) = spent {
            let each = ns as f64 / 1e3 / many.times.len().max(1) as f64;
            outcome.figure("CPU per publish, together", each, "us");
        }
        let faults = desk.faults();
        if !faults.none() {
            outcome.faults.push(format!("offsets of the replies: {faults:?}"));
        }
        if !desk.level.is_empty() && desk.level != "fsync" {
            outcome.faults.push(format!("the level is {}, not fsync", desk.level));
        }
        Ok(outcome)
    }

    fn phase(
        &self,
        swarm: &mut Swarm,
        desk: &mut Desk<'_>,
        publishers: usize,
        seconds: f64,
    ) -> Result<Phase> {
        let bar = bar("publishing", (seconds * 1e3) as u64);
        let start = swarm.now_ns();
        let end = start + (seconds * 1e9) as u64;
        desk.times = histogram();
        desk.end_ns = end;
        let depth = if publishers == 1 { 1 } else { self.in_flight };
        for index in 0..publishers {
            for _ in 0..depth {
                let now = swarm.now_ns();
                desk.publish(index, swarm.peer(index), now);
            }
        }
        while swarm.now_ns() < end {
            swarm.turn(TURN_MAX, desk)?;
            bar.set_position((swarm.now_ns() - start) / 1_000_000);
            if let Some(why) = desk.broken() {
                return Err(Error::server(why));
            }
        }
        let times = desk.times.clone();
        bar.finish_and_clear();
        linger(swarm, Duration::from_secs(10), desk, |desk| desk.waiting == 0)?;
        if desk.waiting > 0 {
            return Err(Error::server(format!("did not answer {} publishes", desk.waiting)));
        }
        Ok(Phase { rate: times.len() as f64 / seconds, times })
    }
}

struct Phase {
    rate: f64,
    times: Histogram<u64>,
}

/// Publishers that publish again as soon as they are answered, each in a channel of its own.
struct Desk<'a> {
    target: &'a Target,
    run: String,
    pad: usize,
    reader: Reader,
    out: String,
    ready: usize,
    waiting: usize,
    next_number: u64,
    /// When each publish was sent; by number.
    sent_ns: Vec<u64>,
    orders: Vec<Order>,
    times: Histogram<u64>,
    end_ns: u64,
    level: String,
    broken: Option<String>,
}

impl<'a> Desk<'a> {
    fn new(target: &'a Target, publishers: usize, pad: usize) -> Self {
        Self {
            target,
            run: run_id(),
            pad,
            reader: Reader::new(),
            out: String::new(),
            ready: 0,
            waiting: 0,
            next_number: 0,
            sent_ns: Vec::new(),
            orders: vec![Order::default(); publishers],
            times: histogram(),
            end_ns: 0,
            level: String::new(),
            broken: None,
        }
    }

    fn publish(&mut self, index: usize, peer: &mut Peer, now_ns: u64) {
        let channel = format!("{}:{}-{index}", self.target.namespace, self.run);
        wire::publish(&mut self.out, &channel, self.next_number, now_ns, self.pad);
        self.sent_ns.push(now_ns);
        self.next_number += 1;
        self.waiting += 1;
        peer.send(&self.out);
    }

    fn faults(&self) -> Faults {
        let mut all = Faults::default();
        for order in &self.orders {
            all.add(order.finish(order.last()));
        }
        all
    }
}

impl Behaviour for Desk<'_> {
    fn opened(&mut self, index: usize, peer: &mut Peer) {
        wire::hello(&mut self.out, self.target.tokens.of(index).as_deref());
        peer.send(&self.out);
    }

    fn received(&mut self, index: usize, peer: &mut Peer, payload: &[u8], now_ns: u64) {
        match self.reader.read(payload) {
            Message::Welcome => self.ready += 1,
            Message::Published { id, offset, level } => {
                self.waiting -= 1;
                self.orders[index].see(offset);
                self.level = level;
                if now_ns < self.end_ns {
                    let sent = self.sent_ns[(id - wire::PUBLISH) as usize];
                    self.times.saturating_record(now_ns - sent);
                    self.publish(index, peer, now_ns);
                }
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

impl Watched for Desk<'_> {
    fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn progress(&self) -> u64 {
        self.ready as u64
    }
}
