//! Several providers of one document on one connection of Hocuspocus, each with an address of its
//! own: `sessionAwareness` of version 4.

use tidings_core::engine::Editor;
use tidings_proto::CloseCode;
use tidings_proto::yjs::aware::{Entry, encode as seen};
use tidings_proto::yjs::hocuspocus::Message;
use tidings_proto::yjs::sync::{Sync, update};

use crate::desk::{DOC, Desk, Who};
use crate::providing::{attach, listen_by_address, say, socket, token};
use crate::writer::Writer;

const LEFT: &str = "doc:plan\0left";
const RIGHT: &str = "doc:plan\0right";

/// What was told at this address, in order; nothing else is looked at.
fn at<'a>(told: &'a [(String, String)], address: &str) -> Vec<&'a str> {
    let theirs = told.iter().filter(|(at, _)| at == address);
    theirs.map(|(_, told)| told.as_str()).collect()
}

fn shows(client: u64, clock: u32, state: Option<&str>) -> Vec<u8> {
    seen(&[Entry { client, clock, state }])
}

fn quiet(desk: &mut Desk, who: Who, all: &[(&str, &Writer)]) {
    listen_by_address(desk, who, all);
}

#[test]
fn each_of_three_providers_writes_and_hears_the_others_once() {
    for shards in [1, 2, 3] {
        let mut desk = Desk::with(shards, |_, _| {});
        let (left, right, plain) = (Writer::new(1), Writer::new(2), Writer::new(3));
        let all = [(LEFT, &left), (RIGHT, &right), (DOC, &plain)];
        left.write(0, "offline");
        let ada = socket(&mut desk);
        for (address, writer) in all {
            attach(&mut desk, ada, address, "ada", writer);
        }
        let told = listen_by_address(&mut desk, ada, &all);
        for (address, _) in all {
            let mut told = at(&told, address);
            told.sort_unstable();
            told.dedup();
            assert_eq!(told, ["readonly false", "stored true", "synced"], "{address:?}");
        }
        desk.slow = true;
        say(&mut desk, ada, RIGHT, Message::Sync(Sync::Update(&right.add("!"))));
        assert!(listen_by_address(&mut desk, ada, &all).is_empty(), "not stored yet");
        desk.store(&Ok(()));
        let before = desk.sent;
        let told = listen_by_address(&mut desk, ada, &all);
        assert_eq!(told, [(RIGHT.to_owned(), "stored true".to_owned())]);
        assert_eq!(desk.sent, before, "whoever has it says nothing");
        desk.slow = false;
        assert_eq!((left.text(), plain.text()), ("offline!".into(), "offline!".into()));
        let at_bob = Writer::new(4);
        let bob = crate::editing::connect(&mut desk, "bob", &at_bob);
        desk.send(bob, &update(&at_bob.add(" bob")));
        quiet(&mut desk, ada, &all);
        for (address, writer) in all {
            assert_eq!(writer.text(), "offline! bob", "{address:?}");
        }
    }
}

#[test]
fn what_a_provider_writes_does_not_come_back_to_it() {
    let mut desk = Desk::new();
    let (left, right) = (Writer::new(1), Writer::new(2));
    let all = [(LEFT, &left), (RIGHT, &right)];
    let ada = socket(&mut desk);
    for (address, writer) in all {
        attach(&mut desk, ada, address, "ada", writer);
    }
    quiet(&mut desk, ada, &all);
    say(&mut desk, ada, LEFT, Message::Sync(Sync::Update(&left.add("mine"))));
    // One is the change for the other, one says that it is stored.
    assert_eq!(desk.got(ada).len(), 2);
}

#[test]
fn one_goes_and_the_other_stays_and_nobody_takes_it_for_there() {
    let mut desk = Desk::with(2, |_, _| {});
    let (left, right, late) = (Writer::new(1), Writer::new(2), Writer::new(5));
    let all = [(LEFT, &left), (RIGHT, &right), (DOC, &late)];
    let ada = socket(&mut desk);
    for (address, writer) in &all[..2] {
        attach(&mut desk, ada, address, "ada", writer);
    }
    quiet(&mut desk, ada, &all);
    say(&mut desk, ada, LEFT, Message::Awareness(&shows(1, 1, Some("{\"at\":1}"))));
    say(&mut desk, ada, RIGHT, Message::Awareness(&shows(2, 1, Some("{\"at\":2}"))));
    desk.moment();
    let told = listen_by_address(&mut desk, ada, &all);
    assert_eq!(at(&told, RIGHT), ["1 is {\"at\":1}", "2 is {\"at\":2}"]);
    assert_eq!(at(&told, LEFT), at(&told, RIGHT));
    // Who comes later is shown who is there, the others nothing that they would not know.
    attach(&mut desk, ada, DOC, "ada", &late);
    let told = listen_by_address(&mut desk, ada, &all);
    assert!(at(&told, DOC).contains(&"1 is {\"at\":1}"), "{told:?}");
    say(&mut desk, ada, DOC, Message::Close(""));

    say(&mut desk, ada, LEFT, Message::Close(""));
    desk.moment();
    let told = listen_by_address(&mut desk, ada, &all);
    assert_eq!(told, [(RIGHT.to_owned(), "1 is nobody".to_owned())]);
    say(&mut desk, ada, LEFT, Message::Sync(Sync::Update(&left.add("no"))));
    say(&mut desk, ada, RIGHT, Message::Sync(Sync::Update(&right.add("yes"))));
    let told = listen_by_address(&mut desk, ada, &all);
    assert_eq!(at(&told, RIGHT), ["stored true"]);
    assert_eq!(right.text(), "yes");
    say(&mut desk, ada, RIGHT, Message::Close(""));
    assert!(listen_by_address(&mut desk, ada, &all).iter().all(|(at, _)| at != RIGHT));
}

#[test]
fn a_refused_token_hurts_nobody_but_who_showed_it() {
    let mut desk = Desk::new();
    let (left, right) = (Writer::new(1), Writer::new(2));
    let all = [(LEFT, &left), (RIGHT, &right)];
    let ada = socket(&mut desk);
    attach(&mut desk, ada, LEFT, "ada", &left);
    attach(&mut desk, ada, RIGHT, "bob", &right);
    let told = listen_by_address(&mut desk, ada, &all);
    assert_eq!(at(&told, RIGHT), ["denied the token is another user's"]);
    say(&mut desk, ada, LEFT, Message::Sync(Sync::Update(&left.add("a"))));
    let told = listen_by_address(&mut desk, ada, &all);
    assert_eq!(at(&told, LEFT), ["stored true"]);
    // It shows a better one. What it may do is what both may do.
    attach(&mut desk, ada, RIGHT, "ada/publish", &right);
    let told = listen_by_address(&mut desk, ada, &all);
    for address in [LEFT, RIGHT] {
        assert!(at(&told, address).contains(&"readonly true"), "{told:?}");
    }
    assert_eq!(right.text(), "a");
    say(&mut desk, ada, LEFT, Message::Sync(Sync::Update(&left.add("b"))));
    let told = listen_by_address(&mut desk, ada, &all);
    assert_eq!(at(&told, LEFT), ["stored false"]);
    assert!(at(&told, RIGHT).is_empty());
}

#[test]
fn providers_of_a_connection_are_counted_whatever_their_documents() {
    let mut desk = Desk::with(1, |limits, _| limits.channels_per_session = 3);
    let writers: Vec<_> = (1..=4).map(Writer::new).collect();
    let addresses = [LEFT, RIGHT, DOC, "doc:plan\0third"];
    let all: Vec<_> = addresses.into_iter().zip(&writers).collect();
    let ada = socket(&mut desk);
    for (address, writer) in &all {
        attach(&mut desk, ada, address, "ada", writer);
    }
    let told = listen_by_address(&mut desk, ada, &all);
    assert_eq!(at(&told, addresses[3]), ["denied too many documents on one connection"]);
    say(&mut desk, ada, LEFT, Message::Close(""));
    attach(&mut desk, ada, addresses[3], "ada", &writers[3]);
    let told = listen_by_address(&mut desk, ada, &all);
    assert!(at(&told, addresses[3]).contains(&"synced"), "{told:?}");
}

#[test]
fn a_reset_closes_all_of_them() {
    let mut desk = Desk::new();
    let (left, right) = (Writer::new(1), Writer::new(2));
    let all = [(LEFT, &left), (RIGHT, &right)];
    let ada = desk.editor("ada", Editor::Hocuspocus);
    for (address, writer) in all {
        attach(&mut desk, ada, address, "", writer);
    }
    quiet(&mut desk, ada, &all);
    desk.reset(DOC);
    let told = listen_by_address(&mut desk, ada, &all);
    let closed = "closed document_reset";
    assert_eq!((at(&told, LEFT), at(&told, RIGHT)), (vec![closed], vec![closed]));
    assert_eq!(desk.closed(ada), None::<CloseCode>);
    say(&mut desk, ada, LEFT, token("ada"));
    let told = listen_by_address(&mut desk, ada, &all);
    assert!(at(&told, LEFT).contains(&"readonly false"), "{told:?}");
}
