//! Clients that come back, whatever happens to the server.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tidings_sim::checker::{Op, Pos};

use crate::common::Socket;
use crate::run::{CHANNELS, Run, position};

/// Publishes that a publisher has under way at once.
const WINDOW: usize = 4;

/// A publish that is not acknowledged yet.
struct Pending {
    publish: u64,
    channel: &'static str,
    seq: u64,
    /// The command that it went out with over the present connection.
    id: Option<u64>,
}

/// One publisher: a producer, and its own sequence in each channel.
struct Publisher<'a> {
    run: &'a Run,
    producer: String,
    sequences: [u64; CHANNELS.len()],
    pending: VecDeque<Pending>,
    acknowledged: u64,
}

/// Publishes until the run says that it is enough, each event until it is acknowledged. How many.
pub(crate) fn publisher(run: &Run, name: u64) -> u64 {
    let producer = format!("producer-{name}");
    let (sequences, pending) = ([0; CHANNELS.len()], VecDeque::new());
    let mut publisher = Publisher { run, producer, sequences, pending, acknowledged: 0 };
    crate::common::until("the server is there", || {
        (run.port.load(Ordering::SeqCst) != 0).then_some(())
    });
    while run.publishing.load(Ordering::SeqCst) || !publisher.pending.is_empty() {
        let (connection, mut socket) = run.connect_again();
        // The connection breaks off when the server is killed.
        let _ = publisher.talk(&mut socket, connection);
        run.note(Op::Closed { connection });
    }
    publisher.acknowledged
}

impl Publisher<'_> {
    /// Sends again what is in doubt, then new events.
    fn talk(&mut self, socket: &mut Socket, connection: u64) -> io::Result<()> {
        for pending in &mut self.pending {
            pending.id = None;
        }
        let mut sent = 0;
        loop {
            while sent < self.pending.len() {
                self.send(socket, connection, sent)?;
                sent += 1;
            }
            if sent < WINDOW && self.run.publishing.load(Ordering::SeqCst) {
                self.make();
                continue;
            }
            if self.pending.is_empty() {
                return Ok(());
            }
            let answer = socket.try_next()?;
            self.answered(connection, &answer);
            sent = self.pending.len();
        }
    }

    /// A new event.
    fn make(&mut self) {
        let publish = self.run.number();
        let index = usize::try_from(publish).unwrap() % CHANNELS.len();
        self.sequences[index] += 1;
        let (channel, seq) = (CHANNELS[index], self.sequences[index]);
        self.run.note(Op::Publish {
            publish,
            channel: channel.into(),
            data: json!(publish).to_string(),
            ephemeral: false,
            except: None,
            change: None,
        });
        self.pending.push_back(Pending { publish, channel, seq, id: None });
    }

    fn send(&mut self, socket: &mut Socket, connection: u64, index: usize) -> io::Result<()> {
        let pending = &mut self.pending[index];
        let id = socket.command(json!({
            "type": "publish", "channel": pending.channel, "data": pending.publish,
            "producer": self.producer, "seq": pending.seq,
        }))?;
        pending.id = Some(id);
        self.run.note(Op::Command { connection, id });
        Ok(())
    }

    fn answered(&mut self, connection: u64, answer: &Value) {
        let id = answer["id"].as_u64().unwrap();
        self.run.note(Op::Answer { connection, id });
        let index = self.pending.iter().position(|pending| pending.id == Some(id)).unwrap();
        assert_eq!(answer["type"], "published", "{answer}");
        let pending = self.pending.remove(index).unwrap();
        let duplicate = answer["duplicate"] == true;
        // What was stored by an earlier process, this one says less of.
        assert!(duplicate || answer["level"] == "fsync", "{answer}");
        let at = Some(position(answer));
        self.run.note(Op::Ok { publish: pending.publish, at, duplicate });
        self.acknowledged += 1;
        self.run.acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}

/// Follows every channel, from the start of the run to its end, over as many connections as it
/// takes. Each event must come once, in order, without a gap.
pub(crate) fn subscriber(run: &Run) {
    let mut places = BTreeMap::<&str, Pos>::new();
    let mut done = false;
    while !done {
        let (connection, mut socket) = run.connect_again();
        done = follow(run, &mut socket, connection, &mut places).is_ok();
        if !done {
            run.note(Op::Closed { connection });
        }
    }
    run.at_rest.fetch_add(1, Ordering::SeqCst);
}

/// Subscribes where it left off, and reads. `Ok`: it has everything.
fn follow(
    run: &Run,
    socket: &mut Socket,
    connection: u64,
    places: &mut BTreeMap<&'static str, Pos>,
) -> io::Result<()> {
    let mut subscriptions = BTreeMap::new();
    for channel in CHANNELS {
        let since = places.get(channel).cloned();
        let (number, place) = subscribe(run, socket, connection, channel, since)?;
        subscriptions.insert(channel, number);
        places.insert(channel, place);
    }
    // Something that comes even when no event does: a reason to look whether that was all.
    loop {
        if CHANNELS.iter().all(|channel| run.goal(channel) == Some(places[channel].offset)) {
            return Ok(());
        }
        socket.command(json!({"type": "ping"}))?;
        loop {
            let value = socket.try_push()?;
            if value["type"] == "pong" {
                break;
            }
            heard(run, &subscriptions, places, &value);
        }
    }
}

fn subscribe(
    run: &Run,
    socket: &mut Socket,
    connection: u64,
    channel: &str,
    since: Option<Pos>,
) -> io::Result<(u64, Pos)> {
    let mut command = json!({"type": "subscribe", "channel": channel});
    if let Some(Pos { epoch, offset }) = &since {
        command["since"] = json!({"epoch": epoch, "offset": offset});
    }
    let reply = socket.try_ask(command)?;
    assert_eq!(reply["type"], "subscribed", "{reply}");
    let (subscription, at) = (run.number(), position(&reply));
    assert!(since.is_none() || reply["recovered"] == true, "{since:?}: {reply}");
    let place = since.clone().unwrap_or_else(|| at.clone());
    run.note(Op::Subscribed {
        subscription,
        connection,
        channel: channel.into(),
        at,
        since,
        rewind: 0,
        recovered: reply["recovered"] == true,
    });
    Ok((subscription, place))
}

/// An event: the next one of its channel.
fn heard(
    run: &Run,
    subscriptions: &BTreeMap<&'static str, u64>,
    places: &mut BTreeMap<&'static str, Pos>,
    value: &Value,
) {
    assert_eq!(value["type"], "event", "{value}");
    let channel = value["channel"].as_str().unwrap();
    let offset = value["offset"].as_u64().unwrap();
    let place = places.get_mut(channel).unwrap();
    assert_eq!(offset, place.offset + 1, "{channel}: the next one, exactly once");
    place.offset = offset;
    run.note(Op::Delivered {
        subscription: subscriptions[channel],
        channel: channel.into(),
        offset: Some(offset),
        data: value["data"].to_string(),
    });
}
