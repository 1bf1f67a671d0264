//! Sessions that begin where the backend is asked who may come in, and tokens that follow a first.
//!
//! A session that knocks is read no further until the verdict is there. One that goes on by its
//! ticket has been let in before: it is asked about again only if it shows something else than
//! then, or the configuration wants that. So a crowd that comes back after a restart of a proxy is
//! none for the backend.

use std::hash::{DefaultHasher, Hash, Hasher};

use tidings_proto::{CloseCode, Command, CommandBody, ErrorCode, Frame};

use super::Engine;
use super::consulting::{About, Advice, Occasion, Pending, Verdict};
use super::counters::CommandKind;
use super::document::Dialect;
use super::resuming::{Claim, Legacy};
use super::types::{Effect, Now, SessionKey};
use crate::identity::{Identity, TokenError};
use crate::policy::{ConnectRule, WhenDown};
use crate::reject::Reject;

/// What the key of an identity is that the backend alone vouches for.
pub(super) const NO_KEY: u32 = 0;

/// Who was turned away because the backend is down comes back after so many milliseconds, and up to
/// so many more.
const RETURN_MS: (u64, u64) = (1000, 4000);

/// What waits for the verdict on a session.
#[derive(Debug)]
pub(super) struct Knock {
    key: SessionKey,
    /// Tells what the backend is shown.
    mark: u64,
    then: Then,
}

/// What is done once a session is let in.
#[derive(Debug)]
pub(super) enum Then {
    /// Its first command, which is no `hello`.
    Command(Box<str>),
    /// An editor, which says nothing of itself first.
    Editor,
    /// The answer to a `refresh`; `identity`: what the token says, if the authority knows.
    Refresh { id: u64, identity: Option<Identity> },
    /// The answer to a `hello`, and what its ticket named.
    Welcome { id: u64, from: Option<Claimed> },
}

/// What a ticket named: nothing, if that was not there any more.
pub(super) type Claimed = Option<Box<Legacy>>;

/// Tells two users, or tokens, apart. Not for those who would cheat: they have a ticket, and could
/// show nothing at all.
pub(super) fn mark_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish() | 1
}

impl Engine {
    /// The token of a connection's header.
    pub(super) fn take_token(&mut self, now: Now, key: SessionKey, token: &str) {
        if !self.config.policy.hooks.connect.is_some_and(|rule| rule.opaque) {
            self.authenticate(now, key, Some(token));
        } else if token.len() > self.config.limits.token {
            self.end_session(key, CloseCode::TokenRefused, None);
        } else {
            // The backend is asked with the first command, which may have a ticket.
            self.consulting.tokens.insert(key, token.into());
        }
    }

    /// Whether a command is the first of a session that has to be let in.
    pub(super) fn must_knock(&mut self, key: SessionKey, command: &Command<'_>) -> bool {
        let asked = self.config.policy.hooks.connect.is_some();
        asked
            && !matches!(command.body, CommandBody::Hello { .. })
            && self
                .session(key)
                .is_some_and(|s| !s.open && s.mark == 0 && !s.knocks && s.claim.is_none())
    }

    /// A session without a ticket would begin.
    pub(super) fn knock(&mut self, now: Now, key: SessionKey, token: Option<&str>, then: Then) {
        let opaque = self.config.policy.hooks.connect.is_some_and(|rule| rule.opaque);
        if opaque {
            let shown = self.shown_token(key, token);
            return self.come_to_the_door(key, shown, Occasion::Hello, then);
        }
        let named = self.session(key).is_some_and(|session| session.identity.is_some());
        if (!named || token.is_some()) && !self.authenticate(now, key, token) {
            return;
        }
        self.come_to_the_door(key, None, Occasion::Hello, then);
    }

    /// What only the backend understands: of this command, or else of the header.
    fn shown_token(&mut self, key: SessionKey, token: Option<&str>) -> Option<Box<str>> {
        let header = self.consulting.tokens.remove(&key);
        token.map(Into::into).or(header)
    }

    fn come_to_the_door(
        &mut self,
        key: SessionKey,
        shown: Option<Box<str>>,
        occasion: Occasion,
        then: Then,
    ) {
        if shown.as_ref().is_some_and(|token| token.len() > self.config.limits.token) {
            return self.end_session(key, CloseCode::TokenRefused, None);
        }
        let Some(session) = self.session(key) else { return };
        if shown.is_some() {
            session.identity = None;
        }
        let who = session.identity.as_ref();
        let user = who.map(|who| who.user.clone());
        let anonymous = who.map_or(shown.is_none(), |who| who.anonymous);
        let mark = mark_of(shown.as_deref().or(user.as_deref()).unwrap_or_default());
        let session_id = session.id;
        let about = About::Connect { occasion, session: session_id, user, anonymous, token: shown };
        let knock = Box::new(Knock { key, mark, then });
        if self.consult(key, about, Pending::Connect(knock)).is_err() {
            return self.turn_away(key);
        }
        let Some(session) = self.session(key) else { return };
        session.knocks = true;
        if !std::mem::replace(&mut session.paused, true) {
            self.out.effects.push(Effect::Pause { session: key });
        }
    }

    /// The backend cannot be asked now.
    fn turn_away(&mut self, key: SessionKey) {
        let (least, more) = RETURN_MS;
        let retry = least + self.rng.next() % more;
        self.end_session(key, CloseCode::Unavailable, Some(retry));
    }

    /// A `hello` with a ticket: what that named is here, or there is nothing.
    pub(super) fn given_to_knock(
        &mut self,
        now: Now,
        key: SessionKey,
        rule: ConnectRule,
        claim: Claim,
        legacy: Option<Legacy>,
    ) {
        let Claim { id, token, .. } = claim;
        let authority = self.config.authority.clone();
        let Some(session_id) = self.session(key).map(|session| session.id) else { return };
        let legacy = legacy.filter(|old| authority.stands(&old.identity, session_id, None));
        let shown = if rule.opaque { self.shown_token(key, token.as_deref()) } else { None };
        if !rule.opaque && token.is_some() && !self.authenticate(now, key, token.as_deref()) {
            return;
        }
        let Some(session) = self.session(key) else { return };
        let user = session.identity.as_ref().map(|who| who.user.clone());
        let presents = shown.as_deref().or(user.as_deref()).map(mark_of);
        if let Some(old) = legacy.as_ref().filter(|_| !rule.resumed) {
            let alive = old.identity.expires_at_ms.is_none_or(|at| at > now.wall_ms);
            let same = presents.is_none_or(|mark| mark == old.mark);
            if alive && same {
                return self.go_on(now, key, id, legacy);
            }
            if !rule.opaque && presents.is_none() {
                return self.end_session(key, CloseCode::TokenExpired, None);
            }
        }
        if !rule.opaque && presents.is_none() && !self.authenticate(now, key, None) {
            return;
        }
        let occasion = legacy.as_ref().map_or(Occasion::Hello, |_| Occasion::Resume);
        let then = Then::Welcome { id, from: Some(legacy.map(Box::new)) };
        self.come_to_the_door(key, shown, occasion, then);
    }

    /// A session that was let in before goes on as it was.
    fn go_on(&mut self, now: Now, key: SessionKey, hello: u64, legacy: Option<Legacy>) {
        let Some(Legacy { from, identity, mark, entered }) = legacy else { return };
        if let Some(code) = self.unwelcome(&identity) {
            return self.end_session(key, code, None);
        }
        self.set_identity(key, identity);
        if let Some(session) = self.session(key) {
            session.mark = mark;
        }
        self.come_back(key, from, entered);
        self.out.counters.resumed += 1;
        self.welcome(now, key, hello, true);
        self.read_on(key);
    }

    /// What the backend says of a session.
    pub(super) fn connect_advised(&mut self, now: Now, knock: Knock, verdict: Verdict) {
        let Knock { key, mark, then } = knock;
        if let Then::Refresh { id, identity } = then {
            return self.refresh_advised(now, key, (id, mark), identity, verdict);
        }
        let when_down = self.config.policy.hooks.connect.map(|rule| rule.when_down);
        let is_provider = self.dialect(key) == Dialect::Hocuspocus;
        let Some(session) = self.session(key) else { return };
        session.knocks = false;
        let advice = match verdict {
            Verdict::Allow(advice) => advice,
            Verdict::Deny(_) if matches!(then, Then::Editor) && is_provider => {
                return self.deny_all(key);
            }
            Verdict::Deny(denial) => return self.end_session(key, denial.close, None),
            Verdict::Failed if session.identity.is_some() && when_down == Some(WhenDown::Allow) => {
                Advice::default()
            }
            Verdict::Failed => return self.turn_away(key),
        };
        let base = session.identity.clone();
        let identity = match self.advised_identity(now, key, base, advice) {
            Ok(identity) => identity,
            Err(code) => return self.end_session(key, code, None),
        };
        self.set_identity(key, identity);
        if let Some(session) = self.session(key) {
            session.mark = mark;
        }
        match then {
            Then::Command(text) => {
                self.read_on(key);
                self.receive(now, key, &text);
            }
            Then::Editor => {
                self.read_on(key);
                self.let_editor_in(now, key);
            }
            Then::Welcome { id, from } => self.let_in(now, key, id, from),
            Then::Refresh { .. } => {}
        }
    }

    fn let_in(&mut self, now: Now, key: SessionKey, hello: u64, from: Option<Claimed>) {
        let mut resumed = false;
        if let Some(claimed) = from {
            let user = self.session(key).and_then(|session| session.identity.as_ref());
            let user = user.map(|who| who.user.clone());
            match claimed.filter(|old| user.as_ref() == Some(&old.identity.user)) {
                Some(old) => {
                    resumed = true;
                    self.come_back(key, old.from, old.entered);
                    self.out.counters.resumed += 1;
                }
                None => self.out.counters.not_resumed += 1,
            }
        }
        self.welcome(now, key, hello, resumed);
        self.read_on(key);
    }

    /// Who a session belongs to, from what its token says and what the backend wants changed.
    fn advised_identity(
        &mut self,
        now: Now,
        key: SessionKey,
        base: Option<Identity>,
        advice: Advice,
    ) -> Result<Identity, CloseCode> {
        let Advice { user, grants, expires_at_ms, .. } = advice;
        let mut who = match base {
            Some(who) => who,
            None if user.is_some() || self.config.policy.anonymous => self.anonymous(now, key),
            None => return Err(CloseCode::Forbidden),
        };
        if let Some(user) = user {
            who.user = user;
            who.anonymous = false;
        }
        if grants.is_some() {
            who.grants = grants;
        }
        if expires_at_ms.is_some() {
            who.expires_at_ms = expires_at_ms;
        }
        if who.expires_at_ms.is_some_and(|at| at <= now.wall_ms) {
            return Err(CloseCode::TokenExpired);
        }
        let session = self.session(key).map_or(0, |session| session.id);
        // The backend may name somebody who was logged out, or that happened meanwhile.
        if !self.config.authority.stands(&who, session, None) {
            return Err(CloseCode::Revoked);
        }
        Ok(who)
    }

    pub(super) fn refresh(
        &mut self,
        now: Now,
        key: SessionKey,
        id: u64,
        token: &str,
    ) -> Result<(), Reject> {
        let rule = self.config.policy.hooks.connect;
        if rule.is_some_and(|rule| rule.opaque) {
            if token.len() > self.config.limits.token {
                return Err(Reject::new(ErrorCode::Unauthorized, "the token is too long"));
            }
            return self.knock_again(key, id, None, token);
        }
        let identity = self.verify(now, token).map_err(|error| match error {
            TokenError::Later => Reject::later(error.to_string()),
            TokenError::Expired => Reject::new(ErrorCode::Unauthorized, error.to_string()),
            TokenError::Refused(why) => Reject::new(ErrorCode::Unauthorized, why),
        })?;
        let Some(session) = self.session(key) else { return Ok(()) };
        let same = match session.mark {
            0 => session.identity.as_ref().is_some_and(|old| old.user == identity.user),
            mark => mark == mark_of(&identity.user),
        };
        if !same {
            return Err(another_user());
        }
        if rule.is_some() {
            return self.knock_again(key, id, Some(identity), token);
        }
        let expires_in = self.renew(now, key, identity);
        self.done(CommandKind::Refresh, key, &Frame::Refreshed { id, expires_in });
        self.revoke_disallowed(key);
        Ok(())
    }

    /// Gives a session its new identity; when that ends.
    fn renew(&mut self, now: Now, key: SessionKey, identity: Identity) -> Option<u64> {
        let session = self.session(key)?;
        let expires_in = identity.expires_at_ms.map(|at| at.saturating_sub(now.wall_ms));
        session.identity = Some(identity);
        session.warned = false;
        expires_in
    }

    fn knock_again(
        &mut self,
        key: SessionKey,
        id: u64,
        identity: Option<Identity>,
        token: &str,
    ) -> Result<(), Reject> {
        let Some(session) = self.session(key) else { return Ok(()) };
        let session_id = session.id;
        let user = identity.as_ref().map(|who| who.user.clone());
        let shown = identity.is_none().then(|| token.into());
        let mark = mark_of(user.as_deref().unwrap_or(token));
        let occasion = Occasion::Refresh;
        let about =
            About::Connect { occasion, session: session_id, user, anonymous: false, token: shown };
        let then = Then::Refresh { id, identity };
        self.consult(key, about, Pending::Connect(Box::new(Knock { key, mark, then })))?;
        self.count_in_flight(key);
        Ok(())
    }

    fn refresh_advised(
        &mut self,
        now: Now,
        key: SessionKey,
        (id, mark): (u64, u64),
        identity: Option<Identity>,
        verdict: Verdict,
    ) {
        let when_down = self.config.policy.hooks.connect.map(|rule| rule.when_down);
        let Some(old) = self.session(key).and_then(|session| session.identity.clone()) else {
            return;
        };
        let outcome = match (verdict, identity) {
            (Verdict::Allow(advice), base) => {
                let renewed = self.advised_identity(now, key, base, advice);
                renewed.map_err(|_| not_taken())
            }
            (Verdict::Deny(denial), _) => {
                Err(Reject { code: ErrorCode::Unauthorized, ..denial.reject() })
            }
            // It stays whom the backend made it when it was let in.
            (Verdict::Failed, Some(fresh)) if when_down == Some(WhenDown::Allow) => {
                Ok(Identity { user: old.user.clone(), grants: old.grants.clone(), ..fresh })
            }
            (Verdict::Failed, _) => Err(Reject::no_advice()),
        };
        let outcome = outcome.and_then(|identity| {
            if identity.user == old.user { Ok(identity) } else { Err(another_user()) }
        });
        match outcome {
            Ok(identity) => {
                let expires_in = self.renew(now, key, identity);
                if let Some(session) = self.session(key) {
                    session.mark = mark;
                }
                self.out.counters.command(CommandKind::Refresh, None);
                self.answered(key, Frame::Refreshed { id, expires_in }.encode());
                if self.session(key).is_some() {
                    self.revoke_disallowed(key);
                }
            }
            Err(reject) => {
                self.out.counters.command(CommandKind::Refresh, Some(reject.code));
                self.answered(key, reject.encode(Some(id), None));
            }
        }
    }
}

fn another_user() -> Reject {
    Reject::new(ErrorCode::Unauthorized, "the token is another user's")
}

fn not_taken() -> Reject {
    Reject::new(ErrorCode::Unauthorized, "the application does not take the token")
}
