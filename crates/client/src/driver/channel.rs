//! One channel that the program is subscribed to, or present in: the rules of the TypeScript SDK
//! (`sdk/src/channel.ts`). Nothing twice, and nothing missing without a gap.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::commands::{Asked, Commands};
use super::ms;
use super::presence::Presence;
use super::sink::Sink;
use crate::amend::Amendment;
use crate::push::{Change, Event, Gap, Subscribed};
use crate::{Error, Frame, Position, Push, Refusal};

/// How long to wait after a refusal that passes by itself, if the server does not say.
pub(super) const RETRY: u64 = 1000;

/// What a subscription begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) since: Option<Position>,
    pub(crate) rewind: u64,
    pub(crate) presence: bool,
}

/// How far the server has come with what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Off,
    Joining,
    On,
    Leaving,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Channel {
    name: Arc<str>,
    pub(super) presence: Presence,
    /// Where pushes go, while somebody reads them.
    sink: Option<Sink>,
    wish: Wish,
    stage: Stage,
    /// Leave and join again, behind the last position.
    again: bool,
    /// The newest event that was told, or what the subscription began with.
    last: Option<Position>,
    /// `last` is only a lower bound: the rewind that follows may begin later.
    loose: bool,
    /// Offsets of our own events that the server does not echo: nothing is missing there.
    quiet: BTreeSet<u64>,
    /// Up to here events are older than the subscription.
    began: Option<Position>,
    /// What the last `subscribe` had as its `since`.
    asked_since: Option<Position>,
    /// History may not be read here: what was missed cannot be asked for.
    blind: bool,
    /// A refusal passes by itself: not before then.
    retry_at: Option<u64>,
}

impl Channel {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            presence: Presence::new(name.clone()),
            name,
            sink: None,
            wish: Wish::default(),
            stage: Stage::Off,
            again: false,
            last: None,
            loose: false,
            quiet: BTreeSet::new(),
            began: None,
            asked_since: None,
            blind: false,
            retry_at: None,
        }
    }

    /// Nobody is interested in it any more.
    pub(super) fn is_idle(&self) -> bool {
        self.sink.is_none() && self.stage == Stage::Off && self.presence.is_idle()
    }

    /// Somebody wants to follow it. `Err` gives the buffer back: somebody does already.
    pub(super) fn follow(&mut self, wish: Wish, sink: Sink) -> Result<(), Sink> {
        if self.sink.as_ref().is_some_and(|sink| !sink.is_closed()) {
            return Err(sink);
        }
        // One that ended just now may still be known to the server.
        self.again = self.stage != Stage::Off;
        self.last = wish.since.clone();
        (self.wish, self.sink) = (wish, Some(sink));
        (self.loose, self.blind, self.retry_at) = (false, false, None);
        Ok(())
    }

    /// Looks whether somebody still reads, and whether there is room again.
    pub(super) fn look(&mut self, commands: &mut Commands) {
        if let Some(sink) = &self.sink {
            if sink.is_closed() {
                self.release();
            } else if sink.is_behind() && sink.has_room() && self.stage != Stage::Joining {
                sink.catch_up();
                self.again = self.stage == Stage::On;
            }
        }
        self.sync(commands);
    }

    fn release(&mut self) {
        (self.sink, self.last, self.retry_at) = (None, None, None);
    }

    /// When [`Channel::handle_time`] is to be called.
    pub(super) fn wake(&self) -> Option<u64> {
        self.retry_at.into_iter().chain(self.presence.wake()).min()
    }

    pub(super) fn handle_time(&mut self, now: u64, commands: &mut Commands) {
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.sync(commands);
        }
        self.presence.handle_time(now, commands);
    }

    /// Brings the server's idea of the subscription closer to what is wanted, by one command.
    pub(super) fn sync(&mut self, commands: &mut Commands) {
        if !commands.open() || self.retry_at.is_some() {
            return;
        }
        let wanted = self.sink.is_some();
        if self.stage == Stage::Off && wanted {
            self.join(commands);
        } else if self.stage == Stage::On && (!wanted || self.again) {
            self.stage = Stage::Leaving;
            let command = json!({ "type": "unsubscribe", "channel": &*self.name });
            commands.ask(&command, Asked::Unsubscribe(self.name.clone()));
        }
    }

    fn join(&mut self, commands: &mut Commands) {
        self.stage = Stage::Joining;
        self.again = false;
        let mut command = json!({ "type": "subscribe", "channel": &*self.name });
        self.asked_since = self.last.clone().filter(|_| !self.blind);
        if let Some(since) = &self.asked_since {
            command["since"] = json!(since);
        }
        if self.wish.rewind > 0 && !self.blind {
            command["rewind"] = self.wish.rewind.into();
        }
        if self.wish.presence {
            command["presence"] = true.into();
        }
        commands.ask(&command, Asked::Subscribe(self.name.clone()));
    }

    /// The server has let us in.
    pub(super) fn handle_joined(&mut self, frame: Frame, commands: &mut Commands) {
        self.stage = Stage::On;
        self.quiet.clear();
        if self.again {
            // Somebody else follows it since, from elsewhere.
            return self.sync(commands);
        }
        let Some(position) = frame.position() else { return };
        let missed = self.last.clone();
        self.began = Some(position.clone());
        if self.asked_since.is_none() {
            let rewind = if self.blind { 0 } else { self.wish.rewind };
            let offset = position.offset.saturating_sub(rewind);
            self.last = Some(Position { epoch: position.epoch.clone(), offset });
            self.loose = rewind > 0;
        }
        let subscribed = Push::Subscribed(Subscribed::new(frame, position.clone()));
        let told = self.sink.as_ref().is_none_or(|sink| sink.push(subscribed));
        // Blind: what was missed since cannot be had.
        let missing = missed.filter(|missed| self.asked_since.is_none() && *missed != position);
        if let (true, Some(from)) = (told, missing) {
            self.push_gap(&from, &position);
        }
        self.look(commands);
    }

    fn push_gap(&self, from: &Position, to: &Position) {
        let reason = if from.epoch == to.epoch { "expired" } else { "new_epoch" };
        let frame = json!({
            "type": "gap", "channel": &*self.name, "reason": reason, "from": from, "to": to,
        });
        let gap = Frame::new(frame.to_string()).ok().and_then(Gap::new);
        if let (Some(gap), Some(sink)) = (gap, &self.sink) {
            sink.push(Push::Gap(gap));
        }
    }

    /// The server did not let us in.
    pub(super) fn handle_refused(&mut self, refusal: Refusal, now: u64, commands: &mut Commands) {
        self.stage = Stage::Off;
        let known = self.asked_since.is_some() && self.asked_since != self.wish.since;
        if refusal.code == "already_subscribed" {
            (self.stage, self.again) = (Stage::On, true);
        } else if refusal.code == "forbidden" && known {
            // We were let in before, without `since`.
            self.blind = true;
        } else if refusal.retryable {
            self.retry_at = Some(now + refusal.retry_after.map_or(RETRY, ms));
        } else {
            self.fail(Error::Refused(Box::new(refusal)));
        }
        self.sync(commands);
    }

    /// The server has let us out, and with the subscription our presence has ended.
    pub(super) fn handle_left(&mut self, commands: &mut Commands) {
        self.stage = Stage::Off;
        self.again = false;
        self.presence.handle_left(commands);
        self.sync(commands);
    }

    /// A frame of this channel that is no answer.
    pub(super) fn handle_push(&mut self, frame: Frame, commands: &mut Commands) {
        let current = self.stage == Stage::On && !self.again;
        match frame.kind() {
            // What is passed over here is asked for again.
            "event" | "edited" | "deleted" | "reacted" | "hidden" | "gap" | "presence"
                if !current => {}
            "event" | "edited" | "deleted" | "reacted" | "hidden" => {
                self.handle_event(frame, commands)
            }
            "gap" => self.handle_gap(frame, commands),
            "presence" => {
                if let Some(sink) = &self.sink {
                    sink.push_fleeting(Push::Presence(Change::new(frame)));
                }
            }
            "error" => {
                self.stage = Stage::Off;
                if let Some(refusal) = frame.refusal() {
                    self.fail(Error::Refused(Box::new(refusal)));
                }
            }
            _ => {}
        }
    }

    fn handle_event(&mut self, frame: Frame, commands: &mut Commands) {
        let (Some(sink), Some(last), Some(began)) = (&self.sink, &mut self.last, &self.began)
        else {
            return;
        };
        let fields = frame.decode();
        let Some(offset) = fields.offset.filter(|_| !fields.ephemeral) else {
            return sink.push_fleeting(Push::Event(Event::new(frame, "", false)));
        };
        if sink.is_behind() || offset <= last.offset {
            return;
        }
        if !self.loose && offset != last.offset + 1 {
            // Something is missing in between: ask for it again from where we are.
            self.again = true;
            return self.sync(commands);
        }
        let replayed = began.epoch == last.epoch && offset <= began.offset;
        let push = if frame.kind() == "event" {
            Some(Push::Event(Event::new(frame, &last.epoch, replayed)))
        } else {
            // One that is hidden, or cannot be understood, has its offset all the same.
            Amendment::new(frame, &last.epoch, replayed).map(Push::Amended)
        };
        if push.is_none_or(|push| sink.push(push)) {
            last.offset = offset;
            self.loose = false;
            self.skip();
        } else {
            // The reader may have emptied the buffer meanwhile.
            self.look(commands);
        }
    }

    /// An event of ours is stored there, and does not come.
    pub(super) fn handle_quiet(&mut self, position: &Position) {
        let here = self.last.as_ref().is_some_and(|last| last.epoch == position.epoch);
        if here && self.stage == Stage::On && self.sink.is_some() {
            self.quiet.insert(position.offset);
            self.skip();
        }
    }

    fn skip(&mut self) {
        let Some(last) = &mut self.last else { return };
        while self.quiet.remove(&(last.offset + 1)) {
            last.offset += 1;
        }
    }

    fn handle_gap(&mut self, frame: Frame, commands: &mut Commands) {
        let Some(sink) = &self.sink else { return };
        let Some(gap) = Gap::new(frame) else { return };
        let to = gap.to.clone();
        // A rewind that was cut off before its first event: nobody has seen anything yet.
        let unseen = self.loose && self.last.is_some();
        if sink.is_behind() || !(unseen || sink.push(Push::Gap(gap))) {
            // It comes again, from the same position.
            return self.look(commands);
        }
        if self.began.as_ref().is_none_or(|began| began.epoch != to.epoch) {
            self.began = Some(to.clone());
        }
        self.last = Some(to);
        self.loose = false;
    }

    /// The connection is gone.
    pub(super) fn handle_lost(&mut self) {
        self.stage = Stage::Off;
        (self.again, self.retry_at) = (false, None);
        self.presence.handle_lost();
    }

    /// It is over.
    pub(super) fn fail(&mut self, error: Error) {
        if let Some(sink) = self.sink.take() {
            sink.end(error);
        }
        self.release();
    }
}

/// The body of a command about a channel.
pub(super) fn command(kind: &str, channel: &str) -> Value {
    json!({ "type": kind, "channel": channel })
}
