//! What a document says, for those who read it without an editor.

use serde::{Deserialize, Serialize};
use serde_json::{Map as Object, Value};
use yrs::{Any, Doc, GetString, ReadTxn, Transact, XmlFragmentRef};

use super::node::{Kind, Node, Piece, Run, Sequence, Shared, shared};
use super::{Broken, Fault, engine};

/// What a root of a document is used as. A document does not know it: its editors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootKind {
    /// `Y.Text`: characters, with formats.
    Text,
    /// `Y.Map`.
    Map,
    /// `Y.Array`.
    Array,
    /// `Y.XmlFragment`: what rich text editors write.
    Xml,
}

/// A document with this state, that this client writes into.
pub(super) fn opened(state: &[u8], client: u64) -> Result<Doc, Fault> {
    let doc = engine::doc(client);
    let update = engine::decode(state).ok_or(Fault::Invalid)?;
    engine::apply(&doc, update).map_err(|Broken| Fault::Invalid)?;
    Ok(doc)
}

/// The names of the roots of a state, and what they seem to be used as: an empty list cannot be
/// told from an empty text.
///
/// # Errors
/// [`Fault::Invalid`] for what is no state of a document.
pub fn roots(state: &[u8]) -> Result<Vec<(String, RootKind)>, Fault> {
    read(state, |name, content, _| (name.to_owned(), guess(content)))
}

/// The text of a root, of whatever kind: without formats, and with a line for each block of rich
/// text and each item. Without a name: of all roots that have text, one after the other.
///
/// # Errors
/// [`Fault::Invalid`] for what is no state of a document.
pub fn plain_text(state: &[u8], root: Option<&str>) -> Result<String, Fault> {
    let texts = read(state, |name, content, _| {
        let mut text = String::new();
        if root.is_none_or(|root| root == name) {
            shared_text(content, &mut text);
        }
        text
    })?;
    let texts: Vec<_> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    Ok(texts.join("\n"))
}

/// All roots of a state as JSON: a text as a string without its formats, rich text as XML, a map as
/// an object, a list as an array. `kinds` says what roots are; for others it is guessed.
///
/// # Errors
/// [`Fault::Invalid`] for what is no state of a document.
pub fn json(state: &[u8], kinds: &[(&str, RootKind)]) -> Result<Value, Fault> {
    let members = read(state, |name, content, xml| {
        let told = kinds.iter().find(|(root, _)| *root == name).map(|(_, kind)| *kind);
        let value = match told.unwrap_or_else(|| guess(content)) {
            RootKind::Text => Value::String(content.string()),
            RootKind::Map => content.object(),
            RootKind::Array => content.list(),
            RootKind::Xml => Value::String(xml()),
        };
        (name.to_owned(), value)
    })?;
    Ok(Value::Object(members.into_iter().collect()))
}

/// Reads all roots, in the order of their names.
fn read<T>(
    state: &[u8],
    mut each: impl FnMut(&str, &Shared, &dyn Fn() -> String) -> T,
) -> Result<Vec<T>, Fault> {
    let doc = opened(state, 0)?;
    let work = || {
        let txn = doc.transact();
        let mut names: Vec<_> = txn.root_refs().collect();
        names.sort_by(|a, b| a.0.cmp(b.0));
        let root = |(name, out): (&str, _)| {
            let (_, branch) = shared(&out)?;
            let xml = || XmlFragmentRef::from(branch).get_string(&txn);
            Some(each(name, &Shared::root(branch, &txn), &xml))
        };
        names.into_iter().filter_map(root).collect()
    };
    engine::guarded(work).map_err(|Broken| Fault::Invalid)
}

pub(super) fn guess(content: &Shared) -> RootKind {
    let is_xml = |node: &Node| match node {
        Node::Shared(Shared { kind, .. }) => {
            matches!(kind, Kind::Element(_) | Kind::Fragment | Kind::XmlText)
        }
        _ => false,
    };
    match &content.sequence {
        Sequence::Text(_) => RootKind::Text,
        Sequence::List(list) if list.iter().any(is_xml) => RootKind::Xml,
        Sequence::List(list) if !list.is_empty() => RootKind::Array,
        Sequence::List(_) if !content.keys.is_empty() => RootKind::Map,
        Sequence::List(_) => RootKind::Text,
    }
}

impl Shared {
    pub(super) fn empty(kind: Kind, is_text: bool) -> Self {
        let list = Sequence::List(Vec::new());
        let sequence = if is_text { Sequence::Text(Vec::new()) } else { list };
        Self { kind, keys: std::collections::BTreeMap::new(), sequence }
    }

    fn string(&self) -> String {
        let Sequence::Text(runs) = &self.sequence else { return String::new() };
        let text = |run: &Run| match &run.piece {
            Piece::Text(text) => text.clone(),
            Piece::Embed(_) => String::new(),
        };
        runs.iter().map(text).collect()
    }

    fn object(&self) -> Value {
        let members = self.keys.iter().map(|(key, node)| (key.clone(), node.json()));
        Value::Object(members.collect::<Object<_, _>>())
    }

    fn list(&self) -> Value {
        let Sequence::List(list) = &self.sequence else { return Value::Array(Vec::new()) };
        Value::Array(list.iter().map(Node::json).collect())
    }
}

impl Node {
    /// As JSON; XML inside of lists and maps as objects of `tag`, `attributes` and `children`.
    pub(super) fn json(&self) -> Value {
        match self {
            Node::Value(any) => any_json(any),
            Node::Document(doc) => serde_json::json!({ "guid": doc.guid().as_ref() }),
            Node::Shared(shared) => match &shared.kind {
                Kind::Map | Kind::Root => shared.object(),
                Kind::Array | Kind::Fragment => shared.list(),
                Kind::Text | Kind::XmlText => Value::String(shared.string()),
                Kind::Element(tag) => serde_json::json!({
                    "tag": tag, "attributes": shared.object(), "children": shared.list(),
                }),
            },
        }
    }
}

/// What JSON cannot say (undefined, bytes, endless numbers) is null.
pub(super) fn any_json(any: &Any) -> Value {
    match any {
        Any::Null | Any::Undefined | Any::Buffer(_) => Value::Null,
        Any::Array(list) => Value::Array(list.iter().map(any_json).collect()),
        Any::Map(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), any_json(value))).collect())
        }
        _ => serde_json::to_value(any).unwrap_or_default(),
    }
}

/// What people read of it.
fn shared_text(shared: &Shared, out: &mut String) {
    match &shared.sequence {
        Sequence::Text(runs) => {
            for run in runs {
                match &run.piece {
                    Piece::Text(text) => out.push_str(text),
                    Piece::Embed(node) => node_text(node, out),
                }
            }
        }
        Sequence::List(list) => {
            for node in list {
                begin_line(node, out);
                node_text(node, out);
            }
        }
    }
    if !matches!(shared.kind, Kind::Element(_) | Kind::XmlText) {
        for node in shared.keys.values() {
            begin_line(node, out);
            node_text(node, out);
        }
    }
}

/// A block begins a line; what stands in a line does not.
fn begin_line(node: &Node, out: &mut String) {
    let is_inline = matches!(node, Node::Shared(Shared { kind: Kind::XmlText, .. }));
    if !is_inline && !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

fn node_text(node: &Node, out: &mut String) {
    match node {
        Node::Shared(shared) => shared_text(shared, out),
        Node::Value(Any::String(text)) => out.push_str(text),
        Node::Value(any @ (Any::Number(_) | Any::Bool(_))) => {
            out.push_str(&any_json(any).to_string());
        }
        Node::Value(_) | Node::Document(_) => {}
    }
}
