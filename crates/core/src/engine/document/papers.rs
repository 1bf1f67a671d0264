//! What a session has open, and what it may do there: which can change while it is open.

use std::sync::Arc;

use bytes::Bytes;
use tidings_proto::Frame;

use super::hocuspocus::Shown;
use super::seats::Seat;
use super::{Ask, Dialect};
use crate::engine::Engine;
use crate::engine::session::Stage;
use crate::engine::types::{Effect, Now, RequestBody, SessionKey, Subscribe, TopicKey};
use crate::identity::{Action, Identity};

/// What a session has to do with documents.
#[derive(Debug, Default)]
pub(crate) struct Editing {
    pub(super) dialect: Dialect,
    /// One for each document that it has subscribed to, at most.
    papers: Vec<Paper>,
    /// The documents that an editor has asked for; with [`Dialect::Yjs`] one.
    pub(super) asked: Vec<Arc<str>>,
    /// Where those providers were that were refused: their addresses.
    pub(super) refused: Vec<Arc<str>>,
    /// What it has said of them before they were open.
    pub(super) early: Vec<(Arc<str>, Box<[u8]>)>,
    /// Tokens of its documents.
    pub(super) shown: Vec<Shown>,
    /// It was told that it may not write.
    pub(super) denied: bool,
    /// The providers of a connection of Hocuspocus, and how many there have been.
    pub(super) seats: Vec<Seat>,
    pub(super) seats_taken: u32,
}

impl Editing {
    pub(super) fn new(dialect: Dialect, asked: Vec<Arc<str>>) -> Self {
        Self { dialect, asked, ..Self::default() }
    }

    /// Who the user is by the token of this document, if it has one of its own.
    pub(in crate::engine) fn identity(&self, document: &str) -> Option<&Identity> {
        let shown = self.shown.iter().find(|shown| *shown.document == *document);
        shown.map(|shown| &shown.identity)
    }
}

/// A document that a session has open.
#[derive(Clone, Copy, Debug)]
struct Paper {
    topic: TopicKey,
    /// Its home has answered.
    is_open: bool,
    /// It would hear what others say of themselves, if it may.
    hears: bool,
    /// It has said something of itself.
    told: bool,
    write: bool,
    aware: bool,
}

/// What comes behind the answer to a subscription.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) hears: bool,
    /// Who is seen there, in the session's dialect.
    pub(crate) seen: Vec<Bytes>,
    /// What is stored.
    pub(crate) vector: Bytes,
}

impl Engine {
    fn paper(&mut self, key: SessionKey, topic: TopicKey) -> Option<&mut Paper> {
        let papers = &mut self.session(key)?.editing.get_or_insert_default().papers;
        let index = papers.iter().position(|paper| paper.topic == topic);
        let index = index.unwrap_or_else(|| {
            let (is_open, hears, told) = (false, false, false);
            let (write, aware) = (false, false);
            papers.push(Paper { topic, is_open, hears, told, write, aware });
            papers.len() - 1
        });
        papers.get_mut(index)
    }

    /// The documents that a session has open.
    pub(super) fn open_papers(&self, key: SessionKey) -> impl Iterator<Item = Arc<str>> {
        let session = self.sessions.get(key.slot as usize).filter(|s| s.serial == key.serial);
        let papers = session.and_then(|session| session.editing.as_ref());
        let open = papers.into_iter().flat_map(|it| &it.papers).filter(|paper| paper.is_open);
        open.map(|paper| self.topics.channel(paper.topic).clone())
    }

    pub(super) fn is_paper_open(&self, key: SessionKey, channel: &str) -> bool {
        self.open_papers(key).any(|open| *open == *channel)
    }

    /// A session says something of itself: its document has to be told when it is over.
    pub(super) fn note_told(&mut self, key: SessionKey, channel: &str) {
        let topic = self.topics.find(channel);
        if let Some(paper) = topic.and_then(|topic| self.paper(key, topic)) {
            paper.told = true;
        }
    }

    /// Whether a session may do something with a document, as of now.
    pub(super) fn may(&self, key: SessionKey, channel: &str, action: Action) -> bool {
        let target = self.find_target(channel);
        target.is_ok_and(|target| self.require(key, &target, action).is_ok())
    }

    /// The home of a document has let a session in.
    pub(in crate::engine) fn open_paper(
        &mut self,
        now: Now,
        key: SessionKey,
        topic: TopicKey,
        it: Opened,
    ) {
        let Opened { hears, seen, vector } = it;
        let channel = self.topics.channel(topic).clone();
        let write = self.may(key, &channel, Action::Publish);
        let aware = self.may(key, &channel, Action::Presence);
        let Some(paper) = self.paper(key, topic) else { return };
        (paper.is_open, paper.hears) = (true, hears);
        (paper.write, paper.aware) = (write, aware);
        match self.dialect(key) {
            Dialect::Json => {
                self.tell_access(key, &channel, write, aware);
                let seen = seen.into_iter().filter(|_| hears && aware);
                let seen = seen.map(|text| Effect::Send { session: key, text });
                self.out.effects.extend(seen);
            }
            _ => self.editor_opened(now, key, &channel, &vector, seen),
        }
        self.hear(key, topic, hears && aware);
        self.sync_on(key);
    }

    fn tell_access(&mut self, key: SessionKey, channel: &str, write: bool, awareness: bool) {
        let text = Frame::Access { channel, write, awareness }.encode();
        self.out.effects.push(Effect::Send { session: key, text });
    }

    /// Whether a subscription hears what others say of themselves.
    fn hear(&mut self, key: SessionKey, topic: TopicKey, hears: bool) {
        let Some(session) = self.session(key) else { return };
        let subs = session.subscriptions.iter_mut();
        let Some(sub) = subs.into_iter().find(|sub| sub.topic == topic) else { return };
        sub.presence = hears;
        if let Stage::Live(place) = sub.stage {
            self.topics.hear(topic, place, hears);
        }
    }

    /// A subscription is over, and with it what the session said of itself there.
    pub(in crate::engine) fn put_paper_away(&mut self, key: SessionKey, topic: TopicKey) {
        self.forget_heard(topic);
        let Some(session) = self.session(key) else { return };
        let another = session.subscriptions.iter().any(|sub| sub.topic == topic);
        let Some(editing) = session.editing.as_mut().filter(|_| !another) else { return };
        let index = editing.papers.iter().position(|paper| paper.topic == topic);
        let Some(paper) = index.map(|index| editing.papers.swap_remove(index)) else { return };
        if editing.papers.is_empty() && editing.dialect == Dialect::Json {
            session.editing = None;
        }
        let channel = self.topics.channel(topic).clone();
        if paper.told {
            self.quit_document(key, channel.clone());
        }
        self.end_syncs(key, &channel);
    }

    fn quit_document(&mut self, key: SessionKey, channel: Arc<str>) {
        self.send_home(key, 0, channel, RequestBody::Document(Box::new(Ask::Quit)));
    }

    /// The token or the rules have changed: what a session may do with what it has open.
    pub(in crate::engine) fn hold_papers(&mut self, key: SessionKey) {
        let Some(session) = self.session(key) else { return };
        let Some(editing) = &session.editing else { return };
        let open: Vec<_> = editing.papers.iter().filter(|it| it.is_open).copied().collect();
        for before in open {
            let topic = before.topic;
            let channel = self.topics.channel(topic).clone();
            let write = self.may(key, &channel, Action::Publish);
            let aware = self.may(key, &channel, Action::Presence);
            if (write, aware) == (before.write, before.aware) {
                continue;
            }
            let Some(paper) = self.paper(key, topic) else { return };
            (paper.write, paper.aware) = (write, aware);
            let told = std::mem::replace(&mut paper.told, before.told && aware);
            if told && !aware {
                self.quit_document(key, channel.clone());
            }
            self.hear(key, topic, before.hears && aware);
            match self.dialect(key) {
                Dialect::Json => self.tell_access(key, &channel, write, aware),
                _ => self.editor_access(key, &channel, write),
            }
            if aware && !before.aware && before.hears {
                self.ask_seen(key, &channel, false);
            }
        }
    }

    /// Asks who is seen in a document; `vector`: and what is stored, see [`Ask::Seen`].
    pub(super) fn ask_seen(&mut self, key: SessionKey, channel: &Arc<str>, vector: bool) {
        let ask = Ask::Seen { dialect: self.dialect(key), vector };
        self.send_home(key, 0, channel.clone(), RequestBody::Document(Box::new(ask)));
    }

    /// Who is seen in a document, for a session that may see it now.
    pub(in crate::engine) fn seen(
        &mut self,
        to: SessionKey,
        channel: &str,
        messages: Vec<Bytes>,
        question: Option<Bytes>,
    ) {
        let Some(topic) = self.topics.find(channel) else { return };
        let dialect = self.dialect(to);
        let subscription = self.session(to).and_then(|session| session.subscription(topic));
        let Some(presence) = subscription.map(|sub| sub.presence) else { return };
        for message in messages.into_iter().filter(|_| presence).chain(question) {
            match dialect {
                Dialect::Json => self.out.effects.push(Effect::Send { session: to, text: message }),
                _ => self.send_made(to, channel, &message),
            }
        }
    }
}

impl crate::engine::home::Scene<'_> {
    /// What comes behind the answer to a subscription, if this is a document.
    pub(in crate::engine) fn opened(&mut self, subscribe: &Subscribe) -> Option<Opened> {
        let Subscribe { presence, hears, dialect, .. } = *subscribe;
        self.channel.desk.as_ref()?;
        // One that has to be read again says that it has nothing: nothing is lost by that.
        let nothing = Bytes::from_static(&[0]);
        let vector = self.document().map_or(nothing, |(document, _)| document.vector());
        let seen = if presence { self.all_awareness(dialect) } else { Vec::new() };
        Some(Opened { hears, seen, vector })
    }
}
