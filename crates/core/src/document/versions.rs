//! Which versions of a document there are, to go back to; what they held is kept elsewhere.
//!
//! Each is a record of the document's log, so that the list is as safe as the document. Numbers
//! grow and are never used twice, whatever becomes of the document.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Document;
use crate::limits::{AUTHORS_NAMED, VERSION_AUTHORS};
use crate::store::Epoch;

/// What a document held once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number, from 1.
    pub number: u64,
    /// When it was taken: milliseconds since 1970.
    pub at_ms: u64,
    /// What people call it.
    pub name: Option<Box<str>>,
    /// Who asked for it; `None`: it was taken by itself.
    pub user: Option<Box<str>>,
    /// Who changed the document between the version before and this one, by name.
    pub authors: Vec<Box<str>>,
    /// Bytes of its content.
    pub bytes: usize,
    /// The newest change in it.
    pub offset: u64,
    /// The document's.
    pub epoch: Epoch,
    /// Where its content is kept.
    pub pages: Pages,
}

impl Version {
    /// Whether it was taken by itself, and nobody has given it a name since.
    pub fn is_automatic(&self) -> bool {
        self.user.is_none() && self.name.is_none()
    }
}

/// Entries of a channel of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pages {
    /// What all of them begin with, and no others.
    pub id: u64,
    /// How many there are.
    pub count: u32,
}

/// When a document was changed: milliseconds since 1970, and the offset of the newest change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The first change since the newest version.
    pub first_ms: u64,
    /// The newest one.
    pub last_ms: u64,
    /// Its offset.
    pub offset: u64,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Versions {
    kept: BTreeMap<u64, Version>,
    /// Deleted ones whose content may still be at the store.
    deleted: BTreeSet<u64>,
    /// The highest number ever.
    highest: u64,
    /// Who changed it since the newest version, and the offset of their newest change.
    authors: BTreeMap<Box<str>, u64>,
    changed: Option<Changed>,
}

impl Versions {
    /// Those that there are, the newest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Version> + Clone {
        self.kept.values().rev()
    }

    /// One of them.
    pub fn get(&self, number: u64) -> Option<&Version> {
        self.kept.get(&number)
    }

    /// Those with smaller numbers than this one, the newest first.
    pub fn before(&self, number: Option<u64>) -> impl Iterator<Item = &Version> {
        self.kept.range(..number.unwrap_or(u64::MAX)).rev().map(|(_, version)| version)
    }

    /// The number of the next one.
    pub fn next(&self) -> u64 {
        self.highest + 1
    }

    /// Deleted ones whose content may still be at the store.
    pub fn deleted(&self) -> impl Iterator<Item = u64> + '_ {
        self.deleted.iter().copied()
    }

    /// When the document was changed since the newest version; `None`: it was not.
    pub fn changed(&self) -> Option<Changed> {
        self.changed
    }

    /// Who has changed it since the newest version, by name; of more than a hundred
    /// the first.
    pub fn authors(&self) -> impl Iterator<Item = &str> {
        self.authors.keys().map(|author| &**author)
    }

    /// As many of them as a version names.
    pub fn version_authors(&self) -> Vec<Box<str>> {
        self.authors.keys().take(VERSION_AUTHORS).cloned().collect()
    }

    /// Bytes of the content of all.
    pub fn bytes(&self) -> usize {
        self.kept.values().map(|version| version.bytes).sum()
    }

    /// Whether nothing is known of the document's past.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn note_change(&mut self, user: &str, (offset, at_ms): (u64, u64)) {
        let changed = Changed { first_ms: at_ms, last_ms: at_ms, offset };
        let known = self.changed.get_or_insert(changed);
        (known.last_ms, known.offset) = (at_ms, offset);
        if let Some(last) = self.authors.get_mut(user) {
            *last = offset;
        } else if !user.is_empty() && self.authors.len() < AUTHORS_NAMED {
            self.authors.insert(user.into(), offset);
        }
    }

    /// A version was taken. What came behind it is still a change.
    pub(super) fn take(&mut self, version: Version) {
        let Version { number, offset, .. } = version;
        if number > self.highest {
            self.authors.retain(|_, last| *last > offset);
            self.changed = self.changed.filter(|changed| changed.offset > offset);
            if let Some(changed) = &mut self.changed {
                changed.first_ms = changed.last_ms;
            }
            self.highest = number;
        }
        // A log that is read again says again what became of it.
        self.deleted.remove(&number);
        self.kept.insert(number, version);
    }

    /// `false`: it is not there any more.
    pub(super) fn name(&mut self, number: u64, name: Option<Box<str>>) -> bool {
        let version = self.kept.get_mut(&number);
        version.map(|version| version.name = name).is_some()
    }

    /// Who changed the document before it did so before the next one.
    pub(super) fn delete(&mut self, number: u64) {
        let Some(version) = self.kept.remove(&number) else { return };
        self.deleted.insert(number);
        match self.kept.range_mut(number..).next() {
            Some((_, next)) => {
                let known: BTreeSet<_> = next.authors.drain(..).chain(version.authors).collect();
                next.authors.extend(known.into_iter().take(VERSION_AUTHORS));
            }
            None => {
                for author in version.authors {
                    self.authors.entry(author).or_insert(version.offset);
                }
            }
        }
    }

    /// The content of a deleted one is gone.
    pub(super) fn forget(&mut self, number: u64) {
        self.deleted.remove(&number);
    }

    /// The document was begun anew. `all`: its versions go, too, and what may be left of one that
    /// was never taken to its end.
    pub(super) fn reset(&mut self, all: bool) {
        self.authors.clear();
        self.changed = None;
        if all {
            self.deleted.extend(std::mem::take(&mut self.kept).into_keys());
            self.highest += 1;
            self.deleted.insert(self.highest);
        }
    }
}

impl Document {
    /// Which versions of it there are.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// A version of it is stored.
    pub fn take_version(&mut self, version: Version) {
        self.versions.take(version);
    }

    /// A version has another name. `false`: it is not there any more.
    pub fn name_version(&mut self, number: u64, name: Option<Box<str>>) -> bool {
        self.versions.name(number, name)
    }

    /// A version is not there any more; what it held may still be at the store, until
    /// [`forget_version`](Self::forget_version).
    pub fn delete_version(&mut self, number: u64) {
        self.versions.delete(number);
    }

    /// See [`delete_version`](Self::delete_version).
    pub fn forget_version(&mut self, number: u64) {
        self.versions.forget(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn version(number: u64, offset: u64) -> Version {
        Version {
            number,
            at_ms: 0,
            name: None,
            user: None,
            authors: Vec::new(),
            bytes: 100,
            offset,
            epoch: Epoch(0),
            pages: Pages { id: 1, count: 1 },
        }
    }

    #[test]
    fn what_came_while_a_version_was_being_stored_is_a_change_since_it() {
        let mut versions = Versions::default();
        versions.note_change("ada", (1, 1000));
        versions.note_change("bob", (2, 2000));
        // It is taken as of offset 2; ada goes on.
        versions.note_change("ada", (3, 3000));
        versions.take(version(1, 2));
        assert_eq!(versions.authors().collect::<Vec<_>>(), ["ada"]);
        let since = Changed { first_ms: 3000, last_ms: 3000, offset: 3 };
        assert_eq!(versions.changed(), Some(since));
        versions.take(version(2, 3));
        assert_eq!((versions.changed(), versions.authors().count()), (None, 0));
    }

    #[test]
    fn who_gives_an_old_version_a_name_does_not_make_it_the_newest() {
        let mut versions = Versions::default();
        versions.take(version(1, 0));
        versions.take(version(2, 0));
        versions.note_change("ada", (5, 1000));
        assert!(versions.name(1, Some("Draft".into())));
        assert_eq!((versions.next(), versions.authors().count()), (3, 1));
        assert_eq!(versions.iter().map(|version| version.number).collect::<Vec<_>>(), [2, 1]);
        assert!(!versions.get(1).unwrap().is_automatic());
    }

    #[test]
    fn who_wrote_before_a_version_that_is_deleted_is_named_by_the_next_one() {
        let by =
            |number, author: &str| Version { authors: vec![author.into()], ..version(number, 0) };
        let mut versions = Versions::default();
        versions.take(by(1, "ada"));
        versions.take(by(2, "bob"));
        versions.take(by(3, "cyd"));
        versions.delete(2);
        assert_eq!(versions.get(3).unwrap().authors, ["bob".into(), "cyd".into()]);
        versions.delete(3);
        assert_eq!(versions.authors().collect::<Vec<_>>(), ["bob", "cyd"]);
    }

    #[test]
    fn a_log_that_is_read_again_behind_what_it_made_makes_the_same() {
        let mut versions = Versions::default();
        versions.take(version(1, 0));
        versions.reset(true);
        versions.take(version(3, 0));
        versions.reset(true);
        versions.take(version(3, 0));
        assert!(versions.get(3).is_some() && !versions.deleted().any(|number| number == 3));
    }

    #[test]
    fn numbers_go_on_when_all_versions_are_gone() {
        let mut versions = Versions::default();
        versions.take(version(1, 0));
        versions.take(version(2, 0));
        versions.delete(1);
        assert!(!versions.name(1, Some("Draft".into())), "somebody gives it a name too late");
        versions.reset(true);
        assert_eq!((versions.iter().count(), versions.bytes(), versions.next()), (0, 0, 4));
        assert_eq!(versions.deleted().collect::<Vec<_>>(), [1, 2, 3]);
        versions.forget(1);
        versions.forget(2);
        versions.forget(3);
        assert!(versions.deleted().next().is_none() && !versions.is_empty());
    }
}
