//! The application's backend is asked about what the engine's own rules allow already: who may come
//! in (`knocking.rs`), subscribe (here) and publish (`authoring.rs`).
//!
//! A driver gets [`Effect::Consult`] and gives the verdict to [`Engine::advised`], always and once:
//! it is the one who has deadlines. What waits meanwhile is kept here. It is bounded: each question
//! belongs to a command under way, of which a session has only so many, and a shard has only so
//! many questions.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::value::RawValue;
use tidings_proto::{CloseCode, ErrorCode};

use super::Engine;
use super::authoring::Held;
use super::commands::Target;
use super::counters::CommandKind;
use super::knocking::Knock;
use super::session::{PAGES_UNDER_WAY, Stage};
use super::types::{Effect, Now, RequestBody, SessionKey, Subscribe, TopicKey};
use crate::channel::{How, Publish};
use crate::identity::{Action, Grant, Identity};
use crate::policy::{Hook, WhenDown};
use crate::reject::Reject;

/// What the backend is asked.
#[derive(Clone, Debug)]
pub enum About {
    /// Whether a session may begin, and whose it is.
    Connect {
        /// Why it is asked.
        occasion: Occasion,
        /// The session's public id.
        session: u64,
        /// The user of the token, or an anonymous one; `None` where the backend has to say.
        user: Option<Arc<str>>,
        /// Whether there was no token.
        anonymous: bool,
        /// The token, where the backend has to say whose it is.
        token: Option<Box<str>>,
    },
    /// Whether an event may be published.
    Publish(Box<Draft>),
    /// Whether a channel may be subscribed to.
    Subscribe {
        /// Who wants to.
        user: Arc<str>,
        /// Whether the user has no token.
        anonymous: bool,
        /// The session's public id.
        session: u64,
        /// To what.
        channel: Arc<str>,
    },
}

/// Why the backend is asked about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// It begins.
    Hello,
    /// It has a fresh token.
    Refresh,
    /// It goes on.
    Resume,
}

/// An event that is not one yet.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Whose it is.
    pub user: Arc<str>,
    /// Whether the user has no token.
    pub anonymous: bool,
    /// The session's public id.
    pub session: u64,
    /// Where it is published.
    pub channel: Arc<str>,
    /// Its name.
    pub event: Option<Box<str>>,
    /// What it says.
    pub data: Box<RawValue>,
    /// The caller's own key.
    pub key: Option<Box<str>>,
    /// The producer and its number.
    pub producer: Option<(Box<str>, u64)>,
    /// It is kept nowhere.
    pub ephemeral: bool,
    /// It is no event but does this (`set`, `patch`, `remove`) to this key; `data` is the value or
    /// the patch.
    pub write: Option<(&'static str, Box<str>)>,
    /// It is no event but changes one.
    pub change: Option<DraftChange>,
}

/// A change of an event that is none yet.
#[derive(Clone, Debug)]
pub struct DraftChange {
    /// `edit`, `delete` or `react`.
    pub what: &'static str,
    /// The event's offset.
    pub target: u64,
    /// The reaction, and whether it is taken back.
    pub reaction: Option<(Box<str>, bool)>,
}

impl DraftChange {
    fn of(publish: &Publish) -> Option<Self> {
        let amend = publish.amend.as_ref()?;
        let reaction = match &amend.how {
            How::React { reaction, remove } => Some((reaction.clone(), *remove)),
            How::Delete | How::Edit => None,
        };
        Some(Self { what: publish.kind().as_str(), target: amend.target, reaction })
    }
}

impl About {
    pub(super) fn publish(channel: &Arc<str>, who: &Identity, publish: &Publish) -> Self {
        let null = || RawValue::NULL.to_owned();
        Self::Publish(Box::new(Draft {
            user: publish.user.clone(),
            anonymous: who.anonymous,
            session: publish.session,
            channel: channel.clone(),
            event: publish.event.clone(),
            data: publish.data.as_ref().map_or_else(|_| null(), Clone::clone),
            key: publish.key.as_ref().map(|key| key.name.clone()),
            producer: publish.producer.as_ref().map(|(who, seq)| (who.name.clone(), *seq)),
            ephemeral: publish.ephemeral,
            change: DraftChange::of(publish),
            write: publish.write.as_ref().map(|w| (publish.kind().as_str(), (*w.key).into())),
        }))
    }
}

/// What the backend says.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It may be done, so.
    Allow(Advice),
    /// It may not.
    Deny(Denial),
    /// It has not answered, or nothing that can be understood.
    Failed,
}

/// What the backend wants to be otherwise. Who makes one has checked the names in it.
#[derive(Clone, Debug, Default)]
pub struct Advice {
    /// Whose session it is.
    pub user: Option<Arc<str>>,
    /// What it may do, in the place of its token's `channels`.
    pub grants: Option<Box<[Grant]>>,
    /// When it ends: wall clock, milliseconds since 1970.
    pub expires_at_ms: Option<u64>,
    /// What the event says.
    pub data: Option<Box<RawValue>>,
    /// What the event is called.
    pub event: Option<Box<str>>,
}

/// Why something may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// For a command.
    pub code: ErrorCode,
    /// For a session that would begin.
    pub close: CloseCode,
    /// For the developer who reads it.
    pub message: Option<Box<str>>,
}

/// What waits for a verdict.
#[derive(Debug)]
pub(super) enum Pending {
    /// A session that would begin, or has a fresh token.
    Connect(Box<Knock>),
    /// A publish of this session: it stands in its lane.
    Publish(SessionKey),
    Subscribe(Box<Joining>),
}

/// A subscription that waits for a verdict.
#[derive(Debug)]
pub(super) struct Joining {
    key: SessionKey,
    /// The command's.
    id: u64,
    channel: Arc<str>,
    topic: TopicKey,
    subscribe: Subscribe,
    /// Commands for the channel that came behind it.
    behind: Vec<(u64, RequestBody)>,
}

/// All that waits.
#[derive(Debug, Default)]
pub(super) struct Consulting {
    /// The number of the last question.
    last: u64,
    pending: HashMap<u64, Pending>,
    /// What each session publishes, in order.
    pub(super) lanes: HashMap<SessionKey, VecDeque<Held>>,
    /// Tokens of headers that only the backend understands, until `hello`.
    pub(super) tokens: HashMap<SessionKey, Box<str>>,
}

impl Engine {
    /// What the backend said to question `id`.
    pub fn advised(&mut self, now: Now, id: u64, verdict: Verdict) {
        match self.consulting.pending.remove(&id) {
            None => {}
            Some(Pending::Connect(knock)) => self.connect_advised(now, *knock, verdict),
            Some(Pending::Publish(key)) => {
                let verdict = judge(verdict, self.config.policy.hooks.publish);
                self.publish_advised(key, id, verdict);
            }
            Some(Pending::Subscribe(joining)) => {
                let verdict = judge(verdict, self.config.policy.hooks.subscribe);
                self.subscribe_advised(*joining, verdict.err());
            }
        }
        self.settle(now);
    }

    /// How many questions are open.
    pub(super) fn questions(&self) -> usize {
        self.consulting.pending.len()
    }

    /// Asks the backend; the question's number.
    pub(super) fn consult(
        &mut self,
        session: SessionKey,
        about: About,
        pending: Pending,
    ) -> Result<u64, Reject> {
        if self.questions() >= self.config.limits.questions {
            return Err(Reject::no_advice());
        }
        self.consulting.last += 1;
        let id = self.consulting.last;
        self.consulting.pending.insert(id, pending);
        self.out.effects.push(Effect::Consult { id, session, about });
        Ok(id)
    }

    /// A session is over: nothing of it waits any more. Verdicts that come still find nothing.
    pub(super) fn forget_consulting(&mut self, key: SessionKey) {
        self.consulting.lanes.remove(&key);
        self.consulting.tokens.remove(&key);
    }

    /// A subscription of the session has begun; it goes to the channel's home if the backend does
    /// not have to be asked first.
    pub(super) fn attach(
        &mut self,
        key: SessionKey,
        id: u64,
        channel: Arc<str>,
        subscribe: Subscribe,
    ) {
        let topic = self.topics.hold(&channel);
        let namespace = self.config.policy.namespace_of(&channel);
        let asks = namespace.is_some_and(|at| at.policy.hooks.contains(&Hook::Subscribe));
        let Some(session) = self.session(key) else { return };
        let subscribe = session.begin_subscription(topic, subscribe);
        if !asks {
            return self.ask(key, id, channel, RequestBody::Subscribe(subscribe));
        }
        let nonce = subscribe.nonce;
        let (session_id, Some(who)) = (session.id, session.identity.clone()) else { return };
        let about = About::Subscribe {
            user: who.user,
            anonymous: who.anonymous,
            session: session_id,
            channel: channel.clone(),
        };
        let behind = Vec::new();
        let joining = Joining { key, id, channel: channel.clone(), topic, subscribe, behind };
        self.count_in_flight(key);
        match self.consult(key, about, Pending::Subscribe(Box::new(joining))) {
            Ok(question) => {
                if let Some(sub) = self.session(key).and_then(|s| s.by_nonce(topic, nonce)) {
                    sub.stage = Stage::Asked(question);
                }
            }
            Err(reject) => self.refuse_subscription(key, id, &channel, nonce, &reject),
        }
    }

    fn subscribe_advised(&mut self, joining: Joining, refused: Option<Reject>) {
        let Joining { key, id, channel, topic, mut subscribe, behind } = joining;
        let nonce = subscribe.nonce;
        let Some(session) = self.session(key) else { return };
        let wait = session.pages_under_way() >= PAGES_UNDER_WAY;
        let Some(sub) = session.by_nonce(topic, nonce) else { return };
        let wanted = matches!(sub.stage, Stage::Asked(_));
        if wanted {
            sub.stage = Stage::Joining;
        }
        match refused {
            None => {
                subscribe.wait = wait;
                let body = RequestBody::Subscribe(subscribe);
                self.send_home(key, id, channel.clone(), body);
                self.go_behind(key, &channel, behind, None);
            }
            Some(reject) => {
                self.refuse_subscription(key, id, &channel, nonce, &reject);
                self.go_behind(key, &channel, behind, Some(&reject));
                if !reject.code.retryable() {
                    // A session that goes on may have been present there.
                    self.leave_all(key, vec![channel]);
                }
            }
        }
    }

    /// A subscription will not be, whatever the verdict is: nothing waits for it any more.
    pub(super) fn give_up_behind(&mut self, key: SessionKey, question: u64) {
        if let Some(Pending::Subscribe(joining)) = self.consulting.pending.get_mut(&question) {
            let behind = std::mem::take(&mut joining.behind);
            let channel = joining.channel.clone();
            self.go_behind(key, &channel, behind, Some(&outside()));
        }
    }

    /// Commands that came behind a `subscribe` go home, or are refused with it. Publishing is
    /// another right: it only kept its place.
    fn go_behind(
        &mut self,
        key: SessionKey,
        channel: &Arc<str>,
        commands: Vec<(u64, RequestBody)>,
        refused: Option<&Reject>,
    ) {
        for (id, body) in commands {
            let outcome = match (&body, refused) {
                (RequestBody::Publish(publish), Some(reject))
                    if publish.right() == Action::Subscribe =>
                {
                    Err(reject.clone())
                }
                (RequestBody::Publish(publish), _) => {
                    self.target(key, channel, publish.right()).map(|_| ())
                }
                (_, Some(reject)) => Err(reject.clone()),
                (RequestBody::Document(ask), None) => {
                    let mut rights = ask.rights().iter();
                    rights.try_for_each(|right| self.target(key, channel, *right).map(|_| ()))
                }
                // The right to it may have gone meanwhile.
                (RequestBody::Enter(_), None) if !self.is_entered(key, channel) => Err(outside()),
                (_, None) => Ok(()),
            };
            match outcome {
                Ok(()) => self.send_home(key, id, channel.clone(), body),
                Err(reject) => {
                    let kind = CommandKind::of_request(&body).unwrap_or(CommandKind::Invalid);
                    self.answer_refused(kind, key, (id, channel), &reject);
                    if matches!(body, RequestBody::Enter(_)) {
                        self.leave_all(key, vec![channel.clone()]);
                    }
                }
            }
        }
    }

    fn is_entered(&mut self, key: SessionKey, channel: &Arc<str>) -> bool {
        let entered = self.session(key).and_then(|session| session.entered.as_deref());
        entered.is_some_and(|list| list.contains(channel))
    }

    /// Sends a publish home, behind a subscription of its session to the same channel: what a
    /// client publishes after it has subscribed, it sees.
    pub(super) fn send_publish(
        &mut self,
        key: SessionKey,
        id: u64,
        target: Target,
        publish: Publish,
    ) {
        let body = RequestBody::Publish(Box::new(publish));
        if target.namespace.policy.hooks.contains(&Hook::Subscribe)
            && let Some(joining) = self.joining(key, &target.channel)
        {
            return joining.behind.push((id, body));
        }
        self.send_home(key, id, target.channel, body);
    }

    /// The session's subscription to a channel, while the backend is asked about it.
    fn joining(&mut self, key: SessionKey, channel: &str) -> Option<&mut Joining> {
        let topic = self.topics.find(channel)?;
        let Stage::Asked(question) = self.session(key)?.subscription(topic)?.stage else {
            return None;
        };
        match self.consulting.pending.get_mut(&question) {
            Some(Pending::Subscribe(joining)) => Some(joining),
            _ => None,
        }
    }

    fn refuse_subscription(
        &mut self,
        key: SessionKey,
        id: u64,
        channel: &Arc<str>,
        nonce: u16,
        why: &Reject,
    ) {
        self.out.counters.command(CommandKind::Subscribe, Some(why.code));
        self.refused(key, channel, nonce, why.encode(Some(id), Some(channel)), why.code);
    }

    /// Sends a command home that takes nothing: behind what waits, and else in any case.
    pub(super) fn ask_leaving(
        &mut self,
        key: SessionKey,
        id: u64,
        channel: Arc<str>,
        body: RequestBody,
    ) {
        let Some(joining) = self.joining(key, &channel) else {
            return self.ask(key, id, channel, body);
        };
        joining.behind.push((id, body));
        self.count_in_flight(key);
    }

    /// Sends a command home that looks into a channel. Where the backend says who may subscribe,
    /// only who is subscribed may look.
    pub(super) fn ask_inside(
        &mut self,
        key: SessionKey,
        id: u64,
        target: Target,
        body: RequestBody,
    ) -> Result<(), Reject> {
        if let Some(joining) = self.joining(key, &target.channel) {
            joining.behind.push((id, body));
            self.count_in_flight(key);
            return Ok(());
        }
        self.check_inside(key, &target)?;
        self.ask(key, id, target.channel, body);
        Ok(())
    }

    /// Whether the session may look into a channel: whether it is subscribed, or is about to be,
    /// where the backend says who may.
    pub(super) fn check_inside(&mut self, key: SessionKey, target: &Target) -> Result<(), Reject> {
        let asks = target.namespace.policy.hooks.contains(&Hook::Subscribe);
        if !asks || self.joining(key, &target.channel).is_some() {
            return Ok(());
        }
        let topic = self.topics.find(&target.channel).ok_or_else(outside)?;
        let sub = self.session(key).and_then(|session| session.subscription(topic).copied());
        match sub.ok_or_else(outside)?.stage {
            Stage::Joining | Stage::Live(_) | Stage::Page(_) | Stage::Waiting => Ok(()),
            Stage::Asked(_) | Stage::Leaving(_) | Stage::Revoked => Err(outside()),
        }
    }
}

fn outside() -> Reject {
    Reject::forbidden("subscribe to the channel first: the application says who may")
}

/// What a verdict means where this holds when the backend is down.
fn judge(verdict: Verdict, when_down: WhenDown) -> Result<Advice, Reject> {
    match (verdict, when_down) {
        (Verdict::Allow(advice), _) => Ok(advice),
        (Verdict::Deny(denial), _) => Err(denial.reject()),
        (Verdict::Failed, WhenDown::Allow) => Ok(Advice::default()),
        (Verdict::Failed, WhenDown::Deny) => Err(Reject::no_advice()),
    }
}

impl Denial {
    pub(super) fn reject(self) -> Reject {
        match self.message {
            Some(message) => Reject::new(self.code, message.into_string()),
            None => Reject::new(self.code, "the application does not allow this"),
        }
    }
}
