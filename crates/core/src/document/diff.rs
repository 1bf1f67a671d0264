//! Where two sequences differ, in bounded time: where there is too much to compare, what lies
//! between the same beginning and the same end is one difference.

use std::hash::Hash;
use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Steps that are worth a comparison: a fifth of a second.
const STEPS: usize = 40_000_000;

/// A part of both sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
    pub(super) equal: bool,
}

/// All parts, in order. First whole groups are compared (lines, whose last item `ends` one), then
/// what is in those that differ.
pub(super) fn parts<T: Hash + Eq>(old: &[T], new: &[T], ends: impl Fn(&T) -> bool) -> Vec<Part> {
    let mut budget = STEPS;
    let (old_groups, new_groups) = (groups(old, &ends), groups(new, &ends));
    let old_lines: Vec<&[T]> = old_groups.iter().map(|range| &old[range.clone()]).collect();
    let new_lines: Vec<&[T]> = new_groups.iter().map(|range| &new[range.clone()]).collect();
    let at = |groups: &[Range<usize>], lines: Range<usize>, end: usize| -> Range<usize> {
        let place = |line: usize| groups.get(line).map_or(end, |group| group.start);
        place(lines.start)..place(lines.end)
    };
    let mut found = Vec::new();
    for part in compare(&old_lines, &new_lines, &mut budget) {
        let old_at = at(&old_groups, part.old, old.len());
        let new_at = at(&new_groups, part.new, new.len());
        if part.equal {
            found.push(Part { old: old_at, new: new_at, equal: true });
            continue;
        }
        for inner in compare(&old[old_at.clone()], &new[new_at.clone()], &mut budget) {
            found.push(Part {
                old: old_at.start + inner.old.start..old_at.start + inner.old.end,
                new: new_at.start + inner.new.start..new_at.start + inner.new.end,
                equal: inner.equal,
            });
        }
    }
    found
}

fn groups<T>(all: &[T], ends: impl Fn(&T) -> bool) -> Vec<Range<usize>> {
    let mut start = 0;
    let lines = all.split_inclusive(ends).map(|line| {
        let range = start..start + line.len();
        start = range.end;
        range
    });
    lines.collect()
}

fn compare<T: Hash + Eq>(old: &[T], new: &[T], budget: &mut usize) -> Vec<Part> {
    let same = |pair: &(&T, &T)| pair.0 == pair.1;
    let before = old.iter().zip(new).take_while(same).count();
    let (old_rest, new_rest) = (&old[before..], &new[before..]);
    let after = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(same).count();
    let (old_end, new_end) = (old.len() - after, new.len() - after);
    let mut found = vec![Part { old: 0..before, new: 0..before, equal: true }];
    let (old_middle, new_middle) = (&old[before..old_end], &new[before..new_end]);
    let both = old_middle.len() + new_middle.len();
    let steps = both.saturating_mul(both);
    if old_middle.is_empty() || new_middle.is_empty() || steps > *budget {
        found.push(Part { old: before..old_end, new: before..new_end, equal: false });
    } else {
        *budget -= steps;
        for op in capture_diff_slices(Algorithm::Myers, old_middle, new_middle) {
            let (old, new) = (op.old_range(), op.new_range());
            found.push(Part {
                old: before + old.start..before + old.end,
                new: before + new.start..before + new.end,
                equal: matches!(op, DiffOp::Equal { .. }),
            });
        }
    }
    found.push(Part { old: old_end..old.len(), new: new_end..new.len(), equal: true });
    found.retain(|part| !part.old.is_empty() || !part.new.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(old: &str, new: &str) -> Vec<(String, String, bool)> {
        let (old, new): (Vec<_>, Vec<_>) = (old.chars().collect(), new.chars().collect());
        let text = |all: &[char], range: Range<usize>| all[range].iter().collect();
        let parts = parts(&old, &new, |c| *c == '\n').into_iter();
        parts.map(|part| (text(&old, part.old), text(&new, part.new), part.equal)).collect()
    }

    #[test]
    fn what_differs_is_found_inside_of_lines() {
        let found = lines("one\ntwo\nthree\n", "one\ntwelve\nthree\n");
        let same = |text: &str| (text.to_owned(), text.to_owned(), true);
        assert_eq!(found[..2], [same("one\n"), same("tw")]);
        assert_eq!(found.last(), Some(&same("three\n")));
        assert_eq!(lines("", ""), []);
        assert_eq!(lines("", "new"), [(String::new(), "new".to_owned(), false)]);
    }

    #[test]
    fn too_much_to_compare_is_one_difference() {
        let (old, new): (Vec<_>, Vec<_>) = ((0..50_000).collect(), (50_000..90_000).collect());
        let whole = Part { old: 0..50_000, new: 0..40_000, equal: false };
        assert_eq!(parts(&old, &new, |_| false), [whole]);
    }
}
