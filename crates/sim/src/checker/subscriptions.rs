//! Rules about what one subscription is sent: order, completeness, where it starts and ends.

use std::collections::{BTreeMap, BTreeSet};

use super::{Found, History, Op, Pos, Rule};

/// How a subscription stands.
#[derive(Debug)]
struct Sub<'a> {
    channel: &'a str,
    connection: u64,
    epoch: &'a str,
    /// The last offset that it has; `None` in front of the events of a rewind.
    last: Option<u64>,
    /// Where it stood when it began: complete from there on.
    start: u64,
    rewind: u64,
    /// It asked for what cannot be recovered: a `gap` must come first.
    owed_gap: bool,
    open: bool,
}

pub(super) fn check(history: &History, found: &mut Found) {
    let mut subs = BTreeMap::<u64, Sub<'_>>::new();
    let spared = spared(history);
    for entry in &history.entries {
        match &entry.op {
            Op::Subscribed { subscription, connection, channel, at, since, rewind, recovered } => {
                let sub =
                    begin(found, (channel, *connection), at, since.as_ref(), *rewind, *recovered);
                subs.insert(*subscription, sub);
            }
            Op::Gap { subscription, from, to } => match subs.get_mut(subscription) {
                Some(sub) if sub.open => gap(found, sub, from, to),
                _ => found.add(Rule::Stray, "a gap outside of a subscription".into()),
            },
            Op::Delivered { subscription, channel, offset, data } => {
                match subs.get_mut(subscription) {
                    Some(sub) if sub.open && sub.channel == channel => {
                        if let Some(offset) = offset {
                            deliver(found, sub, *offset, data, &spared);
                        }
                    }
                    _ => {
                        let what = format!("{data} of {channel} came without a subscription");
                        found.add(Rule::Stray, what);
                    }
                }
            }
            Op::Unsubscribed { subscription } => {
                if let Some(sub) = subs.get_mut(subscription) {
                    sub.open = false;
                }
            }
            Op::Closed { connection } => {
                for sub in subs.values_mut().filter(|sub| sub.connection == *connection) {
                    sub.open = false;
                }
            }
            Op::Final { channel, at, .. } => {
                for sub in subs.values().filter(|sub| sub.open && sub.channel == channel) {
                    at_rest(found, sub, at, &spared);
                }
            }
            _ => {}
        }
    }
}

/// Which offsets of which channel which connection does not get: `echo: false`.
type Spared<'a> = BTreeMap<(u64, &'a str), BTreeSet<u64>>;

fn spared(history: &History) -> Spared<'_> {
    let mut by_publish = BTreeMap::new();
    let mut by_data = BTreeMap::new();
    for entry in &history.entries {
        if let Op::Publish { publish, channel, data, except: Some(connection), .. } = &entry.op {
            by_publish.insert(*publish, (*connection, &**channel));
            by_data.insert(&**data, (*connection, &**channel));
        }
    }
    let mut spared = Spared::new();
    let mut note = |key: Option<&(u64, _)>, offset: u64| {
        if let Some(key) = key {
            spared.entry(*key).or_default().insert(offset);
        }
    };
    for entry in &history.entries {
        match &entry.op {
            Op::Ok { publish, at: Some(at), .. } => note(by_publish.get(publish), at.offset),
            // Those whose acknowledgement was lost: others saw where they are.
            Op::Delivered { offset: Some(offset), data, .. } => {
                note(by_data.get(&**data), *offset);
            }
            Op::Final { events, .. } => {
                for (offset, data) in events {
                    note(by_data.get(&**data), *offset);
                }
            }
            _ => {}
        }
    }
    spared
}

fn begin<'a>(
    found: &mut Found,
    (channel, connection): (&'a str, u64),
    at: &'a Pos,
    since: Option<&Pos>,
    rewind: u64,
    recovered: bool,
) -> Sub<'a> {
    let (last, owed_gap) = match since {
        Some(since) if recovered => {
            if since.epoch != at.epoch || since.offset > at.offset {
                let what = format!("{channel}: {since:?} was `recovered` at {at:?}");
                found.add(Rule::SilentGap, what);
            }
            (Some(since.offset), false)
        }
        Some(_) => (None, true),
        None if rewind > 0 => (None, false),
        None => (Some(at.offset), false),
    };
    let (epoch, start) = (&*at.epoch, at.offset);
    Sub { channel, connection, epoch, last, start, rewind, owed_gap, open: true }
}

fn gap(found: &mut Found, sub: &mut Sub<'_>, from: &Pos, to: &Pos) {
    let channel = sub.channel;
    if to.epoch != sub.epoch {
        found.add(Rule::Epoch, format!("{channel}: a gap to another epoch, {to:?}"));
    }
    if let Some(last) = sub.last
        && (from.offset != last || to.offset <= last)
    {
        let what = format!("{channel}: a gap from {from:?} to {to:?} behind {last}");
        found.add(Rule::SilentGap, what);
    }
    (sub.last, sub.owed_gap) = (Some(to.offset), false);
}

fn deliver(found: &mut Found, sub: &mut Sub<'_>, offset: u64, data: &str, spared: &Spared<'_>) {
    let channel = sub.channel;
    if sub.owed_gap {
        let what = format!("{channel}: {data} at {offset} came in front of the gap that was due");
        found.add(Rule::SilentGap, what);
        sub.owed_gap = false;
    }
    let last = match sub.last {
        Some(last) => last,
        // Nothing to rewind to was left: it begins with what came later.
        None if offset > sub.start => sub.start,
        // The first event of a rewind: not further back than asked.
        None => {
            if offset < (sub.start + 1).saturating_sub(sub.rewind).max(1) {
                let start = sub.start;
                let what = format!("{channel}: a rewind at {start} begins with {offset}");
                found.add(Rule::SilentGap, what);
            }
            offset.saturating_sub(1)
        }
    };
    if offset <= last {
        found.add(Rule::Order, format!("{channel}: {data} at {offset} came behind {last}"));
        return;
    }
    let skipped = |offset: &u64| !is_spared(sub, *offset, spared);
    if let Some(missing) = (last + 1..offset).find(skipped) {
        let what = format!("{channel}: {offset} came behind {last}, {missing} is missing");
        found.add(Rule::SilentGap, what);
    }
    sub.last = Some(offset);
}

fn is_spared(sub: &Sub<'_>, offset: u64, spared: &Spared<'_>) -> bool {
    spared.get(&(sub.connection, sub.channel)).is_some_and(|set| set.contains(&offset))
}

/// A subscription that is open has everything.
fn at_rest(found: &mut Found, sub: &Sub<'_>, at: &Pos, spared: &Spared<'_>) {
    let channel = sub.channel;
    let last = sub.last.unwrap_or(sub.start);
    let missing = (last + 1..=at.offset).find(|offset| !is_spared(sub, *offset, spared));
    if sub.epoch != at.epoch || sub.owed_gap || missing.is_some() {
        let what = format!("{channel} is at {at:?}, a subscriber at {}:{last}", sub.epoch);
        found.add(Rule::SilentGap, what);
    }
}
