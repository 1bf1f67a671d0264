//! How deep shared types are nested in each other.
//!
//! yrs deletes and collects them recursively: thirty thousand maps in each other, a quarter of a
//! megabyte, and one deletion overflow a thread's stack, which ends the process. So the nesting of a
//! document is bounded in front of the append. It is measured in encoded updates, as yrs tells nobody
//! what an item is in.

use std::collections::HashMap;

use super::bytes::{take_part, take_var};

const ORIGIN: u8 = 0x80;
const RIGHT_ORIGIN: u8 = 0x40;
const PARENT_SUB: u8 = 0x20;
const KIND: u8 = 0x1f;

const GC: u8 = 0;
const DELETED: u8 = 1;
const JSON: u8 = 2;
const BINARY: u8 = 3;
const STRING: u8 = 4;
const EMBED: u8 = 5;
const FORMAT: u8 = 6;
const TYPE: u8 = 7;
const ANY: u8 = 8;
const DOC: u8 = 9;
const SKIP: u8 = 10;

/// Type items that have names: XML elements and hooks.
const NAMED_TYPES: [u64; 2] = [3, 5];

type Id = (u64, u64);

/// A struct, and what says what it is in.
#[derive(Debug)]
struct Struct {
    clock: u64,
    len: u64,
    place: Place,
    is_type: bool,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// In a root, or in nothing.
    Top,
    /// In this type.
    In(Id),
    /// In what this item is in.
    Beside(Id),
}

/// How many levels of types an update puts into each other, counted from where it begins: what it
/// refers to and does not hold is taken to be at the top. `None`: it is no update, or one that has
/// legacy content (JSON, Move).
pub(super) fn levels(update: &[u8]) -> Option<usize> {
    let mut rest = update;
    let mut structs = Structs::default();
    let mut types = 0;
    for _ in 0..take_var(&mut rest)? {
        let count = take_var(&mut rest)?;
        let client = take_var(&mut rest)?;
        let mut clock = take_var(&mut rest)?;
        let list = structs.clients.entry(client).or_default();
        for _ in 0..count {
            let next = take_struct(&mut rest, clock)?;
            clock = clock.checked_add(next.len)?;
            types += usize::from(next.is_type);
            list.push(next);
        }
    }
    if types <= 1 {
        return Some(types);
    }
    Some(structs.deepest())
}

#[derive(Default)]
struct Structs {
    clients: HashMap<u64, Vec<Struct>>,
    /// Of items that were looked at: how many types they are in. By where they stand.
    known: HashMap<(u64, usize), usize>,
}

impl Structs {
    fn deepest(mut self) -> usize {
        let mut all = Vec::new();
        for (client, list) in &self.clients {
            let types = list.iter().enumerate().filter(|(_, item)| item.is_type);
            all.extend(types.map(|(index, _)| (*client, index)));
        }
        all.into_iter().map(|item| self.depth(item) + 1).max().unwrap_or(0)
    }

    /// In how many types it is.
    fn depth(&mut self, item: (u64, usize)) -> usize {
        // Those whose depths depend on the next one's, and how.
        let mut waiting = Vec::new();
        let mut item = Some(item);
        let mut depth = loop {
            let Some(at) = item else { break 0 };
            if let Some(known) = self.known.get(&at) {
                break *known;
            }
            // Until it is known; also what ends a circle, which nothing valid has.
            self.known.insert(at, 0);
            let (id, deeper) = match self.clients[&at.0][at.1].place {
                Place::Top => break 0,
                Place::In(id) => (id, 1),
                Place::Beside(id) => (id, 0),
            };
            item = self.find(id);
            // What is elsewhere counts there.
            waiting.push((at, if item.is_some() { deeper } else { 0 }));
        };
        for (at, deeper) in waiting.into_iter().rev() {
            depth += deeper;
            self.known.insert(at, depth);
        }
        depth
    }

    fn find(&self, (client, clock): Id) -> Option<(u64, usize)> {
        let list = self.clients.get(&client)?;
        let index = list.partition_point(|item| item.clock + item.len <= clock);
        (list.get(index)?.clock <= clock).then_some((client, index))
    }
}

fn take_struct(rest: &mut &[u8], clock: u64) -> Option<Struct> {
    let info = take_byte(rest)?;
    if info == GC || info == SKIP {
        let len = take_var(rest)?;
        return Some(Struct { clock, len, place: Place::Top, is_type: false });
    }
    let origin = if info & ORIGIN != 0 { Some(take_id(rest)?) } else { None };
    let right = if info & RIGHT_ORIGIN != 0 { Some(take_id(rest)?) } else { None };
    let place = match origin.or(right) {
        Some(id) => Place::Beside(id),
        None => {
            let place = if take_var(rest)? == 1 {
                take_part(rest)?;
                Place::Top
            } else {
                Place::In(take_id(rest)?)
            };
            if info & PARENT_SUB != 0 {
                take_part(rest)?;
            }
            place
        }
    };
    let kind = info & KIND;
    Some(Struct { clock, len: take_content(rest, kind)?, place, is_type: kind == TYPE })
}

/// How many clocks it takes.
fn take_content(rest: &mut &[u8], kind: u8) -> Option<u64> {
    match kind {
        DELETED => return take_var(rest),
        // yrs reads one more string than there are.
        JSON => return None,
        BINARY | EMBED => drop(take_part(rest)?),
        STRING => {
            let text = std::str::from_utf8(take_part(rest)?).ok()?;
            return Some(text.chars().map(|c| c.len_utf16() as u64).sum());
        }
        FORMAT => {
            take_part(rest)?;
            take_part(rest)?;
        }
        TYPE => {
            if NAMED_TYPES.contains(&take_var(rest)?) {
                take_part(rest)?;
            }
        }
        ANY => {
            let count = take_var(rest)?;
            skip_any(rest, count)?;
            return Some(count);
        }
        DOC => {
            take_part(rest)?;
            skip_any(rest, 1)?;
        }
        _ => return None,
    }
    Some(1)
}

/// Skips values, and what is in them.
fn skip_any(rest: &mut &[u8], count: u64) -> Option<()> {
    // What is still to come at each level that has begun: in objects with a name in front of each.
    let mut levels = vec![(count, false)];
    while let Some((left, named)) = levels.last_mut() {
        if *left == 0 {
            levels.pop();
            continue;
        }
        *left -= 1;
        if *named {
            take_part(rest)?;
        }
        match take_byte(rest)? {
            120 | 121 | 126 | 127 => {}
            125 => while take_byte(rest)? & 0x80 != 0 {},
            124 => drop(take_bytes(rest, 4)?),
            122 | 123 => drop(take_bytes(rest, 8)?),
            116 | 119 => drop(take_part(rest)?),
            117 => levels.push((take_var(rest)?, false)),
            118 => levels.push((take_var(rest)?, true)),
            _ => return None,
        }
    }
    Some(())
}

fn take_id(rest: &mut &[u8]) -> Option<Id> {
    Some((take_var(rest)?, take_var(rest)?))
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    take_bytes(rest, 1).map(|bytes| bytes[0])
}

fn take_bytes<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (bytes, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    Some(bytes)
}
