//! Who follows a topic. Like an inbox, it is as of the newest event that was assigned.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use tidings_proto::Text;

/// What a follower takes beside the name.
const PER_USER: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Topic {
    users: BTreeSet<Arc<str>>,
    bytes: usize,
}

#[derive(Deserialize)]
struct Logged<'a> {
    #[serde(borrow)]
    secret: Change<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Change<'a> {
    Follow(#[serde(borrow)] Text<'a>),
    Unfollow(#[serde(borrow)] Text<'a>),
}

impl Topic {
    pub(crate) fn len(&self) -> usize {
        self.users.len()
    }

    pub(crate) fn has(&self, user: &str) -> bool {
        self.users.contains(user)
    }

    /// Those behind this one, by name.
    pub(crate) fn after(&self, user: Option<&str>) -> impl Iterator<Item = &str> {
        let behind = user.map_or(Bound::Unbounded, Bound::Excluded);
        self.users.range::<str, _>((behind, Bound::Unbounded)).map(|user| &**user)
    }

    pub(crate) fn set(&mut self, user: &str, on: bool) {
        let bytes = user.len() + PER_USER;
        if !on {
            self.bytes -= if self.users.remove(user) { bytes } else { 0 };
        } else if !self.has(user) {
            self.users.insert(user.into());
            self.bytes += bytes;
        }
    }

    pub(crate) fn replay(&mut self, event: &[u8]) {
        match serde_json::from_slice::<Logged<'_>>(event) {
            Ok(Logged { secret: Change::Follow(user) }) => self.set(&user, true),
            Ok(Logged { secret: Change::Unfollow(user) }) => self.set(&user, false),
            Err(_) => {}
        }
    }

    pub(crate) fn pages(&self, max: usize) -> Vec<Bytes> {
        let (mut pages, mut page, mut room) = (Vec::new(), Vec::new(), max);
        for user in &self.users {
            if user.len() + PER_USER > room && !page.is_empty() {
                pages.push(encode(&page));
                page.clear();
                room = max;
            }
            room = room.saturating_sub(user.len() + PER_USER);
            page.push(&**user);
        }
        if !page.is_empty() {
            pages.push(encode(&page));
        }
        pages
    }

    pub(crate) fn take_page(&mut self, page: &[u8]) {
        let users = serde_json::from_slice::<Vec<Text<'_>>>(page).unwrap_or_default();
        users.iter().for_each(|user| self.set(user, true));
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn encode(page: &[&str]) -> Bytes {
    serde_json::to_vec(page).unwrap_or_default().into()
}
