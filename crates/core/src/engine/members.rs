//! Presence at a channel's home: who entered, and who is told.

use std::cmp::Reverse;
use std::sync::Arc;

use tidings_proto::{ErrorCode, Frame, MemberView};

use super::counters::CommandKind;
use super::home::Scene;
use super::types::{Address, Delivery};
use crate::channel::{Change, Entry, Presence};
use crate::policy::PresencePolicy;
use crate::reject::Reject;

pub(super) fn not_entered() -> Reject {
    Reject::new(ErrorCode::NotSubscribed, "the session has not entered the channel")
}

impl Scene<'_> {
    fn rules(&self) -> &PresencePolicy {
        &self.channel.namespace.policy.presence
    }

    pub(super) fn member_count(&self) -> usize {
        self.channel.presence.as_ref().map_or(0, |presence| presence.count())
    }

    /// The members, unless there are so many that counts alone are told.
    pub(super) fn member_views(&self) -> Option<Vec<MemberView<'_>>> {
        if self.member_count() > self.rules().members_max {
            return None;
        }
        Some(self.channel.presence.iter().flat_map(|presence| presence.members()).collect())
    }

    pub(super) fn members(&mut self, from: Address, id: u64) {
        let members = self.member_views();
        let departed = self.channel.presence.iter().flat_map(|presence| presence.departed());
        let departed: Vec<_> = departed.collect();
        let frame = Frame::Members {
            id,
            channel: &self.channel.name,
            members: members.as_deref(),
            count: self.member_count(),
            departed: &departed,
        };
        let text = frame.encode();
        self.out.reply(CommandKind::Presence, from, text);
    }

    pub(super) fn enter(&mut self, from: Address, id: u64, entry: Entry) {
        let max = self.limits.members_per_channel;
        let presence = self.channel.presence.get_or_insert_default();
        if presence.count() >= max && presence.member(&entry.user).is_none() {
            let reject = Reject::limit("too many members", "members_per_channel", max);
            let about = (id, &*self.channel.name);
            return self.out.refuse(CommandKind::Enter, from, about, &reject);
        }
        let change = presence.enter(from, entry, self.now.wall_ms);
        self.tell(&change);
        let text = Frame::Entered { id, channel: &self.channel.name }.encode();
        self.out.reply(CommandKind::Enter, from, text);
    }

    pub(super) fn update(&mut self, from: Address, id: u64, entry: Entry) {
        let wall_ms = self.now.wall_ms;
        let presence = self.channel.presence.as_mut();
        match presence.and_then(|presence| presence.update(from, entry, wall_ms)) {
            Some(change) => {
                self.tell(&change);
                let text = Frame::Updated { id, channel: &self.channel.name }.encode();
                self.out.reply(CommandKind::Update, from, text);
            }
            None => {
                let about = (id, &*self.channel.name);
                self.out.refuse(CommandKind::Update, from, about, &not_entered());
            }
        }
    }

    pub(super) fn leave(&mut self, from: Address, id: u64, user: &Arc<str>, answer: bool) {
        let (wall_ms, remember) = (self.now.wall_ms, self.rules().departed);
        let presence = self.channel.presence.as_mut();
        let change = presence.and_then(|here| here.leave(from, user, wall_ms, remember));
        if let Some(change) = &change {
            self.tell(change);
        }
        let about = (id, &*self.channel.name);
        match change {
            _ if !answer => {}
            Some(_) => {
                let text = Frame::Left { id, channel: about.1 }.encode();
                self.out.reply(CommandKind::Leave, from, text);
            }
            None => self.out.refuse(CommandKind::Leave, from, about, &not_entered()),
        }
    }

    /// A session's connection was lost. Its place is held: it may be back in a moment.
    pub(super) fn gone(&mut self, from: Address, user: &Arc<str>, resumable: bool) {
        let window_ms = if resumable { self.limits.session_window.ms } else { 0 };
        let until_ms = self.now.mono_ms + self.rules().leave_delay.ms.max(window_ms);
        let Some(presence) = self.channel.presence.as_mut() else { return };
        if presence.hold(from, user, self.now.wall_ms, until_ms) {
            let due = (until_ms, self.channel.name.clone(), user.clone());
            self.agenda.departures.push(Reverse(due));
        }
    }

    /// A session came back on another connection: its place is its own again. Whoever has lost it
    /// meanwhile is told by nothing, and enters anew.
    pub(super) fn back(&mut self, from: Address, user: &Arc<str>, old: Address) {
        if let Some(presence) = self.channel.presence.as_mut() {
            presence.come_back(old, from, user, self.now.wall_ms);
        }
    }

    /// The time is up for a place that was held.
    pub(super) fn depart(&mut self, user: &Arc<str>) {
        let (mono_ms, remember) = (self.now.mono_ms, self.rules().departed);
        let Some(presence) = self.channel.presence.as_mut() else { return };
        let change = presence.expire(user, mono_ms, remember);
        self.tell(&change);
    }

    /// Tells those who asked for presence.
    fn tell(&mut self, change: &Change) {
        if matches!(change, Change::Nothing) {
            return;
        }
        let count = self.member_count();
        let max = self.rules().members_max;
        let left = usize::from(matches!(change, Change::Leave(..)));
        let Some(presence) = self.channel.presence.as_mut() else { return };
        if count + left > max {
            if !presence.count_changed {
                presence.count_changed = true;
                self.agenda.counting.push(self.channel.name.clone());
            }
            return;
        }
        let (action, member) = match change {
            Change::Nothing => return,
            Change::Enter(user) => ("enter", presence.member(user)),
            Change::Leave(user, member) => ("leave", Some(member.farewell(user))),
            Change::Update(user) => ("update", presence.member(user)),
        };
        let channel = &*self.channel.name;
        let text = Frame::Presence { channel, action, member, count }.encode();
        self.deliver(Delivery::presence(text));
    }

    /// Tells the count of members, once for all changes since the last time.
    pub(super) fn tell_count(&mut self) {
        let count = self.member_count();
        if let Some(presence) = self.channel.presence.as_deref_mut() {
            Presence::count_told(presence);
        }
        let channel = &*self.channel.name;
        let text = Frame::Presence { channel, action: "count", member: None, count }.encode();
        self.deliver(Delivery::presence(text));
    }
}
