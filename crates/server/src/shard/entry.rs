//! Whether an address may open one more session.

use std::net::IpAddr;

use super::Shard;
use crate::metrics::Refusal;
use crate::node::Seat;
use crate::rate::key_of;

/// When an address that has too many sessions is told to try again.
const CROWDED_MS: u64 = 10_000;

impl Shard {
    /// Counts a session that an address opens.
    ///
    /// # Errors
    /// After how many milliseconds it may try again.
    pub(crate) fn let_in(&self, seat: &mut Seat, address: IpAddr) -> Result<(), u64> {
        let key = key_of(address);
        let settings = self.settings();
        let max = settings.limits.sessions_per_address;
        let outcome = settings.rates.open(key, self.node.clock.now().mono_ms);
        let outcome = outcome.and_then(|()| match max == 0 || seat.count_for(key, max) {
            true => Ok(()),
            false => Err(CROWDED_MS),
        });
        outcome.inspect_err(|_| self.tally.refused(Refusal::Rate))
    }
}
