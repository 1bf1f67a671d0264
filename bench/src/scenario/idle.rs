//! `idle`: what a connection costs that does nothing.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::waiting::Waiting;
use super::{Watched, gather, linger, run_id};
use crate::error::{Error, Result};
use crate::options::{Need, ServerArgs, Target};
use crate::process::Process;
use crate::report::Outcome;
use crate::swarm::{Behaviour, Peer, Swarm};
use crate::wire::{self, Message, Reader};

/// Connections that come and go before the empty server is weighed: what every server makes once is
/// not the price of a connection.
const WARM_UP: usize = 200;
/// How long the warmed-up server may tidy.
const SETTLE: Duration = Duration::from_secs(2);

/// What clients speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// WebSocket.
    #[default]
    Websocket,
    /// Server-Sent Events.
    Sse,
    /// Long-polling: each client has a poll that waits.
    Poll,
}

/// The memory of idle connections, each with a token of its own and subscribed to one channel.
#[derive(Args, Clone, Debug)]
pub struct IdleArgs {
    /// How many.
    #[arg(long, default_value_t = 10_000)]
    pub connections: usize,
    /// Spread over how many channels [default: a tenth of the connections].
    #[arg(long)]
    pub channels: Option<usize>,
    /// How long they rest before the server is weighed.
    #[arg(long, default_value_t = 10.0)]
    pub rest: f64,
    /// What they speak.
    #[arg(long, value_enum, default_value_t)]
    pub transport: Transport,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the fields are options that clap documents")]
    pub server: ServerArgs,
}

impl IdleArgs {
    /// Runs it.
    pub(crate) fn run(&self) -> Result<Outcome> {
        let count = self.connections;
        let channels = self.channels.unwrap_or(count / 10).max(1);
        if count == 0 {
            return Err(Error::usage("nothing to do: no connections"));
        }
        let target = self.server.target(Need::History)?;
        let server = target
            .process
            .ok_or_else(|| Error::usage("the server's process is not known: --server-pid"))?;

        let weights = match self.transport {
            Transport::Websocket => self.sockets(&target, server, channels)?,
            Transport::Sse | Transport::Poll => self.requests(&target, server, channels)?,
        };
        let Weights { empty, full_at_once, full, fault } = weights;

        let name = self.transport.to_possible_value();
        let name = name.as_ref().map_or("?", |name| name.get_name());
        let title = format!("idle, {count} connections by {name}, {channels} channels");
        let mut outcome = Outcome::new(title);
        let each = |full: u64| (full as f64 - empty as f64) / count as f64;
        outcome.figure("memory per connection", each(full), "B");
        outcome.figure("memory per connection, before rest", each(full_at_once), "B");
        outcome.figure("the empty server", empty as f64 / 1024.0, "KiB");
        outcome.figure("the full server", full as f64 / 1024.0, "KiB");
        outcome.faults.extend(fault);
        Ok(outcome)
    }

    fn sockets(&self, target: &Target, server: Process, channels: usize) -> Result<Weights> {
        drop(crowd(target, WARM_UP.min(self.connections), channels)?);
        std::thread::sleep(SETTLE);
        let empty = server.pss()?;
        let (mut swarm, mut crowd) = crowd(target, self.connections, channels)?;
        let full_at_once = server.pss()?;
        linger(&mut swarm, Duration::from_secs_f64(self.rest), &mut crowd, |_| false)?;
        Ok(Weights { empty, full_at_once, full: server.pss()?, fault: crowd.broken })
    }

    fn requests(&self, target: &Target, server: Process, channels: usize) -> Result<Weights> {
        let run = run_id();
        let gather = |count| Waiting::gather(target, self.transport, &run, count, channels);
        gather(WARM_UP.min(self.connections))?.leave()?;
        std::thread::sleep(SETTLE);
        let empty = server.pss()?;
        let mut waiting = gather(self.connections)?;
        let full_at_once = server.pss()?;
        std::thread::sleep(Duration::from_secs_f64(self.rest));
        let full = server.pss()?;
        Ok(Weights { empty, full_at_once, full, fault: waiting.fault() })
    }
}

/// What the server weighed, in bytes.
struct Weights {
    empty: u64,
    full_at_once: u64,
    full: u64,
    fault: Option<String>,
}

fn crowd<'a>(target: &'a Target, count: usize, channels: usize) -> Result<(Swarm, Crowd<'a>)> {
    let mut swarm = Swarm::new(&target.url)?;
    let run = run_id();
    let mut crowd = Crowd { target, run, channels, reader: Reader::new(), ready: 0, broken: None };
    gather(&mut swarm, count, &mut crowd, |crowd| crowd.ready == count)?;
    Ok((swarm, crowd))
}

/// Connections that subscribe and say no more.
struct Crowd<'a> {
    target: &'a Target,
    run: String,
    channels: usize,
    reader: Reader,
    ready: usize,
    broken: Option<String>,
}

impl Behaviour for Crowd<'_> {
    fn opened(&mut self, index: usize, peer: &mut Peer) {
        let (mut hello, mut subscribe) = (String::new(), String::new());
        wire::hello(&mut hello, self.target.tokens.of(index).as_deref());
        let number = index % self.channels;
        let channel = format!("{}:{}-{number}", self.target.namespace, self.run);
        wire::subscribe(&mut subscribe, &channel, None);
        peer.send_both(&hello, &subscribe);
    }

    fn received(&mut self, _: usize, _: &mut Peer, payload: &[u8], _: u64) {
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
