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
        let answer = self.ada.publish("cast:neighbours", json!(self.said));
        assert_eq!(answer["type"], "published", "{answer}");
        assert_eq!(self.bob.event()["data"], self.said, "nothing is lost or doubled");
        self.ways.push(begin.elapsed());
    }

    /// How long the slowest of a hundred words took, of those since this was last asked.
    pub(crate) fn p99(&mut self) -> Duration {
        let mut ways = std::mem::take(&mut self.ways);
        assert!(!ways.is_empty(), "they have talked");
        ways.sort_unstable();
        ways[(ways.len() - 1) * 99 / 100]
    }
}
