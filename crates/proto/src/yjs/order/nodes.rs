//! The items of an order: found, cut into two, and taken out again.

use super::{Id, Node, Order, Spot};

/// So much of a text is cut off in the time of one step, and rather more: a text of a megabyte in
/// which thousands of words are replaced at once was cut by somebody honest.
const UNITS_PER_STEP: u32 = 512;

/// So many neighbours are looked at in the time of one step.
const HOPS_PER_STEP: u64 = 16;

impl Order {
    pub(super) fn known(&self, id: Id) -> Option<Spot> {
        self.numbers.get(&id.client).map(|client| Spot { client: *client, clock: id.clock })
    }

    pub(super) fn spot(&mut self, id: Id) -> Spot {
        Spot { client: self.number(id.client), clock: id.clock }
    }

    pub(super) fn find(&self, spot: Spot) -> Option<u32> {
        let (first, at) = self.places.range(..=spot).next_back()?;
        let len = self.nodes[*at as usize].len;
        (first.client == spot.client && spot.clock - first.clock < len).then_some(*at)
    }

    /// As [`find`](Self::find), where it is most often the one to the left.
    pub(super) fn find_beside(&self, left: Option<u32>, spot: Spot) -> Option<u32> {
        let is_it = |at: &u32| {
            let Node { spot: first, len, .. } = self.nodes[*at as usize];
            first.client == spot.client && first.clock + (len - 1) == spot.clock
        };
        left.filter(is_it).or_else(|| self.find(spot))
    }

    /// The item that ends with this place, which is cut off where it does not.
    pub(super) fn ending_at(&mut self, id: Id) -> Option<u32> {
        let spot = self.known(id)?;
        let at = self.find(spot).filter(|at| self.nodes[*at as usize].list.is_some())?;
        let Node { spot: first, len, .. } = self.nodes[at as usize];
        let len_up_to = spot.clock - first.clock + 1;
        if len_up_to < len {
            self.split(at, len_up_to);
        }
        Some(at)
    }

    /// The item that begins with this place.
    pub(super) fn starting_at(&mut self, id: Id) -> Option<u32> {
        let spot = self.known(id)?;
        let at = self.find(spot).filter(|at| self.nodes[*at as usize].list.is_some())?;
        match spot.clock - self.nodes[at as usize].spot.clock {
            0 => Some(at),
            before => Some(self.split(at, before)),
        }
    }

    /// Whether those two, and all between, are what one client wrote in one go.
    pub(super) fn is_one_run(&mut self, first: u32, last: u32) -> bool {
        let (from, mut at, mut hops) = (self.nodes[first as usize].spot, last, 0);
        let is_one = loop {
            let Node { spot, left, .. } = self.nodes[at as usize];
            let before = left.map(|left| &self.nodes[left as usize]);
            let end = before.map(|before| (before.spot.client, before.spot.clock + before.len));
            match left.filter(|_| spot.client == from.client && spot.clock > from.clock) {
                Some(left) if end == Some((spot.client, spot.clock)) => at = left,
                _ => break spot == from,
            }
            hops += 1;
        };
        self.steps += hops / HOPS_PER_STEP;
        is_one
    }

    fn split(&mut self, at: u32, len: u32) -> u32 {
        let index = self.nodes.len() as u32;
        let node = &mut self.nodes[at as usize];
        let Spot { client, clock } = node.spot;
        let right = node.right.replace(index);
        self.cuts += if node.text { u64::from(len / UNITS_PER_STEP) } else { 0 };
        let half = Node {
            spot: Spot { client, clock: clock + len },
            len: node.len - len,
            origin: Some(Spot { client, clock: clock + len - 1 }),
            left: Some(at),
            right,
            split: true,
            ..*node
        };
        node.len = len;
        if let Some(right) = right {
            self.nodes[right as usize].left = Some(index);
        }
        if let Some(list) = half.list {
            self.lists[list as usize].len += 1;
        }
        self.places.insert(half.spot, index);
        self.nodes.push(half);
        index
    }

    /// What was typed behind what the same client typed before is one item with it.
    pub(super) fn join_last(&mut self, from: usize) {
        let Some(last) = self.nodes.get(from..).and_then(<[_]>::last) else { return };
        let (Some(left), Some(list), false) = (last.left, last.list, last.split) else { return };
        let before = &self.nodes[left as usize];
        let Spot { client, clock } = before.spot;
        let follows = last.spot == Spot { client, clock: clock + before.len }
            && last.origin == Some(Spot { client, clock: clock + before.len - 1 })
            && last.right_origin == before.right_origin;
        let is_text = before.text && last.text && !before.deleted;
        if follows && is_text && !self.lists[list as usize].keyed {
            let index = self.nodes.len() - 1;
            self.nodes[index].split = true;
            self.undo(index);
        }
    }

    /// Takes those out that came last, so that there are only so many.
    pub(super) fn undo(&mut self, count: usize) {
        while self.nodes.len() > count {
            let Some(node) = self.nodes.pop() else { return };
            self.places.remove(&node.spot);
            if let Some(right) = node.right {
                self.nodes[right as usize].left = node.left;
            }
            if let Some(list) = node.list {
                let list = &mut self.lists[list as usize];
                list.len -= 1;
                match node.left {
                    Some(left) => self.nodes[left as usize].right = node.right,
                    None => list.head = node.right,
                }
            }
            match node.left.filter(|_| node.split) {
                Some(left) => self.nodes[left as usize].len += node.len,
                None => self.ends[node.spot.client as usize] = node.spot.clock,
            }
        }
    }

    /// Deletes what is there of a range: an item that is deleted in part is two.
    pub(super) fn delete(&mut self, from: Id, len: u32) {
        let end = from.clock.saturating_add(len).min(self.end(from.client));
        let Some(first) = self.known(from).filter(|first| first.clock < end) else { return };
        let lives = |node: &Node| !node.deleted && node.list.is_some();
        if let Some(at) = self.find(first).filter(|at| lives(&self.nodes[*at as usize]))
            && self.nodes[at as usize].spot != first
        {
            self.split(at, first.clock - self.nodes[at as usize].spot.clock);
        }
        let end = Spot { clock: end, ..first };
        if let Some(at) = self.find(end).filter(|at| lives(&self.nodes[*at as usize]))
            && self.nodes[at as usize].spot != end
        {
            self.split(at, end.clock - self.nodes[at as usize].spot.clock);
        }
        for (_, at) in self.places.range(first..end) {
            self.nodes[*at as usize].deleted = true;
        }
    }
}
