//! Changes that are merged, stored, and told; and what somebody lacks who comes.

use serde_json::json;
use tidings_core::store::StoreError;
use tidings_proto::yjs::put_var_uint;
use tidings_proto::yjs::sync::update;
use tidings_proto::{CloseCode, to_base64};

use crate::desk::{DOC, Desk, bytes_of, merge};
use crate::writer::Writer;

#[test]
fn what_ada_writes_is_bob_s_when_it_is_stored() {
    let mut desk = Desk::with(2, |_, _| {});
    let (ada, bob) = (desk.reader("ada"), desk.reader("bob"));
    let (at_ada, at_bob) = (Writer::new(1), Writer::new(2));
    desk.slow = true;
    let update = at_ada.write(0, "Dear Bob,");
    desk.say(ada, &merge(9, &update));
    assert!(desk.answer(ada, &json!(9)).is_none(), "it is not stored yet");
    desk.store(&Ok(()));
    let said = desk.answer(ada, &json!(9)).unwrap();
    assert_eq!(said, json!({ "type": "merged", "id": 9, "channel": DOC, "offset": 1 }));
    let heard = desk.heard(bob);
    let told = heard.iter().find(|frame| frame["type"] == "document").unwrap();
    assert_eq!((&told["offset"], &told["user"]), (&json!(1), &json!("ada")));
    at_bob.take(&bytes_of(&told["update"]));
    assert_eq!(at_bob.text(), "Dear Bob,");
    let echoed = desk.heard(ada).into_iter().any(|frame| frame["type"] == "document");
    assert!(!echoed, "she knows what she wrote");
}

#[test]
fn who_opens_a_document_is_told_what_they_may_and_gets_what_they_lack() {
    let mut desk = Desk::new();
    let ada = desk.reader("ada");
    let at_ada = Writer::new(1);
    desk.merge(ada, &at_ada.write(0, "one two"));
    let eve = desk.user("eve/publish");
    desk.open(eve, DOC);
    let heard = desk.heard(eve);
    let access = json!({ "type": "access", "channel": DOC, "write": false, "awareness": true });
    assert_eq!(heard, [access]);
    let at_eve = Writer::new(2);
    at_eve.take(&desk.sync(eve, &[]));
    assert_eq!(at_eve.text(), "one two");
    desk.merge(ada, &at_ada.add(" three"));
    let missing = desk.sync(eve, &at_eve.vector());
    assert!(missing.len() < 40, "only what is missing");
    let refused = desk.merge(eve, &at_eve.add(" four"));
    assert_eq!(refused["code"], "forbidden");
}

#[test]
fn a_document_survives_a_restart_and_its_checkpoints_bound_the_log() {
    let mut desk = Desk::new();
    let mut ada = desk.reader("ada");
    let at_ada = Writer::new(1);
    for n in 0..40 {
        for _ in 0..20 {
            desk.merge(ada, &at_ada.add(&format!("line {n} {}\n", "x".repeat(200))));
        }
        if n % 13 == 0 {
            desk.restart();
            ada = desk.reader("ada");
        }
    }
    let (log, pages) = desk.on_disk(DOC);
    assert!(log < 800 && pages > 0, "{log} {pages}");
    desk.restart();
    let bob = desk.reader("bob");
    let at_bob = Writer::new(2);
    at_bob.take(&desk.sync(bob, &[]));
    assert_eq!(at_bob.text(), at_ada.text());
}

#[test]
fn a_long_document_comes_piece_by_piece_and_only_as_fast_as_it_is_read() {
    let mut desk = Desk::new();
    let ada = desk.reader("ada");
    let at_ada = Writer::new(1);
    for n in 0..100 {
        desk.merge(ada, &at_ada.add(&format!("{n}{}", "y".repeat(5000))));
    }
    let bob = desk.reader("bob");
    desk.stall(bob, true);
    let asks: Vec<_> =
        (10..70).map(|id| json!({ "type": "sync", "id": id, "channel": DOC })).collect();
    desk.heard(bob);
    desk.say_all(bob, &asks);
    let first = desk.heard(bob);
    assert_eq!(first.len(), 1, "sixty questions wait as questions");
    assert_eq!((&first[0]["id"], &first[0]["more"]), (&json!(10), &json!(true)));
    desk.read(bob, 3);
    assert_eq!(desk.heard(bob).len(), 3);
    desk.stall(bob, false);
    let rest = desk.heard(bob);
    let done = rest.iter().filter(|page| page["more"] != true).count();
    assert_eq!(done, 60);
    let at_bob = Writer::new(2);
    let pages = rest.iter().filter(|page| page["id"] == 40);
    at_bob.take(&pages.flat_map(|page| bytes_of(&page["update"])).collect::<Vec<_>>());
    assert_eq!(at_bob.text(), at_ada.text());
    assert!(!desk.is_paused(bob));
}

#[test]
fn what_the_disk_refuses_is_not_acknowledged_and_not_told() {
    let mut desk = Desk::new();
    let (ada, bob) = (desk.reader("ada"), desk.reader("bob"));
    let at_ada = Writer::new(1);
    let (first, second) = (at_ada.write(0, "a"), at_ada.add("b"));
    desk.heard(bob);
    desk.slow = true;
    desk.say_all(ada, &[merge(9, &first), merge(10, &second)]);
    desk.store(&Err(StoreError::Full));
    for id in [9, 10] {
        let refused = desk.answer(ada, &json!(id)).unwrap();
        assert_eq!(
            (&refused["code"], &refused["retryable"]),
            (&json!("unavailable"), &json!(true))
        );
    }
    assert!(desk.heard(bob).is_empty());
    desk.slow = false;
    assert_eq!(desk.merge(ada, &at_ada.all())["type"], "merged");
    let at_bob = Writer::new(2);
    at_bob.take(&desk.sync(bob, &[]));
    assert_eq!(at_bob.text(), "ab");
}

#[test]
fn who_comes_back_and_says_what_is_known_adds_nothing_to_the_log() {
    let mut desk = Desk::new();
    let ada = desk.reader("ada");
    let at_ada = Writer::new(1);
    desk.merge(ada, &at_ada.write(0, "hello world"));
    desk.merge(ada, &at_ada.cut(0, 6));
    let before = desk.on_disk(DOC);
    let said = desk.merge(ada, &at_ada.all());
    assert_eq!((&said["type"], &said["offset"]), (&json!("merged"), &json!(2)));
    assert_eq!(desk.merge(ada, &[0, 0])["type"], "merged");
    assert_eq!(desk.on_disk(DOC), before);
}

#[test]
fn what_is_no_update_is_refused_and_hurts_nobody() {
    let mut desk = Desk::new();
    let ada = desk.reader("ada");
    let at_ada = Writer::new(1);
    for bad in [&b"hello"[..], &[], &[1, 1, 1], &[255, 255, 255, 255, 15]] {
        assert_eq!(desk.merge(ada, bad)["code"], "invalid_data", "{bad:?}");
    }
    let sync = json!({ "type": "sync", "id": 5, "channel": DOC, "vector": to_base64(&[9, 9]) });
    assert_eq!(desk.ask(ada, &sync)["code"], "invalid_data");
    let chat = json!({ "type": "sync", "id": 5, "channel": "chat:lobby" });
    assert_eq!(desk.ask(ada, &chat)["code"], "bad_request");
    let publish = json!({ "type": "publish", "id": 6, "channel": DOC, "data": 1 });
    assert_eq!(desk.ask(ada, &publish)["code"], "bad_request");
    let history = json!({ "type": "history", "id": 7, "channel": DOC });
    assert_eq!(desk.ask(ada, &history)["code"], "bad_request");
    assert_eq!(desk.merge(ada, &at_ada.write(0, "fine"))["type"], "merged");
    let bob = desk.user("bob");
    assert_eq!(desk.merge(bob, &at_ada.all())["code"], "not_subscribed");
}

#[test]
fn a_document_has_room_for_so_much_and_for_so_many() {
    let mut desk = Desk::with(1, |limits, policy| {
        limits.update = 10_000;
        (policy.document.size, policy.document.clients) = (20_000, 3);
    });
    let ada = desk.reader("ada");
    let at_ada = Writer::new(1);
    let refused = desk.merge(ada, &Writer::new(9).write(0, &"x".repeat(10_001)));
    assert_eq!((&refused["code"], &refused["limit"]), (&json!("too_large"), &json!("update")));
    desk.merge(ada, &at_ada.write(0, &"x".repeat(9_000)));
    desk.merge(ada, &at_ada.add(&"y".repeat(9_000)));
    let refused = desk.merge(ada, &Writer::new(9).write(0, &"z".repeat(9_000)));
    assert_eq!((&refused["code"], &refused["limit"]), (&json!("too_large"), &json!("document")));
    assert_eq!(desk.merge(ada, &at_ada.cut(0, 9_000))["type"], "merged", "there is room again");
    assert_eq!(desk.merge(ada, &Writer::new(2).write(0, "b"))["type"], "merged");
    let carl = Writer::new(3);
    assert_eq!(desk.merge(ada, &carl.write(0, "c"))["type"], "merged");
    let refused = desk.merge(ada, &Writer::new(4).write(0, "d"));
    assert_eq!(refused["limit"], "document_clients");
    assert_eq!(desk.merge(ada, &carl.write(0, "e"))["type"], "merged", "who has written goes on");
}

/// An update of maps in each other, the first of which is in what `parent` says.
fn nested(client: u8, parent: &[u8], count: u8) -> Vec<u8> {
    let mut update = vec![1, count, client, 0];
    for clock in 0..count {
        let inner = [0, client, clock.wrapping_sub(1)];
        update.push(0x27);
        update.extend(if clock == 0 { parent } else { &inner });
        update.extend([1, b'k', 1]);
    }
    update.push(0);
    update
}

#[test]
fn lists_that_many_make_at_once_are_not_taken_for_one_that_is_too_deep() {
    let mut desk = Desk::new();
    let (ada, root) = (desk.reader("ada"), b"\x01\x01r");
    desk.slow = true;
    let lists: Vec<_> = (1..=60).map(|client| nested(client, root, 4)).collect();
    let flight: Vec<_> = (100..).zip(&lists).map(|(id, list)| merge(id, list)).collect();
    for few in flight.chunks(10) {
        desk.say_all(ada, few);
    }
    let early = desk.answer(ada, &json!(159)).unwrap();
    assert_eq!((&early["code"], &early["retryable"]), (&json!("unavailable"), &json!(true)));
    desk.store(&Ok(()));
    desk.slow = false;
    for list in &lists {
        assert_eq!(desk.merge(ada, list)["type"], "merged");
    }
    let below = [0, 60, 3];
    assert_eq!(desk.merge(ada, &nested(61, &below, 100))["type"], "merged");
    let deep = desk.merge(ada, &nested(62, &[0, 61, 99], 100));
    assert_eq!(
        (&deep["code"], &deep["limit"]),
        (&json!("limit_exceeded"), &json!("document_levels"))
    );
}

/// Letters of a client, all of which want to be the first one.
fn crowding(client: u8, count: u64) -> Vec<u8> {
    let mut update = vec![1];
    put_var_uint(&mut update, count);
    update.extend([client, 0]);
    (0..count).for_each(|_| update.extend(b"\x04\x01\x01t\x01a"));
    update.push(0);
    update
}

#[test]
fn too_many_in_one_place_are_refused_for_what_they_are() {
    let mut desk = Desk::new();
    let ada = desk.reader("ada");
    for client in 1..=2 {
        assert_eq!(desk.merge(ada, &crowding(client, 1000))["type"], "merged");
    }
    for refused in [crowding(3, 1000), crowding(3, 1001)] {
        let said = desk.merge(ada, &refused);
        assert_eq!(
            (&said["code"], &said["limit"]),
            (&json!("limit_exceeded"), &json!("document_crowd"))
        );
        let eve = desk.yjs("eve");
        desk.send(eve, &update(&refused));
        assert_eq!(desk.closed(eve), Some(CloseCode::TooLarge), "it would come back with it");
    }
    assert_eq!(desk.merge(ada, &Writer::new(4).write(0, "fine"))["type"], "merged");
}

#[test]
fn a_document_without_room_is_not_measured_for_each_update() {
    let mut desk = Desk::with(1, |_, policy| policy.document.size = 20_000);
    let ada = desk.reader("ada");
    let at_ada = Writer::new(1);
    desk.merge(ada, &at_ada.write(0, &"x".repeat(19_900)));
    let long = |client| Writer::new(client).write(0, &"y".repeat(500));
    assert_eq!(desk.merge(ada, &long(2))["limit"], "document", "now it has been measured");
    assert_eq!(desk.merge(ada, &at_ada.cut(0, 9_000))["type"], "merged");
    assert_eq!(desk.merge(ada, &long(2))["limit"], "document", "a little later");
    desk.pass(1000);
    assert_eq!(desk.merge(ada, &long(2))["type"], "merged", "there is room again");
}
