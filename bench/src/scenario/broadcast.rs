//! `fanout` and `rooms`: what a delivery costs, beside what the bare loop needs for it.

use std::time::Duration;

use clap::Args;
use hdrhistogram::Histogram;

use super::audience::{Audience, Dialect};
use super::{Spent, TURN_MAX, Watched as _, bar, gather, linger};
use crate::error::{Error, Result};
use crate::options::{Need, ServerArgs, Target};
use crate::order::Faults;
use crate::process::Process;
use crate::report::{Outcome, histogram, median};
use crate::spawn::Floor;
use crate::swarm::Swarm;
use crate::url::Url;

/// Published before the measurement starts, at the same pace.
const WARM_UP: Duration = Duration::from_secs(1);
/// What has not come after this long without any event will not come.
const SILENCE: Duration = Duration::from_secs(3);
/// Below this part of the rate a backlog grows. Then a server joins what waits, the floor cannot,
/// and their ratio is not that of the rate which was asked for.
const KEPT: f64 = 0.95;

/// One channel, many subscribers.
#[derive(Args, Clone, Debug)]
pub struct FanoutArgs {
    /// How many connections are subscribed.
    #[arg(long, default_value_t = 1000)]
    pub subscribers: usize,
    /// Events a second.
    #[arg(long, default_value_t = 50.0, conflicts_with = "in_flight")]
    pub rate: f64,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the fields are options that clap documents")]
    pub common: BroadcastArgs,
}

/// Many channels, few subscribers each.
#[derive(Args, Clone, Debug)]
pub struct RoomsArgs {
    /// How many channels.
    #[arg(long, default_value_t = 500)]
    pub rooms: usize,
    /// How many connections are subscribed to each.
    #[arg(long, default_value_t = 10)]
    pub members: usize,
    /// Events a second, over all rooms.
    #[arg(long, default_value_t = 2000.0, conflicts_with = "in_flight")]
    pub rate: f64,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the fields are options that clap documents")]
    pub common: BroadcastArgs,
}

/// What both have.
#[derive(Args, Clone, Debug)]
pub struct BroadcastArgs {
    /// Instead of a rate: keep this many events on their way, the next one as soon as all
    /// subscribers have one.
    #[arg(long)]
    pub in_flight: Option<usize>,
    /// Connections that publish and do nothing else; 0: the members do [default: 1; rooms: 0].
    #[arg(long)]
    pub publishers: Option<usize>,
    /// How long each measurement takes.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Letters in each event, besides the loader's two numbers.
    #[arg(long, default_value_t = 8)]
    pub pad: usize,
    /// Measure the bare epoll and send() loop too, in turns, and print the ratio.
    #[arg(long)]
    pub reference: bool,
    /// Measure only the bare loop.
    #[arg(long, conflicts_with = "reference")]
    pub reference_only: bool,
    /// How many turns.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the fields are options that clap documents")]
    pub server: ServerArgs,
}

/// What is asked of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rooms: usize,
    pub(crate) members: usize,
    pub(crate) publishers: usize,
    pub(crate) pace: Pace,
    pub(crate) seconds: f64,
    pub(crate) pad: usize,
}

/// When the next event is published.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many a second, however the server keeps up.
    Rate(f64),
    /// When one of so many has reached everybody.
    InFlight(usize),
}

/// What one measurement found.
#[derive(Debug)]
struct Slice {
    seconds: f64,
    events: u64,
    deliveries: u64,
    /// Deliveries a second that were asked for, in an open loop.
    wanted: Option<f64>,
    per_read: f64,
    server_ns: Option<u64>,
    loader_ns: u64,
    latency: Histogram<u64>,
    faults: Faults,
    refused: u64,
    frame_bytes: f64,
    late_ns: u64,
    bytes_per_connection: Option<f64>,
}

impl FanoutArgs {
    /// Runs it.
    pub(crate) fn run(&self) -> Result<Outcome> {
        let plan = self.common.plan(1, self.subscribers, self.rate, 1)?;
        let name = format!("fanout, {} subscribers, {}", self.subscribers, plan.pace.text());
        self.common.run(plan, &name)
    }
}

impl RoomsArgs {
    /// Runs it.
    pub(crate) fn run(&self) -> Result<Outcome> {
        let plan = self.common.plan(self.rooms, self.members, self.rate, 0)?;
        let pace = plan.pace.text();
        self.common.run(plan, &format!("rooms, {} of {}, {pace}", self.rooms, self.members))
    }
}

impl BroadcastArgs {
    fn plan(&self, rooms: usize, members: usize, rate: f64, publishers: usize) -> Result<Plan> {
        let publishers = self.publishers.unwrap_or(publishers);
        let pace = self.in_flight.map_or(Pace::Rate(rate), Pace::InFlight);
        let sizes = [rooms, members, self.in_flight.unwrap_or(1), self.rounds];
        if sizes.contains(&0) || rate <= 0.0 || self.seconds <= 0.0 {
            return Err(Error::usage("nothing to do: one of the numbers is 0"));
        }
        Ok(Plan { rooms, members, publishers, pace, seconds: self.seconds, pad: self.pad })
    }

    fn run(&self, plan: Plan, name: &str) -> Result<Outcome> {
        let mut outcome = Outcome::new(name);
        if self.reference_only {
            let floor = Floor::start()?;
            let slice = measure_floor(&floor, plan)?;
            slice.report(&mut outcome, "floor: ");
            return Ok(outcome);
        }
        let target = self.server.target(Need::History)?;
        if !self.reference {
            measure_server(&target, plan)?.report(&mut outcome, "");
            return Ok(outcome);
        }
        let floor = Floor::start()?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            let slice = measure_server(&target, plan)?;
            let pad = same_size(plan, slice.frame_bytes);
            theirs.push(measure_floor(&floor, Plan { pad, ..plan })?);
            ours.push(slice);
        }
        report_ratios(&mut outcome, &ours, &theirs);
        merge(ours).report(&mut outcome, "");
        merge(theirs).report(&mut outcome, "floor: ");
        Ok(outcome)
    }
}

impl Pace {
    fn rate(self) -> Option<f64> {
        match self {
            Self::Rate(rate) => Some(rate),
            Self::InFlight(_) => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Rate(rate) => format!("{rate}/s"),
            Self::InFlight(count) => format!("{count} in flight"),
        }
    }
}

fn measure_server(target: &Target, plan: Plan) -> Result<Slice> {
    let Target { namespace, tokens, .. } = target;
    let dialect = Dialect::Tidings { namespace: namespace.clone(), tokens: tokens.clone() };
    measure(&target.url, target.process, plan, dialect)
}

fn measure_floor(floor: &Floor, plan: Plan) -> Result<Slice> {
    measure(&floor.url()?, Some(floor.process()), plan, Dialect::Floor)
}

/// The padding with which the floor's frames are as long as those of the server.
fn same_size(plan: Plan, frame_bytes: f64) -> usize {
    let bare = Audience::new(Plan { pad: 0, ..plan }, Dialect::Floor).floor_frame_bytes();
    (frame_bytes - bare).round().max(0.0) as usize
}

fn measure(url: &Url, server: Option<Process>, plan: Plan, dialect: Dialect) -> Result<Slice> {
    let empty = server.map(Process::pss).transpose()?;
    let mut swarm = Swarm::new(url)?;
    let mut audience = Audience::new(plan, dialect);
    let size = audience.size();
    gather(&mut swarm, size, &mut audience, Audience::complete)?;
    let mut driver = Driver { swarm, audience, due_ns: 0.0, late_ns: 0 };
    driver.drive(plan.pace, WARM_UP)?;

    driver.late_ns = 0;
    driver.audience.timed_from_ns = driver.swarm.now_ns();
    let (events, deliveries) = (driver.audience.published(), driver.audience.deliveries);
    let before = Spent::now(server)?;
    driver.drive(plan.pace, Duration::from_secs_f64(plan.seconds))?;
    let after = Spent::now(server)?;
    let events = driver.audience.published() - events;
    let deliveries = driver.audience.deliveries - deliveries;
    let full = server.map(Process::pss).transpose()?;

    let Driver { mut swarm, mut audience, late_ns, .. } = driver;
    let mut seen = u64::MAX;
    while audience.in_flight() > 0 && audience.deliveries != seen {
        seen = audience.deliveries;
        linger(&mut swarm, SILENCE, &mut audience, |all| all.in_flight() == 0)?;
    }
    // What comes twice may come late.
    linger(&mut swarm, Duration::from_millis(200), &mut audience, |_| false)?;
    if let Some(why) = audience.broken() {
        return Err(Error::server(why));
    }
    let grown = |full: u64, empty: u64| full.saturating_sub(empty) as f64 / size as f64;
    Ok(Slice {
        seconds: after.seconds_since(&before),
        events,
        deliveries,
        wanted: plan.pace.rate().map(|rate| rate * plan.members as f64),
        per_read: audience.deliveries as f64 / audience.reads.max(1) as f64,
        server_ns: after.server_since(&before),
        loader_ns: after.loader_since(&before),
        faults: audience.faults(),
        refused: audience.refused(),
        frame_bytes: audience.bytes as f64 / audience.deliveries.max(1) as f64,
        late_ns,
        bytes_per_connection: full.zip(empty).map(|(full, empty)| grown(full, empty)),
        latency: audience.latency,
    })
}

struct Driver {
    swarm: Swarm,
    audience: Audience,
    /// When the next event is due, by the swarm's clock.
    due_ns: f64,
    /// How far publishing was behind at worst.
    late_ns: u64,
}

impl Driver {
    fn drive(&mut self, pace: Pace, how_long: Duration) -> Result<()> {
        let bar = bar("measuring", how_long.as_millis() as u64);
        let start = self.swarm.now_ns();
        let end = start + how_long.as_nanos() as u64;
        self.due_ns = start as f64;
        loop {
            let now = self.swarm.now_ns();
            if now >= end {
                break;
            }
            let wait = self.publish_due(pace, now).min(end - now);
            self.swarm.turn(Duration::from_nanos(wait).min(TURN_MAX), &mut self.audience)?;
            bar.set_position((now - start) / 1_000_000);
            if let Some(why) = self.audience.broken() {
                return Err(Error::server(why));
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Publishes what is due; answers how long nothing more is.
    fn publish_due(&mut self, pace: Pace, now: u64) -> u64 {
        match pace {
            Pace::Rate(rate) => {
                while self.due_ns <= now as f64 {
                    self.late_ns = self.late_ns.max((now as f64 - self.due_ns) as u64);
                    self.audience.publish(&mut self.swarm);
                    self.due_ns += 1e9 / rate;
                }
                (self.due_ns - now as f64) as u64
            }
            Pace::InFlight(count) => {
                while self.audience.in_flight() < count {
                    self.audience.publish(&mut self.swarm);
                }
                u64::MAX
            }
        }
    }
}

impl Slice {
    fn us_per_delivery(&self) -> Option<f64> {
        Some(self.server_ns? as f64 / 1e3 / self.deliveries.max(1) as f64)
    }

    fn report(&self, outcome: &mut Outcome, prefix: &str) {
        let mut add =
            |name: &str, value, unit| outcome.figure(format!("{prefix}{name}"), value, unit);
        add("events", self.events as f64 / self.seconds, "/s");
        add("deliveries", self.deliveries as f64 / self.seconds, "/s");
        if let Some(us) = self.us_per_delivery() {
            add("CPU per delivery", us, "us");
        }
        add("loader's CPU per delivery", self.loader_us(), "us");
        add("events per read", self.per_read, "");
        add("frame", self.frame_bytes, "B");
        add("published late by at most", self.late_ns as f64 / 1e6, "ms");
        if let Some(bytes) = self.bytes_per_connection {
            add("memory per connection", bytes, "B");
        }
        add("lost", self.faults.lost as f64, "");
        add("duplicated", self.faults.duplicated as f64, "");
        add("out of order", self.faults.out_of_order as f64, "");
        outcome.latency(&format!("{prefix}latency"), &self.latency);
        if !self.faults.none() {
            outcome.faults.push(format!("{prefix}{:?}", self.faults));
        }
        let rate = self.deliveries as f64 / self.seconds;
        if let Some(wanted) = self.wanted.filter(|wanted| rate < wanted * KEPT) {
            let text = format!("only {rate:.0} of {wanted:.0} deliveries/s: too busy to compare");
            outcome.faults.push(format!("{prefix}{text}"));
        }
        if self.refused > 0 {
            outcome.faults.push(format!("{prefix}{} publishes were refused", self.refused));
        }
    }

    fn loader_us(&self) -> f64 {
        self.loader_ns as f64 / 1e3 / self.deliveries.max(1) as f64
    }
}

fn report_ratios(outcome: &mut Outcome, ours: &[Slice], theirs: &[Slice]) {
    let mut ratios = Vec::new();
    for (round, (our, their)) in ours.iter().zip(theirs).enumerate() {
        if let (Some(our), Some(their)) = (our.us_per_delivery(), their.us_per_delivery()) {
            outcome.figure(format!("ratio to the floor, round {}", round + 1), our / their, "x");
            ratios.push(our / their);
        }
    }
    if let Some(ratio) = median(&ratios) {
        outcome.figure("ratio to the floor", ratio, "x");
    }
}

/// All rounds as one.
fn merge(slices: Vec<Slice>) -> Slice {
    let count = slices.len().max(1) as f64;
    let mut all = Slice {
        seconds: 0.0,
        events: 0,
        deliveries: 0,
        wanted: slices.first().and_then(|first| first.wanted),
        per_read: 0.0,
        server_ns: Some(0),
        loader_ns: 0,
        latency: histogram(),
        faults: Faults::default(),
        refused: 0,
        frame_bytes: 0.0,
        late_ns: 0,
        // Of the first round, when the server was fresh.
        bytes_per_connection: slices.first().and_then(|first| first.bytes_per_connection),
    };
    for slice in slices {
        all.seconds += slice.seconds;
        all.events += slice.events;
        all.deliveries += slice.deliveries;
        all.server_ns = all.server_ns.zip(slice.server_ns).map(|(sum, more)| sum + more);
        all.loader_ns += slice.loader_ns;
        // Cannot fail: both have the same bounds.
        let _ = all.latency.add(&slice.latency);
        all.faults.add(slice.faults);
        all.refused += slice.refused;
        all.frame_bytes += slice.frame_bytes / count;
        all.per_read += slice.per_read / count;
        all.late_ns = all.late_ns.max(slice.late_ns);
    }
    all
}
