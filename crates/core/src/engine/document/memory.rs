//! How much the documents of a shard take: those that nobody edits rest, those that nobody has open
//! leave, and above the limit no more are opened.

use std::sync::Arc;

use crate::channel::{Channel, Fold};
use crate::engine::Engine;
use crate::engine::home::Scene;
use crate::engine::types::Now;
use crate::limits::REST_AFTER_MS;
use crate::policy::{Kind, Namespace};
use crate::reject::Reject;

/// What an open document takes for each byte of its encoding: some 200 bytes for each piece of text
/// that was typed, which is encoded in 25.
const OPEN_FACTOR: usize = 8;

/// What any document takes.
const LEAST: usize = 2 << 10;

/// What a document counts for until it was read: many may be asked for at once.
const UNREAD: usize = 1 << 20;

/// So many that are read at once fit into the limit, however small it is.
const READ_AT_ONCE: usize = 16;

/// Bytes of a document that is put to rest so many milliseconds later: to wake a long one takes
/// longer.
const BYTES_PER_MS: usize = 10;

impl Engine {
    /// Puts those to rest that nobody touches.
    pub(super) fn rest_documents(&mut self, now: Now) {
        let is_tight = self.homes.agenda.documents > self.config.limits.documents / 4 * 3;
        let mut awake = std::mem::take(&mut self.homes.agenda.awake);
        awake.retain(|channel| {
            let Some(index) = self.homes.find(channel) else { return false };
            self.scene(index, now).rest_document(is_tight)
        });
        awake.append(&mut self.homes.agenda.awake);
        self.homes.agenda.awake = awake;
    }

    /// Whether there is room for one more document, after those have left that nobody has open.
    ///
    /// # Errors
    /// When there is none.
    pub(in crate::engine) fn make_room(
        &mut self,
        now: Now,
        namespace: &Arc<Namespace>,
    ) -> Result<(), Reject> {
        if namespace.policy.kind != Kind::Document {
            return Ok(());
        }
        self.room_beside(now, None)
    }

    /// It will be read: it takes room from now on.
    pub(in crate::engine) fn reserve_room(&mut self, index: usize) {
        let max = self.config.limits.documents;
        if let Some(desk) = &mut self.homes.slab[index].channel.desk {
            desk.weight = UNREAD.min(max / READ_AT_ONCE);
            self.homes.agenda.documents += desk.weight;
        }
    }

    /// A channel was read. A document for which those that came meanwhile have left no room goes
    /// again, unless it is subscribed to.
    ///
    /// # Errors
    /// It is gone.
    pub(in crate::engine) fn keep_loaded(&mut self, now: Now, index: usize) -> Result<(), Reject> {
        self.scene(index, now).weigh();
        let channel = &self.homes.slab[index].channel;
        if channel.desk.is_none() || !channel.shards.is_empty() {
            return Ok(());
        }
        let room = self.room_beside(now, Some(index));
        if room.is_err() {
            self.homes.remove(index);
        }
        room
    }

    /// Whether there is room for one more beside the others.
    fn room_beside(&mut self, now: Now, one: Option<usize>) -> Result<(), Reject> {
        let max = self.config.limits.documents;
        let desk = one.and_then(|index| self.homes.slab[index].channel.desk.as_ref());
        let weight = desk.map_or(0, |desk| desk.weight);
        if self.homes.agenda.documents.saturating_sub(weight) <= max {
            return Ok(());
        }
        // Looking for them takes a while: not for each one that comes.
        if now.mono_ms >= self.homes.agenda.evict_after_ms {
            self.homes.agenda.evict_after_ms = now.mono_ms + 1000;
            self.evict_documents(now, one);
        }
        if self.homes.agenda.documents.saturating_sub(weight) <= max {
            return Ok(());
        }
        Err(Reject::limit("too many documents in memory", "documents", max))
    }

    fn evict_documents(&mut self, now: Now, but: Option<usize>) {
        let unused =
            |channel: &Channel| channel.desk.is_some() && channel.can_unload(now.mono_ms, 0);
        let homes = self.homes.slab.iter();
        let leave = homes.filter(|(_, home)| home.waiting.is_none() && unused(&home.channel));
        let leave = leave.map(|(index, _)| index).filter(|index| Some(*index) != but);
        let leave: Vec<_> = leave.collect();
        for index in leave {
            self.homes.remove(index);
        }
    }
}

impl Scene<'_> {
    /// Counts what a document takes after it was touched.
    pub(in crate::engine) fn weigh(&mut self) {
        let (Fold::Document(document), Some(desk)) = (&self.channel.fold, &mut self.channel.desk)
        else {
            return;
        };
        let bytes = document.bytes();
        let rests = document.is_resting();
        let weight = LEAST + if rests { bytes } else { OPEN_FACTOR * bytes };
        self.agenda.documents = (self.agenda.documents + weight).saturating_sub(desk.weight);
        desk.weight = weight;
        if !rests && !std::mem::replace(&mut desk.awake, true) {
            self.agenda.awake.push(self.channel.name.clone());
        }
    }

    /// Whether it is still awake.
    fn rest_document(&mut self, is_tight: bool) -> bool {
        let (Fold::Document(document), Some(desk)) =
            (&mut self.channel.fold, &mut self.channel.desk)
        else {
            return false;
        };
        let after_ms = if is_tight {
            REST_AFTER_MS / 10
        } else {
            REST_AFTER_MS + (document.bytes() / BYTES_PER_MS) as u64
        };
        let is_busy = desk.pending > 0 || self.channel.estranged;
        if is_busy || desk.touched_ms + after_ms > self.now.mono_ms {
            return true;
        }
        document.rest();
        desk.whole = None;
        desk.awake = !document.is_resting();
        let awake = desk.awake;
        self.weigh();
        awake
    }
}
