//! Whether a subscriber got every event, once, in order.

use serde::Serialize;

/// What one subscriber has seen of its channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    last: u64,
    /// Offsets that were passed over: half-open ranges, in order. Empty when all is well.
    holes: Vec<(u64, u64)>,
    faults: Faults,
}

/// What went wrong; all zero when nothing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    /// Never came.
    pub(crate) lost: u64,
    /// Came more than once.
    pub(crate) duplicated: u64,
    /// Came behind a later one.
    pub(crate) out_of_order: u64,
}

impl Faults {
    pub(crate) fn none(self) -> bool {
        self == Self::default()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.out_of_order += other.out_of_order;
    }
}

impl Order {
    /// The subscriber has everything up to `offset`.
    pub(crate) fn starting_at(offset: u64) -> Self {
        Self { last: offset, ..Self::default() }
    }

    /// The newest offset it has seen.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// An event came.
    pub(crate) fn see(&mut self, offset: u64) {
        if offset == self.last + 1 {
            self.last = offset;
        } else if offset > self.last {
            self.holes.push((self.last + 1, offset));
            self.last = offset;
        } else {
            self.see_late(offset);
        }
    }

    fn see_late(&mut self, offset: u64) {
        let hole = self.holes.iter().position(|(start, end)| (*start..*end).contains(&offset));
        let Some(index) = hole else {
            self.faults.duplicated += 1;
            return;
        };
        self.faults.out_of_order += 1;
        let (start, end) = self.holes.remove(index);
        for part in [(offset + 1, end), (start, offset)] {
            if part.0 < part.1 {
                self.holes.insert(index, part);
            }
        }
    }

    /// The verdict, when the channel's newest event is `end`.
    pub(crate) fn finish(&self, end: u64) -> Faults {
        let holes: u64 = self.holes.iter().map(|(start, end)| end - start).sum();
        Faults { lost: holes + end.saturating_sub(self.last), ..self.faults }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(start: u64, seen: &[u64], end: u64) -> (u64, u64, u64) {
        let mut order = Order::starting_at(start);
        for offset in seen {
            order.see(*offset);
        }
        let faults = order.finish(end);
        (faults.lost, faults.duplicated, faults.out_of_order)
    }

    #[test]
    fn a_clean_run_has_no_faults() {
        assert_eq!(verdict(0, &[1, 2, 3], 3), (0, 0, 0));
        assert_eq!(verdict(41, &[42, 43], 43), (0, 0, 0));
        assert_eq!(verdict(7, &[], 7), (0, 0, 0));
    }

    #[test]
    fn holes_and_missing_ends_are_lost() {
        assert_eq!(verdict(0, &[1, 4], 4), (2, 0, 0));
        assert_eq!(verdict(0, &[1, 2], 5), (3, 0, 0));
        assert_eq!(verdict(0, &[], 2), (2, 0, 0));
    }

    #[test]
    fn repeats_are_duplicates() {
        assert_eq!(verdict(0, &[1, 1, 2, 1], 2), (0, 2, 0));
        assert_eq!(verdict(5, &[5, 6], 6), (0, 1, 0));
    }

    #[test]
    fn late_ones_fill_their_hole_once() {
        assert_eq!(verdict(0, &[1, 5, 3, 2, 4], 5), (0, 0, 3));
        assert_eq!(verdict(0, &[1, 5, 3, 3], 5), (2, 1, 1));
        assert_eq!(verdict(0, &[3, 1, 6, 4], 6), (2, 0, 2));
    }
}
