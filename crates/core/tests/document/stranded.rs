//! Changes that depend on others, which have not come. Whoever wrote them has those.

use tidings_core::engine::Editor;
use tidings_proto::yjs::hocuspocus::Message;
use tidings_proto::yjs::sync::{self, Sync};

use crate::desk::{DOC, Desk, Who};
use crate::editing::{connect, listen};
use crate::providing::{attach, listen_by_address, say};
use crate::writer::Writer;

/// So many updates have a place to wait.
const PLACES: u64 = 256;

/// Nobody has what these depend on.
fn fill(desk: &mut Desk) {
    let eve = desk.reader("eve");
    for client in 1000..1000 + PLACES {
        let stray = Writer::new(client);
        stray.write(0, "lost");
        assert_eq!(desk.merge(eve, &stray.add("waits"))["type"], "merged");
    }
    let stray = Writer::new(999);
    stray.write(0, "lost");
    assert_eq!(desk.merge(eve, &stray.add("waits"))["code"], "unavailable");
}

fn provider(desk: &mut Desk, name: &str, at: &Writer) -> Who {
    let who = desk.editor(name, Editor::Hocuspocus);
    attach(desk, who, DOC, "", at);
    told(desk, who, at);
    who
}

fn told(desk: &mut Desk, who: Who, at: &Writer) -> Vec<String> {
    listen_by_address(desk, who, &[(DOC, at)]).into_iter().map(|(_, told)| told).collect()
}

#[test]
fn an_editor_is_asked_for_what_its_change_depends_on() {
    for full in [false, true] {
        let mut desk = Desk::with(2, |_, _| {});
        if full {
            fill(&mut desk);
        }
        let (plan, at_bob, late) = (Writer::new(1), Writer::new(2), Writer::new(3));
        let ada = provider(&mut desk, "ada", &plan);
        let bob = connect(&mut desk, "bob", &at_bob);
        plan.write(0, "lost on the way, ");
        at_bob.write(0, "this too, ");
        say(&mut desk, ada, DOC, Message::Sync(Sync::Update(&plan.add("Ada"))));
        assert_eq!(told(&mut desk, ada, &plan), ["stored true"]);
        desk.send(bob, &sync::update(&at_bob.add("Bob")));
        listen(&mut desk, bob, &at_bob);
        connect(&mut desk, "cy", &late);
        for words in ["lost on the way, ", "Ada", "this too, ", "Bob"] {
            assert!(late.text().contains(words), "{full} {}", late.text());
        }
        assert_eq!((desk.closed(ada), desk.closed(bob)), (None, None));
    }
}

#[test]
fn who_writes_on_with_one_change_missing_is_not_asked_for_each() {
    let mut desk = Desk::with(1, |_, policy| policy.document.size = 5000);
    let plan = Writer::new(1);
    let ada = provider(&mut desk, "ada", &plan);
    let too_long = plan.write(0, &"x".repeat(6000));
    say(&mut desk, ada, DOC, Message::Sync(Sync::Update(&too_long)));
    assert_eq!(told(&mut desk, ada, &plan), ["stored false"]);
    let mut refused = 0;
    for _ in 0..300 {
        desk.pass(500);
        say(&mut desk, ada, DOC, Message::Sync(Sync::Update(&plan.add("y"))));
        let told = told(&mut desk, ada, &plan);
        refused += told.iter().filter(|told| *told == "stored false").count();
    }
    // It has said everything every ten seconds.
    assert!((10..20).contains(&refused), "{refused}");
    assert_eq!(desk.closed(ada), None);
    // She makes room, and all is stored.
    plan.cut(0, 5900);
    desk.pass(10_000);
    say(&mut desk, ada, DOC, Message::Sync(Sync::Update(&plan.add("z"))));
    told(&mut desk, ada, &plan);
    let late = Writer::new(2);
    connect(&mut desk, "bob", &late);
    assert_eq!(late.text(), plan.text());
}

#[test]
fn who_says_again_what_waits_adds_nothing_and_its_own_is_taken() {
    for full in [false, true] {
        let mut desk = Desk::new();
        let ada = desk.reader("ada");
        if full {
            fill(&mut desk);
        }
        let stray = Writer::new(7);
        stray.write(0, "lost");
        let waits = [stray.add("waits, "), stray.add("waits too")];
        let strays = yrs::merge_updates_v1(waits.each_ref().map(|it| it.as_slice())).unwrap();
        if !full {
            for update in &waits {
                assert_eq!(desk.merge(ada, update)["type"], "merged");
            }
            // As Yjs says it: all that waits as one.
            let before = desk.on_disk(DOC);
            assert_eq!(desk.merge(ada, &strays)["type"], "merged");
            assert_eq!(desk.on_disk(DOC), before);
        }
        let own = Writer::new(8).write(0, "mine");
        let both = yrs::merge_updates_v1([own.as_slice(), &strays]).unwrap();
        let len = own.len();
        // Where there is no place for the rest, it is not said to be stored.
        let said = desk.merge(ada, &both);
        assert_eq!(said["type"], if full { "error" } else { "merged" });
        let log = &desk.disk[DOC].events;
        assert!(log.last().unwrap().event.len() < len + 20, "only what is new, {full}");
        let late = Writer::new(9);
        connect(&mut desk, "cy", &late);
        assert_eq!(late.text(), "mine");
    }
}

#[test]
fn of_what_was_thrown_away_nobody_is_told_that_it_is_stored() {
    let mut desk = Desk::new();
    fill(&mut desk);
    let (stray, late) = (Writer::new(2000), Writer::new(3));
    stray.write(0, "lost");
    let parts = [Writer::new(1).write(0, "this fits"), stray.add("this does not")];
    let update = yrs::merge_updates_v1(parts).unwrap();
    let ada = desk.reader("ada");
    assert_eq!(desk.merge(ada, &update)["code"], "unavailable");
    connect(&mut desk, "cy", &late);
    assert_eq!(late.text(), "this fits");
}
