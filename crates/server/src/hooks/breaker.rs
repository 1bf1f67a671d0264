//! Leaves a backend alone that does not answer, and tries now and then whether it is back.

use std::time::{Duration, Instant};

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BreakerRules {
    /// Failures in a row.
    pub(super) failures: u32,
    /// The first pause, which doubles.
    pub(super) pause: Duration,
    /// The longest.
    pub(super) pause_max: Duration,
}

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// As any.
    Yes,
    /// It is the one that tries whether the backend is back.
    Probe,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Calls are made; so many in a row have failed.
    Closed(u32),
    /// None is made until then.
    Open(Instant),
    /// One is under way that tries.
    Probing,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Breaker {
    rules: BreakerRules,
    state: State,
    pause: Duration,
}

impl Breaker {
    pub(super) fn new(rules: BreakerRules) -> Self {
        Self { rules, state: State::Closed(0), pause: rules.pause }
    }

    /// Whether a call may be made now. Who gets [`Admission::Probe`] reports back.
    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed(_) => Admission::Yes,
            State::Open(until) if now >= until => {
                self.state = State::Probing;
                Admission::Probe
            }
            State::Open(_) | State::Probing => Admission::No,
        }
    }

    /// Whether no calls are made, but for one that tries.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed(_))
    }

    /// A call had a good answer. Only a probe closes an open breaker: others began before.
    pub(super) fn succeeded(&mut self, probe: bool) {
        if probe || !self.is_open() {
            self.state = State::Closed(0);
            self.pause = self.rules.pause;
        }
    }

    /// A call had none; whether the breaker has opened by that, and for how long.
    pub(super) fn failed(&mut self, probe: bool, now: Instant) -> Option<Duration> {
        match self.state {
            State::Closed(before) if before + 1 < self.rules.failures => {
                self.state = State::Closed(before + 1);
                return None;
            }
            State::Closed(_) => {}
            State::Probing if probe => {}
            // It began before the breaker opened.
            State::Open(_) | State::Probing => return None,
        }
        let pause = self.pause;
        self.state = State::Open(now + pause);
        self.pause = pause.saturating_mul(2).min(self.rules.pause_max);
        Some(pause)
    }

    /// A probe was not made after all: the next one may.
    pub(super) fn not_tried(&mut self, now: Instant) {
        if self.state == State::Probing {
            self.state = State::Open(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> (Breaker, Instant) {
        let rules = BreakerRules { failures: 3, pause: SECOND, pause_max: 4 * SECOND };
        (Breaker::new(rules), Instant::now())
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_call_tries() {
        let (mut breaker, now) = breaker();
        for _ in 0..2 {
            assert_eq!(breaker.failed(false, now), None);
        }
        breaker.succeeded(false);
        for _ in 0..2 {
            assert_eq!(breaker.failed(false, now), None);
        }
        assert_eq!(breaker.admit(now), Admission::Yes);
        assert_eq!(breaker.failed(false, now), Some(SECOND));
        assert_eq!(breaker.admit(now + SECOND / 2), Admission::No);
        assert_eq!(breaker.admit(now + SECOND), Admission::Probe);
        assert_eq!(breaker.admit(now + SECOND), Admission::No, "one at a time");
        breaker.succeeded(true);
        assert_eq!(breaker.admit(now + SECOND), Admission::Yes);
    }

    #[test]
    fn pauses_grow_up_to_the_longest_and_begin_again_once_it_was_back() {
        let (mut breaker, mut now) = breaker();
        let mut pauses = Vec::new();
        for _ in 0..3 {
            pauses.extend(breaker.failed(false, now));
        }
        for _ in 0..4 {
            now += 5 * SECOND;
            assert_eq!(breaker.admit(now), Admission::Probe);
            pauses.extend(breaker.failed(true, now));
        }
        assert_eq!(pauses, [1, 2, 4, 4, 4].map(|n| n * SECOND));
        now += 5 * SECOND;
        breaker.admit(now);
        breaker.succeeded(true);
        for _ in 0..2 {
            breaker.failed(false, now);
        }
        assert_eq!(breaker.failed(false, now), Some(SECOND));
    }

    #[test]
    fn calls_that_began_before_it_opened_change_nothing() {
        let (mut breaker, now) = breaker();
        for _ in 0..3 {
            breaker.failed(false, now);
        }
        breaker.succeeded(false);
        assert_eq!(breaker.failed(false, now), None);
        assert_eq!(breaker.admit(now), Admission::No);
        assert_eq!(breaker.admit(now + SECOND), Admission::Probe);
        assert_eq!(breaker.failed(false, now + SECOND), None, "not the probe's");
        breaker.not_tried(now + SECOND);
        assert_eq!(breaker.admit(now + SECOND), Admission::Probe);
    }
}
