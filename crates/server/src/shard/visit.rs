//! Work for other shards: what is asked about all of them, or done on all of them.

use std::fmt;
use std::rc::Rc;

use tokio::sync::oneshot;

use super::Shard;
use super::mailbox::Mail;

type Act = dyn FnOnce(&Rc<Shard>) + Send;

/// Something to do on a shard's thread.
pub(crate) struct Visit(Box<Act>);

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Visit(..)")
    }
}

/// This, on a shard's thread.
pub(crate) fn visit(act: impl FnOnce(&Rc<Shard>) + Send + 'static) -> Visit {
    Visit(Box::new(act))
}

impl From<Visit> for Mail {
    fn from(visit: Visit) -> Self {
        Mail::Visit(visit)
    }
}

impl Shard {
    /// Does `act` on every shard; the answers by shard. A session may be on its way from one shard
    /// to another and be seen by neither: it has arrived when `on_all` is called a second time,
    /// because a shard answers a visit only when its mail is out.
    pub(crate) async fn on_all<R: Send + 'static>(
        self: &Rc<Self>,
        act: impl Fn(&Rc<Shard>) -> R + Clone + Send + 'static,
    ) -> Vec<R> {
        let mut answers = Vec::new();
        for shard in 0..self.node.mailboxes.len() {
            let (reply, answer) = oneshot::channel();
            let act = act.clone();
            let visit = Visit(Box::new(move |shard| {
                // Whoever asked may be gone.
                let _ = reply.send(act(shard));
            }));
            self.post(u16::try_from(shard).unwrap_or(u16::MAX), Mail::Visit(visit));
            answers.push(answer);
        }
        let mut found = Vec::with_capacity(answers.len());
        for answer in answers {
            found.extend(answer.await);
        }
        found
    }

    /// Does `act` on every shard, and waits for none.
    pub(crate) fn tell_all(&self, act: impl Fn(&Rc<Shard>) + Clone + Send + 'static) {
        for shard in 0..self.node.mailboxes.len() {
            let act = act.clone();
            let visit = Visit(Box::new(move |shard| act(shard)));
            self.post(u16::try_from(shard).unwrap_or(u16::MAX), Mail::Visit(visit));
        }
    }

    /// Does what others asked for, at the end of a turn, when all mail is out.
    pub(super) fn receive_visits(self: &Rc<Self>) {
        for Visit(act) in self.visits.take() {
            act(self);
            self.carry_out();
        }
    }
}
