//! Many client connections on one thread: epoll, no buffer for a connection that is idle.
//!
//! The loader must not be in the way of what it measures: sockets are registered once,
//! edge-triggered; a read goes into one buffer that all share; frames are handed over where they
//! lie. What is left is what the kernel asks for a `recv()`.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::error::{Error, Result};
use crate::frame;
use crate::url::Url;

/// What a scenario does when something happens to one of its connections.
pub(crate) trait Behaviour {
    /// The upgrade is through.
    fn opened(&mut self, index: usize, peer: &mut Peer);
    /// A message came; `now_ns` is by the swarm's clock.
    fn received(&mut self, index: usize, peer: &mut Peer, payload: &[u8], now_ns: u64);
    /// The connection is gone, and the loader did not want that.
    fn closed(&mut self, index: usize, why: &str);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Upgrading,
    Open,
    Closed,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Peer {
    socket: Option<OwnedFd>,
    phase: Phase,
    /// The start of a frame whose end has not come; else empty, without an allocation.
    carry: Vec<u8>,
    /// The fragments of a message whose end has not come; else empty, without an allocation.
    begun: Vec<u8>,
    /// What the socket did not take; else empty, without an allocation.
    unsent: Vec<u8>,
    /// It is read only by [`Swarm::read_some`].
    sips: bool,
}

impl Peer {
    /// Sends a text message.
    pub(crate) fn send(&mut self, payload: &str) {
        self.send_frame(frame::TEXT, payload.as_bytes());
    }

    /// Sends two text messages at once.
    pub(crate) fn send_both(&mut self, first: &str, second: &str) {
        let mut bytes = Vec::with_capacity(first.len() + second.len() + 28);
        frame::encode_masked(&mut bytes, frame::TEXT, first.as_bytes());
        frame::encode_masked(&mut bytes, frame::TEXT, second.as_bytes());
        self.send_bytes(&bytes);
    }

    fn send_frame(&mut self, opcode: u8, payload: &[u8]) {
        let mut bytes = Vec::with_capacity(payload.len() + 14);
        frame::encode_masked(&mut bytes, opcode, payload);
        self.send_bytes(&bytes);
    }

    fn send_bytes(&mut self, bytes: &[u8]) {
        let Some(socket) = self.socket.as_ref() else { return };
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return;
        }
        // An error shows again when the socket is read.
        let sent = rustix::net::send(socket, bytes, SendFlags::NOSIGNAL).unwrap_or(0);
        self.unsent.extend_from_slice(&bytes[sent..]);
    }

    fn flush(&mut self) {
        let Some(socket) = self.socket.as_ref() else { return };
        if let Ok(sent) = rustix::net::send(socket, &self.unsent, SendFlags::NOSIGNAL) {
            self.unsent.drain(..sent);
        }
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
        }
    }

    fn closed() -> Self {
        let (socket, phase) = (None, Phase::Closed);
        Self {
            socket,
            phase,
            carry: Vec::new(),
            begun: Vec::new(),
            unsent: Vec::new(),
            sips: false,
        }
    }

    /// From now on it is a slow reader, see [`Swarm::read_some`].
    pub(crate) fn sip(&mut self) {
        self.sips = true;
    }

    /// Ends the connection with a reset: nothing is said, no port is left in TIME_WAIT.
    pub(crate) fn cut(&mut self) {
        *self = Self::closed();
    }
}

/// All connections of a scenario.
pub(crate) struct Swarm {
    epoll: OwnedFd,
    address: SocketAddr,
    request: Vec<u8>,
    peers: Vec<Peer>,
    ready: Vec<epoll::Event>,
    scratch: Vec<u8>,
    start: Instant,
    upgrading: usize,
}

impl Swarm {
    /// An empty one that will connect to `url`.
    pub(crate) fn new(url: &Url) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(Error::system("epoll"))?;
        Ok(Self {
            epoll,
            address: url.address,
            request: url.upgrade_request().into_bytes(),
            peers: Vec::new(),
            ready: Vec::with_capacity(1024),
            scratch: vec![0; 64 << 10],
            start: Instant::now(),
            upgrading: 0,
        })
    }

    /// Nanoseconds since the swarm was made.
    pub(crate) fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// How many connections are on their way.
    pub(crate) fn upgrading(&self) -> usize {
        self.upgrading
    }

    /// The connection with this index.
    pub(crate) fn peer(&mut self, index: usize) -> &mut Peer {
        &mut self.peers[index]
    }

    /// Opens one more; answers its index.
    pub(crate) fn connect(&mut self) -> Result<usize> {
        let index = self.peers.len();
        self.peers.push(Peer::closed());
        self.reconnect(index)?;
        Ok(index)
    }

    /// Opens the connection with this index again.
    pub(crate) fn reconnect(&mut self, index: usize) -> Result<()> {
        let family = match self.address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)
            .map_err(Error::system("one more socket"))?;
        sockopt::set_tcp_nodelay(&socket, true).map_err(Error::system("TCP_NODELAY"))?;
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))
            .map_err(Error::system("SO_LINGER"))?;
        match rustix::net::connect(&socket, &self.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(Error::system(format!("connect to {}", self.address))(error)),
        }
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        let token = epoll::EventData::new_u64(index as u64);
        epoll::add(&self.epoll, &socket, token, flags).map_err(Error::system("epoll"))?;
        let peer = &mut self.peers[index];
        peer.cut();
        peer.socket = Some(socket);
        peer.phase = Phase::Connecting;
        self.upgrading += 1;
        Ok(())
    }

    /// Waits for at most `patience`, then handles whatever is there.
    pub(crate) fn turn(
        &mut self,
        patience: Duration,
        behaviour: &mut impl Behaviour,
    ) -> Result<()> {
        let timeout = Timespec {
            tv_sec: patience.as_secs() as i64,
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        self.ready.clear();
        let ready = rustix::buffer::spare_capacity(&mut self.ready);
        match epoll::wait(&self.epoll, ready, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Error::system("epoll")(error)),
        }
        for i in 0..self.ready.len() {
            let event = self.ready[i];
            self.handle(event.data.u64() as usize, event.flags, behaviour);
        }
        Ok(())
    }

    fn handle(&mut self, index: usize, flags: epoll::EventFlags, behaviour: &mut impl Behaviour) {
        let peer = &mut self.peers[index];
        if peer.phase == Phase::Connecting {
            if !flags.contains(epoll::EventFlags::OUT) {
                return;
            }
            peer.phase = Phase::Upgrading;
            peer.send_bytes(&self.request);
        } else if !peer.unsent.is_empty() {
            peer.flush();
        }
        if peer.sips {
            return;
        }
        let busy = matches!(peer.phase, Phase::Upgrading);
        let end = self.read(index, usize::MAX, behaviour);
        let peer = &mut self.peers[index];
        if busy && (end.is_some() || peer.phase != Phase::Upgrading) {
            self.upgrading -= 1;
        }
        if let Some(why) = end {
            peer.cut();
            behaviour.closed(index, &why);
        }
    }

    /// Reads at most so many bytes of a slow reader.
    pub(crate) fn read_some(&mut self, index: usize, max: usize, behaviour: &mut impl Behaviour) {
        if let Some(why) = self.read(index, max, behaviour) {
            self.peers[index].cut();
            behaviour.closed(index, &why);
        }
    }

    /// Reads until nothing is left, or `max` bytes. Answers why the connection has ended, if so.
    fn read(
        &mut self,
        index: usize,
        mut max: usize,
        behaviour: &mut impl Behaviour,
    ) -> Option<String> {
        while max > 0 {
            let room = self.scratch.len().min(max);
            let peer = &mut self.peers[index];
            let socket = peer.socket.as_ref()?;
            let got = rustix::net::recv(socket, &mut self.scratch[..room], RecvFlags::empty());
            let size = match got {
                Ok((0, _)) => return Some("closed the connection".to_owned()),
                Ok((size, _)) => size,
                Err(Errno::AGAIN) => return None,
                Err(Errno::INTR) => continue,
                Err(error) => return Some(format!("broke the connection: {error}")),
            };
            let now_ns = self.start.elapsed().as_nanos() as u64;
            let mut call = Call { index, peer, behaviour, now_ns };
            if let Some(why) = call.take(&self.scratch[..size]) {
                return Some(why);
            }
            // With edge-triggering a short read means that nothing is left.
            if size < room {
                return None;
            }
            max -= size;
        }
        None
    }
}

/// One read of one connection.
struct Call<'a, B> {
    index: usize,
    peer: &'a mut Peer,
    behaviour: &'a mut B,
    now_ns: u64,
}

impl<B: Behaviour> Call<'_, B> {
    fn take(&mut self, bytes: &[u8]) -> Option<String> {
        if self.peer.carry.is_empty() && self.peer.phase == Phase::Open {
            return match self.frames(bytes) {
                Ok(used) => {
                    self.peer.carry.extend_from_slice(&bytes[used..]);
                    None
                }
                Err(why) => Some(why),
            };
        }
        let mut carry = std::mem::take(&mut self.peer.carry);
        carry.extend_from_slice(bytes);
        let mut used = 0;
        if self.peer.phase == Phase::Upgrading {
            let end = memchr::memmem::find(&carry, b"\r\n\r\n");
            match (end, carry.starts_with(b"HTTP/1.1 101")) {
                (Some(end), true) => used = end + 4,
                (Some(_), false) => return Some(refusal(&carry)),
                (None, _) => {
                    self.peer.carry = carry;
                    return None;
                }
            }
            self.peer.phase = Phase::Open;
            self.behaviour.opened(self.index, self.peer);
        }
        match self.frames(&carry[used..]) {
            Ok(more) => used += more,
            Err(why) => return Some(why),
        }
        if used < carry.len() {
            carry.drain(..used);
            self.peer.carry = carry;
        }
        None
    }

    fn frames(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let mut end = None;
        let used = frame::split(bytes, |opcode, fin, payload| match opcode {
            frame::TEXT if fin => {
                self.behaviour.received(self.index, self.peer, payload, self.now_ns);
            }
            frame::TEXT | frame::CONTINUATION => {
                self.peer.begun.extend_from_slice(payload);
                if fin {
                    let whole = std::mem::take(&mut self.peer.begun);
                    self.behaviour.received(self.index, self.peer, &whole, self.now_ns);
                }
            }
            frame::PING => self.peer.send_frame(frame::PONG, payload),
            frame::CLOSE => end = Some(close_reason(payload)),
            _ => {}
        });
        match (used, end) {
            (Ok(used), None) => Ok(used),
            (_, Some(why)) => Err(why),
            (Err(fault), _) => Err(fault.to_string()),
        }
    }
}

fn refusal(response: &[u8]) -> String {
    let line = response.split(|byte| *byte == b'\r').next().unwrap_or_default();
    format!("refused the upgrade: {}", String::from_utf8_lossy(line))
}

fn close_reason(payload: &[u8]) -> String {
    match payload {
        [a, b, reason @ ..] => {
            let code = u16::from_be_bytes([*a, *b]);
            format!("closed with {code} {}", String::from_utf8_lossy(reason))
        }
        _ => "closed without a code".to_owned(),
    }
}
