//! What somebody lacks of a document, piece by piece: the next one when the last has been written.
//!
//! A session has one under way; what else it asks for waits as a question, not as an answer, which
//! may be a whole document. So do those of a shard that keeps much for slow readers already.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::yjs::hocuspocus::Message;
use tidings_proto::yjs::sync::Sync;
use tidings_proto::{CloseCode, Epoch, ErrorCode, Frame};

use super::wording::piece;
use super::{Ask, Dialect, Lacks, SeatId, Synced};
use crate::engine::Engine;
use crate::engine::types::{Effect, Now, RequestBody, SessionKey};
use crate::limits::{DOCUMENT_PIECE, SYNC_STALLED_MS, SYNCED_BYTES, SYNCS_ASKED};
use crate::reject::Reject;

/// Of all sessions of a shard.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    lines: HashMap<SessionKey, Line>,
    /// Sessions whose next question waits for its turn.
    starved: VecDeque<SessionKey>,
    /// Questions that are open.
    asked: usize,
    /// Of answers that are being sent.
    bytes: usize,
}

/// Of one session.
#[derive(Debug, Default)]
struct Line {
    under_way: Option<UnderWay>,
    /// Bounded by the session's commands in flight.
    waiting: VecDeque<Wanted>,
}

/// What a session wants to have of a document.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) id: u64,
    pub(super) channel: Arc<str>,
    pub(super) epoch: Option<Epoch>,
    pub(super) vector: Vec<u8>,
    /// All of this version, instead.
    pub(super) version: Option<u64>,
}

#[derive(Debug)]
enum UnderWay {
    /// `over`: nobody wants the answer any more.
    Asked {
        channel: Arc<str>,
        over: bool,
    },
    Sending {
        id: u64,
        channel: Arc<str>,
        lacks: Lacks,
        sent: usize,
        at_ms: u64,
    },
}

/// What an answer counts for while it is being sent; short ones are gone at once.
fn weight(lacks: &Lacks) -> usize {
    let bytes = lacks.pieces.iter().map(Bytes::len).sum();
    if bytes > DOCUMENT_PIECE { bytes } else { 0 }
}

impl Syncs {
    fn is_full(&self) -> bool {
        self.asked >= SYNCS_ASKED || self.bytes >= SYNCED_BYTES
    }

    /// The session is over.
    pub(super) fn forget(&mut self, key: SessionKey) {
        let Some(line) = self.lines.remove(&key) else { return };
        if let Some(UnderWay::Sending { lacks, .. }) = &line.under_way {
            self.bytes -= weight(lacks);
        }
    }
}

impl Engine {
    /// Somebody wants to be as far as a document is.
    pub(super) fn sync_document(&mut self, key: SessionKey, wanted: Wanted) {
        self.count_in_flight(key);
        let line = self.desks.syncs.lines.entry(key).or_default();
        line.waiting.push_back(wanted);
        self.sync_on(key);
    }

    /// Asks the next question of a session, if it is its turn.
    pub(super) fn sync_on(&mut self, key: SessionKey) {
        let Some(line) = self.desks.syncs.lines.get(&key) else { return };
        if line.under_way.is_some() {
            return;
        }
        if line.waiting.is_empty() {
            self.desks.syncs.lines.remove(&key);
            return;
        }
        // A document that is not open yet may turn out to be closed to the session.
        let open: HashSet<Arc<str>> = self.open_papers(key).collect();
        let Some(line) = self.desks.syncs.lines.get(&key) else { return };
        let next = line.waiting.iter().position(|wanted| open.contains(&wanted.channel));
        let Some(next) = next else { return };
        let syncs = &mut self.desks.syncs;
        if syncs.is_full() {
            if !syncs.starved.contains(&key) {
                syncs.starved.push_back(key);
            }
            return;
        }
        let Some(line) = syncs.lines.get_mut(&key) else { return };
        let Some(wanted) = line.waiting.remove(next) else { return };
        let Wanted { id, channel, epoch, vector, version } = wanted;
        line.under_way = Some(UnderWay::Asked { channel: channel.clone(), over: false });
        syncs.asked += 1;
        let editor = self.dialect(key) != Dialect::Json;
        let ask = Ask::Sync { epoch, vector, editor, version };
        self.send_home(key, id, channel, RequestBody::Document(Box::new(ask)));
    }

    /// The answer of a document's home.
    pub(in crate::engine) fn synced(&mut self, now: Now, synced: Synced) {
        let Synced { to, id, channel, outcome } = synced;
        self.desks.syncs.asked = self.desks.syncs.asked.saturating_sub(1);
        if let Some(line) = self.desks.syncs.lines.get_mut(&to) {
            let asked = line.under_way.take();
            let over = matches!(asked, Some(UnderWay::Asked { over: true, .. }));
            match outcome {
                _ if over => self.sync_failed(to, id, &channel, &closed()),
                Err(reject) => self.sync_failed(to, id, &channel, &reject),
                Ok(lacks) => {
                    self.desks.syncs.bytes += weight(&lacks);
                    let at_ms = now.mono_ms;
                    let sending = UnderWay::Sending { id, channel, lacks, sent: 0, at_ms };
                    line.under_way = Some(sending);
                    self.send_piece(now, to);
                }
            }
        }
        self.feed_starved();
    }

    /// Sends the next piece of what a session gets, if it gets something. All that was sent to it
    /// before has been written.
    pub(in crate::engine) fn send_piece(&mut self, now: Now, key: SessionKey) {
        let dialect = self.dialect(key);
        let Some(line) = self.desks.syncs.lines.get_mut(&key) else { return };
        let Some(UnderWay::Sending { id, channel, lacks, sent, at_ms }) = &mut line.under_way
        else {
            return;
        };
        let Some(update) = lacks.pieces.get(*sent) else { return self.finish_sync(key) };
        (*at_ms, *sent) = (now.mono_ms, *sent + 1);
        self.out.counters.synced_bytes += update.len() as u64;
        let more = *sent < lacks.pieces.len();
        let goes_on = more || weight(lacks) > 0;
        if dialect == Dialect::Json {
            let Lacks { epoch, vector, offset, waiting, .. } = lacks;
            let (id, epoch, offset) = (*id, *epoch, *offset);
            for update in waiting.iter().filter(|_| !more) {
                let (user, more) = ("", false);
                let text = Frame::Document { channel, offset, user, update, more }.encode();
                self.out.effects.push(Effect::Send { session: key, text });
            }
            let text = Frame::Synced { id, channel, epoch, update, vector, more }.encode();
            if more {
                self.out.effects.push(Effect::Send { session: key, text });
            } else {
                self.answered(key, text);
            }
        } else {
            let (seat, update) = (SeatId::of_question(*id), update.clone());
            let (channel, vector) = (channel.clone(), lacks.vector.clone());
            // A provider that has gone is answered nothing.
            let address = match dialect {
                Dialect::Hocuspocus => self.address_of(key, seat),
                _ => Some(channel),
            };
            let message = address.map(|address| piece(dialect, &address, &update, more));
            let send = message.map(|message| Effect::SendBinary { session: key, message });
            self.out.effects.extend(send);
            if !more {
                // Providers of Hocuspocus ask, and wait to be asked, more than once.
                self.hocuspocus_to(key, seat, Message::Sync(Sync::Step1(&vector)));
                self.settled(key);
            }
        }
        if goes_on {
            // It counts until the last piece has been written.
            self.out.effects.push(Effect::Drain { session: key });
        } else {
            self.finish_sync(key);
        }
    }

    fn finish_sync(&mut self, key: SessionKey) {
        let syncs = &mut self.desks.syncs;
        let Some(line) = syncs.lines.get_mut(&key) else { return };
        if let Some(UnderWay::Sending { lacks, .. }) = line.under_way.take() {
            syncs.bytes -= weight(&lacks);
        }
        self.sync_on(key);
        self.feed_starved();
    }

    fn sync_failed(&mut self, key: SessionKey, id: u64, channel: &Arc<str>, why: &Reject) {
        if self.dialect(key) == Dialect::Json {
            self.answered(key, why.encode(Some(id), Some(channel)));
        } else {
            self.settled(key);
            self.editor_refused(key, (channel, SeatId::of_question(id)), why);
        }
        self.sync_on(key);
    }

    /// A document is not open to the session any more: what it waits for there does not come.
    pub(super) fn end_syncs(&mut self, key: SessionKey, channel: &str) {
        let syncs = &mut self.desks.syncs;
        let Some(line) = syncs.lines.get_mut(&key) else { return };
        let all = std::mem::take(&mut line.waiting).into_iter();
        let (theirs, others): (VecDeque<_>, _) = all.partition(|it| *it.channel == *channel);
        line.waiting = others;
        let mut over: Vec<_> = theirs.into_iter().map(|it| (it.id, it.channel)).collect();
        match &mut line.under_way {
            Some(UnderWay::Asked { channel: of, over, .. }) if **of == *channel => *over = true,
            Some(UnderWay::Sending { id, channel: of, lacks, sent, .. }) if **of == *channel => {
                syncs.bytes -= weight(lacks);
                if *sent < lacks.pieces.len() {
                    over.insert(0, (*id, of.clone()));
                }
                line.under_way = None;
            }
            _ => {}
        }
        for (id, channel) in over {
            self.sync_failed(key, id, &channel, &closed());
        }
    }

    /// Those who waited for their turn.
    fn feed_starved(&mut self) {
        while !self.desks.syncs.is_full()
            && let Some(key) = self.desks.syncs.starved.pop_front()
        {
            self.sync_on(key);
        }
    }

    /// While others wait, nobody may read for ever.
    pub(super) fn tick_syncs(&mut self, now: Now) {
        let syncs = &self.desks.syncs;
        if syncs.starved.is_empty() {
            return;
        }
        let stalled = |line: &Line| match &line.under_way {
            Some(UnderWay::Sending { at_ms, .. }) => at_ms + SYNC_STALLED_MS <= now.mono_ms,
            _ => false,
        };
        let stalled = syncs.lines.iter().filter(|(_, line)| stalled(line));
        let stalled: Vec<_> = stalled.map(|(key, _)| *key).collect();
        for key in stalled {
            self.end_session(key, CloseCode::SlowConsumer, None);
        }
        self.feed_starved();
    }
}

fn closed() -> Reject {
    Reject::new(ErrorCode::NotSubscribed, "the document is not open any more")
}
