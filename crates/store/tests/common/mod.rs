//! A scripted workload and what must be true of a store after it.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use tidings_core::store::{Append, Epoch, Loaded, Retention, Scoped, Store, StoreError};
use tidings_store::{LogStore, OpenReport, Options, SimFs};

pub(crate) const START: u64 = 1_700_000_000_000;
pub(crate) const HOUR: u64 = 3_600_000;
pub(crate) const KEEP: Retention = Retention { size: 100_000, ttl_ms: HOUR, dedup_ms: HOUR };

pub(crate) fn options() -> Options {
    Options { segment_bytes: 2048, step_bytes: 600, ..Options::new(42) }
}

pub(crate) fn open(fs: &SimFs) -> (LogStore<SimFs>, OpenReport) {
    open_with(fs, options())
}

pub(crate) fn open_with(fs: &SimFs, options: Options) -> (LogStore<SimFs>, OpenReport) {
    LogStore::open(fs.clone(), options, START).expect("the log opens")
}

/// The segments of a log, oldest first.
pub(crate) fn segments(fs: &SimFs) -> Vec<String> {
    let mut names = tidings_store::Fs::list(fs).expect("listing works");
    names.retain(|n| n.starts_with("seg-"));
    names.sort();
    names
}

pub(crate) fn scoped(name: &str) -> Scoped {
    Scoped { user: "ada".into(), name: name.into() }
}

/// What was asked of a store and what it answered.
#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) channels: BTreeMap<String, Known>,
    /// Tells attempts at the same offset apart.
    pub(crate) attempt: u64,
}

#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) epoch: Epoch,
    pub(crate) retention: Retention,
    /// The acknowledged events: the one with offset 1 first.
    pub(crate) acked: Vec<Bytes>,
    /// Appends whose outcome is not known: they may be there after a crash.
    pub(crate) unknown: Vec<Bytes>,
    /// Acknowledged sequence number and key of each event.
    pub(crate) seq: u64,
}

impl Model {
    pub(crate) fn known(&mut self, channel: &str, retention: Retention) -> &mut Known {
        let epoch = Epoch(1000 + channel.len() as u64);
        let new = Known { epoch, retention, acked: vec![], unknown: vec![], seq: 0 };
        self.channels.entry(channel.to_owned()).or_insert(new)
    }

    /// Appends for the channels named, in order.
    pub(crate) fn batch(&mut self, channels: &[&str], retention: Retention) -> Vec<Append> {
        self.attempt += 1;
        let attempt = self.attempt;
        let mut used = HashMap::<&str, u64>::new();
        let mut out = Vec::new();
        for channel in channels {
            let nth = used.entry(channel).or_default();
            *nth += 1;
            let known = self.known(channel, retention);
            let offset = known.acked.len() as u64 + *nth;
            let pad = "x".repeat((offset as usize * 37) % 150);
            let text = format!("{{\"in\":\"{channel}\",\"n\":{offset},\"try\":{attempt}{pad}}}");
            out.push(Append {
                channel: Arc::from(*channel),
                epoch: known.epoch,
                offset,
                at_ms: START,
                event: Some(text.into()),
                producer: Some((scoped("phone"), offset)),
                // Keys are kept for their window, so a channel with keys leaves little to compact.
                key: (*channel != "busy").then(|| scoped(&format!("k{offset}"))),
                retention: known.retention,
            });
        }
        out
    }

    /// Commits and notes the outcomes. `false` if any append was not acknowledged.
    pub(crate) fn commit(&mut self, store: &mut impl Store, batch: &[Append]) -> bool {
        let out = store.commit(START, batch);
        for (append, outcome) in batch.iter().zip(&out) {
            let known = self.channels.get_mut(&*append.channel).expect("it is in the model");
            let event = append.event.clone().expect("the workload appends events");
            match outcome {
                Ok(_) => {
                    known.acked.push(event);
                    known.unknown.clear();
                }
                Err(StoreError::OutOfOrder) => panic!("the workload is in order"),
                Err(_) => known.unknown.push(event),
            }
        }
        out.iter().all(Result::is_ok)
    }

    /// After a crash: nothing acknowledged is missing, nothing is there that was not sent, and no
    /// epoch changed. What was unknown is known afterwards.
    pub(crate) fn check(&mut self, store: &mut impl Store, context: &str) {
        for (name, known) in &mut self.channels {
            let loaded = store.load(START, name).expect("loading works");
            let Some(loaded) = loaded else {
                assert!(known.acked.is_empty(), "{context}: {name} is gone");
                known.unknown.clear();
                continue;
            };
            assert_eq!(loaded.epoch, known.epoch, "{context}: {name} has another epoch");
            let unknown = std::mem::take(&mut known.unknown);
            let more = (loaded.last_offset as usize).checked_sub(known.acked.len());
            let more = more.unwrap_or_else(|| panic!("{context}: {name} lost acknowledged events"));
            assert!(more == 0 || more == unknown.len(), "{context}: {name}: half a batch");
            known.acked.extend(unknown.into_iter().take(more));
            known.check_events(&loaded, &format!("{context}: {name}"));
        }
    }
}

impl Known {
    /// The kept events are the newest ones that were acknowledged, and so are the dedup records.
    pub(crate) fn check_events(&self, loaded: &Loaded, context: &str) {
        let kept = self.acked.len().min(self.retention.size as usize);
        let first = self.acked.len() - kept;
        assert_eq!(loaded.events.len(), kept, "{context}: events are missing");
        for (i, event) in loaded.events.iter().enumerate() {
            assert_eq!(event.offset as usize, first + i + 1, "{context}: not dense");
            assert_eq!(event.event, self.acked[first + i], "{context}: another event");
        }
        if !self.acked.is_empty() {
            let last = self.acked.len() as u64;
            let producer = loaded.producers.first().map(|p| (p.seq, p.offset));
            assert_eq!(producer, Some((last, Some(last))), "{context}: the producer's number");
            let keys = if context.ends_with("busy") { 0 } else { last };
            assert_eq!(loaded.keys.len() as u64, keys, "{context}: keys are missing");
            assert!((1..).zip(&loaded.keys).all(|(n, k)| k.offset == n), "{context}: keys");
        }
    }
}

/// A busy channel that keeps few events, one that keeps all, and one that is touched once.
pub(crate) fn script(turn: u64) -> (Vec<&'static str>, Retention) {
    let few = Retention { size: 3, ..KEEP };
    match turn % 5 {
        _ if turn == 0 => (vec!["once"], KEEP),
        0 | 2 => (vec!["busy", "busy", "busy"], few),
        1 if turn < 12 => (vec!["all"], KEEP),
        3 if turn < 12 => (vec!["busy", "all", "busy", "late"], few),
        _ => (vec!["busy", "busy"], few),
    }
}

/// Runs the workload until an append fails or it is over; `true` if it is over.
pub(crate) fn work(
    store: &mut LogStore<SimFs>,
    model: &mut Model,
    turns: std::ops::Range<u64>,
    upkeep: bool,
) -> bool {
    for turn in turns {
        let (channels, retention) = script(turn);
        let retention = if channels.contains(&"all") { KEEP } else { retention };
        let batch = model.batch(&channels, retention);
        if !model.commit(store, &batch) || upkeep && store.maintain(START).is_err() {
            return false;
        }
    }
    true
}
