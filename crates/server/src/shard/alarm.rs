//! A shard's alarm: the engine has something to say at a moment between two sweeps.

use std::rc::Rc;
use std::time::Duration;

use super::Shard;

impl Shard {
    /// Rings at this moment of the monotonic clock. One at a time.
    pub(super) fn set_alarm(&self, at_ms: u64) {
        self.alarm_at.set(Some(at_ms));
        self.alarm.notify_one();
    }

    /// Waits for alarms, for as long as the shard lives.
    pub(crate) async fn ring(self: Rc<Self>) {
        loop {
            let now = self.node.clock.now();
            match self.alarm_at.get() {
                None => self.alarm.notified().await,
                Some(at_ms) if at_ms > now.mono_ms => {
                    tokio::time::sleep(Duration::from_millis(at_ms - now.mono_ms)).await;
                }
                Some(_) => {
                    self.alarm_at.set(None);
                    self.engine.borrow_mut().wake(now);
                    self.carry_out();
                    self.turn_is_due();
                }
            }
        }
    }
}
