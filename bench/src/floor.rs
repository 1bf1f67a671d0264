//! The reference: what the kernel alone asks for a delivery.
//!
//! One thread, epoll, and for each event that comes one `send()` of one ready frame to each socket
//! of the room. No tokens, no history, no offsets, no limits, no reply to the publisher. Nothing
//! that writes to each socket for each event can cost less; only joining events can.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, sockopt};

use crate::error::{Error, Result};
use crate::frame;

const LISTENER: u64 = u64::MAX;
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const JOINED: &[u8] =
    br#"{"type":"subscribed","id":2,"epoch":"floor","offset":0,"recovered":false}"#;

/// Prints the port, then serves until it is killed.
pub(crate) fn serve() -> Result<()> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TcpListener::bind(any).map_err(Error::system("listen"))?;
    rustix::net::listen(&listener, 4096).map_err(Error::system("listen"))?;
    listener.set_nonblocking(true).map_err(Error::system("listen"))?;
    println!("{}", listener.local_addr().map_err(Error::system("listen"))?.port());
    let mut floor = Floor::new(listener)?;
    let mut ready = Vec::with_capacity(1024);
    loop {
        ready.clear();
        match epoll::wait(&floor.epoll, rustix::buffer::spare_capacity(&mut ready), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Error::system("epoll")(error)),
        }
        for event in &ready {
            match event.data.u64() {
                LISTENER => floor.accept()?,
                index => floor.read(index as usize),
            }
        }
    }
}

struct Connection {
    socket: OwnedFd,
    room: Option<usize>,
    upgraded: bool,
    carry: Vec<u8>,
}

struct Floor {
    epoll: OwnedFd,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    rooms: Vec<Vec<usize>>,
    scratch: Vec<u8>,
    frame: Vec<u8>,
}

impl Floor {
    fn new(listener: TcpListener) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(Error::system("epoll"))?;
        let token = epoll::EventData::new_u64(LISTENER);
        epoll::add(&epoll, &listener, token, epoll::EventFlags::IN)
            .map_err(Error::system("epoll"))?;
        Ok(Self {
            epoll,
            listener,
            connections: Vec::new(),
            free: Vec::new(),
            rooms: Vec::new(),
            scratch: vec![0; 64 << 10],
            frame: Vec::new(),
        })
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = match rustix::net::accept_with(&self.listener, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(error) => return Err(Error::system("accept")(error)),
            };
            sockopt::set_tcp_nodelay(&socket, true).map_err(Error::system("TCP_NODELAY"))?;
            let index = self.free.pop().unwrap_or(self.connections.len());
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
            epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(index as u64), flags)
                .map_err(Error::system("epoll"))?;
            let connection = Connection { socket, room: None, upgraded: false, carry: Vec::new() };
            if index == self.connections.len() {
                self.connections.push(Some(connection));
            } else {
                self.connections[index] = Some(connection);
            }
        }
    }

    fn read(&mut self, index: usize) {
        loop {
            let Some(connection) = self.connections[index].as_mut() else { return };
            let got =
                rustix::net::recv(&connection.socket, &mut self.scratch[..], RecvFlags::empty());
            let size = match got {
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => continue,
                Ok((0, _)) | Err(_) => return self.drop(index),
                Ok((size, _)) => size,
            };
            connection.carry.extend_from_slice(&self.scratch[..size]);
            let mut carry = std::mem::take(&mut connection.carry);
            let used = self.take(index, &mut carry);
            carry.drain(..used);
            if let Some(connection) = self.connections[index].as_mut()
                && !carry.is_empty()
            {
                connection.carry = carry;
            }
            if size < self.scratch.len() {
                return;
            }
        }
    }

    fn take(&mut self, index: usize, bytes: &mut [u8]) -> usize {
        let Some(connection) = self.connections[index].as_mut() else { return bytes.len() };
        let mut used = 0;
        if !connection.upgraded {
            let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return 0 };
            connection.upgraded = true;
            // A fresh socket takes so few bytes at once.
            let _ = rustix::net::send(&connection.socket, ANSWER, SendFlags::NOSIGNAL);
            used = end + 4;
        }
        used + frame::split_masked(&mut bytes[used..], |opcode, payload| {
            if opcode == frame::TEXT {
                self.message(index, payload);
            }
        })
    }

    fn message(&mut self, index: usize, payload: &[u8]) {
        let text = String::from_utf8_lossy(payload);
        let Some((first, rest)) = text.split_once(' ') else { return };
        if first == "room" {
            if let Ok(room) = rest.parse() {
                self.join(index, room);
            }
        } else if let Ok(room) = first.parse::<usize>() {
            self.broadcast(room, rest.as_bytes());
        }
    }

    fn join(&mut self, index: usize, room: usize) {
        if self.rooms.len() <= room {
            self.rooms.resize_with(room + 1, Vec::new);
        }
        self.rooms[room].push(index);
        if let Some(connection) = self.connections[index].as_mut() {
            connection.room = Some(room);
            self.frame.clear();
            frame::encode(&mut self.frame, frame::TEXT, JOINED);
            let _ = rustix::net::send(&connection.socket, &self.frame, SendFlags::NOSIGNAL);
        }
    }

    fn broadcast(&mut self, room: usize, payload: &[u8]) {
        self.frame.clear();
        frame::encode(&mut self.frame, frame::TEXT, payload);
        for index in self.rooms.get(room).into_iter().flatten() {
            if let Some(connection) = self.connections[*index].as_ref() {
                // What does not fit is lost; the loader sees it and the run does not count.
                let _ = rustix::net::send(&connection.socket, &self.frame, SendFlags::NOSIGNAL);
            }
        }
    }

    fn drop(&mut self, index: usize) {
        let Some(connection) = self.connections[index].take() else { return };
        if let Some(room) = connection.room {
            self.rooms[room].retain(|member| *member != index);
        }
        self.free.push(index);
    }
}
