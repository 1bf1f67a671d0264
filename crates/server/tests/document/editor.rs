//! A client as y-websocket is one, by hand: it shares no code with the server but yrs.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use serde_json::Value;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{Doc, GetString, ReadTxn, StateVector, Text, Transact, Update};

use crate::common::{Message, PATIENCE, Server, Socket, frame, request_of};

/// Appends a number as lib0 writes it.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap());
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes a number off the front.
fn number(from: &mut &[u8]) -> u64 {
    let mut shift = 0;
    let mut all = 0;
    loop {
        let (byte, rest) = from.split_first().expect("a number");
        *from = rest;
        all |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return all;
        }
        shift += 7;
    }
}

fn bytes<'a>(from: &mut &'a [u8]) -> &'a [u8] {
    let count = usize::try_from(number(from)).unwrap();
    let (bytes, rest) = from.split_at(count);
    *from = rest;
    bytes
}

/// A sync message of this kind.
pub(crate) fn sync(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0, kind];
    put_bytes(&mut out, body);
    out
}

pub(crate) const STEP1: u8 = 0;
pub(crate) const STEP2: u8 = 1;
pub(crate) const UPDATE: u8 = 2;

/// Writes at the end of the text; the update.
pub(crate) fn write(doc: &Doc, what: &str) -> Vec<u8> {
    let text = doc.get_or_insert_text("text");
    let mut change = doc.transact_mut();
    let end = text.len(&change);
    text.insert(&mut change, end, what);
    change.encode_update_v1()
}

/// Somebody with one document open.
pub(crate) struct Editor {
    pub(crate) socket: Socket,
    pub(crate) doc: Doc,
    /// Messages that were heard, and the longest of them.
    pub(crate) heard: usize,
    pub(crate) longest: usize,
    /// It was answered with what it lacked.
    pub(crate) synced: bool,
    /// What others say of themselves, by client.
    pub(crate) states: BTreeMap<u64, Value>,
    /// It was told that it may not write.
    pub(crate) denied: usize,
}

impl Editor {
    /// Connects at `/yjs/` and this, and says what it has.
    pub(crate) fn open(server: &Server, at: &str) -> Self {
        Self::open_with(server, at, "", Doc::new())
    }

    /// The same with more header fields, and a document that it has already.
    pub(crate) fn open_with(server: &Server, at: &str, more: &str, doc: Doc) -> Self {
        let request = request_of(&format!("/yjs/{at}"), more);
        let socket = Socket::open(server.tcp(), &request).unwrap();
        let states = BTreeMap::new();
        let mut editor =
            Self { socket, doc, heard: 0, longest: 0, synced: false, states, denied: 0 };
        let vector = editor.doc.transact().state_vector().encode_v1();
        let _ = editor.send(&sync(STEP1, &vector));
        editor
    }

    pub(crate) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.socket.send_raw(&frame(0x82, message))
    }

    /// Hears one message.
    pub(crate) fn hear(&mut self) -> io::Result<()> {
        let message = match self.socket.receive()? {
            Message::Binary(message) => message,
            Message::Ping => return self.socket.send_raw(&frame(0x8a, b"")),
            Message::Close(code) => return Err(io::Error::other(format!("closed with {code}"))),
            other => panic!("{other:?}"),
        };
        self.heard += 1;
        self.longest = self.longest.max(message.len());
        let mut rest = &*message;
        match number(&mut rest) {
            0 => self.hear_sync(&mut rest)?,
            1 => self.hear_states(bytes(&mut rest)),
            2 => self.denied += 1,
            other => panic!("a message {other}"),
        }
        Ok(())
    }

    fn hear_sync(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        let kind = number(rest);
        let body = bytes(rest);
        if kind == 0 {
            let vector = StateVector::decode_v1(body).unwrap();
            let missing = self.doc.transact().encode_state_as_update_v1(&vector);
            return self.send(&sync(STEP2, &missing));
        }
        self.doc.transact_mut().apply_update(Update::decode_v1(body).unwrap()).unwrap();
        self.synced |= kind == u64::from(STEP2);
        Ok(())
    }

    fn hear_states(&mut self, mut rest: &[u8]) {
        for _ in 0..number(&mut rest) {
            let client = number(&mut rest);
            let _clock = number(&mut rest);
            match serde_json::from_slice(bytes(&mut rest)).unwrap() {
                Value::Null => self.states.remove(&client),
                state => self.states.insert(client, state),
            };
        }
    }

    /// Hears until it is so.
    pub(crate) fn until(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is(self) {
            assert!(Instant::now() < deadline, "waited in vain until {what}: {:?}", self.text());
            self.hear().unwrap_or_else(|error| panic!("{error} before {what}"));
        }
    }

    /// Hears until it has what the server has.
    pub(crate) fn synced(mut self) -> Self {
        self.until("it is synced", |editor| editor.synced);
        self
    }

    /// Hears until this stands in the text.
    pub(crate) fn reads(&mut self, what: &str) {
        self.until(&format!("{what:?} is read"), |editor| editor.text().contains(what));
    }

    /// Hears until the connection is closed with this code.
    pub(crate) fn closed_with(&mut self, code: u16) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Err(error) = self.hear() {
                return assert_eq!(error.to_string(), format!("closed with {code}"));
            }
        }
        panic!("not closed with {code}");
    }

    pub(crate) fn text(&self) -> String {
        let text = self.doc.get_or_insert_text("text");
        text.get_string(&self.doc.transact())
    }

    /// Writes at the end; the update.
    pub(crate) fn write_here(&self, what: &str) -> Vec<u8> {
        write(&self.doc, what)
    }

    /// Writes at the end, and tells.
    pub(crate) fn write(&mut self, what: &str) {
        let update = self.write_here(what);
        self.send(&sync(UPDATE, &update)).unwrap();
    }

    /// Tells what is to be seen of it, as the `clock`th word; `None`: it leaves.
    pub(crate) fn says(&mut self, clock: u64, state: Option<Value>) -> io::Result<()> {
        let mut body = vec![1];
        put_number(&mut body, self.doc.client_id().get());
        put_number(&mut body, clock);
        put_bytes(&mut body, state.unwrap_or(Value::Null).to_string().as_bytes());
        let mut message = vec![1];
        put_bytes(&mut message, &body);
        self.send(&message)
    }
}
