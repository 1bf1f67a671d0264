//! Users who ask too much, or come too often.

use tidings_proto::{CloseCode, ErrorCode};

use super::Engine;
use super::counters::CommandKind;
use super::types::{Now, SessionKey};
use crate::reject::Reject;

/// When a user who has too many sessions is told to try again: some of them may end by then.
const CROWDED_MS: u64 = 10_000;

impl Engine {
    /// Whether the session's user may send a command of this kind now.
    ///
    /// # Errors
    /// The refusal, with how long to wait.
    pub(super) fn meter(
        &mut self,
        now: Now,
        key: SessionKey,
        kind: CommandKind,
    ) -> Result<(), Reject> {
        let Some(meter) = self.config.policy.meter.clone() else { return Ok(()) };
        let Some(session) = self.session(key) else { return Ok(()) };
        let Some(identity) = &session.identity else { return Ok(()) };
        let Err(wait_ms) = meter.command(now, &identity.user, kind) else {
            session.rate_refusals = 0;
            return Ok(());
        };
        let reject = Reject::new(ErrorCode::RateLimited, "too many commands: wait");
        Err(Reject { retry_after: Some(wait_ms), ..reject })
    }

    /// A command came too soon. Whoever does not stop when told to wait is closed.
    pub(super) fn too_soon(&mut self, key: SessionKey, reject: &Reject) {
        let max = self.config.limits.rate_refusals;
        let Some(session) = self.session(key) else { return };
        session.rate_refusals = session.rate_refusals.saturating_add(1);
        if usize::from(session.rate_refusals) >= max {
            self.end_session(key, CloseCode::RateLimited, reject.retry_after);
        }
    }

    /// Counts a session that its user can use from now on. `false`: there are too many, and it has
    /// ended.
    pub(super) fn count_session(&mut self, key: SessionKey) -> bool {
        let Some(meter) = self.config.policy.meter.clone() else { return true };
        let Some(session) = self.session(key) else { return false };
        let Some(identity) = session.identity.as_ref().filter(|who| !who.anonymous) else {
            return true;
        };
        if session.counted || meter.begins(&identity.user) {
            session.counted = true;
            return true;
        }
        self.end_session(key, CloseCode::RateLimited, Some(CROWDED_MS));
        false
    }
}
