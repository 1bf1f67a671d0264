//! The driver's end of a subscription.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};

use tokio::sync::{Notify, mpsc};

use crate::{Error, Push};

/// What both ends of a subscription see.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The buffer was full: pushes were left out, and are asked for again when there is room.
    behind: AtomicBool,
    /// Why it ended, if not by the program.
    end: OnceLock<Error>,
}

/// A buffer of pushes, to be written.
#[derive(Debug)]
pub(super) struct Sink {
    pushes: mpsc::Sender<Push>,
    shared: Arc<Shared>,
}

/// A buffer of pushes, to be read.
#[derive(Debug)]
pub(crate) struct Spring {
    pub(crate) pushes: mpsc::Receiver<Push>,
    shared: Arc<Shared>,
    /// Tells the driver that there is room, or that nobody reads any more.
    notify: Arc<Notify>,
    /// The buffer is half empty with so much room.
    half: usize,
}

/// Both ends of a buffer.
pub(super) fn buffer(size: usize, notify: Arc<Notify>) -> (Sink, Spring) {
    let size = size.max(1);
    let (sender, pushes) = mpsc::channel(size);
    let shared = Arc::new(Shared::default());
    let spring = Spring { pushes, shared: shared.clone(), notify, half: size.div_ceil(2) };
    (Sink { pushes: sender, shared }, spring)
}

impl Sink {
    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.pushes.is_closed()
    }

    /// Whether pushes were left out.
    pub(super) fn is_behind(&self) -> bool {
        self.shared.behind.load(Ordering::SeqCst)
    }

    /// Half of the buffer is free.
    pub(super) fn has_room(&self) -> bool {
        self.pushes.capacity() >= self.pushes.max_capacity().div_ceil(2)
    }

    /// `false`: there is no room. From then on nothing is pushed until [`Sink::catch_up`].
    pub(super) fn push(&self, push: Push) -> bool {
        if self.is_behind() {
            return false;
        }
        match self.pushes.try_send(push) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.shared.behind.store(true, Ordering::SeqCst);
                // Its other half is in `Spring::taken`: one of both sees what the other did.
                fence(Ordering::SeqCst);
                false
            }
        }
    }

    /// What is only of use now; it may be left out.
    pub(super) fn push_fleeting(&self, push: Push) {
        if !self.is_behind() {
            let _ = self.pushes.try_send(push);
        }
    }

    /// What was left out is asked for again.
    pub(super) fn catch_up(&self) {
        self.shared.behind.store(false, Ordering::SeqCst);
    }

    /// The last word of the subscription.
    pub(super) fn end(self, error: Error) {
        let _ = self.shared.end.set(error);
    }
}

impl Spring {
    /// Something was taken out.
    pub(crate) fn taken(&self) {
        fence(Ordering::SeqCst);
        if self.shared.behind.load(Ordering::SeqCst) && self.pushes.capacity() >= self.half {
            self.notify.notify_one();
        }
    }

    /// Why it ended.
    pub(crate) fn end(&self) -> Option<&Error> {
        self.shared.end.get()
    }
}

impl Drop for Spring {
    fn drop(&mut self) {
        self.pushes.close();
        self.notify.notify_one();
    }
}
