//! Brings a document back to what it held before, as a new change.
//!
//! What is the same stays where it is, so that what others write into it meanwhile is kept: texts
//! are changed where they differ, lists item by item, and types that are in both are not replaced.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use yrs::branch::{Branch, BranchPtr};
use yrs::types::Attrs;
use yrs::{
    Any, Array, ArrayPrelim, ArrayRef, In, Map, MapPrelim, MapRef, Out, ReadTxn, Text, TextPrelim,
    TextRef, Transact, TransactionMut, WriteTxn, XmlElementPrelim, XmlFragmentPrelim,
    XmlTextPrelim,
};

use super::diff::{Part, parts};
use super::engine;
use super::node::{Kind, Node, Piece, Run, Sequence, Shared, same, shared};
use super::view::opened;
use super::{Broken, Fault};

type Txn<'a, 'doc> = &'a mut TransactionMut<'doc>;

/// The update that brings the document `now` to what `then` holds, both as
/// [`encode`](super::Document::encode) writes them, by a client that has written nothing yet.
///
/// # Errors
/// [`Fault::Invalid`] for what is no state of a document.
pub fn restore(now: &[u8], then: &[u8], client: u64) -> Result<Bytes, Fault> {
    let (doc, old) = (opened(now, client)?, opened(then, 0)?);
    let work = || {
        let old = old.transact();
        let mut all: BTreeSet<_> = old.root_refs().map(|(name, _)| name.to_owned()).collect();
        let mut txn = doc.transact_mut();
        all.extend(txn.root_refs().map(|(name, _)| name.to_owned()));
        for name in all {
            let branch = root(&mut txn, &name);
            let before = Shared::root(branch, &txn);
            let after = old.get(&name).and_then(|out| shared(&out));
            let after = match after {
                Some((_, branch)) => Shared::root(branch, &old),
                None => Shared::empty(Kind::Root, false),
            };
            change(&mut txn, branch, &before, &after);
        }
        txn.commit();
        txn.encode_update_v1()
    };
    engine::guarded(work).map(Bytes::from).map_err(|Broken| Fault::Invalid)
}

/// A root, whatever it is used as.
pub(super) fn root(txn: Txn<'_, '_>, name: &str) -> BranchPtr {
    if let Some((_, branch)) = txn.get(name).and_then(|out| shared(&out)) {
        return branch;
    }
    let map = txn.get_or_insert_map(name);
    BranchPtr::from(map.as_ref() as &Branch)
}

/// Makes of what a shared type holds what it should hold.
pub(super) fn change(txn: Txn<'_, '_>, branch: BranchPtr, now: &Shared, then: &Shared) {
    let map = MapRef::from(branch);
    for key in now.keys.keys().filter(|key| !then.keys.contains_key(*key)) {
        map.remove(txn, key);
    }
    for (key, node) in &then.keys {
        match now.keys.get(key) {
            Some(before) if same(before, node) => {}
            Some(before) => {
                let held = map.get(txn, key);
                if !change_inside(txn, held.as_ref(), before, node) {
                    put(txn, &map, key, node);
                }
            }
            None => put(txn, &map, key, node),
        }
    }
    let text = TextRef::from(branch);
    match (&now.sequence, &then.sequence) {
        (Sequence::List(now), Sequence::List(then)) => {
            change_list(txn, &ArrayRef::from(branch), now, then);
        }
        (Sequence::Text(now), Sequence::Text(then)) => change_text(txn, &text, now, then),
        // Of a root that was empty it is not known that it is a text.
        (Sequence::List(now), Sequence::Text(then)) => {
            change_list(txn, &ArrayRef::from(branch), now, &[]);
            change_text(txn, &text, &[], then);
        }
        (Sequence::Text(now), Sequence::List(then)) => {
            change_text(txn, &text, now, &[]);
            change_list(txn, &ArrayRef::from(branch), &[], then);
        }
    }
}

/// Whether both are types of one kind: then what is in it was changed.
fn change_inside(txn: Txn<'_, '_>, held: Option<&Out>, now: &Node, then: &Node) -> bool {
    let (Node::Shared(now), Node::Shared(then)) = (now, then) else { return false };
    let Some((_, branch)) = held.and_then(shared) else { return false };
    if now.kind != then.kind {
        return false;
    }
    change(txn, branch, now, then);
    true
}

pub(super) fn put(txn: Txn<'_, '_>, map: &MapRef, key: &str, node: &Node) {
    let made = map.insert(txn, key, blank(node));
    fill(txn, &made, node);
}

pub(super) fn insert(txn: Txn<'_, '_>, list: &ArrayRef, at: u32, node: &Node) {
    let made = list.insert(txn, at, blank(node));
    fill(txn, &made, node);
}

/// A value, or a type without anything in it.
fn blank(node: &Node) -> In {
    match node {
        Node::Value(any) => In::Any(any.clone()),
        Node::Document(doc) => In::Doc(doc.clone()),
        Node::Shared(shared) => match &shared.kind {
            Kind::Root | Kind::Map => In::Map(MapPrelim::default()),
            Kind::Array => In::Array(ArrayPrelim::default()),
            Kind::Text => In::from(TextPrelim::new("")),
            Kind::Element(tag) => In::XmlElement(XmlElementPrelim::empty(tag.as_str())),
            Kind::Fragment => In::XmlFragment(XmlFragmentPrelim::default()),
            Kind::XmlText => In::from(XmlTextPrelim::new("")),
        },
    }
}

fn fill(txn: Txn<'_, '_>, made: &Out, node: &Node) {
    if let (Some((kind, branch)), Node::Shared(then)) = (shared(made), node) {
        let is_text = matches!(then.sequence, Sequence::Text(_));
        change(txn, branch, &Shared::empty(kind, is_text), then);
    }
}

fn change_list(txn: Txn<'_, '_>, list: &ArrayRef, now: &[Node], then: &[Node]) {
    let mut numbers = HashMap::new();
    let mut numbered = |nodes: &[Node]| -> Vec<usize> {
        let number = |node: &Node| {
            let next = numbers.len();
            *numbers.entry(node.print()).or_insert(next)
        };
        nodes.iter().map(number).collect()
    };
    let (old, new) = (numbered(now), numbered(then));
    // From the end, so that what is in front keeps its place.
    for Part { old, new, .. } in differing(&parts(&old, &new, |_| false)) {
        let paired = old.len().min(new.len());
        let start = old.start as u32;
        if old.len() > paired {
            list.remove_range(txn, start + paired as u32, (old.len() - paired) as u32);
        }
        for at in paired..new.len() {
            insert(txn, list, start + at as u32, &then[new.start + at]);
        }
        for at in (0..paired).rev() {
            let (before, after) = (&now[old.start + at], &then[new.start + at]);
            let place = start + at as u32;
            let held = list.get(txn, place);
            if !change_inside(txn, held.as_ref(), before, after) {
                list.remove_range(txn, place, 1);
                insert(txn, list, place, after);
            }
        }
    }
}

fn differing(parts: &[Part]) -> impl Iterator<Item = Part> + '_ {
    parts.iter().rev().filter(|part| !part.equal).cloned()
}

/// A text, character by character.
struct Flat<'a> {
    runs: &'a [Run],
    /// What each is, and of which run.
    units: Vec<(Unit, usize)>,
    /// Where each begins, as editors count, and where the last one ends.
    places: Vec<u32>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Unit {
    Char(char),
    Embed(String),
}

impl<'a> Flat<'a> {
    fn new(runs: &'a [Run]) -> Self {
        let (mut units, mut places, mut place) = (Vec::new(), vec![0], 0);
        let mut add = |unit, run, width| {
            units.push((unit, run));
            place += width;
            places.push(place);
        };
        for (number, run) in runs.iter().enumerate() {
            match &run.piece {
                Piece::Text(text) => {
                    text.chars().for_each(|c| add(Unit::Char(c), number, c.len_utf16() as u32));
                }
                Piece::Embed(node) => add(Unit::Embed(node.print()), number, 1),
            }
        }
        Self { runs, units, places }
    }

    fn units(&self) -> Vec<Unit> {
        self.units.iter().map(|(unit, _)| unit.clone()).collect()
    }

    fn place(&self, unit: usize) -> u32 {
        self.places[unit]
    }

    fn format(&self, unit: usize) -> &BTreeMap<String, Any> {
        &self.runs[self.units[unit].1].format
    }

    /// Pieces of these units: where each begins and ends, and its run.
    fn pieces(&self, units: Range<usize>) -> Vec<(Range<usize>, &'a Run)> {
        let mut start = units.start;
        let pieces = self.units[units].chunk_by(|a, b| a.1 == b.1).map(|piece| {
            let range = start..start + piece.len();
            start = range.end;
            (range, &self.runs[piece[0].1])
        });
        pieces.collect()
    }
}

fn change_text(txn: Txn<'_, '_>, text: &TextRef, now: &[Run], then: &[Run]) {
    let (old, new) = (Flat::new(now), Flat::new(then));
    let found = parts(&old.units(), &new.units(), |unit| *unit == Unit::Char('\n'));
    for part in differing(&found) {
        let place = old.place(part.old.start);
        let length = old.place(part.old.end) - place;
        if length > 0 {
            text.remove_range(txn, place, length);
        }
        let mut at = place;
        for (range, run) in new.pieces(part.new) {
            write(txn, text, at, run, &new.units[range.clone()]);
            at += new.place(range.end) - new.place(range.start);
        }
    }
    // Lengths are those of the text that was wanted now.
    for Part { old: old_range, new: new_range, .. } in found.iter().filter(|part| part.equal) {
        let pairs = old_range.clone().zip(new_range.clone());
        let differ = pairs.filter(|(before, after)| old.format(*before) != new.format(*after));
        let differ: Vec<_> = differ.collect();
        let alike = |a: &(usize, usize), b: &(usize, usize)| {
            let together = a.0 + 1 == b.0;
            together && old.units[a.0].1 == old.units[b.0].1 && new.units[a.1].1 == new.units[b.1].1
        };
        for piece in differ.chunk_by(alike) {
            let ((before, first), last) = (piece[0], piece[piece.len() - 1].1);
            let place = new.place(first);
            let format = reformat(old.format(before), new.format(first));
            text.format(txn, place, new.place(last + 1) - place, format);
        }
    }
}

/// What makes one format of another.
fn reformat(now: &BTreeMap<String, Any>, then: &BTreeMap<String, Any>) -> Attrs {
    let gone = now.keys().filter(|name| !then.contains_key(*name));
    let gone = gone.map(|name| (Arc::from(name.as_str()), Any::Null));
    gone.chain(attributes(then)).collect()
}

fn attributes(format: &BTreeMap<String, Any>) -> Attrs {
    format.iter().map(|(name, value)| (Arc::from(name.as_str()), value.clone())).collect()
}

fn write(txn: Txn<'_, '_>, text: &TextRef, at: u32, run: &Run, units: &[(Unit, usize)]) {
    let format = attributes(&run.format);
    let node = match &run.piece {
        Piece::Text(_) => {
            let char = |(unit, _): &(Unit, usize)| match unit {
                Unit::Char(c) => Some(*c),
                Unit::Embed(_) => None,
            };
            let chars: String = units.iter().filter_map(char).collect();
            return text.insert_with_attributes(txn, at, &chars, format);
        }
        Piece::Embed(node) => node,
    };
    let then = match node {
        Node::Value(any) => {
            text.insert_embed_with_attributes(txn, at, any.clone(), format);
            return;
        }
        // No editor puts a document into a text.
        Node::Document(_) => return,
        Node::Shared(then) => then,
    };
    let made = match &then.kind {
        Kind::Root | Kind::Map => {
            Out::YMap(text.insert_embed_with_attributes(txn, at, MapPrelim::default(), format))
        }
        Kind::Array => {
            Out::YArray(text.insert_embed_with_attributes(txn, at, ArrayPrelim::default(), format))
        }
        Kind::Text => {
            Out::YText(text.insert_embed_with_attributes(txn, at, TextPrelim::new(""), format))
        }
        Kind::Element(tag) => {
            let element = XmlElementPrelim::empty(tag.as_str());
            Out::YXmlElement(text.insert_embed_with_attributes(txn, at, element, format))
        }
        Kind::Fragment => {
            let fragment = XmlFragmentPrelim::default();
            Out::YXmlFragment(text.insert_embed_with_attributes(txn, at, fragment, format))
        }
        Kind::XmlText => {
            let inner = XmlTextPrelim::new("");
            Out::YXmlText(text.insert_embed_with_attributes(txn, at, inner, format))
        }
    };
    fill(txn, &made, node);
}
