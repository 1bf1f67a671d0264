//! `all`: every target in one table.

use clap::Args;

use super::broadcast::{BroadcastArgs, FanoutArgs, RoomsArgs};
use super::idle::{IdleArgs, Transport};
use super::publish::PublishArgs;
use super::storm::StormArgs;
use crate::error::{Error, Result};
use crate::options::ServerArgs;
use crate::report::{Outcome, Verdict, shown};

/// All targets of the project, each on a server of its own.
#[derive(Args, Clone, Debug)]
pub struct AllArgs {
    /// How long each measurement beside the floor takes.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// How often server and floor take turns.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the fields are options that clap documents")]
    pub server: ServerArgs,
}

/// Which way is good.
enum Bound {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
}

impl AllArgs {
    /// Runs them; `show` gets each outcome as it comes.
    pub(crate) fn run(
        &self,
        mut show: impl FnMut(&Outcome),
    ) -> Result<(Vec<Outcome>, Vec<Verdict>)> {
        let mut table = Table::default();
        let ratio = "ratio to the floor";
        let mut take =
            |what: &str, found: Result<Outcome>, name: &str, bound: Bound, unit: &str| {
                let outcome = found.unwrap_or_else(|error| failed(what, &error));
                show(&outcome);
                table.add(what, outcome, name, &bound, unit);
            };
        let memory = "memory per connection";
        let idle = |transport| self.idle(transport).run();
        let by = idle(Transport::Websocket);
        take("idle connection, 10,000", by, memory, Bound::AtMost(2048.0), "B");
        let by = idle(Transport::Sse);
        take("idle by SSE, 10,000", by, memory, Bound::AtMost(3072.0), "B");
        let by = idle(Transport::Poll);
        take("parked poll, 10,000", by, memory, Bound::AtMost(3072.0), "B");

        let fanout = self.fanout(None).run();
        take("fan-out, 1,000, 50/s", fanout, ratio, Bound::AtMost(1.1), "x floor");
        let busy = self.fanout(Some(4)).run();
        take("fan-out, 1,000, 4 in flight", busy, ratio, Bound::Below(1.0), "x floor");

        let common = self.broadcast(None);
        let rooms = RoomsArgs { rooms: 500, members: 10, rate: 2000.0, common }.run();
        take("500 rooms of 10, 2,000/s", rooms, ratio, Bound::AtMost(1.3), "x floor");

        let publish = PublishArgs {
            publishers: 100,
            in_flight: 1,
            seconds: self.seconds,
            pad: 64,
            server: self.server.clone(),
        };
        take("100 durable publishers / 1", publish.run(), "ratio", Bound::AtLeast(20.0), "x");

        let storm = StormArgs {
            clients: 10_000,
            channels: 100,
            missed: 50,
            at_once: None,
            timeout: 60.0,
            server: self.server.clone(),
        };
        let back = "all are back after";
        take("return of 10,000 x 50 missed", storm.run(), back, Bound::AtMost(10.0), "s");
        Ok((table.outcomes, table.verdicts))
    }

    fn idle(&self, transport: Transport) -> IdleArgs {
        let server = self.server.clone();
        IdleArgs { connections: 10_000, channels: None, rest: 10.0, transport, server }
    }

    fn fanout(&self, in_flight: Option<usize>) -> FanoutArgs {
        FanoutArgs { subscribers: 1000, rate: 50.0, common: self.broadcast(in_flight) }
    }

    fn broadcast(&self, in_flight: Option<usize>) -> BroadcastArgs {
        BroadcastArgs {
            in_flight,
            publishers: None,
            seconds: self.seconds,
            pad: 8,
            reference: true,
            reference_only: false,
            rounds: self.rounds,
            server: self.server.clone(),
        }
    }
}

/// What could not be measured is a fault, not the end of the table.
fn failed(what: &str, error: &Error) -> Outcome {
    let mut outcome = Outcome::new(what);
    outcome.faults.push(error.to_string());
    outcome
}

#[derive(Default)]
struct Table {
    outcomes: Vec<Outcome>,
    verdicts: Vec<Verdict>,
}

impl Table {
    fn add(&mut self, what: &str, outcome: Outcome, name: &str, bound: &Bound, unit: &str) {
        let value = outcome.value(name);
        let clean = outcome.faults.is_empty();
        let measured = value.map_or("-".to_owned(), |value| format!("{} {unit}", shown(value)));
        self.verdicts.push(Verdict {
            what: what.to_owned(),
            target: format!("{} {unit}", bound.text()),
            measured: if clean { measured } else { format!("{measured} !") },
            ok: clean && value.is_some_and(|value| bound.holds(value)),
        });
        self.outcomes.push(outcome);
    }
}

impl Bound {
    fn holds(&self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= *most,
            Self::Below(limit) => value < *limit,
            Self::AtLeast(least) => value >= *least,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::AtMost(most) => format!("<= {most}"),
            Self::Below(limit) => format!("< {limit}"),
            Self::AtLeast(least) => format!(">= {least}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_only_without_faults() {
        let mut table = Table::default();
        let mut outcome = Outcome::new("x");
        outcome.figure("ratio", 1.1, "x");
        table.add("x", outcome.clone(), "ratio", &Bound::AtMost(1.1), "x");
        table.add("x", outcome.clone(), "ratio", &Bound::Below(1.1), "x");
        table.add("x", outcome.clone(), "ratio", &Bound::AtLeast(1.1), "x");
        table.add("x", outcome.clone(), "absent", &Bound::AtMost(1.0), "x");
        outcome.faults.push("1 lost".into());
        table.add("x", outcome, "ratio", &Bound::AtMost(1.1), "x");
        let ok: Vec<bool> = table.verdicts.iter().map(|verdict| verdict.ok).collect();
        assert_eq!(ok, [true, false, true, false, false]);
    }
}
