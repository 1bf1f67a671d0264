//! What is to be seen of those who have a document open: gathered at its home for a moment, and
//! told together.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tidings_proto::yjs::aware::{Entry, encode};
use tidings_proto::{AwarenessView, ErrorCode, Frame};

use super::Dialect;
use super::refusals::no_document;
use super::wording::{Word, raw};
use crate::channel::aware::{Outcome, Seen, Told};
use crate::engine::Engine;
use crate::engine::counters::CommandKind;
use crate::engine::home::Scene;
use crate::engine::types::{Address, Delivery, Effect, Now};
use crate::limits::{AWARENESS_BYTES, AWARENESS_MS, DOCUMENT_PIECE};
use crate::reject::Reject;

impl Engine {
    /// An [`Effect::Wake`] is due.
    pub fn wake(&mut self, now: Now) {
        self.tell_awareness(now);
        self.settle(now);
        self.flush_all();
        self.settle(now);
    }

    /// Tells what has been gathered, if it is time.
    pub(in crate::engine) fn tell_awareness(&mut self, now: Now) {
        let Some(at_ms) = self.homes.agenda.wake_ms else { return };
        if now.mono_ms < at_ms {
            self.out.effects.push(Effect::Wake { at_ms });
            return;
        }
        self.homes.agenda.wake_ms = None;
        for channel in std::mem::take(&mut self.homes.agenda.seen) {
            if let Some(index) = self.homes.find(&channel) {
                self.scene(index, now).tell_awareness();
            }
        }
    }

    /// Who has not said anything for long is gone.
    pub(in crate::engine) fn expire_awareness(&mut self, now: Now) {
        // Should the driver have been late.
        if self.homes.agenda.wake_ms.is_some_and(|at_ms| at_ms <= now.mono_ms) {
            self.tell_awareness(now);
        }
        let mut listed = std::mem::take(&mut self.homes.agenda.aware);
        listed.retain(|channel| {
            let Some(index) = self.homes.find(channel) else { return false };
            self.scene(index, now).expire_awareness()
        });
        listed.append(&mut self.homes.agenda.aware);
        self.homes.agenda.aware = listed;
    }
}

impl Scene<'_> {
    pub(super) fn aware(
        &mut self,
        from: Address,
        id: u64,
        user: &Arc<str>,
        told: Vec<Told>,
        editor: bool,
    ) {
        let (max, now_ms) = (self.limits.awareness_clients, self.now.mono_ms);
        let mut refused = None;
        match &mut self.channel.desk {
            Some(desk) => {
                for told in told {
                    match desk.aware.tell(from, user, told, (max, now_ms)) {
                        Outcome::Noted | Outcome::Old => {}
                        other => refused = Some(other),
                    }
                }
            }
            None => {
                let about = (id, &*self.channel.name);
                return self.out.refuse(CommandKind::Awareness, from, about, &no_document());
            }
        }
        self.awareness_changed();
        let reject = match refused {
            _ if editor => return,
            None | Some(Outcome::Noted | Outcome::Old) => {
                let text = Frame::Noted { id }.encode();
                return self.out.reply(CommandKind::Awareness, from, text);
            }
            Some(Outcome::Foreign) => {
                Reject::new(ErrorCode::Forbidden, "the client is another session's")
            }
            Some(Outcome::TooMany) => {
                Reject::limit("too many clients of one session", "awareness_clients", max)
            }
            Some(Outcome::Full) => {
                let what = "bytes of awareness in one document";
                Reject::limit(what, "awareness_bytes", AWARENESS_BYTES)
            }
        };
        self.out.refuse(CommandKind::Awareness, from, (id, &self.channel.name), &reject);
    }

    pub(super) fn quit(&mut self, from: Address) {
        let now_ms = self.now.mono_ms;
        if let Some(desk) = &mut self.channel.desk {
            desk.aware.quit(from, now_ms);
            self.awareness_changed();
        }
    }

    /// Something may have changed: it is told in a moment, with what changes until then.
    fn awareness_changed(&mut self) {
        let Some(desk) = &mut self.channel.desk else { return };
        if !desk.aware.is_changed() {
            return;
        }
        let (agenda, name) = (&mut *self.agenda, &self.channel.name);
        if !desk.aware.listed {
            desk.aware.listed = true;
            agenda.aware.push(name.clone());
        }
        if desk.aware.due {
            return;
        }
        desk.aware.due = true;
        agenda.seen.push(name.clone());
        if agenda.wake_ms.is_none() {
            let at_ms = self.now.mono_ms + AWARENESS_MS;
            agenda.wake_ms = Some(at_ms);
            self.out.effects.push(Effect::Wake { at_ms });
        }
    }

    fn tell_awareness(&mut self) {
        let Some(desk) = &mut self.channel.desk else { return };
        desk.aware.due = false;
        let frames = frames(&self.channel.name, desk.aware.take_changed().into_iter());
        for (text, raw) in frames {
            self.deliver(Delivery { raw, ..Delivery::presence(text) });
        }
    }

    /// Whether it has to be looked through again.
    fn expire_awareness(&mut self) -> bool {
        let now_ms = self.now.mono_ms;
        let Some(desk) = &mut self.channel.desk else { return false };
        desk.aware.expire(now_ms);
        if desk.aware.is_empty() {
            desk.aware.listed = false;
            return false;
        }
        self.awareness_changed();
        true
    }

    /// All who are seen now, as somebody gets it who has just come.
    pub(super) fn all_awareness(&self, dialect: Dialect) -> Vec<Bytes> {
        let Some(desk) = &self.channel.desk else { return Vec::new() };
        let frames = frames(&self.channel.name, desk.aware.all());
        let delivery = |(text, raw)| Delivery { raw, ..Delivery::presence(text) };
        let message = |delivery: Delivery| match dialect {
            Dialect::Json => Some(delivery.text),
            editor => delivery.binary(editor).cloned(),
        };
        frames.into_iter().map(delivery).filter_map(message).collect()
    }
}

type Message = (Bytes, Option<Arc<crate::engine::Raw>>);

/// Frames that say what is to be seen of these clients, none much longer than a piece.
fn frames<'a>(channel: &str, seen: impl Iterator<Item = (u64, &'a Seen)>) -> Vec<Message> {
    let (mut frames, mut views, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (client, seen) in seen {
        let state: Option<&RawValue> = seen.state.as_deref();
        let Seen { clock, user, .. } = seen;
        views.push(AwarenessView { client, clock: *clock, user, state });
        bytes += 80 + user.len() + state.map_or(4, |state| state.get().len());
        if bytes >= DOCUMENT_PIECE {
            frames.push(message(channel, &views));
            views.clear();
            bytes = 0;
        }
    }
    if !views.is_empty() {
        frames.push(message(channel, &views));
    }
    frames
}

fn message(channel: &str, states: &[AwarenessView<'_>]) -> Message {
    let entries = states.iter().map(|view| Entry {
        client: view.client,
        clock: view.clock,
        state: view.state.map(RawValue::get),
    });
    let update = encode(&entries.collect::<Vec<_>>());
    let raw = raw(channel, Word::Awareness(&update));
    (Frame::Awareness { channel, states }.encode(), Some(raw))
}
