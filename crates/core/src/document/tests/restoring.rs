//! Versions are brought back as new changes.

use yrs::{Any, MapPrelim, Out, Xml};

use super::random::writes;
use super::*;
use crate::rng::Rng;

const SEEDS: u64 = 80;

/// Everything that is in it, as it is compared.
fn print(state: &[u8]) -> String {
    let (doc, mut out) = (view::opened(state, 0).unwrap(), String::new());
    let txn = doc.transact();
    let mut roots: Vec<_> = txn.root_refs().collect();
    roots.sort_by(|a, b| a.0.cmp(b.0));
    for (name, root) in roots {
        let (_, branch) = node::shared(&root).unwrap();
        let root = node::Shared::root(branch, &txn);
        let root = node::Node::Shared(root).print();
        if root != node::Node::Shared(node::Shared::empty(node::Kind::Root, false)).print() {
            out += &format!("{name}: {root}\n");
        }
    }
    out
}

fn all(author: &Author) -> Vec<u8> {
    author.doc.transact().encode_diff_v1(&StateVector::default())
}

/// Formats a part of the text, and writes into types that are in types.
fn decorates(author: &mut Author, rng: &mut Rng) {
    let mut below = |max: u32| (rng.next() % u64::from(max.max(1))) as u32;
    let body = author.doc.get_or_insert_text("body");
    let (map, page) =
        (author.doc.get_or_insert_map("map"), author.doc.get_or_insert_xml_fragment("page"));
    let mut txn = author.doc.transact_mut();
    let length = body.len(&txn);
    if length > 1 {
        let at = below(length - 1);
        let value = [Any::Bool(true), Any::Null, "red".into()][below(3) as usize].clone();
        body.format(&mut txn, at, 1 + below(length - at - 1), [("bold".into(), value)].into());
    }
    if below(3) == 0 {
        body.insert_embed(&mut txn, below(length + 1), Any::from(f64::from(below(5))));
    }
    let inner: MapRef = match map.get(&txn, "inner") {
        Some(Out::YMap(inner)) if below(4) > 0 => inner,
        _ => map.insert(&mut txn, "inner", MapPrelim::default()),
    };
    inner.insert(&mut txn, ["a", "b"][below(2) as usize], f64::from(below(9)));
    if page.len(&txn) > 0 {
        let at = below(page.len(&txn));
        if let Some(yrs::XmlOut::Element(paragraph)) = page.get(&txn, at) {
            paragraph.insert_attribute(&mut txn, "level", Any::from(f64::from(below(3))));
            if let Some(yrs::XmlOut::Text(text)) = paragraph.get(&txn, 0) {
                text.insert(&mut txn, below(2), "in ");
            }
        }
        if below(5) == 0 {
            page.remove_range(&mut txn, at, 1);
        }
    }
}

#[test]
fn whatever_was_written_since_the_content_is_what_it_was() {
    for seed in 0..SEEDS {
        let (mut rng, mut ada) = (Rng::new(seed), Author::new(1));
        let mut document = Document::new();
        let write = |ada: &mut Author, rng: &mut Rng, document: &mut Document| {
            for _ in 0..rng.next() % 20 {
                writes(ada, rng);
                decorates(ada, rng);
            }
            commit(document, "ada", &all(ada));
        };
        write(&mut ada, &mut rng, &mut document);
        let then = document.encode().unwrap();
        write(&mut ada, &mut rng, &mut document);
        let update = restore(&document.encode().unwrap(), &then, 1000 + seed).unwrap();
        let prepared = Document::prepare(&update, &limits()).unwrap();
        assert!(document.admits(&prepared));
        document.commit("ada", (1, 0), prepared).unwrap();
        assert_eq!(print(&document.encode().unwrap()), print(&then), "seed {seed}");
        let again = restore(&document.encode().unwrap(), &then, 5).unwrap();
        assert_eq!(again, EMPTY_UPDATE, "seed {seed}: there is nothing left to do");
    }
}

#[test]
fn what_others_write_meanwhile_survives_and_deleted_text_is_not_theirs() {
    let (mut ada, mut bob, mut document) = (Author::new(1), Author::new(2), Document::new());
    commit(&mut document, "ada", &ada.types(0, "The first line.\nThe second line.\n"));
    let then = document.encode().unwrap();
    commit(&mut document, "ada", &ada.types(4, "very "));
    commit(&mut document, "ada", &ada.deletes(21, 11));
    bob.hears(&document.encode().unwrap());
    let meanwhile = bob.types(0, "Bob was here. ");
    let update = restore(&document.encode().unwrap(), &then, 9).unwrap();
    commit(&mut document, "ada", &update);
    commit(&mut document, "bob", &meanwhile);
    assert_eq!(text(&mut document), "Bob was here. The first line.\nThe second line.\n");
    assert_eq!(document.clients(), 3);
    bob.hears(&update);
    assert_eq!(bob.text(), text(&mut document));
}

#[test]
fn somebody_who_writes_into_a_paragraph_finds_it_changed_and_not_replaced() {
    let (mut ada, mut bob, mut document) = (Author::new(1), Author::new(2), Document::new());
    let page = ada.doc.get_or_insert_xml_fragment("page");
    let mut txn = ada.doc.transact_mut();
    for line in ["one", "two", "three"] {
        let paragraph = page.push_back(&mut txn, XmlElementPrelim::empty("p"));
        paragraph.push_back(&mut txn, XmlTextPrelim::new(line));
    }
    drop(txn);
    commit(&mut document, "ada", &ada.changes());
    let then = document.encode().unwrap();
    let second = |author: &Author, work: &dyn Fn(yrs::XmlTextRef, &mut yrs::TransactionMut<'_>)| {
        let page = author.doc.get_or_insert_xml_fragment("page");
        let mut txn = author.doc.transact_mut();
        let paragraph = page.get(&txn, 1).and_then(yrs::XmlOut::into_xml_element).unwrap();
        let text = paragraph.get(&txn, 0).and_then(yrs::XmlOut::into_xml_text).unwrap();
        work(text, &mut txn);
    };
    second(&ada, &|text, txn| text.insert(txn, 3, " and a half"));
    commit(&mut document, "ada", &ada.changes());
    bob.hears(&document.encode().unwrap());
    second(&bob, &|text, txn| text.insert(txn, 0, "Bob's "));
    let meanwhile = bob.changes();
    let update = restore(&document.encode().unwrap(), &then, 9).unwrap();
    commit(&mut document, "ada", &update);
    commit(&mut document, "bob", &meanwhile);
    assert_eq!(
        plain_text(&document.encode().unwrap(), Some("page")).unwrap(),
        "one\nBob's two\nthree"
    );
}

#[test]
fn a_document_is_read_as_text_and_as_json() {
    let mut ada = Author::new(1);
    ada.types(0, "Plan");
    let list = ada.doc.get_or_insert_array("todos");
    let mut txn = ada.doc.transact_mut();
    let todo = list.push_back(&mut txn, MapPrelim::from([("text", "milk")]));
    todo.insert(&mut txn, "done", false);
    drop(txn);
    let page = ada.doc.get_or_insert_xml_fragment("page");
    let mut txn = ada.doc.transact_mut();
    let heading = page.push_back(&mut txn, XmlElementPrelim::empty("h1"));
    heading.push_back(&mut txn, XmlTextPrelim::new("Title"));
    drop(txn);
    let state = all(&ada);
    let read = json(&state, &[]).unwrap();
    let expected = serde_json::json!({
        "body": "Plan", "page": "<h1>Title</h1>", "todos": [{"done": false, "text": "milk"}],
    });
    assert_eq!(read, expected);
    assert_eq!(plain_text(&state, None).unwrap(), "Plan\nTitle\nfalse\nmilk");
    assert_eq!(plain_text(&state, Some("page")).unwrap(), "Title");
    assert_eq!(plain_text(&state, Some("nothing")).unwrap(), "");
    let told = json(&state, &[("body", RootKind::Array)]).unwrap();
    assert_eq!(told["body"], serde_json::json!([]));
    let kinds = [("body", RootKind::Text), ("page", RootKind::Xml), ("todos", RootKind::Array)];
    assert_eq!(roots(&state).unwrap(), kinds.map(|(name, kind)| (name.to_owned(), kind)));
    assert_eq!(roots(b"nothing"), Err(Fault::Invalid));
}
