//! Webhooks: the application's backend is told what has happened, at least once, in the order of
//! each user and channel.
//!
//! - `hook`: a webhook's configuration, checked;
//! - `journal`: on the storage thread: what is to be told goes into the log, with what it is about;
//! - `census`: who was told as there, for the start after a crash;
//! - `item`: how something is told;
//! - `queue`: what waits: order, back-off, limits, without I/O;
//! - `outbox`: the calls, on the thread for calls.

mod census;
mod hook;
mod item;
mod journal;
mod outbox;
mod queue;

use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use hook::Webhook;
pub(crate) use journal::{CENTURY_MS, Journal, Times, stream_append};
pub(crate) use outbox::{Outbox, retry_after_ms};

use crate::clock::Clock;
use crate::egress::Egress;

/// All webhooks that run.
#[derive(Clone, Debug)]
pub(crate) struct Webhooks {
    egress: Egress,
    clock: Clock,
    running: Arc<Mutex<Vec<Arc<Outbox>>>>,
}

impl Webhooks {
    pub(crate) fn new(egress: Egress, clock: Clock) -> Self {
        Self { egress, clock, running: Arc::default() }
    }

    /// These run now.
    fn run(&self, outboxes: Vec<Arc<Outbox>>) {
        for outbox in &outboxes {
            outbox.start(&self.egress, self.clock);
        }
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = outboxes;
    }

    /// Those that run.
    pub(crate) fn running(&self) -> Vec<Arc<Outbox>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
