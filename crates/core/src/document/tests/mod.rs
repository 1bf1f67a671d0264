use yrs::types::ToJson;
use yrs::updates::decoder::Decode;
use yrs::{Array, Doc, GetString, Map, MapRef, ReadTxn, StateVector, Text, Transact, Update};
use yrs::{XmlElementPrelim, XmlFragment, XmlTextPrelim};

use super::*;

mod editing;
mod mutating;
mod random;
mod restoring;

/// Somebody's own copy, with what they have not sent yet.
struct Author {
    doc: Doc,
    sent: StateVector,
}

impl Author {
    fn new(client: u64) -> Self {
        Self { doc: engine::doc(client), sent: StateVector::default() }
    }

    fn types(&mut self, at: u32, text: &str) -> Vec<u8> {
        let body = self.doc.get_or_insert_text("body");
        body.insert(&mut self.doc.transact_mut(), at, text);
        self.changes()
    }

    fn deletes(&mut self, at: u32, count: u32) -> Vec<u8> {
        let body = self.doc.get_or_insert_text("body");
        body.remove_range(&mut self.doc.transact_mut(), at, count);
        self.changes()
    }

    fn changes(&mut self) -> Vec<u8> {
        let txn = self.doc.transact();
        let update = txn.encode_diff_v1(&self.sent);
        self.sent = txn.state_vector();
        update
    }

    fn hears(&mut self, update: &[u8]) {
        let update = Update::decode_v1(update).unwrap();
        self.doc.transact_mut().apply_update(update).unwrap();
        self.sent = self.doc.transact().state_vector();
    }

    fn vector(&self) -> Vec<u8> {
        engine::encode_vector(&engine::vector(&self.doc))
    }

    fn text(&self) -> String {
        let body = self.doc.get_or_insert_text("body");
        body.get_string(&self.doc.transact())
    }
}

fn limits() -> DocumentLimits {
    DocumentLimits::default()
}

/// An offset, and when that was.
const PLACE: (u64, u64) = (1, 0);

fn commit(document: &mut Document, user: &str, update: &[u8]) {
    let prepared = Document::prepare(update, &limits()).unwrap();
    document.commit(user, PLACE, prepared).unwrap();
}

fn record(user: &str, update: &[u8]) -> Bytes {
    Record { user, what: What::Update(update) }.encode()
}

/// What somebody reads who opens it with nothing.
fn text(document: &mut Document) -> String {
    let mut reader = Author::new(77);
    reader.hears(&document.missing(&[0], &limits()).unwrap());
    reader.text()
}

fn reopened(document: &mut Document, max: usize) -> Document {
    let mut again = Document::new();
    document.pages(max).unwrap().iter().for_each(|page| again.take_page(page));
    assert_eq!((again.skipped(), again.epoch()), (0, document.epoch()));
    again
}

#[test]
fn two_authors_edits_meet_and_each_gets_what_the_other_wrote() {
    let (mut ada, mut bob, mut document) = (Author::new(1), Author::new(2), Document::new());
    commit(&mut document, "ada", &ada.types(0, "Hello"));
    bob.hears(&document.missing(&[0], &limits()).unwrap());
    commit(&mut document, "bob", &bob.types(5, ", Ada"));
    commit(&mut document, "ada", &ada.types(5, "!"));
    ada.hears(&document.missing(&ada.vector(), &limits()).unwrap());
    bob.hears(&document.missing(&bob.vector(), &limits()).unwrap());
    assert_eq!(ada.text(), bob.text());
    assert_eq!(text(&mut document), ada.text());
    assert_eq!(document.clients(), 2);
    assert_eq!(document.versions().authors().collect::<Vec<_>>(), ["ada", "bob"]);
}

#[test]
fn a_log_makes_the_document_again_and_so_do_its_pages() {
    let (mut ada, mut live, mut read) = (Author::new(1), Document::new(), Document::new());
    for word in ["one ", "two ", "three "] {
        let update = ada.types(0, word);
        commit(&mut live, "ada", &update);
        read.replay(PLACE, &record("ada", &update));
    }
    let update = ada.deletes(0, 6);
    commit(&mut live, "ada", &update);
    let mut paged = reopened(&mut read, 7);
    paged.replay(PLACE, &record("ada", &update));
    read.replay(PLACE, &record("ada", &update));
    for document in [&mut live, &mut read, &mut paged] {
        assert_eq!(text(document), "two one ");
    }
    assert_eq!(live.vector(), paged.vector());
    assert_eq!(live.encode().unwrap(), paged.encode().unwrap());
    assert_eq!(paged.versions().authors().collect::<Vec<_>>(), ["ada"]);
}

#[test]
fn a_document_that_rests_is_the_same_when_it_is_touched() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    commit(&mut document, "ada", &ada.types(0, "half a sen"));
    let (vector, clients) = (document.vector(), document.clients());
    document.rest();
    assert!(document.is_resting());
    assert_eq!((document.vector(), document.clients()), (vector, clients));
    assert_eq!(document.pages(1 << 20).unwrap().len(), 1);
    assert!(document.is_resting(), "none of this has woken it");
    commit(&mut document, "ada", &ada.types(10, "tence"));
    assert!(!document.is_resting());
    assert_eq!(text(&mut document), "half a sentence");
}

#[test]
fn what_came_too_early_waits_through_a_restart_and_is_told_meanwhile() {
    let (mut ada, mut bob, mut document) = (Author::new(1), Author::new(2), Document::new());
    let first = ada.types(0, "abc");
    bob.hears(&first);
    let reply = bob.types(3, "def");
    commit(&mut document, "bob", &reply);
    assert_eq!(text(&mut document), "", "it says where it belongs, and that is not there");
    let mut document = reopened(&mut document, 9);
    document.rest();
    let mut carol = Author::new(3);
    carol.hears(&document.missing(&[0], &limits()).unwrap());
    document.waiting().iter().for_each(|update| carol.hears(update));
    commit(&mut document, "ada", &first);
    assert!(document.waiting().is_empty());
    carol.hears(&first);
    assert_eq!((text(&mut document).as_str(), carol.text().as_str()), ("abcdef", "abcdef"));
    let mut deaf = Author::new(4);
    deaf.hears(&document.encode().unwrap());
    assert_eq!(deaf.text(), "abcdef");
}

#[test]
fn a_deletion_of_what_has_not_come_waits_as_well() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    let (text_typed, deleted) = (ada.types(0, "abcdef"), ada.deletes(1, 2));
    commit(&mut document, "ada", &deleted);
    let mut document = reopened(&mut document, 4);
    document.rest();
    commit(&mut document, "ada", &text_typed);
    assert_eq!(text(&mut document), "adef");
}

#[test]
fn no_update_and_no_vector_are_refused_and_change_nothing() {
    let mut document = Document::new();
    for bytes in [&b""[..], b"hello", &[1], &[0, 0, 0, 9][..1], &[5, 1, 1, 0], &[0xff; 40]] {
        assert_eq!(Document::prepare(bytes, &limits()).unwrap_err(), Fault::Invalid, "{bytes:?}");
    }
    for bytes in [&b""[..], &[3, 1], &[0xff; 40]] {
        assert_eq!(document.missing(bytes, &limits()), Err(Fault::Invalid), "{bytes:?}");
    }
    assert!(document.is_empty());
    let small = DocumentLimits { update: 10, clients: 1, ..limits() };
    let update = Author::new(1).types(0, "longer than ten bytes");
    assert_eq!(Document::prepare(&update, &small).unwrap_err(), Fault::TooLarge);
    assert_eq!(document.missing(&[2, 1, 1, 2, 1], &small), Err(Fault::Clients));
}

#[test]
fn a_reset_document_is_not_filled_again_by_who_has_the_old_one() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    commit(&mut document, "ada", &ada.types(0, "secret"));
    document.reset(Epoch(5), true);
    assert_eq!((text(&mut document).as_str(), document.epoch()), ("", Epoch(5)));
    let late = Document::prepare(&ada.types(0, "more "), &limits()).unwrap();
    assert!(document.buries(&late) && !document.is_empty());
    let document = reopened(&mut document, 3);
    assert!(document.buries(&late), "a restart forgets nothing");
    let new = Document::prepare(&Author::new(2).types(0, "new"), &limits()).unwrap();
    assert!(!document.buries(&new));
    let mut replayed = Document::new();
    replayed.replay(PLACE, &record("ada", &Author::new(1).types(0, "secret")));
    replayed.replay(
        PLACE,
        &Record { user: "ada", what: What::Reset { epoch: Epoch(5), versions: true } }.encode(),
    );
    assert_eq!(replayed.epoch(), Epoch(5));
    assert!(replayed.buries(&late));
    assert_eq!(replayed.versions().authors().count(), 0);
}

#[test]
fn a_record_that_says_nothing_is_skipped_and_counted() {
    let mut document = Document::new();
    document.replay(PLACE, b"what is this");
    document.replay(PLACE, &record("ada", b"no update"));
    document.replay(PLACE, &record("ada", &Author::new(1).types(0, "text")));
    assert_eq!((document.skipped(), text(&mut document).as_str()), (2, "text"));
}

#[test]
fn deleted_text_leaves_and_its_length_is_measured_anew() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    commit(&mut document, "ada", &ada.types(0, &"word ".repeat(1000)));
    let full = document.bytes();
    commit(&mut document, "ada", &ada.deletes(0, 5000));
    assert!(document.bytes() >= full);
    document.encode().unwrap();
    assert!(document.bytes() < 100, "{}", document.bytes());
}

#[test]
fn a_copy_writes_nothing_by_itself_whatever_is_formatted() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    let body = ada.doc.get_or_insert_text("body");
    let bold = [("bold".into(), true.into())];
    body.insert_with_attributes(&mut ada.doc.transact_mut(), 0, "loud", bold.into());
    commit(&mut document, "ada", &ada.changes());
    let list = ada.doc.get_or_insert_array("list");
    list.insert(&mut ada.doc.transact_mut(), 0, 7);
    ada.doc.get_or_insert_map("map").insert(&mut ada.doc.transact_mut(), "key", "value");
    commit(&mut document, "ada", &ada.changes());
    commit(&mut document, "ada", &ada.deletes(0, 4));
    assert_eq!(document.clients(), 1);
    assert_eq!(
        document.encode().unwrap(),
        ada.doc.transact().encode_diff_v1(&StateVector::default())
    );
}

#[test]
fn who_comes_back_and_says_nothing_new_is_not_logged_again() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    let prepare = |update: &[u8]| Document::prepare(update, &limits()).unwrap();
    let typed = prepare(&ada.types(0, "abcdef"));
    assert_eq!((document.newcomers(&typed), document.adds(&typed)), (1, true));
    document.commit("ada", PLACE, typed).unwrap();
    let everything = ada.doc.transact().encode_diff_v1(&StateVector::default());
    assert_eq!(document.newcomers(&prepare(&everything)), 0);
    assert!(!document.adds(&prepare(&everything)));
    let deleted = ada.deletes(1, 2);
    assert!(document.adds(&prepare(&deleted)), "a deletion is news");
    commit(&mut document, "ada", &deleted);
    assert!(!document.adds(&prepare(&deleted)));
    document.rest();
    let everything = ada.doc.transact().encode_diff_v1(&StateVector::default());
    assert!(!document.adds(&prepare(&everything)));
    assert!(!document.adds(&prepare(EMPTY_UPDATE)));
}

#[test]
fn what_is_behind_a_gap_waits_for_what_is_in_it_and_is_told_meanwhile() {
    let mut document = Document::new();
    let map = |ada: &mut Author, key| {
        ada.doc.get_or_insert_map("map").insert(&mut ada.doc.transact_mut(), key, 1);
        ada.changes()
    };
    let mut ada = Author::new(1);
    let sent = ["a", "b", "c"].map(|key| map(&mut ada, key));
    let keys = |reader: &Author| {
        let map = reader.doc.get_or_insert_map("map");
        let txn = reader.doc.transact();
        map.keys(&txn)
            .map(ToOwned::to_owned)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<String>()
    };
    commit(&mut document, "ada", &sent[0]);
    let mut bob = Author::new(2);
    bob.hears(&document.encode().unwrap());
    commit(&mut document, "ada", &sent[2]);
    assert_eq!(document.vector(), bob.vector(), "what is behind it is not counted");
    let again = Document::prepare(&sent[2], &limits()).unwrap();
    assert!(!document.adds(&again), "but it is kept");
    let mut document = reopened(&mut document, 10);
    assert_eq!((document.clients(), document.waiting().len()), (1, 1));
    bob.hears(&document.missing(&bob.vector(), &limits()).unwrap());
    document.waiting().iter().for_each(|update| bob.hears(update));
    commit(&mut document, "ada", &sent[1]);
    bob.hears(&sent[1]);
    assert_eq!((keys(&bob).as_str(), bob.vector()), ("abc", document.vector().to_vec()));
    assert!(document.waiting().is_empty());
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
fn types_that_are_nested_without_end_are_refused_before_they_are_stored() {
    let mut document = Document::new();
    let prepare = |update: &[u8]| Document::prepare(update, &limits());
    for client in 1..=9_u8 {
        let inner = [0, client - 1, 24];
        let parent = if client == 1 { &b"\x01\x01r"[..] } else { &inner };
        let update = prepare(&nested(client, parent, 25)).unwrap();
        assert_eq!(document.admits(&update), client < 9, "{client}");
        if client < 9 {
            document.commit("eve", PLACE, update).unwrap();
        }
    }
    let beside = prepare(&nested(20, b"\x01\x01s", 1)).unwrap();
    assert!(!document.admits(&beside), "in another place too, while it is so deep");
    commit(&mut document, "eve", &[0, 1, 1, 1, 0, 1]);
    commit(&mut document, "ada", &Author::new(30).types(0, &"a".repeat(5000)));
    assert!(document.admits(&beside), "they were deleted");
    document.commit("ada", PLACE, beside).unwrap();
}

#[test]
fn what_is_at_the_store_counts_until_it_fails() {
    let mut document = Document::new();
    let update = |client| Document::prepare(&nested(client, b"\x01\x01r", 90), &limits()).unwrap();
    assert!(document.admits(&update(1)) && document.admits(&update(2)));
    assert!(!document.admits(&update(3)));
    document.revert();
    assert!(document.admits(&update(3)));
}

#[test]
fn only_so_many_updates_wait_for_what_does_not_come() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    let first = ada.types(0, "a");
    let waiting = (0..crate::limits::WAITING_UPDATES).map(|_| ada.types(1, "b"));
    waiting.for_each(|update| commit(&mut document, "ada", &update));
    let more = Document::prepare(&ada.types(1, "c"), &limits()).unwrap();
    assert!(!document.admits(&more));
    let other = Document::prepare(&Author::new(2).types(0, "other"), &limits()).unwrap();
    assert!(document.admits(&other), "this one need not wait");
    let all = ada.doc.transact().encode_diff_v1(&StateVector::default());
    let all = Document::prepare(&all, &limits()).unwrap();
    assert!(document.admits(&all), "nor does who comes back and sends everything");
    document.commit("ada", PLACE, all).unwrap();
    assert_eq!((text(&mut document), document.waiting().len()), (ada.text(), 0));
    commit(&mut document, "ada", &first);
    assert!(document.admits(&more));
}

#[test]
fn a_page_of_many_paragraphs_is_not_deep() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    for _ in 0..500 {
        let page = ada.doc.get_or_insert_xml_fragment("page");
        let mut txn = ada.doc.transact_mut();
        let paragraph = page.insert(&mut txn, 0, XmlElementPrelim::empty("p"));
        paragraph.insert(&mut txn, 0, XmlTextPrelim::new("text"));
        drop(txn);
        let update = Document::prepare(&ada.changes(), &limits()).unwrap();
        assert!(document.admits(&update));
        document.commit("ada", PLACE, update).unwrap();
    }
    let all = Document::prepare(&document.encode().unwrap(), &limits()).unwrap();
    assert_eq!(all.levels, 2);
}

#[test]
fn a_document_with_a_document_in_it_is_forgotten_like_any_other() {
    let (ada, mut document) = (Author::new(1), Document::new());
    let inner = engine::doc(5);
    ada.doc.get_or_insert_map("map").insert(&mut ada.doc.transact_mut(), "inner", inner);
    let update = ada.doc.transact().encode_diff_v1(&StateVector::default());
    commit(&mut document, "ada", &update);
    let Body::Open(open) = &document.body else { panic!("it is open") };
    let held = open.document();
    document.rest();
    assert!(!engine::has_documents(&held), "nothing holds it any more");
    assert_eq!(document.encode().unwrap().len(), update.len());
}

#[test]
fn a_document_that_yrs_fails_on_is_not_told_as_an_empty_one() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    commit(&mut document, "ada", &ada.types(0, "a year of work"));
    let Body::Open(open) = &document.body else { panic!("it is open") };
    let held = open.document();
    // A panic of yrs leaves it locked.
    let lock = held.transact_mut();
    assert_eq!(document.encode(), Err(Broken));
    assert_eq!(document.pages(100), Err(Broken), "nothing is stored in its log's place");
    assert_eq!(document.missing(&[0], &limits()), Err(Fault::Broken));
    let nested = Document::prepare(&nested(2, b"\x01\x01r", 1), &limits()).unwrap();
    assert!(!document.admits(&nested), "how deep it is cannot be told");
    assert_eq!(document.excess(&nested), None, "but it may be when it was read again");
    document.rest();
    assert!(!document.is_resting());
    drop(lock);
    assert_eq!(text(&mut reopened(&mut document, 100)), "a year of work");
}

#[test]
fn what_waits_is_bounded_in_bytes_too_and_a_long_one_waits_alone() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    let first = ada.types(0, "a");
    let long = [ada.types(1, &"b".repeat(1 << 20)), ada.types(1, "c")];
    let prepare = |update: &[u8]| Document::prepare(update, &limits()).unwrap();
    let [alone, more] = long.each_ref().map(|update| prepare(update));
    assert!(document.admits(&alone), "who was away sends a long one");
    document.commit("ada", PLACE, alone).unwrap();
    assert!(!document.admits(&more));
    assert!(document.admits(&prepare(&first)));
    commit(&mut document, "ada", &first);
    assert!(document.admits(&more) && document.waiting().is_empty());
    commit(&mut document, "ada", &long[1]);
    assert_eq!(text(&mut document), ada.text());
}

/// Letters of a client, all of which want to be the first one.
fn crowding(client: u8, clock: u64, count: u64) -> Vec<u8> {
    let mut update = vec![1];
    yjs::put_var_uint(&mut update, count);
    update.push(client);
    yjs::put_var_uint(&mut update, clock);
    (0..count).for_each(|_| update.extend(b"\x04\x01\x04body\x01a"));
    update.push(0);
    update
}

#[test]
fn many_updates_together_put_no_more_into_one_place_than_one_may() {
    let (mut ada, mut document) = (Author::new(9), Document::new());
    let prepare = |update: &[u8]| Document::prepare(update, &limits()).unwrap();
    for at in 0..2 {
        let update = prepare(&crowding(1, at * 1000, 1000));
        assert!(document.admits(&update), "{at}");
        document.commit("eve", PLACE, update).unwrap();
    }
    let more = crowding(2, 0, 1000);
    assert!(!document.admits(&prepare(&more)), "each would be compared with 2,000");
    let mut document = reopened(&mut document, 10_000);
    assert!(!document.admits(&prepare(&more)), "nor after a restart");
    assert_eq!(document.excess(&prepare(&more)), Some(Excess::Crowd), "nor ever");
    let typed = prepare(&ada.types(0, "Hello"));
    assert!(document.admits(&typed), "who types is not kept from it");
    document.commit("ada", PLACE, typed).unwrap();
    commit(&mut document, "ada", &[0, 1, 1, 1, 0, 0xd0, 0x0f]);
    assert!(!document.admits(&prepare(&more)), "what is deleted is compared as well");
}

#[test]
fn what_was_typed_letter_by_letter_is_no_crowd() {
    let (mut ada, mut document) = (Author::new(9), Document::new());
    let prepare = |update: &[u8]| Document::prepare(update, &limits()).unwrap();
    for at in 0..2500 {
        let typed = prepare(&ada.types(at, "a"));
        assert!(document.admits(&typed));
        document.commit("ada", PLACE, typed).unwrap();
    }
    for _ in 0..2 {
        assert!(document.admits(&prepare(&crowding(1, 0, 900))));
    }
    assert!(!document.admits(&prepare(&crowding(2, 0, 900))), "two are at the store");
    assert_eq!(document.excess(&prepare(&crowding(2, 0, 900))), None, "which may fail");
    document.revert();
    assert!(document.admits(&prepare(&crowding(2, 0, 900))));
}

#[test]
fn pages_measure_the_document_and_its_log_counts_no_more() {
    let (mut ada, mut document) = (Author::new(1), Document::new());
    for _ in 0..500 {
        commit(&mut document, "ada", &ada.types(0, "a"));
        commit(&mut document, "ada", &ada.deletes(0, 1));
    }
    assert!(document.bytes() > 10_000);
    document.pages(1000).unwrap();
    assert_eq!(document.bytes(), document.encode().unwrap().len());
}
