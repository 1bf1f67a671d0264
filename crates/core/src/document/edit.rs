//! Changes to a document by those who have no editor: JSON Patch on maps and lists, and edits of
//! texts. Each becomes a Yjs update like any other.

use std::cell::Cell;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use yrs::branch::BranchPtr;
use yrs::types::Attrs;
use yrs::{
    Any, Array, ArrayRef, Map, MapRef, Out, ReadTxn, Text, TextRef, Transact, TransactionMut,
};

use super::node::{Kind, Node, Piece, Run, Sequence, Shared, shared};
use super::restore::{insert, put, root};
use super::view::{RootKind, any_json, guess, opened};
use super::{Broken, Fault, engine, plain};
use crate::limits::{DOCUMENT_LEVELS, EDITED_BYTES, EDITS_PER_CALL};

type Txn<'a, 'doc> = &'a mut TransactionMut<'doc>;

/// Why a document was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditFault {
    /// There is no such state of a document.
    State(Fault),
    /// The edit with this number, from 0, cannot be made: a sentence for its developer.
    Refused(usize, String),
}

impl fmt::Display for EditFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(_) => f.write_str("the document cannot be read"),
            Self::Refused(number, why) => write!(f, "edit {number}: {why}"),
        }
    }
}

impl std::error::Error for EditFault {}

/// An operation of JSON Patch (RFC 6902), inside of one root.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub enum PatchOp {
    Add { path: String, value: Value },
    Remove { path: String },
    Replace { path: String, value: Value },
    Move { from: String, path: String },
    Copy { from: String, path: String },
    Test { path: String, value: Value },
}

/// A change of a text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextEdit {
    /// Where, in UTF-16 code units, as editors in browsers count; in the text as the edits before
    /// this one have left it.
    pub at: u32,
    /// How many code units go.
    #[serde(default)]
    pub delete: u32,
    /// What comes there.
    #[serde(default)]
    pub insert: String,
    /// Its format; without one it has that of what is in front of it.
    #[serde(default)]
    pub attributes: Option<serde_json::Map<String, Value>>,
}

/// How values of a patch are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Values {
    /// Objects as maps and arrays as lists that several can change at once.
    #[default]
    Shared,
    /// As plain values, which are replaced whole.
    Plain,
}

/// The update of a patch of a root, by a client that has written nothing yet. `kind` says what an
/// empty root is; `values`, how objects and arrays are written. All operations are made, or none.
///
/// # Errors
/// [`EditFault::Refused`] for the first operation that cannot be made: a path that is not there, a
/// `test` that fails, more operations than are made at once.
pub fn json_patch(
    state: &[u8],
    name: &str,
    kind: Option<RootKind>,
    values: Values,
    ops: &[PatchOp],
    client: u64,
) -> Result<Bytes, EditFault> {
    let mut known = None;
    edit(state, 0, client, ops, |txn, op| {
        let place = match &known {
            Some(place) => place,
            None => known
                .insert(Root { at: container(txn, name, kind)?, left: Cell::new(EDITED_BYTES) }),
        };
        patch(txn, place, values, op)
    })
}

fn container(
    txn: Txn<'_, '_>,
    name: &str,
    kind: Option<RootKind>,
) -> Result<(Kind, BranchPtr), String> {
    let branch = root(txn, name);
    let seems = Shared::root(branch, txn);
    match kind.unwrap_or_else(|| guess(&seems)) {
        RootKind::Array => Ok((Kind::Array, branch)),
        RootKind::Map => Ok((Kind::Map, branch)),
        RootKind::Text if seems.is_empty() => Ok((Kind::Map, branch)),
        RootKind::Text | RootKind::Xml => Err("it is no map and no list".to_owned()),
    }
}

/// The update of edits of a text, one after the other: a root, or a text inside of one. `path` is a
/// JSON Pointer, empty for the root itself.
///
/// # Errors
/// [`EditFault::Refused`] for the first edit that cannot be made: behind the end of the text, in
/// the middle of a character, more edits than are made at once.
pub fn edit_text(
    state: &[u8],
    name: &str,
    path: &str,
    edits: &[TextEdit],
    client: u64,
) -> Result<Bytes, EditFault> {
    let mut known = None;
    let inserted = edits.iter().map(|edit| edit.insert.len()).sum();
    edit(state, inserted, client, edits, |txn, edit| {
        let text = match &known {
            Some(text) => text,
            None => known.insert(text_at(txn, name, path)?),
        };
        change_text(txn, text, edit)
    })
}

fn text_at(txn: Txn<'_, '_>, name: &str, path: &str) -> Result<TextRef, String> {
    let branch = root(txn, name);
    let kind = match guess(&Shared::root(branch, txn)) {
        RootKind::Text if path.is_empty() => return Ok(TextRef::from(branch)),
        RootKind::Map => Kind::Map,
        RootKind::Array => Kind::Array,
        RootKind::Text | RootKind::Xml => Kind::Text,
    };
    let nothing = || format!("there is no text at `{path}`");
    if path.is_empty() {
        return Err(nothing());
    }
    let names = pointer(path)?;
    let (held, rest) = walk(txn, (kind, branch), &names)?;
    match held.get(txn).as_ref().and_then(shared) {
        Some((Kind::Text | Kind::XmlText, branch)) if rest.is_empty() => Ok(TextRef::from(branch)),
        _ => Err(nothing()),
    }
}

/// `more`: bytes by which it may have grown when the last edit is made.
fn edit<T>(
    state: &[u8],
    more: usize,
    client: u64,
    edits: &[T],
    mut each: impl FnMut(Txn<'_, '_>, &T) -> Result<(), String>,
) -> Result<Bytes, EditFault> {
    let most = EDITS_PER_CALL.min(EDITED_BYTES / (state.len() + more + 1)).max(1);
    if edits.len() > most {
        let why = format!("at most {most} are made at once in a document of this length");
        return Err(EditFault::Refused(most, why));
    }
    let doc = opened(state, client).map_err(EditFault::State)?;
    let work = || {
        let mut txn = doc.transact_mut();
        for (number, edit) in edits.iter().enumerate() {
            each(&mut txn, edit).map_err(|why| EditFault::Refused(number, why))?;
        }
        txn.commit();
        Ok(Bytes::from(txn.encode_update_v1()))
    };
    engine::guarded(work).unwrap_or_else(|Broken| Err(EditFault::State(Fault::Invalid)))
}

/// What a patch works in, and how much it may still read and write: what copies itself doubles.
struct Root {
    at: (Kind, BranchPtr),
    left: Cell<usize>,
}

impl Root {
    /// Something is read, or written so many levels below the root.
    fn spend(&self, node: &Node, levels: usize) -> Result<(), String> {
        let (bytes, depth) = node.measure();
        if levels + depth > DOCUMENT_LEVELS {
            return Err("it would be nested too deep".to_owned());
        }
        let left = self.left.get().checked_sub(bytes).ok_or("that is too much for one patch")?;
        self.left.set(left);
        Ok(())
    }
}

/// Something in a map or a list.
struct Held {
    parent: (Kind, BranchPtr),
    place: Place,
}

enum Place {
    Key(String),
    Index(u32),
}

impl Held {
    fn new(txn: &impl ReadTxn, parent: (Kind, BranchPtr), name: &str) -> Result<Self, String> {
        let place = match &parent.0 {
            Kind::Map => Place::Key(name.to_owned()),
            Kind::Array => Place::Index(index(name, ArrayRef::from(parent.1).len(txn))?),
            _ => return Err(format!("`{name}` is in no map and no list")),
        };
        Ok(Self { parent, place })
    }

    fn get(&self, txn: &impl ReadTxn) -> Option<Out> {
        match &self.place {
            Place::Key(key) => MapRef::from(self.parent.1).get(txn, key),
            Place::Index(index) => ArrayRef::from(self.parent.1).get(txn, *index),
        }
    }

    fn remove(&self, txn: Txn<'_, '_>) {
        match &self.place {
            Place::Key(key) => drop(MapRef::from(self.parent.1).remove(txn, key)),
            Place::Index(index) => ArrayRef::from(self.parent.1).remove_range(txn, *index, 1),
        }
    }

    /// In front of what is there, or in its place in a map.
    fn add(&self, txn: Txn<'_, '_>, node: &Node) {
        match &self.place {
            Place::Key(key) => put(txn, &MapRef::from(self.parent.1), key, node),
            Place::Index(index) => insert(txn, &ArrayRef::from(self.parent.1), *index, node),
        }
    }

    fn replace(&self, txn: Txn<'_, '_>, node: &Node) {
        if let Place::Index(_) = self.place {
            self.remove(txn);
        }
        self.add(txn, node);
    }
}

/// A number of a list of so many items; `-` is behind the last.
fn index(name: &str, length: u32) -> Result<u32, String> {
    if name == "-" {
        return Ok(length);
    }
    let is_plain = name == "0" || !name.starts_with(['0', '+']);
    let number = name.parse().ok().filter(|number| is_plain && *number <= length);
    number.ok_or_else(|| format!("`{name}` is no place in a list of {length}"))
}

/// The names in a JSON Pointer.
pub(super) fn pointer(path: &str) -> Result<Vec<String>, String> {
    let names = path.strip_prefix('/').ok_or_else(|| format!("`{path}` is no JSON Pointer"))?;
    Ok(names.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect())
}

/// What a pointer leads to, or what holds the plain value that it leads into, and the rest of it.
fn walk<'p>(
    txn: &impl ReadTxn,
    root: (Kind, BranchPtr),
    path: &'p [String],
) -> Result<(Held, &'p [String]), String> {
    let mut parent = root;
    let mut rest = path;
    while let Some((name, behind)) = rest.split_first() {
        let held = Held::new(txn, parent, name)?;
        if behind.is_empty() {
            return Ok((held, behind));
        }
        match held.get(txn) {
            None => return Err(format!("there is no `{name}`")),
            Some(out) => match shared(&out) {
                None => return Ok((held, behind)),
                Some(inner) => parent = inner,
            },
        }
        rest = behind;
    }
    Err("it leads to nothing".to_owned())
}

fn patch(txn: Txn<'_, '_>, root: &Root, values: Values, op: &PatchOp) -> Result<(), String> {
    match op {
        PatchOp::Add { path, value } => add(txn, root, path, &node(value, values)?),
        PatchOp::Remove { path } => take(txn, root, path).map(drop),
        PatchOp::Replace { path, value } => {
            let names = pointer(path)?;
            let (held, rest) = walk(txn, root.at.clone(), &names)?;
            let there = held.get(txn).ok_or_else(|| format!("there is nothing at `{path}`"))?;
            if rest.is_empty() {
                let node = node(value, values)?;
                root.spend(&node, names.len())?;
                held.replace(txn, &node);
                return Ok(());
            }
            inside(txn, root, &held, &there, |whole| plain::replace(whole, rest, value.clone()))
        }
        PatchOp::Move { from, path } => {
            if path.starts_with(&format!("{from}/")) {
                return Err("nothing can be moved into itself".to_owned());
            }
            let node = take(txn, root, from)?;
            add(txn, root, path, &node)
        }
        PatchOp::Copy { from, path } => {
            let node = find(txn, root, from)?;
            add(txn, root, path, &node)
        }
        PatchOp::Test { path, value } => {
            let found = find(txn, root, path)?.json();
            if found == *value { Ok(()) } else { Err(format!("`{path}` is another value")) }
        }
    }
}

fn add(txn: Txn<'_, '_>, root: &Root, path: &str, node: &Node) -> Result<(), String> {
    let names = pointer(path)?;
    let (held, rest) = walk(txn, root.at.clone(), &names)?;
    root.spend(node, names.len())?;
    if rest.is_empty() {
        held.add(txn, node);
        return Ok(());
    }
    let there = held.get(txn).ok_or_else(|| format!("there is nothing at `{path}`"))?;
    inside(txn, root, &held, &there, |whole| plain::add(whole, rest, node.json()))
}

fn find(txn: &impl ReadTxn, root: &Root, path: &str) -> Result<Node, String> {
    let names = pointer(path)?;
    let (held, rest) = walk(txn, root.at.clone(), &names)?;
    let nothing = || format!("there is nothing at `{path}`");
    let there = Node::read(&held.get(txn).ok_or_else(nothing)?, txn);
    root.spend(&there, 0)?;
    if rest.is_empty() {
        return Ok(there);
    }
    let whole = there.json();
    plain::find(&whole, rest).and_then(any).map(Node::Value).ok_or_else(nothing)
}

fn take(txn: Txn<'_, '_>, root: &Root, path: &str) -> Result<Node, String> {
    let node = find(txn, root, path)?;
    let names = pointer(path)?;
    let (held, rest) = walk(txn, root.at.clone(), &names)?;
    if rest.is_empty() {
        held.remove(txn);
    } else if let Some(there) = held.get(txn) {
        inside(txn, root, &held, &there, |whole| plain::remove(whole, rest))?;
    }
    Ok(node)
}

/// Changes a plain value, which is replaced whole.
fn inside(
    txn: Txn<'_, '_>,
    root: &Root,
    held: &Held,
    there: &Out,
    change: impl FnOnce(&mut Value) -> Option<()>,
) -> Result<(), String> {
    let Out::Any(value) = there else { return Err("it is no map and no list".to_owned()) };
    let mut whole = any_json(value);
    let changed = change(&mut whole).and_then(|()| any(&whole));
    let changed = changed.ok_or("there is no such place in the value")?;
    let node = Node::Value(changed);
    root.spend(&node, 0)?;
    held.replace(txn, &node);
    Ok(())
}

fn any(value: &Value) -> Option<Any> {
    serde_json::from_value(value.clone()).ok()
}

fn node(value: &Value, values: Values) -> Result<Node, String> {
    let mut shared = match value {
        Value::Object(_) if values == Values::Shared => Shared::empty(Kind::Map, false),
        Value::Array(_) if values == Values::Shared => Shared::empty(Kind::Array, false),
        _ => {
            let any = any(value).ok_or("a number in it is too large")?;
            return Ok(Node::Value(any));
        }
    };
    if let Value::Object(members) = value {
        for (key, value) in members {
            shared.keys.insert(key.clone(), node(value, values)?);
        }
    }
    if let Value::Array(items) = value {
        let items = items.iter().map(|value| node(value, values)).collect::<Result<_, _>>()?;
        shared.sequence = Sequence::List(items);
    }
    Ok(Node::Shared(shared))
}

fn change_text(txn: Txn<'_, '_>, text: &TextRef, edit: &TextEdit) -> Result<(), String> {
    let Sequence::Text(runs) = Shared::text(text, txn).sequence else { return Ok(()) };
    let end = edit.at.checked_add(edit.delete).ok_or("it ends behind the text")?;
    let mut length = 0;
    let mut inside = Vec::new();
    for width in runs.iter().flat_map(widths) {
        if width == 2 {
            inside.push(length + 1);
        }
        length += width;
    }
    if end > length {
        return Err(format!("it ends at {end}, and the text at {length}"));
    }
    if inside.contains(&edit.at) || inside.contains(&end) {
        return Err("it begins or ends in the middle of a character".to_owned());
    }
    if edit.delete > 0 {
        text.remove_range(txn, edit.at, edit.delete);
    }
    let Some(attributes) = &edit.attributes else {
        if !edit.insert.is_empty() {
            text.insert(txn, edit.at, &edit.insert);
        }
        return Ok(());
    };
    let format = attributes.iter().map(|(name, value)| Some((name.as_str().into(), any(value)?)));
    let format: Attrs = format.collect::<Option<_>>().ok_or("a number in it is too large")?;
    text.insert_with_attributes(txn, edit.at, &edit.insert, format);
    Ok(())
}

/// How many code units each character of a run has.
fn widths(run: &Run) -> Vec<u32> {
    match &run.piece {
        Piece::Text(text) => text.chars().map(|c| c.len_utf16() as u32).collect(),
        Piece::Embed(_) => vec![1],
    }
}
