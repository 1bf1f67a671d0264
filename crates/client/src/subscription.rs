//! The reader's end of a subscription.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::client::Status;
use crate::driver::Spring;
use crate::{Client, Error, Push};

/// What comes from a channel, in order: nothing twice, and nothing missing without a
/// [`Gap`](crate::Gap), through lost connections. A [`Stream`]; an error is its last item.
/// Dropping it unsubscribes.
///
/// [`Options::buffer`](crate::Options::buffer) pushes wait for a slow reader. When there is no room
/// any more the channel is left out (the other channels go on), and when half of the buffer is free
/// again it is taken up behind the last event that found room. So a slow reader misses no event
/// that is still in history, is told of those that are not by a [`Gap`](crate::Gap), and misses
/// ephemeral events and changes of presence.
#[derive(Debug)]
pub struct Subscription {
    spring: Spring,
    client: Client,
    /// Taken out before anybody asked for it.
    first: Option<Push>,
    over: bool,
}

impl Subscription {
    pub(crate) fn new(spring: Spring, client: Client) -> Self {
        Self { spring, client, first: None, over: false }
    }

    /// The next push; `None` behind the last. May be dropped at any time.
    pub async fn next(&mut self) -> Option<Result<Push, Error>> {
        poll_fn(|cx| self.poll_push(cx)).await
    }

    /// Waits for the first push, which tells that the server has taken it.
    pub(crate) async fn begin(&mut self) -> Result<(), Error> {
        match self.next().await {
            Some(first) => self.first = Some(first?),
            None => return Err(self.client.ended()),
        }
        Ok(())
    }

    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Push, Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if let Some(push) = ready!(self.spring.pushes.poll_recv(cx)) {
            self.spring.taken();
            return Poll::Ready(Some(Ok(push)));
        }
        let over = std::mem::replace(&mut self.over, true);
        Poll::Ready(self.error().filter(|_| !over).map(Err))
    }

    /// Why it has ended, if not by the program.
    fn error(&self) -> Option<Error> {
        if let Some(error) = self.spring.end() {
            return Some(error.clone());
        }
        match &*self.client.status().borrow() {
            Status::Closed { cause } => cause.clone(),
            _ => None,
        }
    }
}

impl Stream for Subscription {
    type Item = Result<Push, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_push(cx)
    }
}
