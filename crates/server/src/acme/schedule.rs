//! When a certificate is ordered: rules without clocks or chance of their own.

/// The longest wait between two attempts that fail.
const RETRY_MAX_MS: u64 = 6 * 3_600_000;

/// The longest wait that an authority is believed when it says `Retry-After`.
const BELIEVED_MAX_MS: u64 = 24 * 3_600_000;

/// How often the authority is asked for its advice on renewal (RFC 9773), at most and at least.
const ADVICE_MS: (u64, u64) = (3_600_000, 24 * 3_600_000);

/// The longest sleep: the wall clock may be set meanwhile.
const NAP_MS: u64 = 3_600_000;

/// From when to when a certificate is good: milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
}

/// The clocks: certificates are dated by the wall, waits are not.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) mono_ms: u64,
    pub(super) wall_ms: u64,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask the authority when it would like the certificate to be renewed.
    Ask,
    /// Order a certificate.
    Order,
    /// Nothing for so many milliseconds.
    Wait(u64),
}

/// When what is due.
#[derive(Debug)]
pub(super) struct Schedule {
    /// The first wait after a failure, and the least between two orders.
    retry_ms: u64,
    failures: u32,
    /// No order before this, on the monotonic clock.
    rest_until_ms: u64,
    /// No question before this, on the monotonic clock.
    ask_at_ms: u64,
    /// When to renew, on the wall clock; `None`: there is no certificate.
    renew_at_ms: Option<u64>,
}

impl Schedule {
    pub(super) fn new(retry_ms: u64) -> Self {
        Self { retry_ms, failures: 0, rest_until_ms: 0, ask_at_ms: 0, renew_at_ms: None }
    }

    /// A certificate is in force. A third of its life is left for renewing it, and up to a
    /// thirtieth more by chance: authorities ask for orders that are spread.
    pub(super) fn has(&mut self, validity: Validity, chance: u32) {
        let life = validity.to_ms.saturating_sub(validity.from_ms);
        let jitter = share(life / 30, chance);
        self.renew_at_ms = Some(validity.to_ms.saturating_sub(life / 3 + jitter));
    }

    /// An order has brought a certificate, which is in force.
    pub(super) fn issued(&mut self, at: At, validity: Validity, chance: u32) {
        self.failures = 0;
        self.rest_until_ms = at.mono_ms.saturating_add(self.retry_ms);
        // What was advised was about the certificate before it.
        self.ask_at_ms = at.mono_ms.saturating_add(ADVICE_MS.0);
        self.has(validity, chance);
    }

    /// An order has failed; how long the next one is waited for. The authority may want more.
    pub(super) fn failed(&mut self, at: At, retry_after_ms: Option<u64>, chance: u32) -> u64 {
        let factor = 3_u64.saturating_pow(self.failures.min(20));
        let wait = self.retry_ms.saturating_mul(factor).min(RETRY_MAX_MS.max(self.retry_ms));
        self.failures = self.failures.saturating_add(1);
        // 75 to 125 %: servers that fail together do not come back together.
        let wait = wait - wait / 4 + share(wait / 2, chance);
        let wait = wait.max(retry_after_ms.unwrap_or(0).min(BELIEVED_MAX_MS));
        self.rest_until_ms = at.mono_ms.saturating_add(wait);
        wait
    }

    /// What the authority says of renewal: its window on the wall clock if it has an opinion, and
    /// when to ask again.
    pub(super) fn advised(
        &mut self,
        at: At,
        window: Option<(u64, u64)>,
        again_ms: Option<u64>,
        chance: u32,
    ) {
        let again = again_ms.unwrap_or(0).clamp(ADVICE_MS.0, ADVICE_MS.1);
        self.ask_at_ms = at.mono_ms.saturating_add(again);
        // Never later than what is safe without advice.
        if let Some((start, end)) = window {
            let picked = start.saturating_add(share(end.saturating_sub(start), chance));
            self.renew_at_ms = self.renew_at_ms.map(|own| own.min(picked));
        }
    }

    pub(super) fn next(&self, at: At) -> Step {
        let rest = self.rest_until_ms.saturating_sub(at.mono_ms);
        let due = self.renew_at_ms.map_or(0, |renew| renew.saturating_sub(at.wall_ms));
        match (due.max(rest), self.ask_at_ms.saturating_sub(at.mono_ms)) {
            (0, _) => Step::Order,
            (_, 0) if due > 0 => Step::Ask,
            (wait, ask) if due > 0 => Step::Wait(wait.min(ask).min(NAP_MS)),
            (wait, _) => Step::Wait(wait.min(NAP_MS)),
        }
    }
}

/// A part of `whole` by chance.
fn share(whole: u64, chance: u32) -> u64 {
    // Less than `whole`, which fits.
    ((u128::from(whole) * u128::from(chance)) >> 32) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;
    const HOUR: u64 = 3_600_000;
    const MINUTE: u64 = 60_000;

    fn at(ms: u64) -> At {
        At { mono_ms: ms, wall_ms: 1000 * DAY + ms }
    }

    fn days(from: u64, to: u64) -> Validity {
        Validity { from_ms: (1000 + from) * DAY, to_ms: (1000 + to) * DAY }
    }

    #[test]
    fn without_a_certificate_one_is_ordered_at_once() {
        assert_eq!(Schedule::new(MINUTE).next(at(0)), Step::Order);
    }

    #[test]
    fn a_third_of_the_life_is_left_at_a_renewal_or_a_bit_more() {
        for (chance, renewed) in [(0, 60 * DAY), (u32::MAX, 57 * DAY)] {
            let mut schedule = Schedule::new(MINUTE);
            schedule.issued(at(0), days(0, 90), chance);
            assert_eq!(schedule.next(at(0)), Step::Wait(HOUR), "a clock may be set meanwhile");
            schedule.advised(at(renewed - HOUR), None, None, 0);
            assert_ne!(schedule.next(at(renewed - MINUTE)), Step::Order);
            assert_eq!(schedule.next(at(renewed + 1)), Step::Order);
        }
    }

    #[test]
    fn a_certificate_that_has_expired_is_renewed_at_once() {
        let mut schedule = Schedule::new(MINUTE);
        schedule.has(Validity { from_ms: 0, to_ms: DAY }, 0);
        assert_eq!(schedule.next(at(0)), Step::Order);
    }

    #[test]
    fn failures_are_further_and_further_apart() {
        let mut schedule = Schedule::new(MINUTE);
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert_eq!(schedule.next(at(now)), Step::Order);
            let wait = schedule.failed(at(now), None, 1 << 31);
            assert_eq!(schedule.next(at(now)), Step::Wait(wait.min(NAP_MS)));
            now += wait;
            waits.push(wait / MINUTE);
        }
        assert_eq!(waits, [1, 3, 9, 27, 81, 243, 360, 360]);
        schedule.issued(at(now), days(0, 90), 0);
        assert_eq!(schedule.failed(at(now), None, 1 << 31), MINUTE, "it begins again");
    }

    #[test]
    fn the_authority_may_ask_for_more_patience_but_not_for_years() {
        let mut schedule = Schedule::new(MINUTE);
        assert_eq!(schedule.failed(at(0), Some(2 * HOUR), 0), 2 * HOUR);
        assert_eq!(schedule.next(at(HOUR + 1)), Step::Wait(HOUR - 1));
        assert_eq!(schedule.failed(at(0), Some(365 * DAY), 0), DAY);
    }

    #[test]
    fn no_two_orders_come_close_after_each_other_whatever_is_issued() {
        let mut schedule = Schedule::new(MINUTE);
        schedule.issued(at(0), Validity { from_ms: 0, to_ms: 1 }, 0);
        assert_eq!(schedule.next(at(0)), Step::Wait(MINUTE));
        assert_eq!(schedule.next(at(MINUTE)), Step::Order);
    }

    #[test]
    fn advice_brings_a_renewal_forward_and_never_puts_it_off() {
        let mut schedule = Schedule::new(MINUTE);
        schedule.has(days(0, 90), 0);
        assert_eq!(schedule.next(at(0)), Step::Ask);
        schedule.advised(at(0), Some((1080 * DAY, 1081 * DAY)), Some(6 * HOUR), 0);
        assert_eq!(schedule.next(at(5 * HOUR)), Step::Wait(HOUR));
        assert_eq!(schedule.next(at(6 * HOUR)), Step::Ask);
        assert_eq!(schedule.next(at(60 * DAY)), Step::Order);
        schedule.advised(at(6 * HOUR), Some((999 * DAY, 1000 * DAY)), None, 0);
        assert_eq!(schedule.next(at(6 * HOUR)), Step::Order);
    }

    #[test]
    fn a_clock_that_is_set_back_delays_no_retry() {
        let mut schedule = Schedule::new(MINUTE);
        schedule.failed(at(0), None, 0);
        assert_eq!(schedule.next(At { mono_ms: MINUTE, wall_ms: 0 }), Step::Order);
    }
}
