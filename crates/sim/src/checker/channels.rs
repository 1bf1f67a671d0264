//! Rules about what a channel holds: positions, loss, invention, epochs.

use std::collections::{BTreeMap, BTreeSet};

use super::{Changed, Found, History, Op, Pos, Rule};

/// A publish of the run.
#[derive(Debug)]
struct Sent<'a> {
    channel: &'a str,
    data: &'a str,
    ephemeral: bool,
    refused_for_good: bool,
    change: Option<&'a Changed>,
}

/// What is known of one channel.
#[derive(Debug, Default)]
struct Known<'a> {
    memory: bool,
    keeps: u64,
    /// Every event that anybody saw.
    events: BTreeMap<Pos, &'a str>,
    /// Where each event is, in each epoch.
    places: BTreeMap<&'a str, BTreeMap<&'a str, u64>>,
    /// Epochs, and how many losses there had been when each was first seen.
    epochs: BTreeMap<&'a str, usize>,
    /// Faults that may have changed the epoch.
    losses: usize,
    /// Acknowledged: publish and position.
    acks: Vec<(u64, Pos)>,
}

pub(super) fn check(history: &History, found: &mut Found) {
    let (sent, by_data, known) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut all = Channels { sent, by_data, known, found };
    let mut subscriptions = BTreeMap::<u64, &str>::new();
    for entry in &history.entries {
        match &entry.op {
            Op::Channel { channel, durable, keeps } => {
                let known = all.known.entry(channel).or_default();
                (known.memory, known.keeps) = (!durable, *keeps);
            }
            Op::Publish { publish, channel, data, ephemeral, change, .. } => {
                let ephemeral = *ephemeral;
                let change = change.as_ref();
                let sent = Sent { channel, data, ephemeral, refused_for_good: false, change };
                all.sent.insert(*publish, sent);
                all.by_data.insert((channel, data), *publish);
                all.known.entry(channel).or_default();
            }
            Op::Ok { publish, at, duplicate } => all.acked(*publish, at.as_ref(), *duplicate),
            Op::Fail { publish, certain, .. } => {
                if let Some(sent) = all.sent.get_mut(publish) {
                    sent.refused_for_good |= certain;
                }
            }
            Op::Subscribed { subscription, channel, at, .. } => {
                subscriptions.insert(*subscription, &at.epoch);
                // A channel that never had an event has no history that an epoch could stand for.
                if at.offset > 0 {
                    all.epoch(channel, &at.epoch);
                }
            }
            Op::Delivered { subscription, channel, offset, data } => {
                let epoch = subscriptions.get(subscription).copied();
                all.seen(channel, epoch, *offset, data);
            }
            Op::Final { channel, at, events, changed } => {
                if at.offset > 0 {
                    all.epoch(channel, &at.epoch);
                }
                for (offset, data) in events {
                    all.seen(channel, Some(&at.epoch), Some(*offset), data);
                }
                all.at_rest(channel, at, events);
                all.versions(channel, at, events, changed);
            }
            Op::Fault { memory, durable, .. } => all.fault(*memory, *durable),
            _ => {}
        }
    }
}

struct Channels<'a, 'f> {
    sent: BTreeMap<u64, Sent<'a>>,
    by_data: BTreeMap<(&'a str, &'a str), u64>,
    known: BTreeMap<&'a str, Known<'a>>,
    found: &'f mut Found,
}

impl<'a> Channels<'a, '_> {
    fn fault(&mut self, memory: bool, durable: bool) {
        for known in self.known.values_mut() {
            if durable || (memory && known.memory) {
                known.losses += 1;
            }
        }
    }

    /// An epoch was seen. There are at most as many as there were losses, and the first one.
    fn epoch(&mut self, channel: &'a str, epoch: &'a str) {
        let known = self.known.entry(channel).or_default();
        let losses = known.losses;
        known.epochs.entry(epoch).or_insert(losses);
        if known.epochs.len() > losses + 1 {
            let what = format!("{channel} has another epoch, {epoch}, after {losses} losses");
            self.found.add(Rule::Epoch, what);
        }
    }

    fn acked(&mut self, publish: u64, at: Option<&'a Pos>, duplicate: bool) {
        let Some(sent) = self.sent.get(&publish) else {
            let what = format!("an acknowledgement of publish {publish}, which was not sent");
            return self.found.add(Rule::Invented, what);
        };
        let (channel, data) = (sent.channel, sent.data);
        if sent.refused_for_good {
            let what = format!("{data} was refused for good, then acknowledged");
            self.found.add(Rule::Invented, what);
        }
        let Some(at) = at else { return };
        let losses = self.known.get(channel).map_or(0, |known| known.losses);
        if duplicate && losses > 0 {
            // The first copy may have been in an earlier epoch: the reply names today's.
            return;
        }
        self.epoch(channel, &at.epoch);
        self.place(channel, at.clone(), &at.epoch, data);
        if let Some(known) = self.known.get_mut(channel) {
            known.acks.push((publish, at.clone()));
        }
    }

    fn seen(
        &mut self,
        channel: &'a str,
        epoch: Option<&'a str>,
        offset: Option<u64>,
        data: &'a str,
    ) {
        if data.is_empty() {
            return;
        }
        let sent = self.by_data.get(&(channel, data)).and_then(|publish| self.sent.get(publish));
        let allowed =
            sent.is_some_and(|sent| !sent.refused_for_good && sent.ephemeral == offset.is_none());
        if !allowed {
            let what = format!("{channel} has {data} at {offset:?}: it was never published so");
            self.found.add(Rule::Invented, what);
        }
        if let (Some(epoch), Some(offset)) = (epoch, offset) {
            self.place(channel, Pos { epoch: epoch.to_owned(), offset }, epoch, data);
        }
    }

    /// An event is at a position: there is no other there, and it is nowhere else.
    fn place(&mut self, channel: &'a str, at: Pos, epoch: &'a str, data: &'a str) {
        let known = self.known.entry(channel).or_default();
        let offset = at.offset;
        let other = *known.events.entry(at).or_insert(data);
        if other != data {
            let what = format!("{channel} at {epoch}:{offset} is {other} and also {data}");
            self.found.add(Rule::Position, what);
        }
        let places = known.places.entry(data).or_default();
        let before = places.iter().find(|(e, o)| (**e, **o) != (epoch, offset));
        // A second copy in another epoch is one that was lost and came again.
        if let Some((e, o)) = before
            && (*e == epoch || known.losses == 0)
        {
            let what = format!("{data} is in {channel} at {e}:{o} and at {epoch}:{offset}");
            self.found.add(Rule::Twice, what);
        }
        places.insert(epoch, offset);
    }

    /// All that was acknowledged is there, unless retention has dropped it.
    fn at_rest(&mut self, channel: &'a str, at: &'a Pos, events: &'a [(u64, String)]) {
        let Some(known) = self.known.get(channel) else { return };
        let is_change = |data: &str| {
            let publish = self.by_data.get(&(channel, data));
            publish.and_then(|publish| self.sent.get(publish)?.change).is_some()
        };
        // Changes are in no page: what is known to be an event is missing, what may be one is not.
        let changes = self.sent.values().any(|one| one.channel == channel && one.change.is_some());
        let is_event = |offset: u64| {
            let at = Pos { epoch: at.epoch.clone(), offset };
            !changes || known.events.get(&at).is_some_and(|data| !is_change(data))
        };
        let missing = |pair: &[(u64, String)]| (pair[0].0 + 1..pair[1].0).any(is_event);
        let hole = events.windows(2).any(missing);
        let ends = events.last().is_none_or(|(last, _)| !(last + 1..=at.offset).any(is_event));
        if hole || !ends {
            let offsets: Vec<u64> = events.iter().map(|(offset, _)| *offset).collect();
            let what = format!("history of {channel} up to {} has only {offsets:?}", at.offset);
            self.found.add(Rule::Dense, what);
        }
        let there: BTreeSet<u64> = events.iter().map(|(offset, _)| *offset).collect();
        for (publish, ack) in &known.acks {
            let lost = if ack.epoch == at.epoch {
                let kept = ack.offset + known.keeps > at.offset;
                let is_event = self.sent.get(publish).is_some_and(|sent| sent.change.is_none());
                ack.offset > at.offset || (is_event && kept && !there.contains(&ack.offset))
            } else {
                // Its epoch ended with a loss.
                known.epochs.get(&*ack.epoch).is_none_or(|before| known.losses <= *before)
            };
            if lost {
                let (epoch, offset) = (&ack.epoch, ack.offset);
                let what = format!("publish {publish} had {epoch}:{offset} in {channel}");
                self.found.add(Rule::Lost, what);
            }
        }
    }

    /// Events say what they were changed to last, as far as anybody knows of it.
    fn versions(
        &mut self,
        channel: &'a str,
        at: &'a Pos,
        events: &'a [(u64, String)],
        changed: &'a [(u64, String)],
    ) {
        let Some(known) = self.known.get(channel) else { return };
        // What each event was changed to, and where that stands, if it is known.
        let mut versions = BTreeMap::<u64, Vec<(Option<u64>, &str)>>::new();
        for sent in self.sent.values().filter(|sent| sent.channel == channel) {
            if let Some(Changed { target, says: Some(says) }) = sent.change {
                let place = known.places.get(sent.data).and_then(|at_| at_.get(&*at.epoch));
                versions.entry(*target).or_default().push((place.copied(), says));
            }
        }
        let changed: BTreeMap<u64, &str> = changed.iter().map(|(o, data)| (*o, &**data)).collect();
        for (offset, _) in events {
            let all = versions.get(offset).map_or(&[][..], Vec::as_slice);
            let newest = all.iter().filter(|(place, _)| place.is_some()).max();
            let is = changed.get(offset).copied();
            let fits = match (is, newest) {
                (None, newest) => newest.is_none(),
                // Nobody may know yet of a change that was made behind the newest known one.
                (Some(is), newest) => all.iter().any(|(place, says)| {
                    *says == is && newest.is_none_or(|(last, _)| place.is_none() || place >= last)
                }),
            };
            let deleted = newest.is_some_and(|(_, says)| *says == "null");
            if !fits || (deleted && is != Some("null")) {
                let what = format!("{channel} at {offset} says {is:?}, and was changed: {all:?}");
                self.found.add(Rule::Version, what);
            }
        }
    }
}
