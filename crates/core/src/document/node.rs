//! What a document holds, as a tree of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use yrs::branch::BranchPtr;
use yrs::types::text::YChange;
use yrs::{Any, Array, ArrayRef, Doc, GetString, Map, MapRef, Out, ReadTxn, Text, TextRef};

/// A value of a map, a list or a text.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Value(Any),
    Shared(Shared),
    /// A document in the document, which is only a name here.
    Document(Doc),
}

/// A shared type. Each has keys and a sequence, although most kinds use one of the two only.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) kind: Kind,
    pub(super) keys: BTreeMap<String, Node>,
    pub(super) sequence: Sequence,
}

/// What a shared type was made as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of the document itself: which it is, only its editors know.
    Root,
    Map,
    Array,
    Text,
    Element(String),
    Fragment,
    XmlText,
}

#[derive(Clone, Debug)]
pub(super) enum Sequence {
    List(Vec<Node>),
    Text(Vec<Run>),
}

/// A piece of text with one format, or something in it.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) piece: Piece,
    pub(super) format: BTreeMap<String, Any>,
}

#[derive(Clone, Debug)]
pub(super) enum Piece {
    Text(String),
    Embed(Node),
}

impl Shared {
    /// A root as it is.
    pub(super) fn root(branch: BranchPtr, txn: &impl ReadTxn) -> Self {
        let kind = Kind::Root;
        let is_text = !TextRef::from(branch).get_string(txn).is_empty();
        Self::read(kind, branch, is_text, txn)
    }

    /// A text, also one that is empty.
    pub(super) fn text(text: &TextRef, txn: &impl ReadTxn) -> Self {
        let branch = BranchPtr::from(text.as_ref() as &yrs::branch::Branch);
        Self::read(Kind::Text, branch, true, txn)
    }

    pub(super) fn is_empty(&self) -> bool {
        let is_empty = match &self.sequence {
            Sequence::List(list) => list.is_empty(),
            Sequence::Text(runs) => runs.is_empty(),
        };
        is_empty && self.keys.is_empty()
    }

    fn read(kind: Kind, branch: BranchPtr, is_text: bool, txn: &impl ReadTxn) -> Self {
        let map = MapRef::from(branch);
        let keys = map.iter(txn).map(|(key, value)| (key.to_owned(), Node::read(&value, txn)));
        let keys = keys.collect();
        let sequence = if is_text {
            Sequence::Text(runs(&TextRef::from(branch), txn))
        } else if kind == Kind::Map {
            Sequence::List(Vec::new())
        } else {
            let list = ArrayRef::from(branch);
            Sequence::List(list.iter(txn).map(|value| Node::read(&value, txn)).collect())
        };
        Self { kind, keys, sequence }
    }
}

impl Node {
    pub(super) fn read(out: &Out, txn: &impl ReadTxn) -> Self {
        let Some((kind, branch)) = shared(out) else {
            return match out {
                Out::Any(any) => Node::Value(any.clone()),
                Out::YDoc(doc) => Node::Document(doc.clone()),
                _ => Node::Value(Any::Undefined),
            };
        };
        let is_text = matches!(kind, Kind::Text | Kind::XmlText);
        Node::Shared(Shared::read(kind, branch, is_text, txn))
    }

    /// About how many bytes it takes, written, and how many levels deep it is.
    pub(super) fn measure(&self) -> (usize, usize) {
        let mut all = (8, 0);
        match self {
            Node::Value(any) => return measure_any(any),
            Node::Document(_) => {}
            Node::Shared(shared) => {
                for (key, node) in &shared.keys {
                    enclose(&mut all, key.len(), node.measure());
                }
                match &shared.sequence {
                    Sequence::List(list) => {
                        list.iter().for_each(|node| enclose(&mut all, 0, node.measure()));
                    }
                    Sequence::Text(runs) => {
                        for Run { piece, format } in runs {
                            let piece = match piece {
                                Piece::Text(text) => (text.len() + 8, 0),
                                Piece::Embed(node) => node.measure(),
                            };
                            enclose(&mut all, 0, piece);
                            for (name, value) in format {
                                enclose(&mut all, name.len(), measure_any(value));
                            }
                        }
                    }
                }
            }
        }
        all
    }

    /// The same for equal nodes only.
    pub(super) fn print(&self) -> String {
        let mut out = String::new();
        self.print_into(&mut out);
        out
    }

    fn print_into(&self, out: &mut String) {
        match self {
            Node::Value(any) => print_any(any, out),
            Node::Document(doc) => drop(write!(out, "D{:?}", doc.guid())),
            Node::Shared(shared) => {
                let _ = write!(out, "{:?}{{", shared.kind);
                for (key, node) in &shared.keys {
                    let _ = write!(out, "{key:?}:");
                    node.print_into(out);
                }
                match &shared.sequence {
                    Sequence::List(list) => list.iter().for_each(|node| node.print_into(out)),
                    Sequence::Text(runs) => runs.iter().for_each(|run| run.print_into(out)),
                }
                out.push('}');
            }
        }
    }
}

impl Run {
    fn print_into(&self, out: &mut String) {
        match &self.piece {
            Piece::Text(text) => drop(write!(out, "{text:?}")),
            Piece::Embed(node) => node.print_into(out),
        }
        for (name, value) in &self.format {
            let _ = write!(out, "/{name:?}=");
            print_any(value, out);
        }
    }
}

/// Whether two values are the same, whatever order their members have.
pub(super) fn same(a: &Node, b: &Node) -> bool {
    a.print() == b.print()
}

fn measure_any(any: &Any) -> (usize, usize) {
    let mut all = (8, 0);
    match any {
        Any::Array(list) => list.iter().for_each(|one| enclose(&mut all, 0, measure_any(one))),
        Any::Map(map) => {
            map.iter().for_each(|(key, one)| enclose(&mut all, key.len(), measure_any(one)));
        }
        Any::String(text) => all.0 += text.len(),
        Any::Buffer(bytes) => all.0 += bytes.len(),
        _ => {}
    }
    all
}

/// Something is in something else, by a name of this length.
fn enclose(all: &mut (usize, usize), name: usize, inner: (usize, usize)) {
    all.0 += name + inner.0;
    all.1 = all.1.max(inner.1 + 1);
}

fn print_any(any: &Any, out: &mut String) {
    match any {
        Any::Map(map) => {
            out.push('(');
            for (name, value) in map.iter().collect::<BTreeMap<_, _>>() {
                let _ = write!(out, "{name:?}:");
                print_any(value, out);
            }
            out.push(')');
        }
        Any::Array(list) => {
            out.push('[');
            list.iter().for_each(|value| print_any(value, out));
            out.push(']');
        }
        _ => drop(write!(out, "{any:?},")),
    }
}

/// The kind of a shared type, and where it is.
pub(super) fn shared(out: &Out) -> Option<(Kind, BranchPtr)> {
    Some(match out {
        Out::YText(text) => (Kind::Text, BranchPtr::from(text.as_ref() as &yrs::branch::Branch)),
        Out::YArray(list) => (Kind::Array, BranchPtr::from(list.as_ref())),
        Out::YMap(map) => (Kind::Map, BranchPtr::from(map.as_ref())),
        Out::YXmlElement(element) => {
            let tag = element.try_tag().map(|tag| tag.as_ref().to_owned()).unwrap_or_default();
            (Kind::Element(tag), BranchPtr::from(element.as_ref() as &yrs::branch::Branch))
        }
        Out::YXmlFragment(fragment) => {
            (Kind::Fragment, BranchPtr::from(fragment.as_ref() as &yrs::branch::Branch))
        }
        Out::YXmlText(text) => {
            (Kind::XmlText, BranchPtr::from(text.as_ref() as &yrs::branch::Branch))
        }
        Out::UndefinedRef(branch) => (Kind::Root, *branch),
        Out::Any(_) | Out::YDoc(_) => return None,
    })
}

fn runs(text: &TextRef, txn: &impl ReadTxn) -> Vec<Run> {
    let pieces = text.diff(txn, YChange::identity).into_iter();
    let run = |diff: yrs::types::text::Diff<YChange>| {
        let piece = match &diff.insert {
            Out::Any(Any::String(text)) => Piece::Text(text.as_ref().to_owned()),
            other => Piece::Embed(Node::read(other, txn)),
        };
        let format = diff.attributes.into_iter().flat_map(|format| *format);
        let format = format.map(|(name, value)| (name.as_ref().to_owned(), value)).collect();
        Run { piece, format }
    };
    let mut all: Vec<Run> = Vec::new();
    for next in pieces.map(run) {
        // Marks that change nothing divide what is one run.
        match (all.last_mut(), next) {
            (
                Some(Run { piece: Piece::Text(text), format }),
                Run { piece: Piece::Text(more), format: also },
            ) if *format == also => {
                text.push_str(&more);
            }
            (_, next) => all.push(next),
        }
    }
    all
}
