//! How deep the types of an update stand in each other.

use super::Fault;
use super::walk::{Content, DEPTH_OF_CHECKED, Id, Item, Kind, Of, Struct, Visitor, walk};

/// How many levels of types an update puts into each other, as far as it says itself: what it
/// refers to and does not hold is taken to be at the top. To delete the outermost one is a
/// recursion in Yjs of so many levels.
///
/// # Errors
/// As [`check_update`](super::check_update), without limits.
pub fn levels(update: &[u8]) -> Result<usize, Fault> {
    let mut levels = Levels::default();
    walk(update, DEPTH_OF_CHECKED, &mut levels)?;
    Ok(levels.deepest())
}

#[derive(Default)]
struct Levels {
    nest: Nest,
    types: Vec<Id>,
}

impl Levels {
    fn deepest(&mut self) -> usize {
        if self.types.len() <= 1 {
            return self.types.len();
        }
        let nest = &mut self.nest;
        nest.items.sort_unstable_by_key(|place| place.id);
        let mut depths = vec![UNKNOWN; nest.items.len()];
        let mut path = Vec::new();
        let found = self.types.iter().filter_map(|id| nest.find(*id));
        let outer = found.map(|at| nest.depth(at, &mut depths, &mut path)).max().unwrap_or(0);
        usize::try_from(outer).unwrap_or(usize::MAX).saturating_add(1)
    }
}

impl<'a> Visitor<'a> for Levels {
    fn structure(&mut self, structure: Struct<'a>) -> Result<(), Fault> {
        if let Kind::Item(item) = structure.kind {
            let is_type = item.content == Content::Type;
            self.nest.add(structure.id, structure.len, &item, is_type);
            self.types.extend(is_type.then_some(structure.id));
        }
        Ok(())
    }

    fn deletion(&mut self, _: Id, _: u32) -> Result<(), Fault> {
        Ok(())
    }
}

/// The items of an update, and where each is.
#[derive(Debug, Default)]
pub(super) struct Nest {
    items: Vec<Place>,
    types: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    id: Id,
    len: u32,
    link: Link,
}

#[derive(Clone, Copy, Debug)]
enum Link {
    /// A root, or nothing that the update tells.
    Top,
    /// Inside of this one.
    In(Id),
    /// In the same type as this one.
    Beside(Id),
}

/// Not known yet; no update has so many items.
const UNKNOWN: u32 = u32::MAX;

impl Nest {
    pub(super) fn add(&mut self, id: Id, len: u32, item: &Item<'_>, is_type: bool) {
        let link = match (item.origin.or(item.right_origin), item.parent) {
            (Some(neighbour), _) => Link::Beside(neighbour),
            (None, Some(parent)) => match parent.of {
                Of::Item(outer) => Link::In(outer),
                Of::Root(_) => Link::Top,
            },
            (None, None) => Link::Top,
        };
        self.types += usize::from(is_type);
        self.items.push(Place { id, len, link });
    }

    /// Whether something is inside of more than `max` types. So many types have to be there first,
    /// so of most updates nothing more is looked at.
    pub(super) fn exceeds(&mut self, max: usize) -> bool {
        if self.types <= max {
            return false;
        }
        self.items.sort_unstable_by_key(|place| place.id);
        let mut depths = vec![UNKNOWN; self.items.len()];
        let mut path = Vec::new();
        (0..self.items.len()).any(|start| self.depth(start, &mut depths, &mut path) > max as u64)
    }

    /// How many types are around an item. Each item is walked over once in all: what is found is
    /// kept for every item on the way.
    fn depth(&self, start: usize, depths: &mut [u32], path: &mut Vec<usize>) -> u64 {
        let mut at = Some(start);
        let mut depth = 0;
        while let Some(index) = at {
            if depths[index] != UNKNOWN {
                depth = depths[index];
                break;
            }
            // A circle of items is never applied, so any depth will do.
            depths[index] = 0;
            path.push(index);
            at = match self.items[index].link {
                Link::Top => None,
                Link::In(id) | Link::Beside(id) => self.find(id),
            };
        }
        // What the last one is in is not in the update.
        let mut is_first = at.is_none();
        while let Some(index) = path.pop() {
            let inside = matches!(self.items[index].link, Link::In(_));
            depth += u32::from(!std::mem::take(&mut is_first) && inside);
            depths[index] = depth;
        }
        u64::from(depth)
    }

    fn find(&self, id: Id) -> Option<usize> {
        let behind = self.items.partition_point(|place| place.id <= id);
        let index = behind.checked_sub(1)?;
        let place = &self.items[index];
        let inside = place.id.client == id.client && id.clock - place.id.clock < place.len;
        inside.then_some(index)
    }
}
