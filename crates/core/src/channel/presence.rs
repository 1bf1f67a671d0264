//! Who is in a channel: users, each with a number of sessions.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::value::RawValue;
use smallvec::SmallVec;
use tidings_proto::{MemberView, Timestamp};

use crate::engine::Address;

/// A session that enters, with what all can see of it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) user: Arc<str>,
    /// The session's public id: by it a reload is recognised.
    pub(crate) session: u64,
    pub(crate) data: Option<Box<RawValue>>,
}

/// What others are told.
#[derive(Debug)]
pub(crate) enum Change {
    Nothing,
    Enter(Arc<str>),
    Update(Arc<str>),
    Leave(Arc<str>, Member),
}

/// A user in a channel.
#[derive(Debug)]
pub(crate) struct Member {
    data: Option<Box<RawValue>>,
    since_ms: u64,
    last_seen_ms: u64,
    seats: SmallVec<[Seat; 1]>,
}

/// One session of a member.
#[derive(Debug)]
struct Seat {
    session: u64,
    /// Where it is connected, or until when (monotonic) its place is held.
    at: Result<Address, u64>,
    /// Where it was connected last.
    was: Address,
}

/// Moves of sessions that are remembered until the old connection's end has been heard of.
const EXPECTED: usize = 16;

/// The members of one channel.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    members: BTreeMap<Arc<str>, Member>,
    /// Who left lately, newest at the back, and when they were last seen.
    departed: VecDeque<(Arc<str>, u64)>,
    /// Sessions that moved, from where to where, before their place here was known: their own
    /// `enter` was still under way from the old connection.
    expected: Vec<(Address, Address)>,
    /// The count changed since it was last told, while counts alone are told.
    pub(crate) count_changed: bool,
}

impl Member {
    fn view<'a>(&'a self, user: &'a str, here: bool) -> MemberView<'a> {
        MemberView {
            user,
            sessions: here.then_some(self.seats.len()),
            data: self.data.as_deref(),
            since: Some(Timestamp(self.since_ms)),
            last_seen: Timestamp(self.last_seen_ms),
        }
    }

    /// As others are told that they left.
    pub(crate) fn farewell<'a>(&'a self, user: &'a str) -> MemberView<'a> {
        self.view(user, false)
    }
}

fn same(a: Option<&RawValue>, b: Option<&RawValue>) -> bool {
    a.map(RawValue::get) == b.map(RawValue::get)
}

impl Presence {
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The count has been told.
    pub(crate) fn count_told(&mut self) {
        self.count_changed = false;
    }

    pub(crate) fn count(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = MemberView<'_>> {
        self.members.iter().map(|(user, member)| member.view(user, true))
    }

    pub(crate) fn member(&self, user: &str) -> Option<MemberView<'_>> {
        let (user, member) = self.members.get_key_value(user)?;
        Some(member.view(user, true))
    }

    pub(crate) fn departed(&self) -> impl Iterator<Item = MemberView<'_>> {
        self.departed.iter().rev().map(|(user, last_seen_ms)| MemberView {
            user,
            sessions: None,
            data: None,
            since: None,
            last_seen: Timestamp(*last_seen_ms),
        })
    }

    /// A session enters, or enters again.
    pub(crate) fn enter(&mut self, at: Address, entry: Entry, wall_ms: u64) -> Change {
        let Entry { user, session, data } = entry;
        let Some(member) = self.members.get_mut(&user) else {
            self.departed.retain(|(gone, _)| *gone != user);
            let seats = SmallVec::from_buf([Seat { session, at: Ok(at), was: at }]);
            let member = Member { data, since_ms: wall_ms, last_seen_ms: wall_ms, seats };
            self.members.insert(user.clone(), member);
            return Change::Enter(user);
        };
        member.last_seen_ms = wall_ms;
        let renewed = !same(member.data.as_deref(), data.as_deref());
        member.data = data;
        // A place that is held belongs to the same session first, else to any that comes.
        let seat = |found: &dyn Fn(&Seat) -> bool| member.seats.iter().position(found);
        let place = seat(&|seat| seat.at == Ok(at))
            .or_else(|| seat(&|seat| seat.at.is_err() && seat.session == session))
            .or_else(|| seat(&|seat| seat.at.is_err()));
        match place {
            Some(index) => member.seats[index] = Seat { session, at: Ok(at), was: at },
            None => member.seats.push(Seat { session, at: Ok(at), was: at }),
        }
        if renewed || place.is_none() { Change::Update(user) } else { Change::Nothing }
    }

    /// A session shows something else; `None` if it has not entered.
    pub(crate) fn update(&mut self, at: Address, entry: Entry, wall_ms: u64) -> Option<Change> {
        let member = self.members.get_mut(&entry.user)?;
        member.seats.iter().find(|seat| seat.at == Ok(at))?;
        member.last_seen_ms = wall_ms;
        let renewed = !same(member.data.as_deref(), entry.data.as_deref());
        member.data = entry.data;
        Some(if renewed { Change::Update(entry.user) } else { Change::Nothing })
    }

    /// A session leaves for good; `None` if it has not entered.
    pub(crate) fn leave(
        &mut self,
        at: Address,
        user: &Arc<str>,
        wall_ms: u64,
        remember: usize,
    ) -> Option<Change> {
        let member = self.members.get_mut(user)?;
        let index = member.seats.iter().position(|seat| seat.at == Ok(at))?;
        member.seats.remove(index);
        member.last_seen_ms = wall_ms;
        Some(self.after_leaving(user, remember))
    }

    /// A session's connection was lost: its place is held until `until_mono_ms`, unless it has
    /// moved to another connection. Whether it is held.
    pub(crate) fn hold(
        &mut self,
        at: Address,
        user: &str,
        wall_ms: u64,
        until_mono_ms: u64,
    ) -> bool {
        let Some(member) = self.members.get_mut(user) else { return false };
        let Some(seat) = member.seats.iter_mut().find(|seat| seat.at == Ok(at)) else {
            return false;
        };
        member.last_seen_ms = wall_ms;
        if let Some(index) = self.expected.iter().position(|(old, _)| *old == at) {
            let (_, new) = self.expected.swap_remove(index);
            (seat.at, seat.was) = (Ok(new), new);
            return false;
        }
        seat.at = Err(until_mono_ms);
        true
    }

    /// A session that was connected elsewhere takes its place again.
    pub(crate) fn come_back(&mut self, old: Address, at: Address, user: &str, wall_ms: u64) {
        let seats = self.members.get_mut(user).map(|member| {
            member.last_seen_ms = wall_ms;
            &mut member.seats
        });
        let seat = seats.and_then(|seats| seats.iter_mut().find(|seat| seat.was == old));
        if let Some(seat) = seat {
            (seat.at, seat.was) = (Ok(at), at);
            return;
        }
        if self.expected.len() >= EXPECTED {
            self.expected.remove(0);
        }
        self.expected.push((old, at));
    }

    /// The places of `user` that nobody came back to.
    pub(crate) fn expire(&mut self, user: &Arc<str>, mono_ms: u64, remember: usize) -> Change {
        let Some(member) = self.members.get_mut(user) else { return Change::Nothing };
        let before = member.seats.len();
        member.seats.retain(|seat| match seat.at {
            Ok(_) => true,
            Err(until_mono_ms) => until_mono_ms > mono_ms,
        });
        if member.seats.len() == before {
            return Change::Nothing;
        }
        self.after_leaving(user, remember)
    }

    fn after_leaving(&mut self, user: &Arc<str>, remember: usize) -> Change {
        if self.members.get(user).is_some_and(|member| !member.seats.is_empty()) {
            return Change::Update(user.clone());
        }
        let Some(member) = self.members.remove(user) else { return Change::Nothing };
        self.departed.push_back((user.clone(), member.last_seen_ms));
        while self.departed.len() > remember {
            self.departed.pop_front();
        }
        Change::Leave(user.clone(), member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{SessionKey, ShardId};

    fn at(slot: u32) -> Address {
        Address { shard: ShardId(0), session: SessionKey { slot, serial: 0 } }
    }

    fn entry(user: &str, session: u64, data: &str) -> Entry {
        let data = Some(RawValue::from_string(data.into()).unwrap());
        Entry { user: user.into(), session, data }
    }

    fn kind(change: &Change) -> &'static str {
        match change {
            Change::Nothing => "nothing",
            Change::Enter(_) => "enter",
            Change::Update(_) => "update",
            Change::Leave(..) => "leave",
        }
    }

    #[test]
    fn ada_is_one_member_on_two_devices() {
        let mut here = Presence::default();
        let ada: Arc<str> = "ada".into();
        assert_eq!(kind(&here.enter(at(1), entry("ada", 1, "1"), 10)), "enter");
        assert_eq!(kind(&here.enter(at(2), entry("ada", 2, "1"), 11)), "update");
        assert_eq!(here.count(), 1);
        assert_eq!(here.member("ada").unwrap().sessions, Some(2));
        assert_eq!(kind(&here.leave(at(1), &ada, 12, 5).unwrap()), "update");
        assert_eq!(kind(&here.leave(at(2), &ada, 13, 5).unwrap()), "leave");
        assert!(here.leave(at(2), &ada, 13, 5).is_none());
        assert_eq!(here.departed().next().unwrap().last_seen, Timestamp(13));
    }

    #[test]
    fn a_reload_is_neither_a_leave_nor_an_enter() {
        let mut here = Presence::default();
        let ada: Arc<str> = "ada".into();
        here.enter(at(1), entry("ada", 7, "1"), 10);
        assert!(here.hold(at(1), "ada", 11, 5000));
        assert_eq!(kind(&here.enter(at(9), entry("ada", 7, "1"), 12)), "nothing");
        assert_eq!(kind(&here.expire(&ada, 6000, 5)), "nothing");
        assert_eq!(here.member("ada").unwrap().sessions, Some(1));
    }

    #[test]
    fn who_does_not_come_back_has_left_and_was_last_seen_when_the_link_dropped() {
        let mut here = Presence::default();
        let ada: Arc<str> = "ada".into();
        here.enter(at(1), entry("ada", 7, "1"), 10);
        here.hold(at(1), "ada", 11, 5000);
        assert_eq!(kind(&here.expire(&ada, 4999, 5)), "nothing");
        assert_eq!(kind(&here.expire(&ada, 5000, 5)), "leave");
        assert_eq!(here.departed().next().unwrap().last_seen, Timestamp(11));
    }

    #[test]
    fn only_so_many_departed_are_remembered() {
        let mut here = Presence::default();
        for n in 0..10u32 {
            let user: Arc<str> = format!("user-{n}").into();
            here.enter(at(n), entry(&user, 0, "1"), u64::from(n));
            here.leave(at(n), &user, u64::from(n), 3);
        }
        let users: Vec<_> = here.departed().map(|member| member.user.to_owned()).collect();
        assert_eq!(users, ["user-9", "user-8", "user-7"]);
    }
}
