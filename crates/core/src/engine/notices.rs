//! What the application's backend may want to hear of: who comes and goes, what is published.
//!
//! Nothing of this is done while nobody wants it ([`Wants`]). A user and a channel each have one
//! shard, by their name, that counts over all others ([`Attendance`]). Who was told as there is
//! told as gone only after a delay (`limits.leave_delay`): a page that is loaded again is no news.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::home::Scene;
use super::types::{Effect, Message, Now, SessionKey, ShardId};
use super::{Engine, Out};
use crate::identity::fits;
use crate::store::Epoch;

/// What anybody wants to hear of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Users who come and go.
    pub users: bool,
    /// Channels whose first subscriber comes and whose last one goes: names or prefixes with `*`.
    pub channels: Vec<Box<str>>,
    /// Channels whose events are told: names or prefixes with `*`.
    pub events: Vec<Box<str>>,
}

impl Wants {
    /// Whether it is told who subscribes to a channel.
    pub fn channel(&self, channel: &str) -> bool {
        self.channels.iter().any(|pattern| fits(pattern, channel))
    }

    /// Whether the events of a channel are told.
    pub fn event(&self, channel: &str) -> bool {
        self.events.iter().any(|pattern| fits(pattern, channel))
    }
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// When: milliseconds since 1970.
    pub at_ms: u64,
    /// What.
    pub what: Happened,
}

/// See [`Notice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A user, or a channel's subscribers, are there now, or are there no more.
    Attendance(Attendee, bool),
    /// An event is in its channel's history. Durable ones are not told as notices: their
    /// [`Append`](crate::store::Append) says it, and what is made of it can share its fate.
    Published {
        /// The channel.
        channel: Arc<str>,
        /// Its epoch.
        epoch: Epoch,
        /// The event as subscribers get it (JSON).
        event: Bytes,
    },
}

/// Who or what is attended to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attendee {
    /// A channel: whether anybody is subscribed.
    Channel(Arc<str>),
    /// A user with a token: whether there is a session.
    User(Arc<str>),
}

impl Attendee {
    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Attendee::Channel(name) | Attendee::User(name) => name,
        }
    }
}

/// Those who were told as there.
#[derive(Debug, Default)]
pub(super) struct Attendance {
    entries: HashMap<Attendee, Entry>,
    /// When those may be over that are held (monotonic milliseconds); some are there again.
    due: BinaryHeap<Reverse<(u64, Attendee)>>,
    held: usize,
}

#[derive(Debug, Default)]
struct Entry {
    /// The shards where they are. None: they are held until `due_ms`.
    shards: SmallVec<[ShardId; 4]>,
    due_ms: u64,
}

impl Attendance {
    /// Somebody is there on this shard; whether that is news.
    fn arrive(&mut self, who: &Attendee, shard: ShardId) -> bool {
        if let Some(entry) = self.entries.get_mut(who) {
            self.held -= usize::from(entry.shards.is_empty());
            if !entry.shards.contains(&shard) {
                entry.shards.push(shard);
            }
            return false;
        }
        let shards = SmallVec::from_slice(&[shard]);
        self.entries.insert(who.clone(), Entry { shards, due_ms: 0 });
        true
    }

    /// Nobody is there on this shard any more.
    fn depart(&mut self, who: &Attendee, shard: ShardId, due_ms: u64) {
        let Some(entry) = self.entries.get_mut(who) else { return };
        let before = entry.shards.len();
        entry.shards.retain(|at| *at != shard);
        if before > 0 && entry.shards.is_empty() {
            entry.due_ms = due_ms;
            self.held += 1;
            self.due.push(Reverse((due_ms, who.clone())));
        }
    }

    /// They were told as there by an earlier process: they have until then to come back.
    fn expect(&mut self, who: Attendee, due_ms: u64) {
        if !self.entries.contains_key(&who) {
            self.held += 1;
            self.due.push(Reverse((due_ms, who.clone())));
            self.entries.insert(who, Entry { shards: SmallVec::new(), due_ms });
        }
    }

    /// One whose time is up, or the first to go of more than `max` that are held.
    fn gone(&mut self, now_ms: u64, max: usize) -> Option<Attendee> {
        while let Some(Reverse((due_ms, _))) = self.due.peek() {
            if *due_ms > now_ms && self.held <= max {
                return None;
            }
            let Reverse((due_ms, who)) = self.due.pop()?;
            let over = |entry: &Entry| entry.shards.is_empty() && entry.due_ms == due_ms;
            if self.entries.get(&who).is_some_and(over) {
                self.entries.remove(&who);
                self.held -= 1;
                return Some(who);
            }
        }
        None
    }

    /// Forgets all of a kind.
    fn forget(&mut self, kind: impl Fn(&Attendee) -> bool) {
        self.entries.retain(|who, _| !kind(who));
        self.due.retain(|Reverse((_, who))| !kind(who));
        self.held = self.entries.values().filter(|entry| entry.shards.is_empty()).count();
    }
}

impl Out {
    fn attend(&mut self, now: Now, who: Attendee, there: bool) {
        let notice = Notice { at_ms: now.wall_ms, what: Happened::Attendance(who, there) };
        self.effects.push(Effect::Notice(notice));
    }
}

impl Scene<'_> {
    /// A shard has subscriptions to the channel now.
    pub(super) fn attach(&mut self, shard: ShardId) {
        if self.channel.attach(shard) {
            self.attended(shard, true);
        }
    }

    /// A shard has no more of them.
    pub(super) fn detach(&mut self, shard: ShardId) {
        if self.channel.detach(shard) {
            self.attended(shard, false);
        }
    }

    fn attended(&mut self, from: ShardId, there: bool) {
        if self.wants.channel(&self.channel.name) {
            let who = Attendee::Channel(self.channel.name.clone());
            self.out.post(self.out.shard, Message::Attendance { who, from, there });
        }
    }

    /// An event is in a history that is in memory.
    pub(super) fn note_event(&mut self, event: &Bytes) {
        if self.wants.event(&self.channel.name) {
            let (channel, epoch) = (self.channel.name.clone(), self.channel.epoch);
            let what = Happened::Published { channel, epoch, event: event.clone() };
            self.out.effects.push(Effect::Notice(Notice { at_ms: self.now.wall_ms, what }));
        }
    }
}

impl Engine {
    /// Those who were told as there when the process before this one ended, wherever their home is.
    /// Who does not come back in time is told as gone. They have longer than others: all come back
    /// at once.
    pub fn expect(&mut self, now: Now, attendees: impl IntoIterator<Item = Attendee>) {
        let due_ms = now.mono_ms + 3 * self.config.limits.leave_delay.ms;
        for who in attendees {
            if self.home_of(who.name()) == self.config.shard && self.is_wanted(&who) {
                self.attendance.expect(who, due_ms);
            }
        }
    }

    fn is_wanted(&self, who: &Attendee) -> bool {
        match who {
            Attendee::Channel(name) => self.config.policy.wants.channel(name),
            Attendee::User(_) => self.config.policy.wants.users,
        }
    }

    /// The session is somebody's from now on, and lives here.
    pub(super) fn greet(&mut self, key: SessionKey) {
        if !self.config.policy.wants.users {
            return;
        }
        let Some(session) = self.session(key) else { return };
        let Some(who) = session.identity.as_ref().filter(|who| !who.anonymous) else { return };
        if session.greeted {
            return;
        }
        let user = who.user.clone();
        session.greeted = true;
        let here = self.here.entry(user.clone()).or_insert(0);
        *here += 1;
        if *here == 1 {
            self.tell_home(user, true);
        }
    }

    /// A session that was greeted lives here no more.
    pub(super) fn part_with(&mut self, user: &Arc<str>) {
        let Some(here) = self.here.get_mut(user) else { return };
        *here -= 1;
        if *here == 0 {
            self.here.remove(user);
            self.tell_home(user.clone(), false);
        }
    }

    fn tell_home(&mut self, user: Arc<str>, there: bool) {
        let (from, home) = (self.config.shard, self.home_of(&user));
        let who = Attendee::User(user);
        self.out.post(home, Message::Attendance { who, from, there });
    }

    /// At the home of a user or a channel: a shard says that it has some, or no more.
    pub(super) fn attendance(&mut self, now: Now, who: Attendee, from: ShardId, there: bool) {
        if !self.is_wanted(&who) {
            return;
        }
        if !there {
            let due_ms = now.mono_ms + self.config.limits.leave_delay.ms;
            self.attendance.depart(&who, from, due_ms);
        } else if self.attendance.arrive(&who, from) {
            self.out.attend(now, who, true);
        }
    }

    /// Those who did not come back.
    pub(super) fn tick_attendance(&mut self, now: Now) {
        let max = self.config.limits.lost_sessions;
        while let Some(who) = self.attendance.gone(now.mono_ms, max) {
            self.out.attend(now, who, false);
        }
    }

    /// Others want to hear of other things now. What was wanted already goes on; of what is wanted
    /// anew all that there is is news.
    pub(super) fn change_wants(&mut self, now: Now, before: &Wants) {
        let wants = self.config.policy.wants.clone();
        self.attendance.forget(|who| match who {
            Attendee::Channel(name) => !wants.channel(name),
            Attendee::User(_) => !wants.users,
        });
        if !wants.users {
            self.here.clear();
            for (_, session) in &mut self.sessions {
                session.greeted = false;
            }
        } else if !before.users {
            let open = |(slot, session): (usize, &super::session::Session)| {
                let slot = u32::try_from(slot).unwrap_or(u32::MAX);
                session.open.then_some(SessionKey { slot, serial: session.serial })
            };
            let keys: Vec<_> = self.sessions.iter().filter_map(open).collect();
            keys.into_iter().for_each(|key| self.greet(key));
        }
        let mut attached = Vec::new();
        for (_, home) in &self.homes.slab {
            let channel = &home.channel;
            if wants.channel(&channel.name) && !before.channel(&channel.name) {
                let who = Attendee::Channel(channel.name.clone());
                attached.extend(channel.shards.iter().map(|shard| (who.clone(), *shard)));
            }
        }
        for (who, shard) in attached {
            self.attendance(now, who, shard, true);
        }
    }
}
