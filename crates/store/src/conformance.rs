//! The contract of [`Store`] as checks that any implementation can run in its tests.
//!
//! Each check panics with what was broken. What a crash or damage does depends on the disk and
//! is tested with each store.

use std::sync::Arc;

use bytes::Bytes;
use tidings_core::store::{
    Append, Epoch, Level, Loaded, Retention, Scoped, Store, StoreError, StoredEvent,
};

/// Milliseconds since 1970 at which the checks start.
const START: u64 = 1_700_000_000_000;

/// A retention under which nothing leaves during a check.
const KEEP: Retention = Retention { size: 1000, ttl_ms: 3_600_000, dedup_ms: 3_600_000 };

/// Runs every check, each against a store that `fresh` made. `reopen` closes a store and
/// opens what it kept; for a store that keeps nothing it may hand it back as it is.
pub fn run<S: Store>(mut fresh: impl FnMut() -> S, mut reopen: impl FnMut(S) -> S) {
    let checks: &[Check<S>] = &[
        a_channel_that_was_never_used_is_none,
        what_is_committed_is_loaded,
        it_is_all_there_after_reopening,
        an_append_that_leaves_a_hole_is_refused_and_changes_nothing,
        an_append_that_repeats_an_offset_is_refused,
        an_append_of_another_epoch_is_refused,
        the_first_offset_of_a_channel_is_one,
        many_appends_of_one_channel_share_a_batch,
        after_a_refused_append_the_rest_of_its_channel_is_refused_too,
        a_refused_publish_consumes_its_sequence_number,
        a_refused_publish_can_be_the_first_of_a_channel,
        the_newest_events_are_kept,
        old_events_expire_but_the_position_stays,
        dedup_records_outlive_their_event,
        dedup_records_leave_after_the_window,
        the_newest_retention_is_in_force,
        what_is_let_go_stays_gone,
        names_of_two_users_never_meet,
        an_empty_batch_is_nothing,
    ];
    for check in checks {
        check(fresh(), &mut reopen);
    }
}

type Reopen<'a, S> = &'a mut dyn FnMut(S) -> S;
type Check<S> = fn(S, Reopen<'_, S>);

fn name(of: &str) -> Scoped {
    Scoped { user: "ada".into(), name: of.into() }
}

/// An append of an event to `chat:lobby` in epoch 7.
fn event(offset: u64) -> Append {
    Append {
        channel: Arc::from("chat:lobby"),
        epoch: Epoch(7),
        offset,
        at_ms: START + offset,
        event: Some(Bytes::from(format!("{{\"n\":{offset}}}"))),
        producer: None,
        key: None,
        retention: KEEP,
    }
}

fn commit<S: Store>(store: &mut S, batch: &[Append]) -> Vec<Result<Level, StoreError>> {
    let out = store.commit(START, batch);
    assert_eq!(out.len(), batch.len(), "one outcome for each append");
    out
}

fn commit_all<S: Store>(store: &mut S, batch: &[Append]) {
    for outcome in commit(store, batch) {
        outcome.expect("the append is in order and must be taken");
    }
}

fn refused<S: Store>(store: &mut S, append: Append) {
    assert_eq!(commit(store, &[append]), [Err(StoreError::OutOfOrder)]);
}

fn lobby_at<S: Store>(store: &mut S, now: u64) -> Loaded {
    store.load(now, "chat:lobby").expect("loading works").expect("the channel is known")
}

fn lobby<S: Store>(store: &mut S) -> Loaded {
    lobby_at(store, START)
}

fn offsets(loaded: &Loaded) -> Vec<u64> {
    loaded.events.iter().map(|e| e.offset).collect()
}

fn a_channel_that_was_never_used_is_none<S: Store>(mut store: S, reopen: Reopen<'_, S>) {
    assert_eq!(store.load(START, "chat:lobby"), Ok(None));
    assert_eq!(reopen(store).load(START, "chat:lobby"), Ok(None));
}

fn what_is_committed_is_loaded<S: Store>(mut store: S, _: Reopen<'_, S>) {
    let mut append = event(1);
    append.producer = Some((name("phone"), 41));
    append.key = Some(name("k1"));
    commit_all(&mut store, std::slice::from_ref(&append));
    let loaded = lobby(&mut store);
    let expected = StoredEvent {
        offset: 1,
        at_ms: append.at_ms,
        event: append.event.expect("it has one"),
        producer: append.producer,
    };
    assert_eq!(loaded.events, [expected]);
    assert_eq!((loaded.epoch, loaded.last_offset), (Epoch(7), 1));
    assert_eq!((loaded.producers[0].seq, loaded.producers[0].offset), (41, Some(1)));
    assert_eq!((&loaded.keys[0].key, loaded.keys[0].offset), (&name("k1"), 1));
}

fn it_is_all_there_after_reopening<S: Store>(mut store: S, reopen: Reopen<'_, S>) {
    let mut appends: Vec<_> = (1..=20).map(event).collect();
    appends[4].producer = Some((name("phone"), 9));
    appends[5].key = Some(name("k"));
    commit_all(&mut store, &appends[..10]);
    commit_all(&mut store, &appends[10..]);
    let before = lobby(&mut store);
    let mut store = reopen(store);
    assert_eq!(lobby(&mut store), before);
    commit_all(&mut store, &[event(21)]);
    assert_eq!(lobby(&mut store).last_offset, 21);
}

fn an_append_that_leaves_a_hole_is_refused_and_changes_nothing<S: Store>(
    mut store: S,
    _: Reopen<'_, S>,
) {
    commit_all(&mut store, &[event(1)]);
    let before = lobby(&mut store);
    let mut hole = event(3);
    hole.key = Some(name("k"));
    hole.retention.size = 1;
    refused(&mut store, hole);
    assert_eq!(lobby(&mut store), before);
    commit_all(&mut store, &[event(2)]);
}

fn an_append_that_repeats_an_offset_is_refused<S: Store>(mut store: S, _: Reopen<'_, S>) {
    commit_all(&mut store, &[event(1), event(2)]);
    refused(&mut store, event(2));
    refused(&mut store, event(1));
}

fn an_append_of_another_epoch_is_refused<S: Store>(mut store: S, _: Reopen<'_, S>) {
    commit_all(&mut store, &[event(1)]);
    for offset in [1, 2] {
        refused(&mut store, Append { epoch: Epoch(8), ..event(offset) });
    }
    assert_eq!(lobby(&mut store).epoch, Epoch(7));
}

fn the_first_offset_of_a_channel_is_one<S: Store>(mut store: S, _: Reopen<'_, S>) {
    refused(&mut store, event(0));
    refused(&mut store, event(2));
    assert_eq!(store.load(START, "chat:lobby"), Ok(None));
    commit_all(&mut store, &[event(1)]);
}

fn many_appends_of_one_channel_share_a_batch<S: Store>(mut store: S, reopen: Reopen<'_, S>) {
    let batch: Vec<_> = (1..=300).map(event).collect();
    commit_all(&mut store, &batch);
    assert_eq!(offsets(&lobby(&mut reopen(store))), (1..=300).collect::<Vec<_>>());
}

fn after_a_refused_append_the_rest_of_its_channel_is_refused_too<S: Store>(
    mut store: S,
    reopen: Reopen<'_, S>,
) {
    let other = Append { channel: Arc::from("chat:other"), ..event(1) };
    let out = commit(&mut store, &[event(1), event(3), event(4), other]);
    assert!(out[0].is_ok() && out[3].is_ok());
    assert_eq!(out[1..3], [Err(StoreError::OutOfOrder), Err(StoreError::OutOfOrder)]);
    assert_eq!(offsets(&lobby(&mut reopen(store))), [1]);
}

fn a_refused_publish_consumes_its_sequence_number<S: Store>(mut store: S, reopen: Reopen<'_, S>) {
    let producer = |seq| Some((name("phone"), seq));
    commit_all(&mut store, &[Append { producer: producer(1), ..event(1) }]);
    let consumed = Append { event: None, producer: producer(2), ..event(1) };
    commit_all(&mut store, std::slice::from_ref(&consumed));
    refused(&mut store, Append { offset: 2, ..consumed });
    let mut store = reopen(store);
    let loaded = lobby(&mut store);
    assert_eq!((offsets(&loaded), loaded.last_offset), (vec![1], 1));
    assert_eq!((loaded.producers[0].seq, loaded.producers[0].offset), (2, None));
    commit_all(&mut store, &[event(2)]);
}

fn a_refused_publish_can_be_the_first_of_a_channel<S: Store>(mut store: S, reopen: Reopen<'_, S>) {
    let first = Append { event: None, producer: Some((name("phone"), 1)), ..event(0) };
    commit_all(&mut store, &[first]);
    let mut store = reopen(store);
    let loaded = lobby(&mut store);
    assert_eq!((loaded.epoch, loaded.last_offset, loaded.events.len()), (Epoch(7), 0, 0));
    commit_all(&mut store, &[event(1)]);
    assert_eq!(lobby(&mut store).producers.len(), 1);
}

fn the_newest_events_are_kept<S: Store>(mut store: S, reopen: Reopen<'_, S>) {
    let retention = Retention { size: 3, ..KEEP };
    let batch: Vec<_> = (1..=10).map(|n| Append { retention, ..event(n) }).collect();
    commit_all(&mut store, &batch);
    assert_eq!(offsets(&lobby(&mut store)), [8, 9, 10]);
    assert_eq!(offsets(&lobby(&mut reopen(store))), [8, 9, 10]);
}

fn old_events_expire_but_the_position_stays<S: Store>(mut store: S, reopen: Reopen<'_, S>) {
    let retention = Retention { ttl_ms: 1000, ..KEEP };
    let batch: Vec<_> = (1..=3).map(|n| Append { retention, ..event(n) }).collect();
    commit_all(&mut store, &batch);
    assert_eq!(offsets(&lobby_at(&mut store, START + 1002)), [2, 3]);
    while store.maintain(START + 2000).expect("upkeep works") {}
    let mut store = reopen(store);
    let loaded = lobby_at(&mut store, START + 2000);
    assert_eq!((loaded.epoch, loaded.last_offset, loaded.events), (Epoch(7), 3, vec![]));
    commit_all(&mut store, &[event(4)]);
}

fn dedup_records_outlive_their_event<S: Store>(mut store: S, reopen: Reopen<'_, S>) {
    let retention = Retention { size: 1, ..KEEP };
    let mut first = Append { retention, key: Some(name("k")), ..event(1) };
    first.producer = Some((name("phone"), 5));
    commit_all(&mut store, &[first, Append { retention, ..event(2) }]);
    while store.maintain(START).expect("upkeep works") {}
    let loaded = lobby(&mut reopen(store));
    assert_eq!(offsets(&loaded), [2]);
    assert_eq!((loaded.keys[0].offset, loaded.producers[0].offset), (1, Some(1)));
}

fn dedup_records_leave_after_the_window<S: Store>(mut store: S, reopen: Reopen<'_, S>) {
    let retention = Retention { dedup_ms: 500, ..KEEP };
    let mut append = Append { retention, key: Some(name("k")), ..event(1) };
    append.producer = Some((name("phone"), 5));
    commit_all(&mut store, &[append]);
    assert_eq!(lobby_at(&mut store, START + 501).keys.len(), 1);
    let loaded = lobby_at(&mut reopen(store), START + 502);
    assert_eq!((loaded.keys.len(), loaded.producers.len(), loaded.events.len()), (0, 0, 1));
}

fn the_newest_retention_is_in_force<S: Store>(mut store: S, reopen: Reopen<'_, S>) {
    commit_all(&mut store, &(1..=5).map(event).collect::<Vec<_>>());
    let retention = Retention { size: 2, ..KEEP };
    commit_all(&mut store, &[Append { retention, ..event(6) }]);
    assert_eq!(offsets(&lobby(&mut store)), [5, 6]);
    assert_eq!(offsets(&lobby(&mut reopen(store))), [5, 6]);
}

fn what_is_let_go_stays_gone<S: Store>(mut store: S, reopen: Reopen<'_, S>) {
    commit_all(&mut store, &(1..=3).map(event).collect::<Vec<_>>());
    let retention = Retention { size: 0, ttl_ms: 0, dedup_ms: 0 };
    commit_all(&mut store, &[Append { event: None, retention, ..event(3) }]);
    assert!(lobby(&mut store).events.is_empty());
    let mut store = reopen(store);
    assert!(lobby(&mut store).events.is_empty());
    while store.maintain(START).expect("upkeep works") {}
    let mut store = reopen(store);
    let loaded = lobby(&mut store);
    assert_eq!((loaded.last_offset, loaded.events), (3, vec![]));
}

fn names_of_two_users_never_meet<S: Store>(mut store: S, reopen: Reopen<'_, S>) {
    let key = |user: &str, name: &str| Some(Scoped { user: user.into(), name: name.into() });
    let keys = [key("a", "bc"), key("ab", "c"), key("", "abc"), key("1:a", "bc")];
    let batch = (1..).zip(&keys).map(|(n, k)| Append { key: k.clone(), ..event(n) });
    commit_all(&mut store, &batch.collect::<Vec<_>>());
    let loaded = lobby(&mut reopen(store));
    let back: Vec<_> = loaded.keys.into_iter().map(|k| Some(k.key)).collect();
    assert_eq!(back, keys);
}

fn an_empty_batch_is_nothing<S: Store>(mut store: S, _: Reopen<'_, S>) {
    assert_eq!(commit(&mut store, &[]), []);
}
