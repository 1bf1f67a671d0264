//! The parts of an update make what the whole makes.

use proptest::prelude::*;
use tidings_proto::yjs::split;
use yrs::{ReadTxn, Text, Transact};

use super::authors::{plain_story, story, together};
use super::{apply, cases, check, document, seen, state};

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn parts_make_the_whole(seed: u64, max in 40usize..600) {
        let story = story(seed, 120);
        let whole = state(&story.docs[0]);
        let parts = split(&whole, max);
        let doc = document(1);
        for part in &parts {
            check(part);
            prop_assert!(apply(&doc, part));
            prop_assert!(!doc.transact().has_missing_updates(), "a part waits for a later one");
        }
        let expected = together(&[whole]);
        prop_assert_eq!(seen(&doc), seen(&expected));
        prop_assert_eq!(doc.transact().state_vector(), expected.transact().state_vector());
    }

    /// Where nothing is formatted, those who have a part of the story already may get parts, too.
    #[test]
    fn parts_make_the_whole_of_what_is_missing(seed: u64, max in 40usize..300) {
        let story = plain_story(seed, 80);
        let behind = together(&story.updates[..40]);
        let expected = together(&story.updates[..40]);
        let vector = behind.transact().state_vector();
        let missing = story.docs[1].transact().encode_state_as_update_v1(&vector);
        for part in split(&missing, max) {
            check(&part);
            prop_assert!(apply(&behind, &part));
        }
        prop_assert!(apply(&expected, &missing));
        prop_assert_eq!(seen(&behind), seen(&expected));
        prop_assert_eq!(seen(&behind), seen(&story.docs[1]));
    }
}

#[test]
fn a_book_is_read_in_pages() {
    let ada = document(1);
    let text = ada.get_or_insert_text("text");
    let book = "It was a dark and stormy night; ½ of it, at least. 🌩\n".repeat(2000);
    text.push(&mut ada.transact_mut(), &book);
    let whole = state(&ada);
    let pages = split(&whole, 16 * 1024);
    assert!(pages.iter().all(|page| page.len() < 17 * 1024));
    let bytes: usize = pages.iter().map(Vec::len).sum();
    assert!(bytes < whole.len() + 64 * pages.len(), "little is said twice");
    let bob = document(2);
    assert!(pages.iter().all(|page| apply(&bob, page)));
    assert_eq!(seen(&bob), seen(&ada));
    assert_eq!(state(&bob), whole, "and it is one text again");
}
