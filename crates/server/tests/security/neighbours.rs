//! Two clients who mean no harm, and how long their words take while others do.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Server, Socket};

/// Ada talks to Bob.
pub(crate) struct Neighbours {
    ada: Socket,
    bob: Socket,
    said: u64,
    ways: Vec<Duration>,
}

impl Neighbours {
    /// They meet in a channel in memory.
    pub(crate) fn meet(server: &Server) -> Self {
        let (ada, mut bob) = (server.connect(), server.connect());
        bob.subscribe("cast:neighbours");
        Self { ada, bob, said: 0, ways: Vec::new() }
    }

    /// One word, there and acknowledged.
    pub(crate) fn talk(&mut self) {
        let begin = Instant::now();
        self.said += 1;
        // Kept nowhere: how much they say depends on the machine, and memory is looked at.
        let answer = self.ada.ask(json!({ "type": "publish", "channel": "cast:neighbours",
            "data": self.said, "ephemeral": true }));
        assert_eq!(answer["type"], "published", "{answer}");
        assert_eq!(self.bob.event()["data"], self.said, "nothing is lost or doubled");
        self.ways.push(begin.elapsed());
    }

    /// How long words took since this was last asked.
    pub(crate) fn ways(&mut self) -> Ways {
        let mut ways = std::mem::take(&mut self.ways);
        assert!(!ways.is_empty(), "they have talked");
        ways.sort_unstable();
        let part = |percent: usize| ways[(ways.len() - 1) * percent / 100];
        Ways { p50: part(50), p99: part(99) }
    }
}

/// How long words take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ways {
    p50: Duration,
    p99: Duration,
}

impl Ways {
    /// What goes on beside is hardly noticed. The slowest words say more about what else this
    /// machine does, so they have a wide bound.
    pub(crate) fn are_like(&self, alone: &Ways, what: &str) {
        println!("{what}: {self:?}, and {alone:?} alone");
        let most = alone.p50 * 2 + Duration::from_millis(5);
        assert!(self.p50 < most, "{what}: {self:?}, and {alone:?} alone");
        assert!(self.p99 < alone.p99 * 2 + Duration::from_secs(1), "{what}: {self:?}");
    }
}
