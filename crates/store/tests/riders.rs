//! What rides with an append shares its fate, whenever the power fails.

mod common;

use common::{KEEP, Model, START, open, options};
use tidings_core::store::{Append, Epoch, Store, StoreError};
use tidings_store::{LogStore, SimFs};

/// The channel of riders.
const QUEUE: &str = "\0queue";

/// A rider that says what it rides with.
fn rider(offset: u64, of: &Append) -> Append {
    Append {
        channel: QUEUE.into(),
        epoch: Epoch(5),
        offset,
        producer: None,
        key: None,
        event: Some(format!("{}@{}", of.channel, of.offset).into()),
        ..of.clone()
    }
}

/// Commits with a rider behind each append that is accepted. `false`: the disk has failed.
fn commit(store: &mut LogStore<SimFs>, last: &mut u64, batch: &[Append]) -> bool {
    let mut next = *last;
    let (outcomes, riders) = store.commit_with(START, batch, &mut |place, accepted| {
        let of = place.checked_sub(1).filter(|_| accepted).map(|place| &batch[place]);
        next += u64::from(of.is_some());
        of.map(|of| rider(next, of)).into_iter().collect()
    });
    if riders.is_ok() {
        *last = next;
    }
    outcomes.iter().all(Result::is_ok) && riders.is_ok()
}

fn texts(store: &mut LogStore<SimFs>, channel: &str) -> Vec<String> {
    let loaded = store.load(START, channel).expect("it can be read");
    let events = loaded.into_iter().flat_map(|loaded| loaded.events);
    events.map(|event| String::from_utf8_lossy(&event.event).into_owned()).collect()
}

/// All events have their riders, and no rider is without its event.
fn check(store: &mut LogStore<SimFs>, context: &str) -> usize {
    let queue = texts(store, QUEUE);
    let mut count = 0;
    for channel in ["ada", "bob"] {
        let events = texts(store, channel).len();
        let riders = queue.iter().filter(|text| text.starts_with(channel)).count();
        assert_eq!(events, riders, "{context}: {channel}");
        count += events;
    }
    count
}

#[test]
fn a_rider_is_there_if_and_only_if_its_event_is() {
    let mut kept = std::collections::BTreeSet::new();
    for step in 1..60 {
        for seed in 0..4 {
            let context = format!("step {step}, seed {seed}");
            let fs = SimFs::new(step * 1000 + seed);
            let mut store = LogStore::open(fs.clone(), options(), START).expect("it opens").0;
            let (mut model, mut last) = (Model::default(), 0);
            fs.cut_after(step);
            for _ in 0..12 {
                let batch = model.batch(&["ada", "bob", "ada"], KEEP);
                if !commit(&mut store, &mut last, &batch) {
                    break;
                }
                for append in batch {
                    let known = model.known(&append.channel, KEEP);
                    known.acked.extend(append.event);
                }
            }
            drop(store);
            fs.crash();
            kept.insert(check(&mut open(&fs).0, &context));
        }
    }
    assert!(kept.len() > 5, "it failed in the midst of it: {kept:?}");
}

#[test]
fn what_is_refused_has_no_rider() {
    let fs = SimFs::new(1);
    let (mut store, _) = open(&fs);
    let (mut model, mut last) = (Model::default(), 0);
    let mut batch = model.batch(&["ada", "ada"], KEEP);
    batch[0].offset = 7;
    batch[1].offset = 1;
    assert!(!commit(&mut store, &mut last, &batch));
    assert_eq!(texts(&mut store, QUEUE), ["ada@1"]);
    assert_eq!(check(&mut store, "refused"), 1);
}

#[test]
fn a_full_disk_refuses_riders_too_and_they_can_be_tried_again() {
    let fs = SimFs::new(1);
    let (mut store, _) = open(&fs);
    let (mut model, mut last) = (Model::default(), 0);
    let batch = model.batch(&["ada"], KEEP);
    fs.fail_writes(1);
    let (outcomes, riders) = store.commit_with(START, &batch, &mut |_, ok| {
        ok.then(|| rider(1, &batch[0])).into_iter().collect()
    });
    assert!(matches!(outcomes[..], [Err(StoreError::Io(_) | StoreError::Full)]) && riders.is_err());
    assert!(commit(&mut store, &mut last, &batch));
    drop(store);
    fs.kill();
    assert_eq!(check(&mut open(&fs).0, "again"), 1);
}
