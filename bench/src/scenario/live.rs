//! `live`: values that change, for consumers of which some cannot keep up.

use std::collections::HashMap;
use std::time::Duration;

use clap::Args;
use hdrhistogram::Histogram;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Spent, Watched, bar, gather, linger, run_id};
use crate::error::{Error, Result};
use crate::options::{Need, ServerArgs, Target};
use crate::process::Process;
use crate::report::{Outcome, histogram};
use crate::swarm::{Behaviour, Peer, Swarm};
use crate::wire::{self, Message, Reader};

/// The slow ones read a piece as often as this.
const SIPS_PER_SECOND: usize = 20;
/// How long slow ones may take to have the last values.
const SETTLE: Duration = Duration::from_secs(10);
const WRITERS: usize = 4;

/// Live data: keys that change all the time, and some consumers on a thin line.
#[derive(Args, Clone, Debug)]
pub struct LiveArgs {
    /// How many keys.
    #[arg(long, default_value_t = 500)]
    pub keys: usize,
    /// Changes a second, of all keys together.
    #[arg(long, default_value_t = 2000.0)]
    pub rate: f64,
    /// How many consumers.
    #[arg(long, default_value_t = 200)]
    pub subscribers: usize,
    /// How many of them are slow.
    #[arg(long, default_value_t = 20)]
    pub slow: usize,
    /// Bytes a second that a slow one reads.
    #[arg(long, default_value_t = 5000)]
    pub slow_bytes: usize,
    /// How long.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the fields are options that clap documents")]
    pub server: ServerArgs,
}

impl LiveArgs {
    /// Runs it.
    pub(crate) fn run(&self) -> Result<Outcome> {
        if self.keys == 0 || self.slow > self.subscribers {
            return Err(Error::usage("nothing to do: no keys, or more slow ones than consumers"));
        }
        let target = self.server.target(Need::Live)?;
        let mut swarm = Swarm::new(&target.url)?;
        let mut floor = Floor::new(&target, self);
        gather(&mut swarm, WRITERS + self.subscribers, &mut floor, |floor| {
            floor.ready == WRITERS + floor.args.subscribers
        })?;
        let first_slow = WRITERS + self.subscribers - self.slow;
        for index in first_slow..WRITERS + self.subscribers {
            swarm.peer(index).sip();
        }
        // Every key has a value, and buffers are what they will be.
        self.change(&mut swarm, &mut floor, (self.keys as f64 / self.rate).max(2.0))?;
        floor.times = histogram();
        floor.stale.iter_mut().for_each(|stale| *stale = 0);
        let (before, memory) = (Spent::now(target.process)?, rss(target.process)?);
        self.change(&mut swarm, &mut floor, self.seconds)?;
        let (after, grown) = (Spent::now(target.process)?, rss(target.process)? - memory);
        let delivered = floor.times.len();
        self.settle(&mut swarm, &mut floor)?;
        Ok(self.report(&floor, &before, &after, (grown, delivered)))
    }

    /// Changes at the rate, while all read as they do.
    fn change(&self, swarm: &mut Swarm, floor: &mut Floor<'_>, seconds: f64) -> Result<()> {
        let bar = bar("changing", (seconds * 1e3) as u64);
        let (start, mut sent) = (swarm.now_ns(), 0_u64);
        loop {
            let now_ns = swarm.now_ns() - start;
            if now_ns as f64 > seconds * 1e9 {
                break;
            }
            let due = (now_ns as f64 / 1e9 * self.rate) as u64;
            while sent < due {
                let writer = sent as usize % WRITERS;
                let at = swarm.now_ns();
                floor.set(swarm.peer(writer), at);
                sent += 1;
            }
            self.sip(swarm, floor);
            swarm.turn(Duration::from_millis(1), floor)?;
            bar.set_position(now_ns / 1_000_000);
            if let Some(why) = floor.broken() {
                return Err(Error::server(why));
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// The slow ones take what is due.
    fn sip(&self, swarm: &mut Swarm, floor: &mut Floor<'_>) {
        let period_ns = 1_000_000_000 / SIPS_PER_SECOND as u64;
        let now_ns = swarm.now_ns();
        if now_ns < floor.next_sip_ns {
            return;
        }
        // On a busy machine late ones are made up for: the rate is what was asked for.
        floor.next_sip_ns =
            (floor.next_sip_ns + period_ns).max(now_ns.saturating_sub(10 * period_ns));
        let last = WRITERS + self.subscribers;
        for index in last - self.slow..last {
            swarm.read_some(index, self.slow_bytes / SIPS_PER_SECOND, floor);
        }
    }

    /// Nothing changes any more: all have to come to the same values.
    fn settle(&self, swarm: &mut Swarm, floor: &mut Floor<'_>) -> Result<()> {
        let end = swarm.now_ns() + SETTLE.as_nanos() as u64;
        while swarm.now_ns() < end && !floor.is_settled() {
            self.sip(swarm, floor);
            linger(swarm, Duration::from_millis(2), floor, |_| false)?;
        }
        Ok(())
    }

    fn report(
        &self,
        floor: &Floor<'_>,
        before: &Spent,
        after: &Spent,
        (grown, delivered): (i64, u64),
    ) -> Outcome {
        let Self { keys, rate, subscribers, slow, .. } = self;
        let mut outcome =
            Outcome::new(format!("live, {keys} keys, {rate}/s, {subscribers} with {slow} slow"));
        outcome.latency("fast ones", &floor.times);
        let oldest = floor.stale.iter().max().copied().unwrap_or_default();
        outcome.figure("oldest value at a slow one", oldest as f64 / 1e9, "s");
        outcome.figure("server's memory has grown by", grown as f64 / 1e6, "MB");
        if let Some(ns) = after.server_since(before) {
            outcome.figure("CPU per delivery", ns as f64 / 1e3 / delivered.max(1) as f64, "us");
        }
        outcome.figure("values that came late", floor.backwards as f64, "");
        if floor.backwards > 0 {
            outcome.faults.push(format!("{} old values came behind new ones", floor.backwards));
        }
        if !floor.is_settled() {
            outcome.faults.push("not all have the last values".to_owned());
        }
        if floor.refused > 0 {
            outcome.faults.push(format!("{} writes were refused", floor.refused));
        }
        outcome.faults.extend(floor.broken.clone());
        outcome
    }
}

fn rss(process: Option<Process>) -> Result<i64> {
    let memory = process.map(Process::pss).transpose()?;
    Ok(memory.map_or(0, |bytes| bytes as i64))
}

/// Writers, fast consumers and slow ones, in this order.
struct Floor<'a> {
    target: &'a Target,
    args: &'a LiveArgs,
    channel: String,
    reader: Reader,
    value: memchr::memmem::Finder<'static>,
    out: String,
    ready: usize,
    /// When each value was written; its number is its index. A key has every `keys`-th.
    written_ns: Vec<u64>,
    /// What slow consumers hold, by key; `u64::MAX`: nothing yet.
    held: Vec<Vec<u64>>,
    /// How long a slow one held a value that was not the newest any more.
    stale: Vec<u64>,
    times: Histogram<u64>,
    next_sip_ns: u64,
    backwards: u64,
    refused: u64,
    broken: Option<String>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    r#type: &'a str,
    #[serde(borrow)]
    key: Option<&'a str>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    values: HashMap<&'a str, u64>,
    #[serde(borrow, default)]
    entries: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    key: &'a str,
    value: u64,
}

impl<'a> Floor<'a> {
    fn new(target: &'a Target, args: &'a LiveArgs) -> Self {
        Self {
            target,
            args,
            channel: format!("{}:{}", target.namespace, run_id()),
            reader: Reader::new(),
            value: memchr::memmem::Finder::new(b"\"value\":"),
            out: String::new(),
            ready: 0,
            written_ns: Vec::new(),
            held: vec![vec![u64::MAX; args.keys]; args.slow],
            stale: vec![0; args.slow],
            times: histogram(),
            next_sip_ns: 0,
            backwards: 0,
            refused: 0,
            broken: None,
        }
    }

    /// The next value of the next key.
    fn set(&mut self, peer: &mut Peer, now_ns: u64) {
        let number = self.written_ns.len();
        wire::set(&mut self.out, &self.channel, number as u64, number % self.args.keys);
        self.written_ns.push(now_ns);
        peer.send(&self.out);
    }

    /// A slow consumer has another value now.
    fn hold(&mut self, slow: usize, key: &str, number: u64, now_ns: u64) {
        let Some(place) = key.strip_prefix('S').and_then(|key| key.parse::<usize>().ok()) else {
            return;
        };
        let Some(held) = self.held[slow].get_mut(place) else { return };
        if *held != u64::MAX && number < *held {
            self.backwards += 1;
            return;
        }
        // What it had until now was old since the next value of the key was written.
        if *held != u64::MAX
            && number > *held
            && let Some(since_ns) = self.written_ns.get(*held as usize + self.args.keys)
        {
            self.stale[slow] = self.stale[slow].max(now_ns.saturating_sub(*since_ns));
        }
        *held = number;
    }

    fn slow_received(&mut self, slow: usize, payload: &[u8], now_ns: u64) {
        let Ok(frame) = serde_json::from_slice::<Frame<'_>>(payload) else {
            let text = String::from_utf8_lossy(payload).into_owned();
            self.broken.get_or_insert(format!("sent {text:?}"));
            return;
        };
        match frame.r#type {
            "state" => {
                let number = frame.value.and_then(|value| value.get().parse().ok());
                if let (Some(key), Some(number)) = (frame.key, number) {
                    self.hold(slow, key, number, now_ns);
                }
            }
            "values" => {
                frame.values.iter().for_each(|(key, n)| self.hold(slow, key, *n, now_ns));
            }
            "snapshot" => {
                frame.entries.iter().for_each(|entry| {
                    self.hold(slow, entry.key, entry.value, now_ns);
                });
            }
            _ => {}
        }
    }

    /// Whether all slow ones have the last value of each key.
    fn is_settled(&self) -> bool {
        let (written, keys) = (self.written_ns.len(), self.args.keys);
        let last = |key: usize| (written.saturating_sub(key + 1) / keys * keys + key) as u64;
        self.held.iter().all(|held| (0..keys.min(written)).all(|key| held[key] == last(key)))
    }
}

impl Behaviour for Floor<'_> {
    fn opened(&mut self, index: usize, peer: &mut Peer) {
        wire::hello(&mut self.out, self.target.tokens.of(index).as_deref());
        peer.send(&self.out);
        if index >= WRITERS {
            wire::subscribe(&mut self.out, &self.channel, None);
            peer.send(&self.out);
        }
    }

    fn received(&mut self, index: usize, _: &mut Peer, payload: &[u8], now_ns: u64) {
        let first_slow = WRITERS + self.args.subscribers - self.args.slow;
        if index >= WRITERS && payload.starts_with(b"{\"type\":\"state\"") && index < first_slow {
            let digits = self.value.find(payload).map(|at| &payload[at + 8..]);
            let number = digits.and_then(wire::number).map(|(number, _)| number as usize);
            if let Some(at_ns) = number.and_then(|number| self.written_ns.get(number)) {
                self.times.saturating_record(now_ns - at_ns);
            }
            return;
        }
        match self.reader.read(payload) {
            Message::Welcome => self.ready += usize::from(index < WRITERS),
            Message::Subscribed { .. } => self.ready += 1,
            Message::Refused { id: Some(wire::PUBLISH..), .. } => self.refused += 1,
            Message::Refused { reason, .. } | Message::Broken(reason) => {
                self.broken.get_or_insert(reason);
            }
            _ if index >= first_slow => self.slow_received(index - first_slow, payload, now_ns),
            _ => {}
        }
    }

    fn closed(&mut self, _: usize, why: &str) {
        self.broken.get_or_insert(why.to_owned());
    }
}

impl Watched for Floor<'_> {
    fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn progress(&self) -> u64 {
        self.ready as u64
    }
}
