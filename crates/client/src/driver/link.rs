//! What a driver listens to beside the program: the socket, and whoever makes tokens.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_rustls::TlsConnector;

use crate::options::Asking;
use crate::socket::{Arrival, Socket};
use crate::upgrade::upgrade;
use crate::{Address, Error, TokenError, tls};

type Opening = Pin<Box<dyn Future<Output = Result<Socket, Error>> + Send>>;

/// What is new.
#[derive(Debug)]
pub(super) enum News {
    Opened,
    Text(String),
    /// A sign of life.
    Life,
    Ended(Error),
    Token(Result<String, TokenError>),
}

enum Transport {
    None,
    Opening(Opening),
    Open(Box<Socket>),
}

/// At most one socket and one question.
pub(super) struct Link {
    transport: Transport,
    asking: Option<Asking>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn new() -> Self {
        Self { transport: Transport::None, asking: None }
    }

    /// Begins to connect.
    pub(super) fn open(&mut self, to: Address, tls: Option<TlsConnector>, message_bytes: usize) {
        self.transport = Transport::Opening(Box::pin(async move {
            let mut stream = tls::open(&to, tls.as_ref()).await?;
            let rest = upgrade(&mut *stream, &to).await?;
            Ok(Socket::new(stream, rest, message_bytes))
        }));
    }

    pub(super) fn ask(&mut self, asking: Asking) {
        self.asking = Some(asking);
    }

    /// Forgets the socket and the question.
    pub(super) fn close(&mut self) {
        (self.transport, self.asking) = (Transport::None, None);
    }

    /// The socket, if it is open.
    pub(super) fn socket(&mut self) -> Option<&mut Socket> {
        match &mut self.transport {
            Transport::Open(socket) => Some(socket),
            Transport::None | Transport::Opening(_) => None,
        }
    }

    /// Waits for what is new; may be dropped.
    pub(super) async fn next(&mut self) -> News {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<News> {
        if let Some(asking) = &mut self.asking
            && let Poll::Ready(token) = asking.as_mut().poll(cx)
        {
            self.asking = None;
            return Poll::Ready(News::Token(token));
        }
        match &mut self.transport {
            Transport::None => Poll::Pending,
            Transport::Opening(opening) => opening.as_mut().poll(cx).map(|opened| match opened {
                Ok(socket) => {
                    self.transport = Transport::Open(Box::new(socket));
                    News::Opened
                }
                Err(error) => self.ended(error),
            }),
            Transport::Open(socket) => socket.poll_recv(cx).map(|arrival| match arrival {
                Ok(Arrival::Text(text)) => News::Text(text),
                Ok(Arrival::Life) => News::Life,
                Err(error) => self.ended(error),
            }),
        }
    }

    fn ended(&mut self, error: Error) -> News {
        self.transport = Transport::None;
        News::Ended(error)
    }
}
