//! How deep the types of an update stand in each other.

use super::walk::{Id, Item, Of};

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
        while let Some(index) = path.pop() {
            depth += u32::from(matches!(self.items[index].link, Link::In(_)));
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
