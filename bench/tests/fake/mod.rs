//! A server that speaks just enough of the protocol, and can be told to misbehave.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What the fake does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Every tenth delivery is left out.
    Loses,
    /// Every tenth delivery is made twice.
    Doubles,
    /// Nobody is recovered.
    Forgets,
}

#[derive(Default)]
struct Channel {
    events: Vec<String>,
    subscribers: Vec<(u64, Arc<TcpStream>)>,
}

#[derive(Default)]
struct State {
    channels: HashMap<String, Channel>,
    deliveries: u64,
    connections: u64,
}

/// Serves until the test ends.
pub(crate) fn serve(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let state = Arc::new(Mutex::new(State::default()));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, state) = (Arc::new(stream.unwrap()), state.clone());
            std::thread::spawn(move || connection(&stream, &state, fault));
        }
    });
    address
}

fn connection(stream: &Arc<TcpStream>, state: &Mutex<State>, fault: Fault) -> Option<()> {
    let mut reader = &**stream;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        reader.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    reader.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n").ok()?;
    let me = {
        let mut state = state.lock().unwrap();
        state.connections += 1;
        state.connections
    };
    loop {
        let Some(command) = read_frame(reader) else {
            for channel in state.lock().unwrap().channels.values_mut() {
                channel.subscribers.retain(|(owner, _)| *owner != me);
            }
            return None;
        };
        answer(me, stream, &command, &mut state.lock().unwrap(), fault);
    }
}

fn answer(me: u64, stream: &Arc<TcpStream>, command: &Value, state: &mut State, fault: Fault) {
    let (id, channel) = (&command["id"], command["channel"].as_str().unwrap_or_default());
    match command["type"].as_str() {
        Some("hello") => send(stream, &json!({"type":"welcome","id":id}).to_string()),
        Some("subscribe") => {
            let room = state.channels.entry(channel.to_owned()).or_default();
            let since = command["since"]["offset"].as_u64();
            let recovered = since.is_some() && fault != Fault::Forgets;
            let reply = json!({"type":"subscribed","id":id,"channel":channel,"epoch":"e",
                "offset":room.events.len(),"recovered":recovered});
            send(stream, &reply.to_string());
            if recovered {
                for event in &room.events[since.unwrap() as usize..] {
                    send(stream, event);
                }
            }
            room.subscribers.push((me, stream.clone()));
        }
        Some("publish") => {
            let room = state.channels.entry(channel.to_owned()).or_default();
            let offset = room.events.len() + 1;
            // As text: the order of the fields matters to the loader, and a server keeps `data`.
            let data = &command["data"];
            let (at, number, pad) = (&data["at"], &data["n"], &data["pad"]);
            let event = format!(
                "{{\"type\":\"event\",\"channel\":\"{channel}\",\"offset\":{offset},\
                 \"data\":{{\"at\":{at},\"n\":{number},\"pad\":{pad}}}}}"
            );
            let reply = json!({"type":"published","id":id,"channel":channel,"offset":offset,
                "level":"fsync","duplicate":false});
            send(stream, &reply.to_string());
            for (_, subscriber) in &room.subscribers {
                state.deliveries += 1;
                let tenth = state.deliveries.is_multiple_of(10);
                if !(tenth && fault == Fault::Loses) {
                    send(subscriber, &event);
                }
                if tenth && fault == Fault::Doubles {
                    send(subscriber, &event);
                }
            }
            room.events.push(event);
        }
        _ => {}
    }
}

fn read_frame(mut stream: &TcpStream) -> Option<Value> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let size = match head[1] & 0x7f {
        126 => {
            let mut long = [0; 2];
            stream.read_exact(&mut long).ok()?;
            usize::from(u16::from_be_bytes(long))
        }
        short => usize::from(short),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).ok()?;
    let mut payload = vec![0; size];
    stream.read_exact(&mut payload).ok()?;
    for (index, byte) in payload.iter_mut().enumerate() {
        *byte ^= mask[index % 4];
    }
    serde_json::from_slice(&payload).ok()
}

fn send(mut stream: &TcpStream, text: &str) {
    let mut frame = vec![0x81];
    if text.len() < 126 {
        frame.push(text.len() as u8);
    } else {
        frame.push(126);
        frame.extend_from_slice(&(text.len() as u16).to_be_bytes());
    }
    frame.extend_from_slice(text.as_bytes());
    // The client may be gone.
    let _ = stream.write_all(&frame);
}
