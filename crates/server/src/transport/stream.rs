//! A socket, plain or with TLS, read and written without waiting.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConnection;

use super::link::Link;

/// Buffers that go out in one system call.
const SLICES: usize = 32;

/// What a frame in a queue costs beside its bytes: a flood of empty Pongs is a flood all the same.
const FRAME_COST: usize = 64;

/// Room for frames that a connection keeps: 128 bytes, so that a delivery need not allocate.
const FRAMES_KEPT: usize = 4;

/// A connection's socket.
#[derive(Debug)]
pub(crate) enum Stream {
    /// It is spoken in HTTP requests.
    Http(Box<Link>),
    Plain(RefCell<TcpStream>),
    /// Boxed: its state is some 10 KB, which a plain connection must not pay for.
    Tls(Box<TlsStream>),
}

/// A socket and its TLS state.
#[derive(Debug)]
pub(crate) struct TlsStream {
    tcp: RefCell<TcpStream>,
    tls: RefCell<ServerConnection>,
}

/// How far a write came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// The socket takes no more now.
    Blocked,
    /// All has been written.
    Done,
}

impl Stream {
    pub(crate) fn new(tcp: TcpStream, tls: Option<ServerConnection>) -> Self {
        let tcp = RefCell::new(tcp);
        match tls {
            None => Stream::Plain(tcp),
            Some(tls) => Stream::Tls(Box::new(TlsStream { tcp, tls: RefCell::new(tls) })),
        }
    }

    /// Takes the socket from this thread's runtime, for another's.
    ///
    /// # Errors
    /// Those of taking it out of epoll.
    pub(crate) fn take_apart(self) -> io::Result<(std::net::TcpStream, Option<ServerConnection>)> {
        match self {
            Stream::Http(_) => Err(io::ErrorKind::Unsupported.into()),
            Stream::Plain(tcp) => Ok((tcp.into_inner().into_std()?, None)),
            Stream::Tls(stream) => {
                let TlsStream { tcp, tls } = *stream;
                Ok((tcp.into_inner().into_std()?, Some(tls.into_inner())))
            }
        }
    }

    /// Reads into `buffer`; 0 at the end. Wakes the task when there may be more.
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Http(link) => match link.socket() {
                Some(socket) => socket.poll_read(cx, buffer),
                None => Poll::Pending,
            },
            Stream::Plain(tcp) => read_tcp(&mut tcp.borrow_mut(), cx, buffer),
            Stream::Tls(stream) => stream.poll_read(cx, buffer),
        }
    }

    /// The descriptor, if frames can be sent on it as they are.
    pub(crate) fn plain_fd(&self) -> Option<RawFd> {
        match self {
            Stream::Plain(tcp) => Some(tcp.borrow().as_raw_fd()),
            Stream::Http(link) => link.socket().and_then(Stream::plain_fd),
            Stream::Tls(_) => None,
        }
    }

    /// Writes as much of `queue` as the socket takes.
    pub(crate) fn flush(&self, queue: &mut Queue) -> io::Result<Flush> {
        match self {
            Stream::Http(link) => match link.socket() {
                Some(socket) => socket.flush(queue),
                None => Ok(link.flush(queue)),
            },
            Stream::Plain(tcp) => flush_plain(&tcp.borrow(), queue),
            Stream::Tls(stream) => stream.flush(queue),
        }
    }

    /// Wakes the task when the socket takes more; at once if it does now.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Http(link) => match link.socket() {
                Some(socket) => socket.poll_writable(cx),
                None => link.poll_drained(),
            },
            Stream::Plain(tcp) => tcp.borrow().poll_write_ready(cx),
            Stream::Tls(stream) => stream.tcp.borrow().poll_write_ready(cx),
        }
    }
}

fn read_tcp(tcp: &mut TcpStream, cx: &mut Context<'_>, to: &mut [u8]) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(to);
    ready!(Pin::new(tcp).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}

/// What waits to be sent to one connection.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// A part of the first frame is out already.
    begun: bool,
}

impl Queue {
    pub(crate) fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len() + FRAME_COST;
        self.frames.push_back(frame);
    }

    /// Queues a piece in front of all others, of which none has been begun.
    pub(crate) fn push_front(&mut self, frame: Bytes) {
        self.bytes += frame.len() + FRAME_COST;
        self.frames.push_front(frame);
    }

    /// Takes frames out as one piece: at least one, if there is any, and not much more than `most`
    /// bytes.
    pub(crate) fn take(&mut self, most: usize) -> Option<Bytes> {
        let first = self.frames.pop_front()?;
        self.bytes -= first.len() + FRAME_COST;
        if self.frames.is_empty() || first.len() >= most {
            self.settle();
            return Some(first);
        }
        let mut piece = Vec::from(first);
        while let Some(next) = self.frames.pop_front_if(|next| piece.len() + next.len() <= most) {
            self.bytes -= next.len() + FRAME_COST;
            piece.extend_from_slice(&next);
        }
        self.settle();
        Some(piece.into())
    }

    /// The frame that waits, if it is one.
    pub(crate) fn only(&self) -> Option<&Bytes> {
        self.frames.front().filter(|_| self.frames.len() == 1)
    }

    /// All that waits, as text.
    pub(crate) fn text(&self) -> String {
        self.frames.iter().map(|frame| String::from_utf8_lossy(frame)).collect()
    }

    /// How many bytes of memory wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many bytes of frames wait.
    pub(crate) fn payload(&self) -> usize {
        self.bytes - FRAME_COST * self.frames.len()
    }

    /// Forgets what has not been begun: the rest of a frame that is partly out must follow.
    pub(crate) fn cut(&mut self) {
        self.frames.truncate(usize::from(self.begun));
        self.bytes = self.frames.iter().map(|frame| frame.len() + FRAME_COST).sum();
    }

    /// Gives memory back that an idle connection does not need.
    fn settle(&mut self) {
        if self.frames.is_empty() && self.frames.capacity() > FRAMES_KEPT {
            self.frames = VecDeque::new();
        }
    }

    /// So many bytes of what waits have been written.
    pub(crate) fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(front) = self.frames.front_mut() {
            if written < front.len() {
                front.advance(written);
                self.begun |= written > 0;
                return;
            }
            written -= front.len();
            self.frames.pop_front();
            self.bytes -= FRAME_COST;
            self.begun = false;
        }
    }
}

fn flush_plain(tcp: &TcpStream, queue: &mut Queue) -> io::Result<Flush> {
    while let Some(front) = queue.frames.front() {
        let written = if queue.frames.len() == 1 {
            tcp.try_write(front)
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            for (slice, frame) in slices.iter_mut().zip(&queue.frames) {
                *slice = IoSlice::new(frame);
                count += 1;
            }
            tcp.try_write_vectored(&slices[..count])
        };
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => queue.advance(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flush::Blocked),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    queue.settle();
    Ok(Flush::Done)
}

/// rustls reads and writes through this.
struct Raw<'a>(&'a TcpStream);

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.try_write(buffer)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TlsStream {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut tls = self.tls.borrow_mut();
        loop {
            match tls.reader().read(buffer) {
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Ok(0));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
            let tcp = self.tcp.borrow();
            match tls.read_tls(&mut Raw(&tcp)) {
                Ok(0) => return Poll::Ready(Ok(0)),
                Ok(_) => {
                    tls.process_new_packets().map_err(io::Error::other)?;
                    // Answers of TLS itself (key updates, alerts) are due now.
                    let _ = drain(&mut tls, &tcp)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(tcp.poll_read_ready(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn flush(&self, queue: &mut Queue) -> io::Result<Flush> {
        let (mut tls, tcp) = (self.tls.borrow_mut(), self.tcp.borrow());
        loop {
            if drain(&mut tls, &tcp)? == Flush::Blocked {
                return Ok(Flush::Blocked);
            }
            let Some(front) = queue.frames.front() else {
                queue.settle();
                return Ok(Flush::Done);
            };
            // rustls takes what fits into its buffer (64 KiB) and says how much that was.
            let taken = tls.writer().write(front)?;
            queue.advance(taken);
        }
    }
}

/// Writes what rustls has ready.
fn drain(tls: &mut ServerConnection, tcp: &TcpStream) -> io::Result<Flush> {
    while tls.wants_write() {
        match tls.write_tls(&mut Raw(tcp)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flush::Blocked),
            Err(error) => return Err(error),
        }
    }
    Ok(Flush::Done)
}
