//! When to come back.

use std::time::Duration;

/// A connection that lasted this long was a good one.
const STABLE: Duration = Duration::from_secs(5);

/// Waits of 1, 2, 4, 8, 16, 30, 30 … seconds times a random number from 0 to 1, so that the
/// clients of a server that was restarted do not all come back at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// How long to wait before the next attempt. `random` is from 0 to 1; what the server asked for
    /// (`retry_after`) goes before.
    pub fn next(&mut self, random: f64, retry_after: Option<Duration>) -> Duration {
        let seconds = 1_u64.checked_shl(self.attempts).unwrap_or(u64::MAX).min(30);
        self.attempts = self.attempts.saturating_add(1);
        let own = Duration::from_secs(seconds).mul_f64(random.clamp(0.0, 1.0));
        retry_after.unwrap_or(own)
    }

    /// A connection has ended that was open for `lasted`: after a good one, waits start at 1 again.
    pub fn handle_lost(&mut self, lasted: Duration) {
        if lasted >= STABLE {
            self.attempts = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_thirty_seconds() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..7).map(|_| backoff.next(1.0, None).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(backoff.next(0.5, None), Duration::from_secs(15));
        assert_eq!(backoff.next(0.0, None), Duration::ZERO);
        (0..100).for_each(|_| assert!(backoff.next(1.0, None) <= Duration::from_secs(30)));
    }

    #[test]
    fn the_server_may_name_the_time() {
        let asked = Duration::from_millis(4200);
        assert_eq!(Backoff::default().next(1.0, Some(asked)), asked);
    }

    #[test]
    fn only_a_good_connection_starts_again_at_one() {
        let mut backoff = Backoff::default();
        for _ in 0..3 {
            backoff.next(1.0, None);
        }
        backoff.handle_lost(STABLE / 2);
        assert_eq!(backoff.next(1.0, None), Duration::from_secs(8));
        backoff.handle_lost(STABLE);
        assert_eq!(backoff.next(1.0, None), Duration::from_secs(1));
    }
}
