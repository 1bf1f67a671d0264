//! What is too long, or is nothing.

use tidings_websocket::Deflater;
use yrs::Doc;

use crate::common::{Server, Setup, frame, frame_head};
use crate::editor::{Editor, STEP1, STEP2, UPDATE, sync};
use crate::setup;

#[test]
fn what_is_no_update_ends_the_connection_and_hurts_nobody_else() {
    let server = Server::start(&setup());
    let mut ada = Editor::open(&server, "doc:plan").synced();
    ada.write("good");
    for bad in [
        sync(UPDATE, &[0xff; 40]),
        sync(STEP2, &[1, 1, 1]),
        sync(STEP1, &[0xff, 0xff, 0xff, 0xff, 0x0f, 1]),
        sync(9, &[]),
        vec![],
        vec![],
        vec![77],
        vec![0],
        vec![0, 2, 200, 1],
        vec![1, 4, 1, 1, 1, 9],
    ] {
        let mut eve = Editor::open(&server, "doc:plan").synced();
        eve.send(&bad).unwrap();
        eve.closed_with(4400);
    }
    // JSON is spoken elsewhere.
    let mut eve = Editor::open(&server, "doc:plan").synced();
    eve.socket.send_raw(&frame(0x81, b"{}")).unwrap();
    eve.closed_with(4400);
    ada.write(" and better");
    Editor::open(&server, "doc:plan").synced().reads("good and better");
}

#[test]
fn a_message_that_is_too_long_is_not_sent_again() {
    let server = Server::start(&Setup { limits: "update = 20000", ..setup() });
    let mut ada = Editor::open(&server, "doc:plan").synced();
    ada.write(&"x".repeat(19_000));
    ada.write(&"y".repeat(30_000));
    ada.closed_with(4413);
    let mut bob = Editor::open(&server, "doc:plan");
    bob.reads("xxx");
    assert_eq!(bob.text(), "x".repeat(19_000));
}

#[test]
fn messages_that_have_arrived_in_part_have_a_bound_together() {
    let limits = "arriving = 300000\nupdate = 200000";
    let server = Server::start(&Setup { server: "shards = 1", limits, ..setup() });
    let mut ada = Editor::open(&server, "doc:plan").synced();
    let mut halves = Vec::new();
    for _ in 0..8 {
        let mut eve = Editor::open(&server, "doc:plan").synced();
        eve.socket.send_raw(&frame_head(0x82, 150_000)).unwrap();
        eve.socket.send_raw(&[7; 100_000]).unwrap();
        halves.push(eve);
    }
    // Those that were too many are told to come back.
    let mut gone = 0;
    for eve in &mut halves {
        eve.socket.stream.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
        let why = loop {
            if let Err(error) = eve.hear() {
                break error.to_string();
            }
        };
        gone += usize::from(why == "closed with 4529");
    }
    assert!((4..8).contains(&gone), "{gone}");
    drop(halves);
    ada.write("fine");
    Editor::open(&server, "doc:plan").synced().reads("fine");
}

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

fn deflated(message: &[u8]) -> Vec<u8> {
    let deflated = Deflater::new(15, 9, false).compress(message).unwrap().to_vec();
    frame(0xc2, &deflated)
}

#[test]
fn a_compressed_update_counts_as_long_as_it_is() {
    let limits = "update = 200000";
    let setup = Setup { server: "shards = 1\ncompression = true", limits, ..setup() };
    let server = Server::start(&setup);
    let mut ada = Editor::open_with(&server, "doc:plan", OFFER, Doc::new()).synced();
    assert!(ada.socket.head.to_lowercase().contains("permessage-deflate"));
    let update = ada.write_here(&"x".repeat(190_000));
    ada.socket.send_raw(&deflated(&sync(UPDATE, &update))).unwrap();
    Editor::open(&server, "doc:plan").synced().reads("xxx");
    let before = server.memory();
    let bomb = deflated(&sync(UPDATE, &vec![0; 64 << 20]));
    assert!(bomb.len() < 100_000);
    for _ in 0..5 {
        let mut eve = Editor::open_with(&server, "doc:other", OFFER, Doc::new()).synced();
        let _ = eve.socket.send_raw(&bomb);
        eve.closed_with(4413);
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 4 << 20, "memory grew by {grown} bytes");
}
