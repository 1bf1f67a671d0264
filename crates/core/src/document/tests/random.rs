//! Authors write whatever they like, and what they send comes late, twice, or in another order.

use yrs::{MapPrelim, Out};

use super::*;
use crate::rng::Rng;

const AUTHORS: u64 = 4;
const STEPS: u32 = 120;
const SEEDS: u64 = 60;

pub(super) fn writes(author: &mut Author, rng: &mut Rng) -> Vec<u8> {
    let (body, list) =
        (author.doc.get_or_insert_text("body"), author.doc.get_or_insert_array("list"));
    let map = author.doc.get_or_insert_map("map");
    let page = author.doc.get_or_insert_xml_fragment("page");
    let mut txn = author.doc.transact_mut();
    let mut below = |max: u32| (rng.next() % u64::from(max.max(1))) as u32;
    let (length, items) = (body.len(&txn), list.len(&txn));
    match below(9) {
        0..3 => body.insert(
            &mut txn,
            below(length + 1),
            ["a", "🙂é", "a longer text"][below(3) as usize],
        ),
        3 if length > 0 => {
            let at = below(length);
            let count = 1 + below(4).min(length - at - 1);
            body.remove_range(&mut txn, at, count);
        }
        4 => {
            let key = ["x", "y", "z"][below(3) as usize];
            map.insert(&mut txn, key, f64::from(below(100)));
        }
        5 => {
            let inner: MapRef = map.insert(&mut txn, "inner", MapPrelim::default());
            inner.insert(&mut txn, "deep", true);
        }
        6 => {
            list.insert(&mut txn, below(items + 1), "item");
        }
        7 if items > 0 => list.remove(&mut txn, below(items)),
        _ => {
            let paragraph = page.insert(&mut txn, 0, XmlElementPrelim::empty("p"));
            paragraph.insert(&mut txn, 0, XmlTextPrelim::new("text"));
            if let Some(Out::YMap(inner)) = map.get(&txn, "inner") {
                inner.insert(&mut txn, "times", 1);
            }
        }
    }
    txn.commit();
    let update = txn.encode_update_v1();
    drop(txn);
    author.sent = author.doc.transact().state_vector();
    update
}

/// What a copy holds, in words.
fn content(doc: &Doc) -> String {
    let (body, list) = (doc.get_or_insert_text("body"), doc.get_or_insert_array("list"));
    let (map, page) = (doc.get_or_insert_map("map"), doc.get_or_insert_xml_fragment("page"));
    let txn = doc.transact();
    let map = map.to_json(&txn);
    let key = |key: &str| {
        format!(
            "{:?}",
            match &map {
                yrs::Any::Map(map) => map.get(key),
                _ => None,
            }
        )
    };
    let keys = ["x", "y", "z"].map(key);
    let text = (body.get_string(&txn), page.get_string(&txn));
    format!("{text:?} {:?} {keys:?}", list.to_json(&txn))
}

fn read(document: &mut Document) -> Doc {
    let mut reader = Author::new(99);
    reader.hears(&document.encode().unwrap());
    reader.doc
}

fn run(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut authors: Vec<_> = (1..=AUTHORS).map(Author::new).collect();
    let (mut document, mut waiting, mut sent) = (Document::new(), Vec::new(), Vec::new());
    for _ in 0..STEPS {
        let author = (rng.next() % AUTHORS) as usize;
        match rng.next() % 8 {
            0..4 => {
                let update = writes(&mut authors[author], &mut rng);
                waiting.push(update.clone());
                sent.push(update);
            }
            4 | 5 if !waiting.is_empty() => {
                let at = (rng.next() % waiting.len() as u64) as usize;
                commit(&mut document, "ada", &waiting.swap_remove(at));
            }
            6 if !sent.is_empty() => {
                let again = &sent[(rng.next() % sent.len() as u64) as usize];
                commit(&mut document, "ada", again);
                let author = &mut authors[author];
                author.hears(&document.missing(&author.vector(), &limits()).unwrap());
            }
            7 if rng.next().is_multiple_of(2) => document.rest(),
            _ => {
                let vector = document.vector();
                document = reopened(&mut document, 1 + (rng.next() % 300) as usize);
                assert_eq!(document.vector(), vector);
            }
        }
        let state = document.encode().unwrap();
        yjs::check_update(&state, &UpdateLimits::default()).unwrap();
        let parts = yjs::split(&state, 200);
        assert!(parts.iter().all(|part| Document::prepare(part, &limits()).is_ok()));
    }
    for update in waiting {
        commit(&mut document, "ada", &update);
    }
    let mut all = Author::new(50);
    sent.iter().for_each(|update| all.hears(update));
    assert_eq!(content(&read(&mut document)), content(&all.doc));
    let mut again = reopened(&mut document, 64);
    assert_eq!(content(&read(&mut again)), content(&all.doc));
    for author in &mut authors {
        author.hears(&document.missing(&author.vector(), &limits()).unwrap());
        assert_eq!(content(&author.doc), content(&all.doc));
        let everything = author.doc.transact().encode_diff_v1(&StateVector::default());
        let everything = Document::prepare(&everything, &limits()).unwrap();
        assert!(!document.adds(&everything) && document.newcomers(&everything) == 0);
    }
}

#[test]
fn whatever_order_updates_come_in_all_end_with_the_same() {
    for seed in 0..SEEDS {
        let done = std::panic::catch_unwind(|| run(seed));
        assert!(done.is_ok(), "seed {seed}");
    }
}
