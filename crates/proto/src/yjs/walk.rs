//! A walk through an update: every struct and every deletion of it, in the order of its bytes.
//!
//! What is accepted is what both Yjs and yrs read, and read alike. So these are refused, though
//! one of them may take them: JSON content (yrs reads one string too many; Yjs 13 writes none),
//! hooks and weak links, moves, structs without length, and clients that come twice.

use super::{Fault, MAX_CLOCK, MAX_NUMBER, Reader};

/// A place in a document: which client's, and the how manieth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) client: u64,
    pub(super) clock: u32,
}

/// A struct of an update.
#[derive(Clone, Copy, Debug)]
pub(super) struct Struct<'a> {
    pub(super) id: Id,
    pub(super) len: u32,
    pub(super) kind: Kind<'a>,
    /// All of it, as it was written.
    pub(super) bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind<'a> {
    Gc,
    Skip,
    Item(Item<'a>),
}

/// Content, and where it belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub(super) info: u8,
    pub(super) origin: Option<Id>,
    pub(super) right_origin: Option<Id>,
    /// `None`: that of the origins.
    pub(super) parent: Option<Parent<'a>>,
    pub(super) content: Content<'a>,
}

/// What an item without origins is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Parent<'a> {
    pub(super) of: Of<'a>,
    /// The key in a map.
    pub(super) key: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of<'a> {
    /// The document itself: the name of one of its roots.
    Root(&'a str),
    /// A type that is content itself.
    Item(Id),
}

/// As far as anybody here needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    Text(&'a str),
    Type,
    /// From here on text is bold, say.
    Format,
    /// A document of its own.
    Document,
    Other,
}

pub(super) const HAS_ORIGIN: u8 = 0x80;
pub(super) const HAS_RIGHT_ORIGIN: u8 = 0x40;
const HAS_KEY: u8 = 0x20;
const KIND: u8 = 0x1f;
const GC: u8 = 0;
const DELETED: u8 = 1;
const BINARY: u8 = 3;
pub(super) const TEXT: u8 = 4;
const EMBED: u8 = 5;
const FORMAT: u8 = 6;
const TYPE: u8 = 7;
const ANY: u8 = 8;
const DOCUMENT: u8 = 9;
const SKIP: u8 = 10;

/// A limit of values in values for what was checked when it came.
pub(super) const DEPTH_OF_CHECKED: usize = 1 << 20;

/// What looks at the parts of an update.
pub(super) trait Visitor<'a> {
    /// A struct.
    fn structure(&mut self, structure: Struct<'a>) -> Result<(), Fault>;

    /// So many places from this one on are deleted.
    fn deletion(&mut self, from: Id, len: u32) -> Result<(), Fault>;
}

/// Walks through a whole update.
///
/// # Errors
/// The first [`Fault`] of the update or the visitor. `depth` is the limit of values in values.
pub(super) fn walk<'a, V: Visitor<'a>>(
    update: &'a [u8],
    depth: usize,
    visitor: &mut V,
) -> Result<(), Fault> {
    let mut reader = Reader::new(update);
    structs(&mut reader, depth, visitor)?;
    deletions(&mut reader, visitor)?;
    reader.end()
}

fn structs<'a, V: Visitor<'a>>(
    reader: &mut Reader<'a>,
    depth: usize,
    visitor: &mut V,
) -> Result<(), Fault> {
    // Their count, number, clock, and a struct of two bytes.
    let clients = reader.count(5)?;
    let mut seen = Vec::with_capacity(clients);
    for _ in 0..clients {
        let count = reader.count(2)?;
        let client = reader.at_most(MAX_NUMBER)?;
        let mut clock = reader.at_most(MAX_CLOCK)?;
        seen.push(client);
        if count == 0 {
            return Err(Fault::Empty);
        }
        for _ in 0..count {
            let from = reader.rest();
            // Fits: at most `MAX_CLOCK`.
            let id = Id { client, clock: clock as u32 };
            let (len, kind) = one(reader, depth)?;
            if len == 0 {
                return Err(Fault::Empty);
            }
            clock += len;
            if clock > MAX_CLOCK {
                return Err(Fault::Number);
            }
            let bytes = &from[..from.len() - reader.rest().len()];
            visitor.structure(Struct { id, len: len as u32, kind, bytes })?;
        }
    }
    once(seen)
}

fn deletions<'a, V: Visitor<'a>>(reader: &mut Reader<'a>, visitor: &mut V) -> Result<(), Fault> {
    let clients = reader.count(2)?;
    let mut seen = Vec::with_capacity(clients);
    for _ in 0..clients {
        let client = reader.at_most(MAX_NUMBER)?;
        seen.push(client);
        let mut end = 0;
        for _ in 0..reader.count(2)? {
            let clock = reader.at_most(MAX_CLOCK)?;
            let len = reader.at_most(MAX_CLOCK)?;
            if clock < end {
                return Err(Fault::Order);
            }
            end = clock + len;
            if len == 0 {
                return Err(Fault::Empty);
            }
            if end > MAX_CLOCK {
                return Err(Fault::Number);
            }
            visitor.deletion(Id { client, clock: clock as u32 }, len as u32)?;
        }
    }
    once(seen)
}

/// That no client comes twice: yrs forgets the first deletions then, Yjs the first structs.
fn once(mut clients: Vec<u64>) -> Result<(), Fault> {
    clients.sort_unstable();
    if clients.windows(2).any(|pair| pair[0] == pair[1]) { Err(Fault::Order) } else { Ok(()) }
}

/// One struct: its length and what it is.
fn one<'a>(reader: &mut Reader<'a>, depth: usize) -> Result<(u64, Kind<'a>), Fault> {
    let info = reader.byte()?;
    match info {
        GC => return Ok((reader.at_most(MAX_CLOCK)?, Kind::Gc)),
        SKIP => return Ok((reader.at_most(MAX_CLOCK)?, Kind::Skip)),
        _ => {}
    }
    let origin = (info & HAS_ORIGIN != 0).then(|| id(reader)).transpose()?;
    let right_origin = (info & HAS_RIGHT_ORIGIN != 0).then(|| id(reader)).transpose()?;
    let parent = match (origin, right_origin) {
        (None, None) => {
            let of = match reader.var_uint()? {
                0 => Of::Item(id(reader)?),
                1 => Of::Root(reader.string()?),
                _ => return Err(Fault::Unknown),
            };
            let key = (info & HAS_KEY != 0).then(|| reader.string()).transpose()?;
            Some(Parent { of, key })
        }
        _ => None,
    };
    let (len, content) = content(reader, info & KIND, depth)?;
    Ok((len, Kind::Item(Item { info, origin, right_origin, parent, content })))
}

pub(super) fn id(reader: &mut Reader<'_>) -> Result<Id, Fault> {
    let client = reader.at_most(MAX_NUMBER)?;
    Ok(Id { client, clock: reader.at_most(MAX_CLOCK)? as u32 })
}

/// The content's length in places, and what it is.
fn content<'a>(
    reader: &mut Reader<'a>,
    kind: u8,
    depth: usize,
) -> Result<(u64, Content<'a>), Fault> {
    let one = Ok((1, Content::Other));
    match kind {
        DELETED => return Ok((reader.at_most(MAX_CLOCK)?, Content::Other)),
        BINARY => {
            reader.bytes()?;
        }
        TEXT => {
            let text = reader.string()?;
            return Ok((utf16_len(text), Content::Text(text)));
        }
        EMBED => json(reader.string()?, depth)?,
        FORMAT => {
            reader.string()?;
            json(reader.string()?, depth)?;
            return Ok((1, Content::Format));
        }
        TYPE => {
            a_type(reader)?;
            return Ok((1, Content::Type));
        }
        ANY => {
            let count = reader.count(1)?;
            values(reader, count, depth)?;
            return Ok((count as u64, Content::Other));
        }
        DOCUMENT => {
            reader.string()?;
            values(reader, 1, depth)?;
            return Ok((1, Content::Document));
        }
        _ => return Err(Fault::Unknown),
    }
    one
}

/// Array, map, text, element, fragment or text of XML; an element has a name.
fn a_type(reader: &mut Reader<'_>) -> Result<(), Fault> {
    match reader.byte()? {
        0 | 1 | 2 | 4 | 6 => Ok(()),
        3 => reader.string().map(|_| ()),
        _ => Err(Fault::Unknown),
    }
}

fn json(text: &str, depth: usize) -> Result<(), Fault> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| Fault::Json)?;
    if crate::depth_exceeds(text, depth) { Err(Fault::Limit("depth")) } else { Ok(()) }
}

/// So many values, one behind the other, with what is in them. Not by recursion: the stack of a
/// thread is smaller than what a stranger can nest.
fn values(reader: &mut Reader<'_>, count: usize, depth: usize) -> Result<(), Fault> {
    // How many are left to read at each level, and whether they have keys.
    let mut open = vec![(count, false)];
    while let Some((left, keyed)) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        if *keyed {
            reader.string()?;
        }
        let inner = match reader.byte()? {
            // Undefined, null, false and true.
            127 | 126 | 121 | 120 => continue,
            125 => {
                reader.var_int()?;
                continue;
            }
            124 => {
                reader.take(4)?;
                continue;
            }
            123 | 122 => {
                reader.take(8)?;
                continue;
            }
            119 => {
                reader.string()?;
                continue;
            }
            116 => {
                reader.bytes()?;
                continue;
            }
            118 => (reader.count(2)?, true),
            117 => (reader.count(1)?, false),
            _ => return Err(Fault::Unknown),
        };
        if open.len() > depth {
            return Err(Fault::Limit("depth"));
        }
        open.push(inner);
    }
    Ok(())
}

/// Places of a string: those of JavaScript.
pub(super) fn utf16_len(text: &str) -> u64 {
    // One for each character, two for those of four bytes.
    let units = |byte: &u8| match byte {
        0x80..=0xbf => 0,
        0xf0.. => 2,
        _ => 1,
    };
    text.as_bytes().iter().map(units).sum()
}
