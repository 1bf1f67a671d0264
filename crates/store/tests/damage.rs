//! Bits that flip, files that are cut or deleted.

mod common;

use common::{KEEP, Model, START, open, open_with, options, segments, work};
use tidings_core::store::{Append, Loaded, Store};
use tidings_store::{LogStore, Options, SimFs};

/// A log of three channels that keep all, written over several segments, not closed.
fn log() -> (SimFs, Model) {
    let fs = SimFs::new(1);
    let mut model = Model::default();
    let (mut store, _) = open(&fs);
    for turn in 0..40u64 {
        let channels: &[&str] = match turn % 4 {
            0 => &["a", "bb", "a"],
            1 => &["bb"],
            2 => &["a", "ccc", "ccc"],
            _ => &["ccc"],
        };
        let batch = model.batch(channels, KEEP);
        assert!(model.commit(&mut store, &batch));
    }
    (fs, model)
}

/// A stream of places: not random, but it hits everything.
fn place(seed: u64, of: usize) -> usize {
    (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize % of
}

/// What is loaded was really sent, is dense, and ends at the last offset.
fn never_wrong(loaded: &Loaded, sent: &[bytes::Bytes], context: &str) {
    let low = loaded.last_offset + 1 - loaded.events.len() as u64;
    for (offset, event) in (low..).zip(&loaded.events) {
        assert_eq!(event.offset, offset, "{context}: not dense");
        assert_eq!(event.event, sent[offset as usize - 1], "{context}: another event");
    }
}

/// Whether all that was acknowledged is there.
fn complete(loaded: Option<&Loaded>, sent: &[bytes::Bytes]) -> bool {
    loaded.is_some_and(|l| l.events.len() == sent.len() && l.keys.len() == sent.len())
}

fn load(store: &mut LogStore<SimFs>, name: &str) -> Option<Loaded> {
    store.load(START, name).expect("loading works")
}

#[test]
fn a_flipped_bit_changes_the_epoch_of_the_channel_that_lost_and_of_no_other() {
    let (fs, model) = log();
    let names = segments(&fs);
    let mut lost = 0;
    for seed in 0..1500u64 {
        let fs = fs.fork(seed);
        let name = &names[place(seed, names.len())];
        let at = place(seed * 31 + 7, fs.get(name).expect("it is there").len());
        let context = format!("{name} byte {at}");
        fs.flip(name, at, (seed % 8) as u32).expect("it is there");
        let (mut store, report) = open(&fs);
        assert!(!report.all_renewed, "{context}: {:?}", report.damage);
        let mut changed = 0;
        for (name, known) in &model.channels {
            let loaded = load(&mut store, name);
            let same = loaded.as_ref().is_some_and(|l| l.epoch == known.epoch);
            let whole = complete(loaded.as_ref(), &known.acked);
            assert_eq!(same, whole, "{context}: {name}: {:?}", report.damage);
            changed += u32::from(!same);
            never_wrong(&loaded.expect("something is left"), &known.acked, &context);
        }
        assert!(changed <= 1, "{context}: one bit is in one record");
        assert_eq!(changed as usize, report.renewed.len(), "{context}");
        lost += changed;
        same_again(&mut store, &fs, &model, &context);
    }
    assert!(lost > 500, "most bits belong to events: {lost}");
}

/// What was decided is decided once: opening again changes nothing.
fn same_again(store: &mut LogStore<SimFs>, fs: &SimFs, model: &Model, context: &str) {
    let before: Vec<_> = model.channels.keys().map(|n| load(store, n)).collect();
    fs.kill();
    let (mut store, report) = open(fs);
    assert!(report.renewed.is_empty() && !report.all_renewed, "{context}: {report:?}");
    for (name, before) in model.channels.keys().zip(before) {
        let (before, after) = (summary(before.as_ref()), summary(load(&mut store, name).as_ref()));
        assert_eq!(before, after, "{context}: {name}");
    }
}

fn summary(loaded: Option<&Loaded>) -> Option<(u64, u64, usize)> {
    loaded.map(|l| (l.epoch.0, l.last_offset, l.events.len()))
}

#[test]
fn many_flipped_bits_are_never_served() {
    let (fs, model) = log();
    let names = segments(&fs);
    for seed in 0..300u64 {
        let fs = fs.fork(seed);
        for n in 0..=seed % 20 {
            let name = &names[place(seed * 41 + n, names.len())];
            let at = place(seed * 1009 + n * 17, fs.get(name).expect("it is there").len());
            fs.flip(name, at, (n % 8) as u32).expect("it is there");
        }
        let (mut store, report) = open(&fs);
        for (name, known) in &model.channels {
            let Some(loaded) = load(&mut store, name) else { continue };
            never_wrong(&loaded, &known.acked, &format!("seed {seed}"));
            let same = loaded.epoch == known.epoch;
            let whole = complete(Some(&loaded), &known.acked);
            assert!(!same || whole, "seed {seed}: {name} lost something: {report:?}");
        }
        same_again(&mut store, &fs, &model, &format!("seed {seed}"));
    }
}

#[test]
fn a_bit_that_flips_under_a_running_server_is_found_by_the_load() {
    let (fs, model) = log();
    let names = segments(&fs);
    let mut found = 0;
    for seed in 0..400u64 {
        let fs = fs.fork(seed);
        let (mut store, _) = open(&fs);
        let name = &names[place(seed, names.len())];
        let at = place(seed * 13 + 5, fs.get(name).expect("it is there").len());
        fs.flip(name, at, 3).expect("it is there");
        for (name, known) in &model.channels {
            let loaded = load(&mut store, name).expect("it is known");
            never_wrong(&loaded, &known.acked, &format!("seed {seed}"));
            let same = loaded.epoch == known.epoch;
            assert_eq!(same, loaded.events.len() == known.acked.len(), "seed {seed}: {name}");
            found += u32::from(!same);
            assert_eq!(load(&mut store, name), Some(loaded), "the decision is taken once");
        }
        same_again(&mut store, &fs, &model, &format!("seed {seed}"));
    }
    assert!(found > 100, "{found}");
}

#[test]
fn a_channel_goes_on_under_its_new_epoch() {
    let (fs, model) = log();
    let name = &segments(&fs)[1];
    fs.flip(name, 128 + 40 + 60, 1).expect("it is there");
    let (mut store, report) = open(&fs);
    let channel = report.renewed.first().expect("a channel lost an event").clone();
    let known = &model.channels[&*channel];
    let loaded = load(&mut store, &channel).expect("it is known");
    let mut append = Model::default().batch(&[&channel], KEEP).remove(0);
    append.offset = loaded.last_offset + 1;
    let refused = store.commit(START, &[Append { epoch: known.epoch, ..append.clone() }]);
    assert!(refused[0].is_err(), "the old epoch is over");
    append.epoch = loaded.epoch;
    store.commit(START, &[append])[0].as_ref().expect("the new one goes on");
    fs.crash();
    let again = load(&mut open(&fs).0, &channel).expect("it is known");
    assert_eq!((again.epoch, again.last_offset), (loaded.epoch, loaded.last_offset + 1));
}

#[test]
fn a_missing_segment_changes_every_epoch_for_whose_it_was_cannot_be_told() {
    let (fs, model) = log();
    for name in segments(&fs) {
        let fs = fs.fork(1);
        fs.delete(&name).expect("it is there");
        let (mut store, report) = open(&fs);
        assert!(report.all_renewed, "{name}: {report:?}");
        for (channel, known) in &model.channels {
            let Some(loaded) = load(&mut store, channel) else { continue };
            assert_ne!(loaded.epoch, known.epoch, "{name}: {channel}");
            never_wrong(&loaded, &known.acked, &name);
        }
        same_again(&mut store, &fs, &model, &name);
    }
}

#[test]
fn a_cut_segment_with_a_later_one_is_damage() {
    let (fs, model) = log();
    let names = segments(&fs);
    for name in &names[..names.len() - 1] {
        for keep in [0, 1, 127, 128, 500, 1500] {
            let fs = fs.fork(1);
            let keep = keep.min(fs.get(name).expect("it is there").len() - 300);
            fs.cut_file(name, keep).expect("it is there");
            let (mut store, report) = open(&fs);
            assert!(report.all_renewed, "{name} at {keep}: {report:?}");
            for (channel, known) in &model.channels {
                let Some(loaded) = load(&mut store, channel) else { continue };
                assert_ne!(loaded.epoch, known.epoch);
                never_wrong(&loaded, &known.acked, name);
            }
            same_again(&mut store, &fs, &model, name);
        }
    }
}

#[test]
fn a_zeroed_sector_is_torn_at_the_very_end_and_damage_elsewhere() {
    let (fs, model) = log();
    let names = segments(&fs);
    for name in &names[..names.len() - 1] {
        let fs = fs.fork(1);
        let mut bytes = fs.get(name).expect("it is there");
        bytes[512..1024].fill(0);
        fs.put(name, &bytes);
        let (mut store, report) = open(&fs);
        assert!(report.all_renewed || !report.renewed.is_empty(), "{name}");
        for (channel, known) in &model.channels {
            let Some(loaded) = load(&mut store, channel) else { continue };
            never_wrong(&loaded, &known.acked, name);
            let whole = complete(Some(&loaded), &known.acked);
            assert!(whole || loaded.epoch != known.epoch, "{name}: {channel}");
        }
    }
}

#[test]
fn a_damaged_mark_does_no_harm() {
    let (fs, mut model) = log();
    let len = fs.get("mark").expect("there is one").len();
    for at in 0..len {
        let fs = fs.fork(1);
        fs.flip("mark", at, 2).expect("it is there");
        let (mut store, report) = open(&fs);
        assert!(!report.all_renewed && report.renewed.is_empty());
        model.check(&mut store, "with a damaged mark");
    }
    fs.delete("mark").expect("it is there");
    model.check(&mut open(&fs).0, "without a mark");
}

#[test]
fn damage_in_a_log_that_was_compacted_is_never_served() {
    let fs = SimFs::new(1);
    let mut model = Model::default();
    let (mut store, _) = open(&fs);
    assert!(work(&mut store, &mut model, 0..70, true));
    while store.maintain(START).expect("upkeep works") {}
    let names = segments(&fs);
    assert_ne!(names[0], "seg-00000001.log", "it was compacted");
    for seed in 0..600u64 {
        let fs = fs.fork(seed);
        let name = &names[place(seed, names.len())];
        let at = place(seed * 77 + 3, fs.get(name).expect("it is there").len());
        fs.flip(name, at, (seed % 8) as u32).expect("it is there");
        let context = format!("{name} byte {at}");
        let (mut store, report) = open(&fs);
        for (channel, known) in &model.channels {
            let Some(loaded) = load(&mut store, channel) else {
                assert!(report.vanished == 1 || report.all_renewed, "{context}: {report:?}");
                continue;
            };
            never_wrong(&loaded, &known.acked, &context);
            if loaded.epoch == known.epoch {
                known.check_events(&loaded, &format!("{report:?} {context}: {channel}"));
            }
        }
        same_again(&mut store, &fs, &model, &context);
    }
}

#[test]
fn compaction_that_meets_damage_changes_the_epoch_of_whom_it_hurts() {
    let mut hurt = 0;
    for seed in 0..200u64 {
        let fs = SimFs::new(seed);
        let mut model = Model::default();
        let big = Options { segment_bytes: 4096, ..options() };
        let (mut store, _) = open_with(&fs, big.clone());
        assert!(work(&mut store, &mut model, 0..30, false));
        let name = &segments(&fs)[0];
        let at = 128 + place(seed, fs.get(name).expect("it is there").len() - 128);
        fs.flip(name, at, 1).expect("it is there");
        assert!(work(&mut store, &mut model, 30..31, false));
        let mut rounds = 0;
        while store.maintain(START).expect("upkeep works") {
            rounds += 1;
            assert!(rounds < 1000, "upkeep comes to an end");
        }
        assert!(segments(&fs)[0] > *name, "seed {seed}: the segment is gone");
        drop(store);
        fs.crash();
        let (mut store, report) = open_with(&fs, big);
        assert!(report.damage.is_empty(), "seed {seed}: it left with its segment: {report:?}");
        for (channel, known) in &model.channels {
            let loaded = load(&mut store, channel).expect("it is known");
            never_wrong(&loaded, &known.acked, &format!("seed {seed}: {channel}"));
            let kept = known.acked.len().min(known.retention.size as usize);
            let whole = loaded.events.len() == kept;
            assert_eq!(whole, loaded.epoch == known.epoch, "seed {seed}: {channel}");
            hurt += u32::from(!whole);
        }
    }
    assert!(hurt > 10, "{hurt}");
}

/// All channels of the model, in its order. `None`: nothing of the channel is left.
type Views = Vec<Option<Loaded>>;

fn views(store: &mut LogStore<SimFs>, model: &Model) -> Views {
    model.channels.keys().map(|name| load(store, name)).collect()
}

/// A channel with the epoch that it had still has all that it had.
fn nothing_went_silently(before: &Views, after: &Views, context: &str) -> usize {
    let mut changed = 0;
    for (before, after) in before.iter().zip(after) {
        let (Some(before), Some(after)) = (before, after) else { continue };
        let same = before.epoch == after.epoch;
        assert!(!same || before == after, "{context}: {before:#?} became {after:#?}");
        changed += usize::from(!same);
    }
    changed
}

#[test]
fn what_breaks_after_earlier_damage_was_dealt_with_is_judged_too() {
    let (fs, model) = log();
    let names = segments(&fs);
    let mut later = 0;
    for seed in 0..150u64 {
        let fs = fs.fork(seed);
        let mut before: Option<Views> = None;
        for round in 0..5u64 {
            // In the segments of before the first decision, so that every decision stands behind.
            let name = &names[place(seed * 5 + round, names.len())];
            let at = place(seed * 131 + round * 29, fs.get(name).expect("it is there").len());
            let context = format!("seed {seed} round {round}: {name} byte {at}");
            fs.flip(name, at, (round % 8) as u32).expect("it is there");
            let (mut store, report) = open(&fs);
            let context = format!("{context}: {report:?}");
            let after = views(&mut store, &model);
            for ((_, known), loaded) in model.channels.iter().zip(&after) {
                if let Some(loaded) = loaded {
                    never_wrong(loaded, &known.acked, &context);
                }
            }
            if let Some(before) = &before {
                later += nothing_went_silently(before, &after, &context);
            }
            before = Some(after);
            same_again(&mut store, &fs, &model, &context);
        }
    }
    assert!(later > 200, "most later bits hit what was still kept: {later}");
}

#[test]
fn a_renewal_by_a_load_does_not_hide_what_breaks_later_in_the_same_channel() {
    let (fs, model) = log();
    let names = segments(&fs);
    let (mut by_load, mut later) = (0, 0);
    for seed in 0..150u64 {
        let fs = fs.fork(seed);
        let flip = |n: u64| {
            let name = &names[place(seed * 3 + n, names.len())];
            let at = place(seed * 97 + n * 11, fs.get(name).expect("it is there").len());
            fs.flip(name, at, 2).expect("it is there");
        };
        let (mut store, _) = open(&fs);
        flip(0);
        let before = views(&mut store, &model);
        by_load += model
            .channels
            .values()
            .zip(&before)
            .filter(|(known, loaded)| loaded.as_ref().is_some_and(|l| l.epoch != known.epoch))
            .count();
        flip(1);
        fs.kill();
        let (mut store, report) = open(&fs);
        let after = views(&mut store, &model);
        later += events_gone(&before, &after, &format!("seed {seed}: {report:?}"));
        same_again(&mut store, &fs, &model, &format!("seed {seed}"));
    }
    assert!(by_load > 50 && later > 50, "{by_load} {later}");
}

/// Like `nothing_went_silently` for a log that went on being served between two bits: dedup records
/// of events that a load gave up were still in memory then.
fn events_gone(before: &Views, after: &Views, context: &str) -> usize {
    let mut changed = 0;
    for (before, after) in before.iter().zip(after) {
        let (Some(before), Some(after)) = (before, after) else { continue };
        let same = before.epoch == after.epoch;
        assert!(!same || before.events == after.events, "{context}: {before:#?}, {after:#?}");
        changed += usize::from(!same);
    }
    changed
}

/// Where the records of the batch at `batch` start; the last one is its table of contents.
fn records(bytes: &[u8], batch: usize) -> Vec<usize> {
    let number =
        |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    let mut at = batch + 40;
    let mut out = Vec::new();
    for _ in 0..number(batch + 16) {
        out.push(at);
        at += 40 + number(at + 12);
    }
    out
}

#[test]
fn a_record_header_and_the_table_of_its_batch_lost_together_change_every_epoch() {
    let (fs, model) = log();
    let bytes = fs.get(&segments(&fs)[0]).expect("it is there");
    // The first batch holds a, bb, a.
    let places = records(&bytes, 128);
    let (table, events) = places.split_last().expect("a batch has a table");
    assert_eq!(events.len(), 3);
    for (n, event) in events.iter().enumerate() {
        // Without the table the number of records is known from the header of the batch, or from
        // that of the table if only its payload is hit; whose record is missing is not.
        for (table, header) in [(table + 9, false), (table + 9, true), (table + 45, true)] {
            let fs = fs.fork(1);
            let name = &segments(&fs)[0];
            let hit = [event + 17, table].into_iter().chain(header.then_some(128 + 9));
            hit.for_each(|at| fs.flip(name, at, 4).expect("it is there"));
            let (mut store, report) = open(&fs);
            let context = format!("record {n}, table at {table}, batch header {header}");
            assert!(report.all_renewed, "{context}: {report:?}");
            for (channel, known) in &model.channels {
                let loaded = load(&mut store, channel).expect("it is known");
                assert_ne!(loaded.epoch, known.epoch, "{context}: {channel}");
                never_wrong(&loaded, &known.acked, &context);
            }
            same_again(&mut store, &fs, &model, &context);
        }
    }
}
