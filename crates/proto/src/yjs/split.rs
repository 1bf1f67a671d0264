//! One update as several smaller ones.

use std::collections::{BTreeMap, VecDeque};

use super::walk::{
    Content, DEPTH_OF_CHECKED, HAS_ORIGIN, HAS_RIGHT_ORIGIN, Id, Item, Kind, Of, Struct, TEXT,
    Visitor, utf16_len, walk,
};
use super::{Fault, put_string, put_var_uint};

/// What a struct has beside its content and its parent, at most: its kind and two origins.
const HEAD: usize = 32;

/// Cuts an update into updates of about `max` bytes. Applied in this order they make what the
/// whole makes, and none of them waits for a later one, unless the whole waits for something.
///
/// Cuts are between structs and, where a text is longer, between its characters; other content is
/// never cut, so a part can be as long as the longest of it. Deletions come last.
///
/// For the whole state of a document, and for somebody who has nothing of it. What is formatted is
/// not cut: from the first format mark of each client on, everything is in the last part, however
/// long that is. Behind each transaction Yjs and yrs delete the marks that seem to do nothing, say
/// two with no text between, and with a part of the text missing they would find marks that do
/// something. Who has marks already has to get what is missing at once.
///
/// An update that [`check_update`](super::check_update) would refuse comes back whole.
pub fn split(update: &[u8], max: usize) -> Vec<Vec<u8>> {
    if update.len() <= max {
        return vec![update.to_vec()];
    }
    let mut found = Found::default();
    if walk(update, DEPTH_OF_CHECKED, &mut found).is_err() {
        return vec![update.to_vec()];
    }
    let mut parts = Parts { max: max.max(HEAD), ..Parts::default() };
    found.in_order(&mut parts, false);
    if found.queues.iter().any(|queue| !queue.structs.is_empty()) {
        parts.the_rest();
        found.in_order(&mut parts, true);
    }
    for (from, len) in found.deletions {
        parts.delete(from, len);
    }
    parts.finish()
}

#[derive(Default)]
struct Found<'a> {
    queues: Vec<Queue<'a>>,
    deletions: Vec<(Id, u32)>,
}

/// The structs of a client.
struct Queue<'a> {
    client: u64,
    structs: VecDeque<Struct<'a>>,
    end: u32,
    /// The clock from which on nothing may be cut.
    whole_from: Option<u32>,
    /// Whether something waits for one that waits for it.
    waiting: bool,
}

impl<'a> Visitor<'a> for Found<'a> {
    fn structure(&mut self, structure: Struct<'a>) -> Result<(), Fault> {
        let client = structure.id.client;
        if self.queues.last().is_none_or(|queue| queue.client != client) {
            let structs = VecDeque::new();
            let queue = Queue { client, structs, end: 0, whole_from: None, waiting: false };
            self.queues.push(queue);
        }
        if let Some(queue) = self.queues.last_mut() {
            queue.end = structure.id.clock + structure.len;
            if matches!(structure.kind, Kind::Item(Item { content: Content::Format, .. })) {
                queue.whole_from.get_or_insert(structure.id.clock);
            }
            queue.structs.push_back(structure);
        }
        Ok(())
    }

    fn deletion(&mut self, from: Id, len: u32) -> Result<(), Fault> {
        self.deletions.push((from, len));
        Ok(())
    }
}

impl<'a> Found<'a> {
    /// Hands out every struct behind those it refers to: all that is left, or those before which
    /// there is no format mark.
    fn in_order(&mut self, parts: &mut Parts, all: bool) {
        self.queues.sort_unstable_by_key(|queue| std::cmp::Reverse(queue.client));
        let mut stack = Vec::new();
        for bottom in 0..self.queues.len() {
            stack.push(bottom);
            while let Some(&top) = stack.last() {
                let Some(next) = self.queues[top].structs.front().copied() else {
                    self.leave(&mut stack);
                    continue;
                };
                if !all && self.queues[top].whole_from.is_some_and(|from| from <= next.id.clock) {
                    self.keep_whole(&mut stack);
                    break;
                }
                if let Some(needed) = self.needed(&next) {
                    self.queues[top].waiting = true;
                    stack.push(needed);
                    continue;
                }
                self.queues[top].structs.pop_front();
                parts.add(&next);
                if stack.len() > 1 {
                    self.leave(&mut stack);
                }
            }
        }
    }

    /// Those that wait for what is not handed out are not handed out either.
    fn keep_whole(&mut self, stack: &mut Vec<usize>) {
        for index in stack.drain(..) {
            let queue = &mut self.queues[index];
            queue.waiting = false;
            queue.whole_from = queue.structs.front().map(|structure| structure.id.clock);
        }
    }

    fn leave(&mut self, stack: &mut Vec<usize>) {
        stack.pop();
        if let Some(&below) = stack.last() {
            self.queues[below].waiting = false;
        }
    }

    /// The queue that has to go on first. Two that wait for each other were never a document's:
    /// nobody waits then.
    fn needed(&self, structure: &Struct<'_>) -> Option<usize> {
        let Kind::Item(item) = structure.kind else { return None };
        let parent = item.parent.and_then(|parent| match parent.of {
            Of::Item(id) => Some(id),
            Of::Root(_) => None,
        });
        let ids = [item.origin, item.right_origin, parent];
        ids.into_iter().flatten().find_map(|id| {
            if id.client == structure.id.client {
                return None;
            }
            let by_client = |queue: &Queue<'_>| id.client.cmp(&queue.client);
            let index = self.queues.binary_search_by(by_client).ok()?;
            let queue = &self.queues[index];
            let next = queue.structs.front()?.id.clock;
            (!queue.waiting && next <= id.clock && id.clock < queue.end).then_some(index)
        })
    }
}

/// The parts, and the one that grows.
#[derive(Default)]
struct Parts {
    max: usize,
    done: Vec<Vec<u8>>,
    runs: Vec<Run>,
    /// Which of them is a client's.
    of: BTreeMap<u64, usize>,
    deletions: Vec<(u64, Vec<(u32, u32)>)>,
    /// About as many bytes as the one that grows has.
    size: usize,
}

/// Structs of a client without a hole.
struct Run {
    from: Id,
    count: u64,
    end: u32,
    bytes: Vec<u8>,
}

impl Parts {
    fn add(&mut self, structure: &Struct<'_>) {
        match structure.kind {
            Kind::Item(Item { content: Content::Text(text), .. })
                if structure.bytes.len() > self.max =>
            {
                self.add_text(structure, text);
            }
            // What a part skips at its front it need not say.
            Kind::Skip if self.run(structure.id).is_none() => {}
            _ => self.put(structure.id, structure.len, structure.bytes),
        }
    }

    /// A text as several: each begins behind the one before, and looks at the same neighbour on
    /// its right.
    fn add_text(&mut self, structure: &Struct<'_>, text: &str) {
        let Kind::Item(item) = structure.kind else { return };
        let head = &structure.bytes[..structure.bytes.len() - text_bytes(text)];
        let (mut id, mut rest, mut head) = (structure.id, text, head.to_vec());
        while !rest.is_empty() {
            let mut cut = self.max.min(rest.len());
            while !rest.is_char_boundary(cut) {
                cut -= 1;
            }
            let (piece, behind) = rest.split_at(cut);
            let len = utf16_len(piece) as u32;
            put_string(&mut head, piece);
            self.put(id, len, &head);
            id.clock += len;
            rest = behind;
            let before = Id { client: id.client, clock: id.clock - 1 };
            head = behind_a_cut(&item, before);
        }
    }

    fn run(&mut self, id: Id) -> Option<&mut Run> {
        let run = self.runs.get_mut(*self.of.get(&id.client)?)?;
        (run.end == id.clock).then_some(run)
    }

    fn put(&mut self, id: Id, len: u32, bytes: &[u8]) {
        if self.size > 0 && self.size.saturating_add(bytes.len()) > self.max {
            self.close();
        }
        if self.run(id).is_none() {
            if self.of.contains_key(&id.client) {
                self.close();
            }
            self.size += HEAD;
            self.of.insert(id.client, self.runs.len());
            self.runs.push(Run { from: id, count: 0, end: id.clock, bytes: Vec::new() });
        }
        self.size += bytes.len();
        if let Some(run) = self.run(id) {
            run.count += 1;
            run.end = id.clock + len;
            run.bytes.extend_from_slice(bytes);
        }
    }

    fn delete(&mut self, from: Id, len: u32) {
        // Two numbers, and the client.
        let bytes = 10;
        if self.size > 0 && self.size + bytes > self.max {
            self.close();
        }
        self.size += bytes;
        match self.deletions.last_mut() {
            Some((client, ranges)) if *client == from.client => ranges.push((from.clock, len)),
            _ => {
                self.size += bytes;
                self.deletions.push((from.client, vec![(from.clock, len)]));
            }
        }
    }

    /// What comes from now on is one part.
    fn the_rest(&mut self) {
        if self.size > 0 {
            self.close();
        }
        self.max = usize::MAX;
    }

    /// Writes what has grown.
    fn close(&mut self) {
        let mut out = Vec::with_capacity(self.size + 16);
        put_var_uint(&mut out, self.runs.len() as u64);
        // As Yjs does: the highest client first.
        self.runs.sort_unstable_by_key(|run| std::cmp::Reverse(run.from.client));
        for run in self.runs.drain(..) {
            put_var_uint(&mut out, run.count);
            put_id(&mut out, run.from);
            out.extend_from_slice(&run.bytes);
        }
        put_var_uint(&mut out, self.deletions.len() as u64);
        for (client, ranges) in self.deletions.drain(..) {
            put_var_uint(&mut out, client);
            put_var_uint(&mut out, ranges.len() as u64);
            for (clock, len) in ranges {
                put_var_uint(&mut out, u64::from(clock));
                put_var_uint(&mut out, u64::from(len));
            }
        }
        self.of.clear();
        self.size = 0;
        self.done.push(out);
    }

    fn finish(mut self) -> Vec<Vec<u8>> {
        if self.size > 0 || self.done.is_empty() {
            self.close();
        }
        self.done
    }
}

/// What a text is written as: its length and itself.
fn text_bytes(text: &str) -> usize {
    let mut length = Vec::with_capacity(8);
    put_var_uint(&mut length, text.len() as u64);
    length.len() + text.len()
}

/// What stands in front of the content of what follows a cut.
fn behind_a_cut(item: &Item<'_>, before: Id) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD);
    // Its key, if any, is that of the origin.
    let right = if item.right_origin.is_some() { HAS_RIGHT_ORIGIN } else { 0 };
    let key = item.info & !(HAS_ORIGIN | HAS_RIGHT_ORIGIN | TEXT);
    out.push(TEXT | HAS_ORIGIN | right | key);
    put_id(&mut out, before);
    if let Some(right) = item.right_origin {
        put_id(&mut out, right);
    }
    out
}

fn put_id(out: &mut Vec<u8>, id: Id) {
    put_var_uint(out, id.client);
    put_var_uint(out, u64::from(id.clock));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yjs::{UpdateLimits, check_update, for_each_client};

    /// A text in the root "t", of one client, with nothing deleted.
    fn text(text: &str) -> Vec<u8> {
        let mut update = vec![1, 1, 7, 0, 4, 1, 1, b't'];
        put_string(&mut update, text);
        update.push(0);
        update
    }

    fn extents(update: &[u8]) -> Vec<(u64, u32, u32)> {
        let mut found = Vec::new();
        for_each_client(update, |client, clock, len| found.push((client, clock, len))).unwrap();
        found
    }

    #[test]
    fn what_is_small_enough_stays_whole() {
        let update = text("Hello");
        assert_eq!(split(&update, update.len()), [update]);
        assert_eq!(split(b"no update", 2), [b"no update"]);
    }

    #[test]
    fn a_long_text_is_cut_between_its_characters() {
        let long = "añ👍".repeat(100);
        let parts = split(&text(&long), 64);
        let (mut clock, mut bytes) = (0, 0);
        for part in &parts {
            check_update(part, &UpdateLimits::default()).unwrap();
            assert!(part.len() <= 64 + HEAD, "{}", part.len());
            let [(7, from, len)] = extents(part)[..] else { panic!("not of one client") };
            assert_eq!(from, clock);
            clock += len;
            bytes += part.len();
        }
        assert_eq!(clock, 400, "places, not characters");
        assert!(bytes < 2 * long.len());
        // Behind the cut: text with an origin, which is the place before.
        let [_, second, ..] = &parts[..] else { panic!("not cut") };
        let from = extents(second)[0].1;
        assert_eq!(second[..5], [1, 1, 7, from as u8, 0x84]);
        assert_eq!(second[5..7], [7, from as u8 - 1]);
    }

    #[test]
    fn nothing_comes_before_what_it_refers_to() {
        // Client 9 has written behind what client 2 has, one after the other.
        let mut update = vec![2, 40, 9, 0];
        for clock in 0..40 {
            update.extend([0x84, 2, clock, 1, b'x']);
        }
        update.extend([40, 2, 0, 4, 1, 1, b't', 1, b'0']);
        for clock in 1..40 {
            update.extend([0x84, 9, clock - 1, 1, b'y']);
        }
        update.push(0);
        let parts = split(&update, 100);
        assert!(parts.len() > 3);
        let (mut nine, mut two) = (0, 0);
        for part in &parts {
            for (client, from, len) in extents(part) {
                let end = if client == 9 { &mut nine } else { &mut two };
                assert_eq!(*end, from, "no holes");
                *end += len;
            }
            assert!(nine <= two, "client 9 follows client 2");
        }
        assert_eq!((nine, two), (40, 40));
    }

    #[test]
    fn deletions_come_last_and_are_cut_too() {
        let mut update = text(&"x".repeat(200));
        update.pop();
        update.extend([1, 7, 60]);
        for range in 0..60 {
            update.extend([2 * range, 1]);
        }
        let parts = split(&update, 64);
        let shapes = parts.iter().map(|part| check_update(part, &UpdateLimits::default()).unwrap());
        let shapes: Vec<_> = shapes.collect();
        assert_eq!(shapes.iter().map(|shape| shape.deletes).sum::<usize>(), 60);
        let first = shapes.iter().position(|shape| shape.deletes > 0).unwrap();
        assert!(shapes[first + 1..].iter().all(|shape| shape.structs == 0));
        assert!(parts.iter().all(|part| part.len() <= 64 + HEAD));
    }

    #[test]
    fn from_a_format_mark_on_nothing_is_cut() {
        let mut update = vec![1, 4, 7, 0, 4, 1, 1, b't'];
        put_string(&mut update, &"x".repeat(200));
        for (clock, value) in [(199, "true"), (200, "null")] {
            update.extend([0x86, 7]);
            put_var_uint(&mut update, clock);
            put_string(&mut update, "b");
            put_string(&mut update, value);
        }
        // Between the two marks.
        update.extend([0xc4, 7]);
        put_var_uint(&mut update, 200);
        update.push(7);
        put_var_uint(&mut update, 201);
        put_string(&mut update, &"y".repeat(200));
        update.extend([1, 7, 1, 0, 1]);
        let parts = split(&update, 64);
        let all: Vec<_> = parts.iter().map(|part| extents(part)).collect();
        assert_eq!(all.last(), Some(&vec![(7, 200, 202)]));
        assert!(all.len() > 3, "what is in front of them is");
        let shape = check_update(&parts[parts.len() - 1], &UpdateLimits::default());
        assert_eq!(shape.unwrap().deletes, 1);
    }

    #[test]
    fn a_hole_stays_a_hole() {
        // Three places, five that are skipped, a long text.
        let mut update = vec![1, 3, 7, 0, 4, 1, 1, b't', 3, b'a', b'b', b'c', 10, 5, 0x84, 7, 2];
        put_string(&mut update, &"x".repeat(100));
        update.push(0);
        let parts = split(&update, 50);
        let all: Vec<_> = parts.iter().flat_map(|part| extents(part)).collect();
        assert_eq!(all.first(), Some(&(7, 0, 8)), "a hole in the middle is said");
        assert_eq!(all.iter().map(|(_, _, len)| len).sum::<u32>(), 108);
    }
}
