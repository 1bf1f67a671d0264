//! The life of a running node: signals, and its end.

use std::io;
use std::time::Duration;

use tidings_core::Period;
use tidings_core::engine::ShardId;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::node::Node;
use crate::reload::Reloader;
use crate::shard::draining::Plan;
use crate::shard::mailbox::Mail;
use crate::{systemd, telemetry};

/// How long connections have to say good-bye when somebody waits at a terminal.
const STOP_WITHIN_MS: u64 = 5000;

/// How long threads have to end when nobody is waited for any more.
const END_WITHIN: Duration = Duration::from_secs(2);

/// How often files are looked at that may have changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often it is forgotten who has not asked for a while.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// How it is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Clients are told one after the other.
    Drain,
    /// All are told now: somebody has pressed Ctrl-C.
    Now,
}

/// The main thread's view of a node.
#[derive(Debug)]
pub(crate) struct Life {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Life {
    /// From here on signals are not answered by the system, which would end the process.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let hang_up = signal(SignalKind::hangup())?;
        drop(entered);
        Ok(Self { runtime, terminate, interrupt, hang_up })
    }

    /// Lives until a signal says that it is over, and says so to all shards.
    pub(crate) fn live(&mut self, node: &Node, reloader: &mut Reloader) {
        systemd::notify("READY=1");
        let ending = self.watch(node, reloader);
        systemd::notify("STOPPING=1");
        node.operations.drains();
        // Whoever leaves now comes back elsewhere, or here: that needs no push.
        if let Some(pushes) = &node.pushes {
            pushes.stop();
        }
        let now_ms = node.clock.now().mono_ms;
        let shards = 0..u16::try_from(node.mailboxes.len()).unwrap_or(u16::MAX);
        let sessions = shards.map(|shard| node.crowd.sessions(ShardId(shard))).sum();
        let plan = match ending {
            Ending::Drain => {
                let config = reloader.running();
                let drain = Duration::from_millis(config.server.drain.ms);
                let drain = drain.saturating_sub(telemetry::last_words(config));
                Plan::new(now_ms, u64::try_from(drain.as_millis()).unwrap_or(0), sessions)
            }
            Ending::Now => Plan::at_once(now_ms, STOP_WITHIN_MS),
        };
        tracing::info!(sessions, within = %Period::millis(plan.until_ms - now_ms), "stopping");
        for mailbox in node.mailboxes.iter() {
            mailbox.post(&mut vec![Mail::Stop(plan)]);
        }
    }

    fn watch(&mut self, node: &Node, reloader: &mut Reloader) -> Ending {
        let Self { runtime, terminate, interrupt, hang_up } = self;
        runtime.block_on(async {
            let mut looks = tokio::time::interval(LOOK_EVERY);
            let mut forgetting = tokio::time::interval(FORGET_EVERY);
            loop {
                tokio::select! {
                    _ = terminate.recv() => return Ending::Drain,
                    _ = interrupt.recv() => return Ending::Now,
                    _ = hang_up.recv() => {
                        systemd::reloading();
                        reloader.reload(node);
                        systemd::notify("READY=1");
                    }
                    _ = forgetting.tick() => reloader.settings().rates.forget(),
                    _ = looks.tick() => {
                        reloader.look(node);
                        reloader.hold_to_keys(node);
                        if let Some(tls) = &node.tls {
                            tls.refresh();
                        }
                    }
                }
            }
        })
    }

    /// Waits until all threads have ended. A second signal ends the waiting.
    pub(crate) fn end(mut self, node: &Node, ended: oneshot::Receiver<()>) {
        self.runtime.block_on(async {
            let mut ended = ended;
            tokio::select! {
                _ = &mut ended => return,
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            tracing::warn!("a second signal: nobody is waited for");
            node.operations.hurry();
            let _ = tokio::time::timeout(END_WITHIN, ended).await;
        });
    }
}
