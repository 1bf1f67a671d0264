//! Expiry, compaction, forgetting.

mod common;

use common::{HOUR, KEEP, Model, START, open, open_with, options, segments, work};
use tidings_core::store::{Append, Retention, Store};
use tidings_store::{LogStore, Options, SimFs};

const DAY: u64 = 24 * HOUR;

fn bytes(fs: &SimFs) -> usize {
    segments(fs).iter().map(|n| fs.get(n).expect("it is there").len()).sum()
}

fn finish(store: &mut LogStore<SimFs>, now: u64) {
    let mut rounds = 0;
    while store.maintain(now).expect("upkeep works") {
        rounds += 1;
        assert!(rounds < 10_000, "upkeep comes to an end");
    }
}

#[test]
fn space_comes_back_and_nothing_that_is_kept_goes() {
    let fs = SimFs::new(1);
    let mut model = Model::default();
    let (mut store, _) = open(&fs);
    let few = Retention { size: 3, dedup_ms: 0, ..KEEP };
    let cold = Model::default().batch(&["cold", "cold"], KEEP);
    assert!(store.commit(START, &cold).iter().all(Result::is_ok));
    let mut at = START;
    for _ in 0..2000 {
        at += 10;
        let mut batch = model.batch(&["hot", "hot"], few);
        batch.iter_mut().for_each(|a| a.at_ms = at);
        for (append, outcome) in batch.iter().zip(store.commit(at, &batch)) {
            outcome.expect("in order");
            let known = model.channels.get_mut(&*append.channel).expect("known");
            known.acked.push(append.event.clone().expect("an event"));
        }
        store.maintain(at).expect("upkeep works");
    }
    finish(&mut store, at + 20_000);
    assert!(bytes(&fs) < 5 * 2048, "{} bytes for 5 events", bytes(&fs));
    fs.crash();
    let (mut store, report) = open(&fs);
    assert!(report.damage.is_empty(), "{:?}", report.damage);
    let hot = store.load(at, "hot").expect("loading works").expect("known");
    assert_eq!((hot.last_offset, hot.events.len()), (4000, 3));
    assert_eq!(hot.events[2].event, model.channels["hot"].acked[3999]);
    let kept = store.load(at, "cold").expect("loading works").expect("known");
    assert_eq!((kept.epoch, kept.events.len(), kept.keys.len()), (cold[0].epoch, 2, 2));
}

#[test]
fn a_position_survives_the_compaction_of_all_its_events() {
    let fs = SimFs::new(1);
    let (mut store, _) = open(&fs);
    let brief = Retention { size: 10, ttl_ms: 1000, dedup_ms: HOUR };
    let quiet = Model::default().batch(&["quiet", "quiet"], brief);
    assert!(store.commit(START, &quiet).iter().all(Result::is_ok));
    let mut model = Model::default();
    let late = START + 2000;
    for hours in [0, 2] {
        for _ in 0..300 {
            let batch = model.batch(&["busy"], Retention { size: 1, dedup_ms: 0, ..KEEP });
            assert!(model.commit(&mut store, &batch));
        }
        let now = late + hours * HOUR;
        finish(&mut store, now + 20_000);
        fs.crash();
        store = open(&fs).0;
        let loaded = store.load(now, "quiet").expect("loading works").expect("known");
        assert_eq!((loaded.epoch, loaded.last_offset), (quiet[0].epoch, 2));
        let dedup = if hours == 0 { 2 } else { 0 };
        assert_eq!((loaded.events.len(), loaded.keys.len()), (0, dedup), "after {hours} h");
        assert_eq!(loaded.producers.len(), dedup / 2);
    }
    assert!(segments(&fs)[0].as_str() > "seg-00000003.log");
}

/// The event had expired, so nobody missed it; but by its key it could be published twice.
#[test]
fn a_bit_that_flips_in_an_expired_event_takes_no_dedup_record_along() {
    for byte in 0..300 {
        let fs = SimFs::new(1);
        let (mut store, _) = open(&fs);
        let brief = Retention { size: 10, ttl_ms: 1000, dedup_ms: HOUR };
        let quiet = Model::default().batch(&["quiet", "quiet"], brief);
        assert!(store.commit(START, &quiet).iter().all(Result::is_ok));
        let name = segments(&fs).remove(0);
        fs.flip(&name, 128 + byte, 2).expect("it is there");
        let mut model = Model::default();
        for _ in 0..300 {
            let batch = model.batch(&["busy"], Retention { size: 1, dedup_ms: 0, ..KEEP });
            assert!(model.commit(&mut store, &batch));
        }
        finish(&mut store, START + 22_000);
        assert_ne!(segments(&fs).remove(0), name, "byte {byte}: it was compacted");
        fs.crash();
        let loaded = open(&fs).0.load(START + 22_000, "quiet").expect("loading works");
        let loaded = loaded.expect("known");
        let whole = (loaded.keys.len(), loaded.producers.len()) == (2, 1);
        assert!(whole, "byte {byte}: {loaded:?}");
        assert_eq!((loaded.epoch, loaded.last_offset), (quiet[0].epoch, 2), "byte {byte}");
    }
}

#[test]
fn a_channel_is_forgotten_when_nothing_of_it_is_left_and_it_was_idle_for_long() {
    let fs = SimFs::new(1);
    let (mut store, _) = open(&fs);
    let batch = Model::default().batch(&["a"], KEEP);
    store.commit(START, &batch)[0].as_ref().expect("in order");
    finish(&mut store, START + 29 * DAY);
    assert!(store.load(START + 29 * DAY, "a").expect("loading works").is_some());
    let later = START + 31 * DAY;
    finish(&mut store, later);
    assert!(store.load(later, "a").expect("loading works").is_none());
    // It can be used again from the start, under another epoch.
    let mut again = Append { at_ms: later, ..batch[0].clone() };
    again.epoch.0 += 1;
    store.commit(later, &[again.clone()])[0].as_ref().expect("it is new");
    fs.crash();
    let loaded = open(&fs).0.load(later, "a").expect("loading works").expect("known");
    assert_eq!((loaded.epoch, loaded.last_offset, loaded.events.len()), (again.epoch, 1, 1));
}

#[test]
fn thousands_of_expired_channels_do_not_keep_upkeep_busy_for_ever() {
    let fs = SimFs::new(1);
    let (mut store, _) = open_with(&fs, Options { segment_bytes: 16_384, ..options() });
    let brief = Retention { size: 1, ttl_ms: 1, dedup_ms: 1 };
    let one = Model::default().batch(&["x"], brief).remove(0);
    for n in 0..2000 {
        let append = Append { channel: format!("room:{n}").into(), ..one.clone() };
        store.commit(START, &[append])[0].as_ref().expect("in order");
    }
    let before = bytes(&fs);
    finish(&mut store, START + HOUR);
    assert!(bytes(&fs) < before);
    fs.crash();
    let opened = LogStore::open(fs.clone(), options(), START + HOUR);
    let (mut store, report) = opened.expect("the log opens");
    assert_eq!((report.channels, report.events), (2000, 0));
    let loaded = store.load(START + HOUR, "room:77").expect("loading works").expect("known");
    assert_eq!((loaded.epoch, loaded.last_offset), (one.epoch, 1));
}

#[test]
fn a_clock_that_is_set_back_expires_nothing() {
    let fs = SimFs::new(1);
    let mut model = Model::default();
    let (mut store, _) = open(&fs);
    assert!(work(&mut store, &mut model, 0..20, false));
    finish(&mut store, START);
    finish(&mut store, START - 365 * DAY);
    let loaded = store.load(START - 365 * DAY, "all").expect("loading works").expect("known");
    model.channels["all"].check_events(&loaded, "a year back");
    model.check(&mut store, "and now");
}

#[test]
fn a_big_log_opens_quickly() {
    let fs = SimFs::new(1);
    let big = Options { segment_bytes: 8 << 20, ..Options::new(1) };
    let (mut store, _) = open_with(&fs, big.clone());
    let mut model = Model::default();
    for _ in 0..100 {
        let channels = ["a", "b", "c", "d"].repeat(100);
        let mut batch = model.batch(&channels, KEEP);
        batch.iter_mut().for_each(|a| a.key = None);
        assert!(model.commit(&mut store, &batch));
    }
    drop(store);
    fs.crash();
    let before = std::time::Instant::now();
    let (_, report) = open_with(&fs, big);
    assert_eq!((report.channels, report.events), (4, 40_000));
    // Some hundred times what it takes, even without optimisation on a busy machine.
    assert!(before.elapsed().as_secs() < 20, "{:?}", before.elapsed());
}
