//! What a document held before: kept, looked at, and brought back.

use serde_json::{Value, json};
use tidings_core::Period;
use tidings_core::document::plain_text;
use tidings_core::engine::VersionAsk;
use tidings_core::policy::Access;
use tidings_core::store::StoreError;

use crate::desk::{DOC, Desk, Who, bytes_of};
use crate::writer::Writer;

const MINUTE: u64 = 60_000;

impl Desk {
    pub(crate) fn version(&mut self, who: Who, kind: &str, more: &Value) -> Value {
        let mut command = json!({ "type": kind, "id": 50, "channel": DOC });
        let fields = more.as_object().unwrap().clone();
        command.as_object_mut().unwrap().extend(fields);
        self.ask(who, &command)
    }

    pub(crate) fn save(&mut self, who: Who, name: &str) -> Value {
        self.version(who, "save_version", &json!({ "name": name }))
    }

    /// The numbers of all versions, the newest first.
    pub(crate) fn numbers(&mut self, who: Who) -> Vec<u64> {
        let listed = self.version(who, "versions", &json!({}));
        let versions = listed["versions"].as_array().unwrap_or_else(|| panic!("{listed}"));
        versions.iter().map(|version| version["version"].as_u64().unwrap()).collect()
    }

    /// The text of a version, or the code of what is said instead.
    pub(crate) fn text_of(&mut self, who: Who, version: u64) -> String {
        self.say(who, &json!({ "type": "sync", "id": 51, "channel": DOC, "version": version }));
        let mut update = Vec::new();
        loop {
            let page = self.answer(who, &json!(51)).unwrap_or_else(|| panic!("no answer"));
            if page["type"] == "error" {
                return page["code"].as_str().unwrap().to_owned();
            }
            update.extend(bytes_of(&page["update"]));
            if page["more"] != true {
                return plain_text(&update, Some("t")).unwrap();
            }
        }
    }

    /// Takes in what others have written.
    fn hear_changes(&mut self, who: Who, writer: &Writer) {
        for frame in self.heard(who).iter().filter(|frame| frame["type"] == "document") {
            writer.take(&bytes_of(&frame["update"]));
        }
    }

    pub(crate) fn now_text(&mut self) -> String {
        let read = self.backend_reads(0).unwrap_or_else(|| panic!("it cannot be read"));
        plain_text(&bytes_of(&read["update"]), Some("t")).unwrap()
    }

    /// How many versions have something at the store.
    pub(crate) fn kept(&self) -> usize {
        self.kept_numbers().count()
    }

    /// Which.
    pub(crate) fn kept_numbers(&self) -> impl Iterator<Item = u64> + '_ {
        let kept = self.disk.iter().filter(|(_, kept)| !kept.events.is_empty());
        let names = kept.filter_map(|(name, _)| name.strip_prefix("\0version:"));
        names.map(|name| name.split(':').next().unwrap().parse().unwrap())
    }
}

#[test]
fn ada_keeps_a_draft_bob_ruins_it_and_ada_brings_it_back_while_carl_writes_on() {
    let mut desk = Desk::with(2, |_, _| {});
    let (ada, bob) = (desk.reader("ada"), desk.reader("bob"));
    let (at_ada, at_bob) = (Writer::new(1), Writer::new(2));
    desk.merge(ada, &at_ada.write(0, "Dear Carl, we meet on Monday."));
    let saved = desk.save(ada, "Draft");
    assert_eq!(
        (&saved["type"], &saved["version"], &saved["name"], &saved["user"], &saved["authors"]),
        (&json!("version"), &json!(1), &json!("Draft"), &json!("ada"), &json!(["ada"]))
    );
    desk.hear_changes(bob, &at_bob);
    desk.merge(bob, &at_bob.cut(0, 19));
    let listed = desk.version(ada, "versions", &json!({}));
    assert_eq!((&listed["changed"], &listed["authors"]), (&json!(true), &json!(["bob"])));
    assert_eq!(desk.text_of(bob, 1), "Dear Carl, we meet on Monday.");
    desk.heard(bob);
    let restored = desk.version(ada, "restore_version", &json!({ "version": 1 }));
    assert_eq!(restored["type"], "merged", "{restored}");
    desk.hear_changes(ada, &at_ada);
    desk.hear_changes(bob, &at_bob);
    assert_eq!(at_bob.text(), "Dear Carl, we meet on Monday.");
    desk.merge(bob, &at_bob.add(" Bob"));
    desk.hear_changes(ada, &at_ada);
    assert_eq!(at_ada.text(), "Dear Carl, we meet on Monday. Bob");
    assert_eq!(desk.numbers(bob), [2, 1], "what bob made of it is kept, too");
    assert_eq!(desk.text_of(ada, 2), "on Monday.", "nobody's work is lost");
}

#[test]
fn a_document_that_is_quiet_becomes_a_version_once() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    let bob = desk.reader("bob");
    desk.merge(ada, &at_ada.write(0, "one"));
    desk.pass(MINUTE);
    desk.merge(ada, &at_ada.add(" two"));
    desk.pass(MINUTE + 30_000);
    assert!(desk.numbers(bob).is_empty(), "it was changed a minute and a half ago");
    desk.pass(31_000);
    assert_eq!(desk.numbers(bob), [1]);
    assert_eq!(desk.text_of(bob, 1), "one two");
    desk.pass(10 * MINUTE);
    assert_eq!(desk.numbers(bob), [1], "nothing has changed");
    desk.merge(ada, &at_ada.add(" three"));
    desk.pass(3 * MINUTE);
    let listed = desk.version(bob, "versions", &json!({}));
    assert_eq!(listed["versions"][0]["authors"], json!(["ada"]));
    assert!(listed["versions"][0].get("user").is_none() && listed["changed"] == false);
}

#[test]
fn one_that_is_never_quiet_becomes_a_version_every_hour() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    for _ in 0..130 {
        assert_eq!(desk.merge(ada, &at_ada.add("x"))["type"], "merged");
        desk.pass(MINUTE);
    }
    assert_eq!(desk.numbers(ada), [2, 1]);
    assert_eq!(desk.text_of(ada, 1).len(), 60, "as of an hour after the first change");
}

#[test]
fn what_was_written_before_the_server_was_killed_becomes_a_version_before_somebody_goes_on() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "before"));
    desk.save(ada, "Draft");
    desk.merge(ada, &at_ada.add(" and after"));
    desk.restart();
    desk.pass(10 * MINUTE);
    let bob = desk.reader("bob");
    desk.pass(1000);
    assert_eq!(desk.numbers(bob), [2, 1]);
    assert_eq!(desk.text_of(bob, 1), "before");
    assert_eq!(desk.text_of(bob, 2), "before and after");
}

#[test]
fn a_document_that_nobody_has_open_stays_until_it_has_become_a_version() {
    let mut desk = Desk::with(1, |limits, _| limits.channel_idle = Period::secs(10));
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "one"));
    desk.leave(ada);
    desk.pass(MINUTE);
    assert_eq!((desk.engines[0].counts().documents, desk.kept()), (1, 0));
    desk.pass(2 * MINUTE);
    assert_eq!((desk.engines[0].counts().documents, desk.kept()), (0, 1));
}

#[test]
fn a_version_whose_taking_was_cut_short_is_not_there_and_its_number_is_taken_again() {
    let mut desk = Desk::with(1, |limits, _| limits.page_bytes = 1000);
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, &"long ".repeat(1000)));
    // One page is stored, then the process is killed.
    desk.slow = true;
    desk.say(ada, &json!({ "type": "save_version", "id": 50, "channel": DOC }));
    assert!(desk.queue.len() > 4, "pages");
    desk.queue.truncate(1);
    desk.store(&Ok(()));
    desk.restart();
    desk.slow = false;
    let ada = desk.reader("ada");
    assert!(desk.numbers(ada).is_empty());
    desk.merge(ada, &at_ada.cut(0, 4000));
    assert_eq!(desk.save(ada, "Draft")["version"], 1);
    assert_eq!(desk.text_of(ada, 1), "long ".repeat(200));
    desk.restart();
    let ada = desk.reader("ada");
    assert_eq!(desk.text_of(ada, 1), "long ".repeat(200));
}

#[test]
fn a_full_disk_takes_no_version_and_costs_no_change() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "text"));
    desk.slow = true;
    desk.say(ada, &json!({ "type": "save_version", "id": 50, "channel": DOC }));
    desk.store(&Err(StoreError::Full));
    assert_eq!(desk.answer(ada, &json!(50)).unwrap()["code"], "unavailable");
    // By itself it is tried again.
    desk.pass(3 * MINUTE);
    desk.store(&Err(StoreError::Full));
    desk.slow = false;
    assert!(desk.numbers(ada).is_empty());
    desk.pass(3 * MINUTE);
    assert_eq!(desk.numbers(ada), [1]);
    assert_eq!((desk.text_of(ada, 1), desk.now_text()), ("text".into(), "text".into()));
}

#[test]
fn what_is_written_while_a_version_is_stored_is_not_in_it_and_not_lost() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "one"));
    desk.slow = true;
    desk.say(ada, &json!({ "type": "save_version", "id": 50, "channel": DOC }));
    desk.say(ada, &crate::desk::merge(9, &at_ada.add(" two")));
    desk.store(&Ok(()));
    desk.slow = false;
    desk.store(&Ok(()));
    assert_eq!(desk.answer(ada, &json!(50)).unwrap()["version"], 1);
    assert_eq!((desk.text_of(ada, 1), desk.now_text()), ("one".into(), "one two".into()));
    desk.pass(3 * MINUTE);
    assert_eq!(desk.text_of(ada, 2), "one two");
}

#[test]
fn the_past_is_for_those_who_may_read_history() {
    let mut desk = Desk::with(1, |_, policy| policy.history.read = Access::Token);
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "secret"));
    desk.save(ada, "Draft");
    let code = |said: &Value| said["code"].as_str().unwrap_or("none").to_owned();
    let eve = desk.reader("eve/history");
    assert_eq!(code(&desk.version(eve, "versions", &json!({}))), "forbidden");
    assert_eq!(desk.text_of(eve, 1), "forbidden");
    let restore = json!({ "version": 1 });
    assert_eq!(code(&desk.version(eve, "restore_version", &restore)), "forbidden");
    assert_eq!(code(&desk.save(eve, "Mine")), "forbidden", "it would say who has written");
    let carl = desk.reader("carl/publish");
    assert_eq!(desk.numbers(carl), [1]);
    assert_eq!(desk.text_of(carl, 1), "secret");
    assert_eq!(code(&desk.save(carl, "Mine")), "forbidden");
    assert_eq!(code(&desk.version(carl, "restore_version", &restore)), "forbidden");
    let rename = json!({ "version": 1, "name": "Mine" });
    assert_eq!(code(&desk.version(carl, "name_version", &rename)), "forbidden");
    let outside = desk.user("ada");
    assert_eq!(code(&desk.version(outside, "versions", &json!({}))), "not_subscribed");
}

#[test]
fn what_cannot_be_is_said_by_name() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "text"));
    let code = |said: Value| said["code"].as_str().unwrap_or("none").to_owned();
    for (kind, more, expected) in [
        ("save_version", json!({ "name": "" }), "bad_request"),
        ("save_version", json!({ "name": "a\nb" }), "bad_request"),
        ("save_version", json!({ "name": "x".repeat(256) }), "bad_request"),
        ("versions", json!({ "limit": 0 }), "bad_request"),
        ("versions", json!({ "limit": 101 }), "bad_request"),
        ("name_version", json!({ "version": 1, "name": "a" }), "not_found"),
        ("restore_version", json!({ "version": 7 }), "not_found"),
    ] {
        assert_eq!(code(desk.version(ada, kind, &more)), expected, "{kind} {more}");
    }
    assert_eq!(desk.text_of(ada, 1), "not_found");
}

#[test]
fn a_version_gets_a_name_and_loses_it_and_pages_of_the_list_meet() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    for number in 1..=5 {
        desk.merge(ada, &at_ada.add("x"));
        assert_eq!(desk.save(ada, "Draft")["version"], number);
    }
    let named = desk.version(ada, "name_version", &json!({ "version": 2, "name": "Final" }));
    assert_eq!((&named["version"], &named["name"]), (&json!(2), &json!("Final")));
    let named = desk.version(ada, "name_version", &json!({ "version": 3, "name": null }));
    assert!(named.get("name").is_none());
    let page = desk.version(ada, "versions", &json!({ "limit": 2 }));
    assert_eq!((&page["more"], &page["versions"][1]["version"]), (&json!(true), &json!(4)));
    let page = desk.version(ada, "versions", &json!({ "before": 4 }));
    assert_eq!((&page["more"], &page["versions"][1]["name"]), (&json!(false), &json!("Final")));
    desk.restart();
    let ada = desk.reader("ada");
    let page = desk.version(ada, "versions", &json!({ "before": 4 }));
    assert_eq!(page["versions"][1]["name"], "Final");
}

#[test]
fn the_oldest_automatic_versions_go_from_the_disk_too_and_named_ones_stay() {
    let mut desk = Desk::with(1, |_, policy| policy.versions.automatic = 3);
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.add("x"));
    desk.save(ada, "Draft");
    for _ in 0..6 {
        desk.merge(ada, &at_ada.add("x"));
        desk.pass(3 * MINUTE);
    }
    assert_eq!(desk.numbers(ada), [7, 6, 5, 1]);
    assert_eq!(desk.kept(), 4);
    let named = desk.version(ada, "name_version", &json!({ "version": 5, "name": "Keep" }));
    assert_eq!(named["name"], "Keep");
    for _ in 0..4 {
        desk.merge(ada, &at_ada.add("x"));
        desk.pass(3 * MINUTE);
    }
    assert_eq!(desk.numbers(ada), [11, 10, 9, 5, 1]);
    assert_eq!(desk.text_of(ada, 5), "xxxxx");
}

#[test]
fn no_more_than_so_many_are_kept_by_name_nor_so_many_bytes() {
    let mut desk = Desk::with(1, |_, policy| {
        (policy.versions.named, policy.versions.size) = (2, 5000);
    });
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, &"y".repeat(1000)));
    assert_eq!(desk.save(ada, "one")["version"], 1);
    assert_eq!(desk.save(ada, "two")["version"], 2);
    let refused = desk.save(ada, "three");
    assert_eq!(
        (&refused["code"], &refused["limit"]),
        (&json!("limit_exceeded"), &json!("versions"))
    );
    for _ in 0..3 {
        desk.merge(ada, &at_ada.add("y"));
        desk.pass(3 * MINUTE);
    }
    assert_eq!(desk.numbers(ada), [5, 4, 2, 1], "three thousand bytes of them");
    let named = desk.version(ada, "name_version", &json!({ "version": 5, "name": "more" }));
    assert_eq!(named["limit"], "versions");
    desk.merge(ada, &at_ada.write(0, &"y".repeat(3000)));
    desk.pass(3 * MINUTE);
    assert_eq!(desk.numbers(ada), [5, 4, 2, 1], "it is too long to be kept");
}

#[test]
fn restoring_the_oldest_version_does_not_lose_it_to_the_one_that_is_kept_before() {
    let mut desk = Desk::with(1, |_, policy| policy.versions.automatic = 1);
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "first"));
    desk.pass(3 * MINUTE);
    desk.merge(ada, &at_ada.add(" second"));
    let restored = desk.version(ada, "restore_version", &json!({ "version": 1 }));
    assert_eq!(restored["type"], "merged", "{restored}");
    assert_eq!(desk.now_text(), "first");
    assert!(desk.numbers(ada).contains(&2), "what there was is kept");
}

#[test]
fn somebody_who_never_stops_writing_does_not_keep_a_version_from_coming_back() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    let (bob, at_bob) = (desk.reader("bob"), Writer::new(2));
    desk.merge(ada, &at_ada.write(0, "first"));
    desk.save(ada, "Draft");
    desk.slow = true;
    desk.say(ada, &json!({ "type": "restore_version", "id": 50, "channel": DOC, "version": 1 }));
    let mut answer = None;
    for round in 0..20 {
        desk.say(bob, &crate::desk::merge(100 + round, &at_bob.write(0, "b")));
        desk.store(&Ok(()));
        answer = answer.or_else(|| desk.answer(ada, &json!(50)));
    }
    assert_eq!(answer.unwrap()["type"], "merged");
}

#[test]
fn a_document_that_is_deleted_takes_its_versions_along_and_numbers_go_on() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "secret"));
    desk.save(ada, "one");
    desk.merge(ada, &at_ada.add(" more"));
    desk.save(ada, "two");
    assert_eq!(desk.kept(), 2);
    desk.reset(DOC);
    assert!(desk.numbers(ada).is_empty());
    assert_eq!((desk.kept(), desk.text_of(ada, 1)), (0, "not_found".into()));
    let at_ada = Writer::new(3);
    desk.merge(ada, &at_ada.write(0, "new"));
    assert_eq!(desk.save(ada, "three")["version"], 4);
    // It may be begun anew and keep its past.
    desk.engines[0].reset_document(desk.now, &"api".into(), 1, DOC, false);
    desk.run();
    assert_eq!(desk.numbers(ada), [4]);
    let restored = desk.version(ada, "restore_version", &json!({ "version": 4 }));
    assert_eq!((&restored["type"], &*desk.now_text()), (&json!("merged"), "new"));
}

#[test]
fn a_kill_between_a_deletion_and_its_end_leaves_nothing_on_the_disk() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "secret"));
    desk.save(ada, "one");
    desk.slow = true;
    desk.engines[0].ask_version(desk.now, 5, DOC, VersionAsk::Delete { number: 1 });
    desk.run();
    desk.store(&Ok(()));
    assert!(desk.answers.is_empty(), "it is not said to be gone before it is");
    assert_eq!(desk.kept(), 1, "it is about to go");
    desk.restart();
    desk.slow = false;
    assert_eq!(desk.kept(), 1);
    let ada = desk.reader("ada");
    assert!(desk.numbers(ada).is_empty());
    assert_eq!(desk.kept(), 0);
    assert_eq!(desk.save(ada, "two")["version"], 2);
}

#[test]
fn a_backend_reads_a_version_and_asks_for_what_is_not_there() {
    let mut desk = Desk::with(2, |_, _| {});
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "text"));
    let save = VersionAsk::Save { name: None, user: "backend".into() };
    for ask in [save, VersionAsk::Read { number: 1 }, VersionAsk::Read { number: 2 }] {
        desk.engines[1].ask_version(desk.now, 5, DOC, ask);
        desk.run();
    }
    let [saved, read, none] = &desk.answers[..] else { panic!("{:?}", desk.answers) };
    assert_eq!((&saved["version"], &saved["user"]), (&json!(1), &json!("backend")));
    assert_eq!(plain_text(&bytes_of(&read["update"]), Some("t")).unwrap(), "text");
    assert_eq!(read["authors"], json!(["ada"]));
    assert_eq!(none["code"], "not_found");
}

#[test]
fn a_version_that_is_being_taken_when_its_document_is_deleted_is_not_kept() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "secret"));
    desk.slow = true;
    desk.say(ada, &json!({ "type": "save_version", "id": 50, "channel": DOC }));
    desk.engines[0].reset_document(desk.now, &"api".into(), 1, DOC, true);
    desk.run();
    while !desk.queue.is_empty() {
        desk.store(&Ok(()));
    }
    assert_eq!(desk.answer(ada, &json!(50)).unwrap()["code"], "document_reset");
    desk.slow = false;
    assert!(desk.numbers(ada).is_empty());
    assert_eq!(desk.kept(), 0, "nothing of it is left on the disk");
}

#[test]
fn a_name_that_comes_too_late_does_not_bring_a_deleted_version_back() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "text"));
    desk.save(ada, "one");
    desk.slow = true;
    desk.engines[0].ask_version(desk.now, 5, DOC, VersionAsk::Delete { number: 1 });
    desk.run();
    let name =
        json!({ "type": "name_version", "id": 50, "channel": DOC, "version": 1, "name": "x" });
    desk.say(ada, &name);
    desk.slow = false;
    while !desk.queue.is_empty() {
        desk.store(&Ok(()));
    }
    assert_eq!(desk.answer(ada, &json!(50)).unwrap()["code"], "not_found");
    desk.restart();
    let ada = desk.reader("ada");
    assert!(desk.numbers(ada).is_empty());
}

#[test]
fn who_waits_for_a_version_of_a_document_that_has_to_be_read_again_is_told() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "text"));
    desk.save(ada, "one");
    desk.slow = true;
    desk.say(ada, &crate::desk::merge(9, &at_ada.add(" more")));
    desk.say(ada, &json!({ "type": "save_version", "id": 50, "channel": DOC }));
    desk.say(ada, &json!({ "type": "restore_version", "id": 52, "channel": DOC, "version": 1 }));
    desk.store(&Err(StoreError::OutOfOrder));
    desk.slow = false;
    let codes = [50, 52].map(|id| desk.answer(ada, &json!(id)).map(|said| said["code"].clone()));
    assert_eq!(codes, [Some(json!("unavailable")), Some(json!("unavailable"))]);
    assert_eq!(desk.text_of(ada, 1), "text");
    assert_eq!(desk.save(ada, "two")["version"], 2);
    assert_eq!(desk.text_of(ada, 2), "text");
}
