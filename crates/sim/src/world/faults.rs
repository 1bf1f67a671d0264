//! What can go wrong.

use tidings_core::store::Level;
use tidings_proto::CloseCode;

use super::net::Pace;
use super::{Event, Span, Who, World};
use crate::checker::Op;
use crate::setup::Keeping;

impl World {
    fn fault(&mut self, what: &str, memory: bool, durable: bool) {
        self.note(Op::Fault { what: what.into(), memory, durable });
    }

    /// The node is stopped in good order and starts again after `away`.
    pub fn restart(&mut self, away: Span) {
        if !self.node.up || !self.node.accepting {
            return;
        }
        self.node.accepting = false;
        for (shard, slot) in self.node.sessions.keys().copied().collect::<Vec<_>>() {
            let link = self.node.sessions.get(&(shard, slot)).copied();
            if let Some((shard, key)) = link.and_then(|link| self.links[link].at) {
                let after = Some(self.rng.below(2000));
                let code = CloseCode::Draining;
                self.call(shard, |engine, now| engine.dismiss(now, key, code, after));
            }
        }
        self.node_after(100, Event::Stop);
        self.after(101 + away.ms(), Event::Start);
    }

    pub(super) fn stop(&mut self) {
        let steady_ms = self.steady_ms();
        let suspect = std::mem::take(&mut self.suspect);
        self.fault("stop", true, suspect);
        if let Some(mut keeper) = self.node.keeper.take() {
            keeper.commit(steady_ms);
            keeper.close();
        }
        if self.disk.fs.is_off() {
            self.lose_power();
        }
        self.end_process();
    }

    /// The process is killed and starts again after `away`.
    pub fn kill(&mut self, away: Span) {
        if !self.node.up || !self.node.accepting {
            return;
        }
        let suspect = std::mem::take(&mut self.suspect);
        self.fault("kill", true, suspect);
        self.node.keeper = None;
        self.disk.fs.kill();
        self.end_process();
        self.after(away.ms() + 1, Event::Start);
    }

    /// The power fails and is back after `away`.
    pub fn power_failure(&mut self, away: Span) {
        if !self.node.up || !self.node.accepting {
            return;
        }
        self.lose_power();
        self.end_process();
        self.after(away.ms() + 1, Event::Start);
    }

    /// The power fails at the `n`th change of the disk from now.
    pub fn power_failure_after(&mut self, n: u64) {
        if self.node.up && self.node.accepting {
            self.disk.fs.cut_after(n);
        }
    }

    /// Whether the power failed in the middle of something.
    pub(super) fn look_at_power(&mut self) -> bool {
        let off = self.disk.fs.is_off();
        if off && self.node.accepting {
            let away = self.rng.range(1, 3000);
            self.power_failure(Span::from_ms(away));
        }
        off
    }

    pub(super) fn lose_power(&mut self) {
        let suspect = std::mem::take(&mut self.suspect);
        let durable = suspect || matches!(self.setup.keeping, Keeping::Log(Level::Os));
        self.fault("power failure", true, durable);
        self.node.keeper = None;
        self.disk.crash();
    }

    fn end_process(&mut self) {
        self.node.up = false;
        self.node.accepting = false;
        self.disk.fs.fail_syncs(0);
        self.disk.fs.fail_writes(0);
        self.node.engines.clear();
        self.node.sessions.clear();
        for link in 0..self.links.len() {
            (self.links[link].at, self.links[link].moving) = (None, false);
            self.links[link].ended = true;
            if self.links[link].open {
                self.links[link].cut = true;
                let delay = self.rng.below(30);
                self.after(delay, Event::ClientLost { link, code: None });
            }
        }
    }

    /// So many bits on the disk flip, while the process is down or not.
    pub fn flip_bits(&mut self, bits: u32) {
        use tidings_store::Fs;
        self.fault("bit flips", false, true);
        self.suspect = true;
        for _ in 0..bits {
            let names = self.disk.fs.list().unwrap_or_default();
            if names.is_empty() {
                return;
            }
            let name = self.rng.pick(&names).clone();
            let len = self.disk.fs.get(&name).map_or(0, |bytes| bytes.len());
            let (at, bit) = (self.rng.below(len as u64) as usize, self.rng.below(8) as u32);
            if self.trace {
                eprintln!("a bit flips in {name} at {at} of {len}");
            }
            // An empty file has no bit to flip.
            let _ = self.disk.fs.flip(&name, at, bit);
        }
    }

    /// The disk takes only so many more bytes; `None`: as many as there are.
    pub fn disk_space(&mut self, bytes: Option<u64>) {
        self.disk.fs.set_space(bytes);
    }

    /// The next `n` writes fail.
    pub fn fail_writes(&mut self, n: u32) {
        self.disk.fs.fail_writes(n);
    }

    /// The next `n` syncs fail.
    pub fn fail_syncs(&mut self, n: u32) {
        // The log says so with new epochs when it is opened again, if one does fail.
        self.suspect |= n > 0 && matches!(self.setup.keeping, Keeping::Log(Level::Os));
        self.disk.fs.fail_syncs(n);
    }

    /// The node's wall clock jumps.
    pub fn clock_jump(&mut self, ms: i64) {
        self.skew_ms += ms;
    }

    /// A client's connection breaks; both ends notice at once, or nearly so.
    pub fn drop_link(&mut self, who: Who) {
        if let Some(link) = self.clients[who.0].link {
            self.links[link].cut = true;
            let delay = self.rng.below(50);
            self.after(delay, Event::ServerLost { link });
            self.client_lost(link, None);
        }
    }

    /// A client's connection dies and nobody notices until somebody has waited for too long.
    pub fn half_open(&mut self, who: Who) {
        if let Some(link) = self.clients[who.0].link {
            self.links[link].cut = true;
            self.links[link].heard_ms = self.now_ms;
            let limits = &self.setup.limits;
            let patience_ms = limits.heartbeat.ms + limits.pong_timeout.ms;
            let delay = self.rng.range(patience_ms / 2, patience_ms + 5000);
            self.after(delay, Event::ClientLost { link, code: None });
        }
    }

    /// A client reads nothing more.
    pub fn stall(&mut self, who: Who) {
        self.set_pace(who, Pace::Stalled);
    }

    /// A client takes so long for each frame.
    pub fn slow_down(&mut self, who: Who, per_frame: Span) {
        self.set_pace(who, Pace::Slow(per_frame.ms()));
    }

    /// A client reads as fast as it can.
    pub fn speed_up(&mut self, who: Who) {
        self.set_pace(who, Pace::Fast);
    }

    fn set_pace(&mut self, who: Who, pace: Pace) {
        if let Some(link) = self.clients[who.0].link {
            self.links[link].pace = pace;
            self.flow(link);
        }
    }
}
