//! Who was told as there: kept in the log, so that after a crash those who do not come back are
//! told as gone.
//!
//! It is a channel of the log whose events are lines, `+uada` or `-cchat:lobby`. What is there is
//! what all of them together say. When there are many more lines than there is to say, the whole is
//! written anew, and the channel's retention lets go of what was before.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tidings_core::engine::Attendee;
use tidings_core::store::{Append, Loaded};
use tidings_proto::Epoch;

use super::journal::{CENTURY_MS, stream_append};

/// The channel. No client can name it.
const CHANNEL: &str = "\0webhook-census";

/// Changes beyond what is there before all is written anew.
const SLACK: u64 = 10_000;

/// Names in one event of the whole.
const CHUNK: usize = 500;

/// See the module.
#[derive(Debug)]
pub(super) struct Census {
    channel: Arc<str>,
    epoch: Epoch,
    last: u64,
    /// Events up to here say nothing that later ones do not.
    base: u64,
    there: BTreeSet<Attendee>,
    /// `last` and `base` before the commit that is being made.
    before: (u64, u64),
}

impl Census {
    pub(super) fn new(loaded: Option<Loaded>, fresh: Epoch) -> Self {
        let channel = CHANNEL.into();
        let mut there = BTreeSet::new();
        let Some(loaded) = loaded else {
            return Self { channel, epoch: fresh, last: 0, base: 0, there, before: (0, 0) };
        };
        for event in &loaded.events {
            read(&event.event, &mut there);
        }
        let (epoch, last) = (loaded.epoch, loaded.last_offset);
        let base = last - loaded.events.len() as u64;
        Self { channel, epoch, last, base, there, before: (last, base) }
    }

    /// Who is there.
    pub(super) fn there(&self) -> impl Iterator<Item = &Attendee> {
        self.there.iter()
    }

    /// A commit is being made.
    pub(super) fn begin(&mut self) {
        self.before = (self.last, self.base);
    }

    /// It failed.
    pub(super) fn rewind(&mut self) {
        (self.last, self.base) = self.before;
    }

    /// Somebody came or went.
    pub(super) fn note(&mut self, at_ms: u64, who: &Attendee, there: bool) -> Append {
        let line = line(who, there);
        if there {
            self.there.insert(who.clone());
        } else {
            self.there.remove(who);
        }
        self.append(at_ms, line)
    }

    /// Forgets those that nobody wants to hear of. What is to be written is due at once.
    pub(super) fn forget(&mut self, at_ms: u64, wanted: impl Fn(&Attendee) -> bool) -> Vec<Append> {
        let before = self.there.len();
        self.there.retain(wanted);
        if self.there.len() < before { self.rewrite(at_ms) } else { Vec::new() }
    }

    /// All of it, written anew, if that is worth it.
    pub(super) fn tidy(&mut self, at_ms: u64) -> Vec<Append> {
        let worth = self.last - self.base > 2 * self.there.len() as u64 + SLACK;
        if worth { self.rewrite(at_ms) } else { Vec::new() }
    }

    fn rewrite(&mut self, at_ms: u64) -> Vec<Append> {
        self.base = self.last;
        let there: Vec<_> = self.there.iter().map(|who| line(who, true)).collect();
        // At least one, whose retention lets go of the rest.
        let mut chunks: Vec<_> = there.chunks(CHUNK).map(<[String]>::concat).collect();
        if chunks.is_empty() {
            chunks.push(String::new());
        }
        chunks.into_iter().map(|lines| self.append(at_ms, lines)).collect()
    }

    fn append(&mut self, at_ms: u64, lines: String) -> Append {
        self.last += 1;
        let size = self.last - self.base;
        let event = Some(Bytes::from(lines));
        let at = (self.epoch, self.last);
        stream_append(&self.channel, at, at_ms, event, (size, CENTURY_MS))
    }
}

fn line(who: &Attendee, there: bool) -> String {
    let sign = if there { '+' } else { '-' };
    match who {
        Attendee::Channel(name) => format!("{sign}c{name}\n"),
        Attendee::User(name) => format!("{sign}u{name}\n"),
    }
}

/// Names have no control characters, so a line is a line.
fn read(event: &[u8], there: &mut BTreeSet<Attendee>) {
    for line in String::from_utf8_lossy(event).lines() {
        let (Some(sign), Some(name)) = (line.get(..2), line.get(2..)) else { continue };
        let who = match &sign[1..] {
            "c" => Attendee::Channel(name.into()),
            _ => Attendee::User(name.into()),
        };
        if sign.starts_with('+') {
            there.insert(who);
        } else {
            there.remove(&who);
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings_core::store::Store;
    use tidings_store::{LogStore, Options, SimFs};

    use super::*;

    fn user(n: u64) -> Attendee {
        Attendee::User(format!("user-{n}").into())
    }

    fn open(fs: &SimFs) -> (LogStore<SimFs>, Census) {
        let (mut log, _) = LogStore::open(fs.clone(), Options::new(1), 1000).unwrap();
        let loaded = log.load(1000, CHANNEL).unwrap();
        (log, Census::new(loaded, Epoch(9)))
    }

    #[test]
    fn who_is_there_is_known_after_a_crash_however_many_came_and_went() {
        let fs = SimFs::new(1);
        let (mut log, mut census) = open(&fs);
        let mut longest = 0;
        for n in 0..30_000 {
            census.begin();
            let mut appends = vec![census.note(1000, &user(n), true)];
            if n >= 3 && n % 7 != 0 {
                appends.push(census.note(1000, &user(n - 3), false));
            }
            appends.extend(census.tidy(1000));
            assert!(log.commit(1000, &appends).iter().all(Result::is_ok));
            longest = longest.max(census.last - census.base);
        }
        assert!(longest < 22_000, "{longest}: it does not grow with all that ever happened");
        let there: Vec<_> = census.there().cloned().collect();
        assert!(there.len() > 4000);
        drop(log);
        fs.kill();
        let (mut log, mut census) = open(&fs);
        assert_eq!(census.there().cloned().collect::<Vec<_>>(), there);
        census.begin();
        let forgotten = census.forget(1000, |who| *who == user(29_999));
        assert!(log.commit(1000, &forgotten).iter().all(Result::is_ok));
        drop(log);
        fs.kill();
        assert_eq!(open(&fs).1.there().cloned().collect::<Vec<_>>(), [user(29_999)]);
    }
}
