//! Who reacts to an event, and how.

use std::collections::BTreeSet;

use tidings_proto::Reaction;

use crate::limits::{REACTIONS_NAMED, REACTIONS_NAMES_BYTES, REACTIONS_PER_EVENT};

/// The reactions to one event. Everybody is counted; some are named.
#[derive(Debug, Default)]
pub(crate) struct Tally(Vec<One>);

#[derive(Debug)]
struct One {
    reaction: Box<str>,
    /// The first of them, in their order.
    named: Vec<Box<str>>,
    /// All others. No more than there are reactions in the channel's history: an event leaves it
    /// before those who have reacted to it.
    others: BTreeSet<Box<str>>,
}

impl One {
    fn has(&self, user: &str) -> bool {
        self.named.iter().any(|name| **name == *user) || self.others.contains(user)
    }

    fn count(&self) -> usize {
        self.named.len() + self.others.len()
    }

    fn add(&mut self, user: &str) {
        if self.has(user) {
            return;
        }
        if self.named.len() < REACTIONS_NAMED {
            self.named.push(user.into());
        } else {
            self.others.insert(user.into());
        }
    }

    fn take_back(&mut self, user: &str) {
        if self.others.remove(user) {
            return;
        }
        let before = self.named.len();
        self.named.retain(|name| **name != *user);
        if self.named.len() < before {
            self.named.extend(self.others.pop_first());
        }
    }
}

impl Tally {
    fn find(&self, reaction: &str) -> Option<&One> {
        self.0.iter().find(|one| *one.reaction == *reaction)
    }

    /// How many users react so.
    pub(crate) fn count(&self, reaction: &str) -> usize {
        self.find(reaction).map_or(0, One::count)
    }

    /// Whether this user does.
    pub(crate) fn has(&self, reaction: &str, user: &str) -> bool {
        self.find(reaction).is_some_and(|one| one.has(user))
    }

    /// The reactions that there are.
    pub(crate) fn reactions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|one| &*one.reaction)
    }

    /// A user reacts, or does not any more.
    pub(crate) fn note(&mut self, reaction: &str, user: &str, removed: bool) {
        let at = self.0.iter().position(|one| *one.reaction == *reaction);
        match at {
            Some(at) if removed => {
                self.0[at].take_back(user);
                if self.0[at].count() == 0 {
                    self.0.remove(at);
                }
            }
            Some(at) => self.0[at].add(user),
            None if removed || self.0.len() >= REACTIONS_PER_EVENT => {}
            None => {
                let (reaction, named) = (reaction.into(), vec![user.into()]);
                self.0.push(One { reaction, named, others: BTreeSet::new() });
            }
        }
    }

    /// As the event shows them.
    pub(crate) fn shown(&self) -> Vec<Reaction<'_>> {
        let mut room = REACTIONS_NAMES_BYTES;
        let mut fits = |name: &&str| {
            room = room.saturating_sub(name.len() + 3);
            room > 0
        };
        self.0
            .iter()
            .map(|one| Reaction {
                name: &one.reaction,
                count: one.count(),
                users: one.named.iter().map(|name| &**name).take_while(&mut fits).collect(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reacts_twice_counts_once_and_who_takes_it_back_does_not() {
        let mut tally = Tally::default();
        for user in ["ada", "bob", "ada"] {
            tally.note("+1", user, false);
        }
        assert_eq!((tally.count("+1"), tally.has("+1", "ada")), (2, true));
        tally.note("+1", "ada", true);
        tally.note("+1", "ada", true);
        tally.note("-1", "ada", true);
        assert_eq!((tally.count("+1"), tally.has("+1", "ada")), (1, false));
        tally.note("+1", "bob", true);
        assert_eq!(tally.reactions().count(), 0, "nothing is left of it");
    }

    #[test]
    fn all_are_counted_and_some_are_named() {
        let mut tally = Tally::default();
        for n in 0..500 {
            tally.note("+1", &format!("user-{n:03}"), false);
        }
        let shown = tally.shown();
        assert_eq!((shown[0].count, shown[0].users.len()), (500, REACTIONS_NAMED));
        assert_eq!(shown[0].users[1], "user-001");
        tally.note("+1", "user-001", true);
        let shown = tally.shown();
        assert_eq!((shown[0].count, shown[0].users.len()), (499, REACTIONS_NAMED));
        assert_eq!(shown[0].users[REACTIONS_NAMED - 1], "user-050", "another takes the place");
    }

    #[test]
    fn long_names_do_not_make_a_long_event() {
        let mut tally = Tally::default();
        for reaction in 0..2 * REACTIONS_PER_EVENT {
            for user in 0..100 {
                let user = format!("{user:0>255}");
                tally.note(&format!("reaction-{reaction}"), &user, false);
            }
        }
        let shown = tally.shown();
        assert_eq!(shown.len(), REACTIONS_PER_EVENT);
        assert!(shown.iter().all(|one| one.count == 100));
        let named: usize = shown.iter().flat_map(|one| &one.users).map(|name| name.len()).sum();
        assert!(named <= REACTIONS_NAMES_BYTES && named > REACTIONS_NAMES_BYTES / 2, "{named}");
    }
}
