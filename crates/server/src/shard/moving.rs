//! A connection moves to the shard where its first channel lives: the engine decides, see
//! `core/engine/placement.rs`.
//!
//! Its task ends here, its socket leaves this thread's runtime, and both begin again there. What
//! was read and not handled, and what was queued and not written, goes with it.

use std::net::TcpStream;
use std::rc::Rc;

use tidings_core::engine::{ShardId, Traveller};
use tidings_websocket::Decoder;
use tokio_rustls::rustls::ServerConnection;

use super::Shard;
use super::connection::Connection;
use super::mailbox::Mail;
use super::wire::Wire;
use crate::node::Seat;
use crate::transport::stream::{Queue, Stream};

/// Where a connection goes, and its session.
pub(crate) type Departure = (ShardId, Box<Traveller>);

/// A connection without its thread.
#[derive(Debug)]
pub(crate) struct Luggage {
    tcp: TcpStream,
    tls: Option<ServerConnection>,
    seat: Seat,
    wire: Wire,
    decoder: Decoder,
    held: Option<Box<[u8]>>,
    queue: Queue,
    heard_ms: u64,
    pinged: bool,
}

impl Shard {
    /// The engine has let a session go: its connection's task ends and takes it there.
    pub(super) fn send_off(
        &self,
        connection: &Rc<Connection>,
        to: ShardId,
        traveller: Box<Traveller>,
    ) {
        if let Some(key) = self.detach(connection).filter(|_| self.is_traced()) {
            self.trace_departure(key);
        }
        connection.leaving.replace(Some((to, traveller)));
        connection.ended.set(true);
        if connection.touched.replace(false) {
            self.touched.borrow_mut().retain(|other| !Rc::ptr_eq(other, connection));
        }
        connection.wake();
    }

    /// Posts a connection whose task has ended. Where it cannot go it is closed: its client comes
    /// back.
    pub(super) fn depart(&self, connection: Rc<Connection>, departure: Departure) {
        let (to, traveller) = departure;
        let Some(luggage) = Rc::into_inner(connection).and_then(pack) else {
            tracing::error!("a connection could not be moved to another shard");
            return;
        };
        let mail = Mail::Arrival(Box::new(luggage), traveller);
        self.outgoing.borrow_mut()[usize::from(to.0)].push(mail);
        self.turn_is_due();
    }

    /// A connection has come from another shard.
    pub(super) fn arrive(self: &Rc<Self>, luggage: Luggage, traveller: Traveller) {
        let Luggage { tcp, tls, seat, wire, decoder, held, queue, heard_ms, pinged } = luggage;
        let stream = match tokio::net::TcpStream::from_std(tcp) {
            Ok(tcp) => Stream::new(tcp, tls),
            Err(error) => {
                tracing::error!(%error, "a connection could not be taken over");
                return;
            }
        };
        let connection = self.keep(|index| Connection::new((stream, seat), index, wire, heard_ms));
        if wire.is_editor() {
            self.note_partial(&connection, decoder.held_bytes());
            connection.allow(queue.bytes());
        }
        connection.decoder.replace(decoder);
        connection.held.replace(held);
        connection.pinged.set(pinged);
        let waiting = queue.bytes() > 0;
        connection.queue.replace(queue);
        let key = self.engine.borrow_mut().arrive(self.node.clock.now(), traveller);
        self.join_session(&connection, key);
        if self.is_traced() {
            self.trace_arrival(&connection, key);
        }
        if waiting {
            self.touch(&connection);
        }
        self.carry_out();
        if self.stopping.get() {
            self.say_goodbye(&connection);
        }
        self.start(connection);
    }
}

fn pack(connection: Connection) -> Option<Luggage> {
    let Connection { stream, seat, wire, decoder, held, queue, heard_ms, pinged, .. } = connection;
    let (tcp, tls) = stream.take_apart().ok()?;
    Some(Luggage {
        tcp,
        tls,
        seat,
        wire,
        decoder: decoder.into_inner(),
        held: held.into_inner(),
        queue: queue.into_inner(),
        heard_ms: heard_ms.get(),
        pinged: pinged.get(),
    })
}
