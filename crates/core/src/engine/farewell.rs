//! Sessions that end when they have their answers: the server stops.

use tidings_proto::CloseCode;

use super::Engine;
use super::session::Session;
use super::types::{Effect, Now, SessionKey};

impl Engine {
    /// Says good-bye to a session once all that it has asked for is answered; until then nothing
    /// more is read from it.
    pub fn farewell(
        &mut self,
        now: Now,
        key: SessionKey,
        code: CloseCode,
        retry_after: Option<u64>,
    ) {
        let Some(session) = self.session(key) else { return };
        let paused = std::mem::replace(&mut session.paused, true);
        if !paused {
            self.out.effects.push(Effect::Pause { session: key });
        }
        self.farewells.insert(key, (code, retry_after));
        self.part_if_answered(key);
        self.settle(now);
    }

    /// Whether a session is about to end; it does when nothing is owed to it.
    pub(super) fn part_if_answered(&mut self, key: SessionKey) -> bool {
        let Some(&(code, retry_after)) = self.farewells.get(&key) else { return false };
        let owed = |session: &mut Session| {
            session.in_flight > 0 || session.knocks || session.claim.is_some()
        };
        if !self.session(key).is_some_and(owed) {
            self.end_session(key, code, retry_after);
        }
        true
    }
}
