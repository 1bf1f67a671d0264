//! What becomes of unsynced bytes when the power of a simulated disk fails.

use crate::sim::{Change, Inode};
use crate::wire::mix;

const SECTOR: usize = 512;

/// A stream of numbers that depends on its seed alone.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(mix(self.0))
    }

    /// A number less than `n`; 0 if `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

impl Change {
    pub(crate) fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Change::Write { at, bytes } => put(file, *at, bytes),
            Change::SetLen(len) => file.resize(*len, 0),
        }
    }
}

pub(crate) fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Decides for each unsynced change whether it is on the disk, and makes that all there is.
pub(crate) fn survive(inode: &mut Inode, rng: &mut Rng) {
    let given_up = std::mem::take(&mut inode.given_up);
    let pending = std::mem::take(&mut inode.pending);
    let mut file = std::mem::take(&mut inode.synced);
    for change in given_up.iter().chain(&pending) {
        match rng.below(5) {
            0 => {}
            1 => change.apply(&mut file),
            fate => match change {
                Change::SetLen(_) => {
                    if rng.one_in(2) {
                        change.apply(&mut file);
                    }
                }
                Change::Write { at, bytes } if fate == 2 => {
                    let kept = rng.below(bytes.len() as u64) as usize;
                    put(&mut file, *at, &bytes[..kept]);
                }
                Change::Write { at, bytes } => tear(&mut file, *at, bytes, rng),
            },
        }
    }
    inode.now.clone_from(&file);
    inode.synced = file;
}

/// The file has its new length, but some sectors of the write never got there.
fn tear(file: &mut Vec<u8>, at: usize, bytes: &[u8], rng: &mut Rng) {
    let end = at + bytes.len();
    let mut from = at;
    if file.len() < end {
        file.resize(end, 0);
    }
    while from < end {
        let to = ((from / SECTOR + 1) * SECTOR).min(end);
        if rng.one_in(2) {
            put(file, from, &bytes[from - at..to - at]);
        }
        from = to;
    }
}
