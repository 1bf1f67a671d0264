//! What is to be seen of those who have a document open: cursors, names. Kept nowhere but here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::engine::Address;
use crate::limits::{AWARENESS_BYTES, AWARENESS_CLOCK_LEAP, AWARENESS_GONE};

/// Who says nothing for so long is gone: clients renew after 15 s.
const EXPIRES_MS: u64 = 30_000;

/// What a client of a document tells of itself; without a state: that it is gone.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) client: u64,
    pub(crate) clock: u32,
    pub(crate) state: Option<Box<RawValue>>,
}

/// What has come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Noted,
    /// It said so before: others send on what they have heard.
    Old,
    /// The client is another session's.
    Foreign,
    /// The session has too many clients.
    TooMany,
    /// All states together are too long.
    Full,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) clock: u32,
    pub(crate) user: Arc<str>,
    /// `None`: it is gone. Kept for a while, to know what is only sent on.
    pub(crate) state: Option<Box<RawValue>>,
    owner: Address,
    heard_ms: u64,
}

/// All clients of one document.
#[derive(Debug, Default)]
pub(crate) struct Aware {
    clients: BTreeMap<u64, Seen>,
    changed: BTreeSet<u64>,
    /// Of the states.
    bytes: usize,
    gone: usize,
    /// It is on the agenda of those that are looked through now and then.
    pub(crate) listed: bool,
    /// It is told in a moment.
    pub(crate) due: bool,
}

impl Aware {
    /// A session says something of a client. Each session has `max` clients.
    pub(crate) fn tell(
        &mut self,
        owner: Address,
        user: &Arc<str>,
        told: Told,
        (max, now_ms): (usize, u64),
    ) -> Outcome {
        let Told { client, clock, state } = told;
        let size = state.as_ref().map_or(0, |state| state.get().len());
        let known = self.clients.get(&client);
        let freed = known.and_then(|seen| seen.state.as_ref()).map_or(0, |old| old.get().len());
        match known {
            // Who says good-bye may say it with the clock of before.
            Some(seen)
                if seen.state.is_some()
                    && seen.owner == owner
                    && state.is_none()
                    && clock == seen.clock => {}
            Some(seen) if clock <= seen.clock => return Outcome::Old,
            // Who comes back on another connection goes on with its clock. Also who has not been
            // heard for a while has nobody else speak in its name.
            Some(seen) if seen.owner != owner && seen.user != *user => return Outcome::Foreign,
            // The last clocks there are would be the last words of this client for ever.
            Some(seen) if clock > seen.clock.saturating_add(AWARENESS_CLOCK_LEAP) => {
                return Outcome::Old;
            }
            Some(_) => {}
            None if state.is_none() => return Outcome::Old,
            None => {}
        }
        let mine = known.is_some_and(|seen| seen.owner == owner && seen.state.is_some());
        if state.is_some() && !mine && self.of(owner).count() >= max {
            return Outcome::TooMany;
        }
        if self.bytes - freed + size > AWARENESS_BYTES {
            return Outcome::Full;
        }
        self.bytes = self.bytes - freed + size;
        let was_gone = known.is_some_and(|seen| seen.state.is_none());
        self.gone = self.gone - usize::from(was_gone) + usize::from(state.is_none());
        let seen = Seen { clock, user: user.clone(), state, owner, heard_ms: now_ms };
        self.clients.insert(client, seen);
        self.changed.insert(client);
        self.bound();
        Outcome::Noted
    }

    fn of(&self, owner: Address) -> impl Iterator<Item = u64> + '_ {
        let theirs = move |seen: &Seen| seen.owner == owner && seen.state.is_some();
        self.clients.iter().filter(move |(_, seen)| theirs(seen)).map(|(client, _)| *client)
    }

    /// A session is not seen any more.
    pub(crate) fn quit(&mut self, owner: Address, now_ms: u64) {
        let theirs: Vec<_> = self.of(owner).collect();
        self.remove(theirs, now_ms);
    }

    /// Who has not said anything for long is gone.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        let over = |seen: &Seen| seen.heard_ms + EXPIRES_MS <= now_ms;
        let silent = self.clients.iter().filter(|(_, seen)| over(seen) && seen.state.is_some());
        let silent: Vec<_> = silent.map(|(client, _)| *client).collect();
        let changed = &self.changed;
        self.clients
            .retain(|client, seen| !over(seen) || seen.state.is_some() || changed.contains(client));
        self.gone = self.clients.values().filter(|seen| seen.state.is_none()).count();
        self.remove(silent, now_ms);
    }

    fn remove(&mut self, clients: Vec<u64>, now_ms: u64) {
        for client in clients {
            let Some(seen) = self.clients.get_mut(&client) else { continue };
            self.bytes -= seen.state.take().map_or(0, |state| state.get().len());
            seen.heard_ms = now_ms;
            self.gone += 1;
            self.changed.insert(client);
        }
        self.bound();
    }

    /// Of those who are gone only so many are remembered.
    fn bound(&mut self) {
        if self.gone > AWARENESS_GONE {
            let changed = &self.changed;
            self.clients.retain(|client, seen| seen.state.is_some() || changed.contains(client));
            self.gone = self.clients.values().filter(|seen| seen.state.is_none()).count();
        }
    }

    /// Whether there is something to tell.
    pub(crate) fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What has changed since the last time.
    pub(crate) fn take_changed(&mut self) -> Vec<(u64, &Seen)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().filter_map(|c| Some((c, self.clients.get(&c)?))).collect()
    }

    /// All who are seen now.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, &Seen)> {
        let seen = self.clients.iter().filter(|(_, seen)| seen.state.is_some());
        seen.map(|(client, seen)| (*client, seen))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{SessionKey, ShardId};

    fn at(slot: u32) -> Address {
        Address { shard: ShardId(0), session: SessionKey { slot, serial: 1 } }
    }

    fn state(text: &str) -> Option<Box<RawValue>> {
        Some(RawValue::from_string(text.into()).unwrap())
    }

    fn tell(aware: &mut Aware, slot: u32, client: u64, clock: u32, said: Option<&str>) -> Outcome {
        let user = if slot < 10 { "ada" } else { "bob" };
        let told = Told { client, clock, state: said.and_then(state) };
        aware.tell(at(slot), &user.into(), told, (2, 0))
    }

    fn names(aware: &mut Aware) -> Vec<(u64, u32, bool)> {
        let changed = aware.take_changed();
        changed.into_iter().map(|(c, seen)| (c, seen.clock, seen.state.is_some())).collect()
    }

    #[test]
    fn a_client_is_its_session_s_until_its_user_comes_back_on_another_connection() {
        let mut aware = Aware::default();
        assert_eq!(tell(&mut aware, 1, 7, 1, Some("1")), Outcome::Noted);
        assert_eq!(tell(&mut aware, 1, 7, 1, Some("2")), Outcome::Old);
        assert_eq!(tell(&mut aware, 11, 7, 9, Some("3")), Outcome::Foreign);
        assert_eq!(tell(&mut aware, 2, 7, 1, None), Outcome::Old, "an echo removes nobody");
        assert_eq!(tell(&mut aware, 2, 7, 2, Some("4")), Outcome::Noted);
        aware.quit(at(1), 0);
        assert_eq!(names(&mut aware), [(7, 2, true)], "it is the new connection's");
        aware.quit(at(2), 0);
        assert_eq!(names(&mut aware), [(7, 2, false)]);
        assert_eq!(tell(&mut aware, 11, 7, 2, Some("5")), Outcome::Old, "only sent on");
        assert!(aware.all().next().is_none());
    }

    #[test]
    fn a_session_has_so_many_clients_and_a_document_so_many_bytes() {
        let mut aware = Aware::default();
        assert_eq!(tell(&mut aware, 1, 1, 1, Some("1")), Outcome::Noted);
        assert_eq!(tell(&mut aware, 1, 2, 1, Some("1")), Outcome::Noted);
        assert_eq!(tell(&mut aware, 1, 3, 1, Some("1")), Outcome::TooMany);
        assert_eq!(tell(&mut aware, 1, 1, 2, None), Outcome::Noted, "one is gone");
        assert_eq!(tell(&mut aware, 1, 3, 1, Some("1")), Outcome::Noted);
        let long = format!("\"{}\"", "x".repeat(AWARENESS_BYTES));
        assert_eq!(tell(&mut aware, 2, 9, 1, Some(&long)), Outcome::Full);
    }

    #[test]
    fn who_says_nothing_for_long_is_gone_and_then_forgotten() {
        let mut aware = Aware::default();
        tell(&mut aware, 1, 1, 4, Some("1"));
        names(&mut aware);
        aware.expire(EXPIRES_MS - 1);
        assert!(!aware.is_changed());
        aware.expire(EXPIRES_MS);
        assert_eq!(names(&mut aware), [(1, 4, false)]);
        aware.expire(2 * EXPIRES_MS);
        assert!(aware.is_empty() && aware.bytes == 0 && aware.gone == 0);
    }
}
