//! What must hold of any run of Tidings, checked over a recorded [`History`].
//!
//! The history is plain data with a line of JSON for each entry, so that a test of the real process
//! can record one too: see [`Op`] for what to write down when.

mod channels;
mod history;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use history::{Changed, Entry, History, Op, Pos};

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub rule: Rule,
    /// What happened.
    pub what: String,
}

/// What Tidings promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A command got two answers, or none on a connection that stayed up.
    Answers,
    /// Offsets of an epoch are dense.
    Dense,
    /// The epoch changes only when history was lost.
    Epoch,
    /// Nobody is shown as present who is not, nor the reverse.
    Ghost,
    /// What was never published, or refused for good, is never delivered.
    Invented,
    /// What was acknowledged is not lost.
    Lost,
    /// Events of a subscription stand in the order of their offsets.
    Order,
    /// One position never names two events.
    Position,
    /// A jump is announced by a `gap`.
    SilentGap,
    /// Nothing arrives outside of a subscription.
    Stray,
    /// A publish is one event.
    Twice,
    /// An event says what it was changed to last, and nothing once it is deleted.
    Version,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// Checks a history against every rule; all violations that were found.
pub fn check(history: &History) -> Vec<Violation> {
    let mut found = Found::default();
    channels::check(history, &mut found);
    subscriptions::check(history, &mut found);
    check_answers(history, &mut found);
    check_presence(history, &mut found);
    found.0
}

/// Where violations gather.
#[derive(Debug, Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, rule: Rule, what: String) {
        self.0.push(Violation { rule, what });
    }
}

/// Every command is answered exactly once on a connection that stays up.
fn check_answers(history: &History, found: &mut Found) {
    let mut asked = BTreeMap::<(u64, u64), u32>::new();
    let mut closed = BTreeSet::new();
    for entry in &history.entries {
        match &entry.op {
            Op::Command { connection, id } => {
                asked.entry((*connection, *id)).or_default();
            }
            Op::Answer { connection, id } => match asked.get_mut(&(*connection, *id)) {
                Some(count) => *count += 1,
                None => found.add(
                    Rule::Answers,
                    format!("connection {connection}: an answer to {id}, which was not asked"),
                ),
            },
            Op::Closed { connection } => {
                closed.insert(*connection);
            }
            _ => {}
        }
    }
    for ((connection, id), count) in asked {
        if count > 1 || (count == 0 && !closed.contains(&connection)) {
            let what = format!("connection {connection}: command {id} was answered {count} times");
            found.add(Rule::Answers, what);
        }
    }
}

/// Who is seen is who is there.
fn check_presence(history: &History, found: &mut Found) {
    let mut there = BTreeMap::<&str, &BTreeMap<String, u64>>::new();
    for entry in &history.entries {
        match &entry.op {
            Op::Present { channel, users } => {
                there.insert(channel, users);
            }
            Op::Seen { by, channel, users } => {
                let expected = there.get(&**channel).copied();
                if expected.is_some_and(|expected| expected != users) {
                    let what = format!("{by} sees {users:?} in {channel}, there are {expected:?}");
                    found.add(Rule::Ghost, what);
                }
            }
            _ => {}
        }
    }
}
