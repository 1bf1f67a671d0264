//! Decides which channels need a new epoch, given the damage that was found.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::error::OpenReport;
use crate::frame::FSYNC;
use crate::index::Channel;
use crate::mark::Mark;
use crate::replay::Replay;
use crate::salvage::Lost;
use crate::wire::hash;

/// What must be written before the log may be served.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Why every channel gets a new epoch, if so.
    pub(crate) renew_all: Option<String>,
    /// The slots of the channels that get a new epoch.
    pub(crate) renew: Vec<u32>,
    /// Damaged channels of which nothing is left.
    pub(crate) vanished: u64,
    /// The keys of the damage that there was: it must be noted as dealt with.
    pub(crate) handled: Vec<u64>,
    pub(crate) clean: bool,
}

/// `boot`: this run of the operating system.
pub(crate) fn judge(replay: &Replay, mark: Option<Mark>, boot: Option<u64>, now: u64) -> Verdict {
    let clean = mark.is_some_and(|m| {
        m.clean && m.lsn + 1 == replay.next_lsn && replay.salt.is_none_or(|s| s == m.salt)
    });
    let handled: BTreeSet<u64> = replay.damage.iter().map(|d| d.key).collect();
    let handled = handled.into_iter().collect();
    let mut verdict = Verdict { handled, clean, ..Verdict::default() };
    let unsure = replay.damage.iter().find(|d| matches!(d.what, Lost::Anything));
    verdict.renew_all = unsure.map(|d| d.why.clone());
    if replay.suspect {
        verdict.renew_all = Some("a sync failed before the log was left".to_owned());
    }
    // At level `Os` the end of the log may be gone without a trace, whatever channels it was of.
    let os = replay.last.is_some_and(|h| h.flags & FSYNC == 0 && boot.is_none_or(|b| b != h.boot));
    if os && !clean {
        verdict.renew_all = Some("the machine stopped, and the end was not synced".to_owned());
    }
    if verdict.renew_all.is_none() && !verdict.handled.is_empty() {
        one_by_one(replay, now, &mut verdict);
    }
    verdict
}

fn one_by_one(replay: &Replay, now: u64, verdict: &mut Verdict) {
    let mut damaged = HashMap::<u64, Vec<Lost>>::new();
    for d in &replay.damage {
        if let Lost::Of { hash, .. } = d.what {
            damaged.entry(hash).or_default().push(d.what);
        }
    }
    let mut met = HashSet::new();
    for channel in replay.index.iter() {
        let hash = hash(&channel.name);
        let Some(lost) = damaged.get(&hash) else { continue };
        met.insert(hash);
        if lost.iter().any(|l| is_missed(channel, l, now)) {
            verdict.renew.extend(replay.index.find(&channel.name));
        }
    }
    verdict.vanished = damaged.keys().filter(|h| !met.contains(h)).count() as u64;
}

/// Whether anything that should still be there was lost: not if it was copied elsewhere, or
/// retention would have dropped it anyway.
fn is_missed(channel: &Channel, lost: &Lost, now: u64) -> bool {
    let Lost::Of { min, max, at_ms, special, .. } = *lost else { return true };
    let older = |ms: u64| at_ms.is_some_and(|at| at.saturating_add(ms) < now);
    let dedup_gone = older(channel.retention.dedup_ms);
    if special {
        return true;
    }
    (min..=max).any(|offset| {
        let by_size = offset.saturating_add(u64::from(channel.retention.size)) <= channel.last;
        let expired = (by_size || older(channel.retention.ttl_ms)) && dedup_gone;
        channel.entry(offset).is_none() && !expired
    })
}

/// What was found, for the one who opened the log.
pub(crate) fn report(replay: &Replay, verdict: &Verdict) -> OpenReport {
    let mut damage: Vec<String> = replay.damage.iter().map(|d| d.why.clone()).collect();
    damage.extend(verdict.renew_all.clone());
    damage.extend(replay.notes.iter().cloned());
    damage.dedup();
    OpenReport {
        segments: replay.chain.len() as u64,
        bytes: replay.chain.values().map(|&len| u64::from(len)).sum(),
        torn_bytes: replay.torn_bytes,
        clean: verdict.clean,
        damage,
        all_renewed: verdict.renew_all.is_some(),
        vanished: verdict.vanished,
        ..OpenReport::default()
    }
}
