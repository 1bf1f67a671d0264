//! A backend that reads what is edited, and writes beside those who edit it.

use serde_json::Value;
use tidings_core::document::{TextEdit, edit_text, plain_text};
use tidings_core::engine::Contribution;
use tidings_core::store::StoreError;

use crate::desk::{DOC, Desk, bytes_of, merge};
use crate::writer::Writer;

impl Desk {
    /// Reads the document; `None`: it cannot be read now.
    pub(crate) fn backend_reads(&mut self, shard: usize) -> Option<Value> {
        self.engines[shard].read_document(self.now, 77, DOC);
        self.run();
        self.answers.pop().filter(|answer| answer["type"] == "whole")
    }

    pub(crate) fn backend_writes(&mut self, shard: usize, change: Contribution) {
        self.engines[shard].contribute(self.now, &"backend".into(), 78, DOC, change);
        self.run();
    }

    /// The newest answer, and no other: its type, or its code.
    fn answered(&mut self) -> String {
        let answers = std::mem::take(&mut self.answers);
        let [answer] = &*answers else { panic!("{answers:?}") };
        let said = if answer["type"] == "error" { &answer["code"] } else { &answer["type"] };
        said.as_str().unwrap().to_owned()
    }
}

/// An edit of what was read.
pub(crate) fn made(read: &Value, at: usize, insert: &str) -> Contribution {
    let scribe = read["scribe"].as_u64();
    let edit = TextEdit {
        at: u32::try_from(at).unwrap(),
        delete: 0,
        insert: insert.to_owned(),
        attributes: None,
    };
    let state = bytes_of(&read["update"]);
    let update = edit_text(&state, "t", "", &[edit], scribe.unwrap()).unwrap();
    Contribution { scribe, update, ..Contribution::default() }
}

/// Its text.
pub(crate) fn text_of(read: &Value) -> String {
    plain_text(&bytes_of(&read["update"]), Some("t")).unwrap()
}

#[test]
fn two_edits_as_the_same_client_are_never_about_the_same_place_in_its_history() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "ada"));
    let read = desk.backend_reads(0).unwrap();
    let (first, second) = (made(&read, 0, "one "), made(&read, 0, "two "));
    desk.slow = true;
    desk.backend_writes(0, first);
    assert!(desk.answers.is_empty(), "it is at the store");
    desk.backend_writes(0, second.clone());
    assert_eq!(desk.answered(), "conflict");
    desk.store(&Ok(()));
    assert_eq!(desk.answered(), "merged");
    desk.slow = false;
    desk.backend_writes(0, second);
    assert_eq!(desk.answered(), "conflict");
    for frame in desk.heard(ada).iter().filter(|frame| frame["type"] == "document") {
        at_ada.take(&bytes_of(&frame["update"]));
    }
    assert_eq!(at_ada.text(), "one ada");
}

#[test]
fn an_edit_that_could_not_be_stored_can_be_made_again() {
    let mut desk = Desk::new();
    let read = desk.backend_reads(0).unwrap();
    let edit = made(&read, 0, "again");
    desk.slow = true;
    desk.backend_writes(0, edit.clone());
    desk.store(&Err(StoreError::Full));
    assert_eq!(desk.answered(), "unavailable");
    desk.slow = false;
    desk.backend_writes(0, edit);
    assert_eq!(desk.answered(), "merged");
    assert_eq!(text_of(&desk.backend_reads(0).unwrap()), "again");
}

#[test]
fn what_is_at_the_store_counts_for_who_wants_to_be_the_first() {
    let mut desk = Desk::new();
    let (ada, at_ada) = (desk.reader("ada"), Writer::new(1));
    desk.merge(ada, &at_ada.write(0, "a"));
    let read = desk.backend_reads(0).unwrap();
    let edit = Contribution { if_offset: read["offset"].as_u64(), ..made(&read, 0, "b") };
    desk.slow = true;
    desk.say(ada, &merge(9, &at_ada.add("c")));
    desk.backend_writes(0, edit);
    assert_eq!(desk.answered(), "conflict");
    desk.store(&Ok(()));
    assert_eq!(text_of(&desk.backend_reads(0).unwrap()), "ac");
}
