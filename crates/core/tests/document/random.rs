//! Writers who write at the same time and while they are away, by sessions and by editors, links
//! that are lost, a disk that fails and a process that is killed: in the end all have the same, and
//! what was acknowledged is never missing.

use std::collections::HashMap;

use serde_json::{Value, json};
use tidings_core::engine::{Contribution, Editor};
use tidings_core::store::StoreError;
use tidings_proto::yjs::hocuspocus::{Frame, Message as Provided, decode, encode};
use tidings_proto::yjs::sync::{self, Message, Sync};
use tidings_proto::{Epoch, to_base64};
use yrs::updates::decoder::Decode;
use yrs::{ClientID, ReadTxn, StateVector, Transact};

use crate::backends::{made, text_of};
use crate::desk::{DOC, Desk, Who, bytes_of, merge};
use crate::writer::Writer;

/// A generator from a seed (`SplitMix64`).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (n ^ (n >> 31)) % end
    }
}

const WAYS: [By; 3] = [By::Hocuspocus, By::Frames, By::Yjs];

/// How somebody is connected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Frames,
    Hocuspocus,
    Yjs,
}

/// Somebody who writes.
struct Author {
    client: u64,
    by: By,
    writer: Writer,
    who: Option<Who>,
    next: u64,
    /// Of the answer to a `sync`.
    parts: Vec<u8>,
    /// How far its own clock was with each `merge` that is under way.
    under_way: HashMap<u64, u32>,
    /// How far it was with those of which one was confirmed.
    confirmed: u32,
    /// How far it was with the newest one that was acknowledged.
    acknowledged: u32,
}

impl Author {
    fn new(client: u64, by: By) -> Self {
        let (writer, under_way) = (Writer::new(client), HashMap::new());
        Self {
            client,
            by,
            writer,
            who: None,
            next: 100,
            parts: Vec::new(),
            under_way,
            confirmed: 0,
            acknowledged: 0,
        }
    }

    fn forget(&mut self) {
        self.under_way.clear();
        self.confirmed = 0;
    }

    fn clock(&self) -> u32 {
        self.writer.doc.transact().state_vector().get(&ClientID::new(self.client))
    }

    fn edit(&mut self, desk: &mut Desk, chance: &mut Chance) {
        let long = u32::try_from(self.writer.text().encode_utf16().count()).unwrap();
        let at = u32::try_from(chance.below(u64::from(long) + 1)).unwrap();
        let update = if chance.below(4) == 0 && at < long {
            self.writer.cut(at, (long - at).min(5))
        } else {
            let words = format!("{}.{} ", self.client, chance.below(1000));
            self.writer.write(at, &words)
        };
        self.tell(desk, &update);
    }

    fn tell(&mut self, desk: &mut Desk, update: &[u8]) {
        let Some(who) = self.who else { return };
        self.next += 1;
        let id = self.next;
        match self.by {
            By::Yjs => desk.send(who, &sync::update(update)),
            By::Hocuspocus => {
                self.under_way.insert(id, self.clock());
                desk.send(who, &encode(DOC, Provided::Sync(Sync::Update(update))));
            }
            By::Frames => {
                self.under_way.insert(id, self.clock());
                desk.say(who, &merge(id, update));
            }
        }
    }

    fn come(&mut self, desk: &mut Desk) {
        if self.who.is_some() {
            return;
        }
        if self.by == By::Yjs {
            let who = desk.yjs("editor");
            self.who = Some(who);
            return desk.send(who, &sync::step1(&self.writer.vector()));
        }
        if self.by == By::Hocuspocus {
            let who = desk.editor_without_token(Editor::Hocuspocus);
            self.who = Some(who);
            // What it will be asked for counts from the beginning.
            self.under_way.insert(0, self.clock());
            desk.send(who, &encode(DOC, Provided::Token { token: "provider", version: None }));
            let vector = self.writer.vector();
            return desk.send(who, &encode(DOC, Provided::Sync(Sync::Step1(&vector))));
        }
        let who = desk.user("session");
        self.who = Some(who);
        desk.say(who, &json!({ "type": "subscribe", "id": 2, "channel": DOC }));
        let vector = to_base64(&self.writer.vector());
        desk.say(who, &json!({ "type": "sync", "id": 3, "channel": DOC, "vector": vector }));
    }

    fn leave(&mut self, desk: &mut Desk) {
        if let Some(who) = self.who.take() {
            self.listen(desk, who);
            desk.leave(who);
            self.forget();
        }
    }

    /// Takes in what has come; `true`: something has.
    fn hear(&mut self, desk: &mut Desk) -> bool {
        let Some(who) = self.who else { return false };
        let heard = self.listen(desk, who);
        if desk.closed(who).is_some() {
            self.who = None;
            self.forget();
        }
        heard
    }

    fn listen(&mut self, desk: &mut Desk, who: Who) -> bool {
        let mut heard = false;
        for message in desk.got(who) {
            heard = true;
            if self.by == By::Hocuspocus {
                self.provided(desk, who, &message);
                continue;
            }
            for message in sync::decode(&message) {
                match message.unwrap() {
                    Message::Sync(Sync::Step1(vector)) => {
                        desk.send(who, &sync::step2(&self.writer.since(vector)));
                    }
                    Message::Sync(Sync::Step2(it) | Sync::Update(it)) => self.writer.take(it),
                    _ => {}
                }
            }
        }
        for frame in desk.heard(who) {
            heard = true;
            self.frame(desk, &frame);
        }
        heard
    }

    fn provided(&mut self, desk: &mut Desk, who: Who, message: &[u8]) {
        let Ok(Frame::Document(_, word)) = decode(message) else { panic!("{message:?}") };
        match word {
            Provided::Sync(Sync::Step1(vector)) => {
                self.confirmed = self.clock();
                let update = self.writer.since(vector);
                desk.send(who, &encode(DOC, Provided::Sync(Sync::Step2(&update))));
            }
            Provided::Sync(Sync::Step2(it) | Sync::Update(it)) => self.writer.take(it),
            // One for each: providers count, and with none left all that they sent is stored.
            Provided::SyncStatus(stored) => {
                assert!(stored);
                let oldest = *self.under_way.keys().min().unwrap();
                let clock = self.under_way.remove(&oldest).unwrap_or_default();
                self.confirmed = self.confirmed.max(clock);
                if self.under_way.is_empty() {
                    self.acknowledged = self.acknowledged.max(self.confirmed);
                }
            }
            Provided::Denied(why) | Provided::Close(why) => panic!("{why}"),
            _ => {}
        }
    }

    fn frame(&mut self, desk: &mut Desk, frame: &Value) {
        let id = frame["id"].as_u64().unwrap_or_default();
        match frame["type"].as_str().unwrap() {
            "document" => self.writer.take(&bytes_of(&frame["update"])),
            "synced" => {
                self.parts.extend(bytes_of(&frame["update"]));
                if frame["more"] != true {
                    self.writer.take(&std::mem::take(&mut self.parts));
                    let lacks = self.writer.since(&bytes_of(&frame["vector"]));
                    self.tell(desk, &lacks);
                }
            }
            "merged" => {
                let clock = self.under_way.remove(&id).unwrap_or_default();
                self.acknowledged = self.acknowledged.max(clock);
            }
            "error" => {
                assert_eq!(frame["retryable"], true, "{frame}");
                // It says again all that the server lacks.
                self.leave(desk);
                self.come(desk);
            }
            _ => {}
        }
    }
}

/// What a backend has made, and not told yet.
#[derive(Default)]
struct Backend(Vec<Contribution>);

impl Backend {
    /// Reads, and makes an edit of that; or writes what it has made some time ago.
    fn act(&mut self, desk: &mut Desk, chance: &mut Chance) {
        let shard = usize::try_from(chance.below(desk.engines.len() as u64)).unwrap();
        if self.0.len() < 4 && chance.below(2) == 0 {
            let Some(read) = desk.backend_reads(shard) else { return };
            let at = chance.below(text_of(&read).len() as u64 + 1);
            let words = format!("b.{} ", chance.below(1000));
            return self.0.push(made(&read, usize::try_from(at).unwrap(), &words));
        }
        for change in self.0.drain(..) {
            desk.backend_writes(shard, change);
        }
        for answer in desk.answers.drain(..).filter(|answer| answer["type"] == "error") {
            let code = answer["code"].as_str().unwrap();
            assert!(["conflict", "unavailable"].contains(&code), "{answer}");
        }
    }
}

fn settle(desk: &mut Desk, authors: &mut [Author]) {
    while authors.iter_mut().filter_map(|author| author.hear(desk).then_some(())).count() > 0 {}
}

/// What a node that starts now has read from its disk.
fn check_disk(desk: &mut Desk, authors: &[Author], seed: u64) {
    let probe = desk.reader("probe");
    let read = Writer::new(999);
    read.take(&desk.sync(probe, &[]));
    let vector = StateVector::decode_v1(&read.vector()).unwrap();
    for author in authors {
        let stored = vector.get(&ClientID::new(author.client));
        assert!(stored >= author.acknowledged, "seed {seed}: {} was acknowledged", author.client);
    }
    desk.leave(probe);
}

fn history(seed: u64, steps: u64) {
    let mut chance = Chance(seed);
    let shards = 1 + usize::try_from(chance.below(2)).unwrap();
    let mut desk = Desk::with(shards, |limits, _| {
        limits.channel_idle = tidings_core::Period::secs(2);
    });
    let mut authors: Vec<_> =
        (1..=4).map(|client| Author::new(client, WAYS[client as usize % 3])).collect();
    let mut backend = Backend::default();
    for _ in 0..steps {
        let which = usize::try_from(chance.below(4)).unwrap();
        match chance.below(100) {
            0..50 => authors[which].edit(&mut desk, &mut chance),
            50..65 => authors[which].come(&mut desk),
            65..72 => authors[which].leave(&mut desk),
            72..80 => desk.slow = !desk.slow,
            80..86 => desk.store(&Ok(())),
            86..89 => desk.store(&Err(StoreError::Full)),
            89..92 => desk.pass([600, 3000, 8000][usize::try_from(chance.below(3)).unwrap()]),
            92..96 => backend.act(&mut desk, &mut chance),
            96..98 => {
                authors.iter_mut().for_each(|author| {
                    author.hear(&mut desk);
                });
                desk.restart();
                for author in &mut authors {
                    author.who = None;
                    author.forget();
                }
                let slow = std::mem::replace(&mut desk.slow, false);
                check_disk(&mut desk, &authors, seed);
                desk.slow = slow;
            }
            _ => settle(&mut desk, &mut authors),
        }
        authors[which].hear(&mut desk);
        if !desk.slow {
            desk.store(&Ok(()));
        }
    }
    desk.slow = false;
    desk.store(&Ok(()));
    for _ in 0..3 {
        settle(&mut desk, &mut authors);
        authors.iter_mut().for_each(|author| author.come(&mut desk));
    }
    settle(&mut desk, &mut authors);
    let text = authors[0].writer.text();
    for author in &authors {
        assert_eq!(author.writer.text(), text, "seed {seed}: {}", author.client);
    }
    desk.restart();
    check_disk(&mut desk, &authors, seed);
    let late = desk.reader("late");
    let read = Writer::new(1000);
    read.take(&desk.sync(late, &[]));
    assert_eq!(read.text(), text, "seed {seed}");
}

#[test]
fn whatever_happens_all_have_the_same_in_the_end_and_nothing_acknowledged_is_lost() {
    let first = std::env::var("TIDINGS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = std::env::var("TIDINGS_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let (first, seeds): (u64, u64) = (first.unwrap_or(1), seeds.unwrap_or(40));
    for seed in first..first + seeds {
        history(seed, 300);
    }
}

#[test]
fn three_who_write_offline_for_an_hour_have_the_same_when_they_are_back() {
    let (mut desk, mut chance) = (Desk::new(), Chance(7));
    let mut authors: Vec<_> =
        (1..=3).map(|client| Author::new(client, WAYS[client as usize % 3])).collect();
    authors.iter_mut().for_each(|author| author.come(&mut desk));
    authors[0].edit(&mut desk, &mut chance);
    settle(&mut desk, &mut authors);
    authors.iter_mut().for_each(|author| author.leave(&mut desk));
    for minute in 0..60 {
        for author in &mut authors {
            for _ in 0..20 {
                author.edit(&mut desk, &mut chance);
            }
        }
        desk.pass(60_000);
        if minute == 30 {
            desk.restart();
        }
    }
    assert_eq!(desk.engines[0].counts().channels, 0, "nobody had it open");
    for _ in 0..2 {
        authors.iter_mut().for_each(|author| author.come(&mut desk));
        settle(&mut desk, &mut authors);
    }
    let text = authors[0].writer.text();
    assert!(text.len() > 10_000);
    assert!(authors.iter().all(|author| author.writer.text() == text));
}

#[test]
fn a_document_that_was_reset_is_not_filled_again_by_who_was_away() {
    let mut desk = Desk::new();
    let (ada, edits) = (desk.reader("ada"), Writer::new(2));
    let at_ada = Writer::new(1);
    desk.merge(ada, &at_ada.write(0, "old"));
    let bob = crate::editing::connect(&mut desk, "bob", &edits);
    desk.send(bob, &sync::update(&edits.add(" older")));
    desk.heard(ada);
    desk.reset(DOC);
    let heard = desk.heard(ada);
    assert_eq!((&heard[0]["type"], heard.len()), (&json!("reset"), 1));
    let epoch: Epoch = heard[0]["epoch"].as_str().unwrap().parse().unwrap();
    assert_eq!(desk.closed(bob).map(tidings_proto::CloseCode::code), Some(4411));
    assert_eq!(desk.merge(ada, &at_ada.add("!"))["code"], "document_reset");
    let bob = desk.yjs("bob");
    desk.send(bob, &sync::step2(&edits.all()));
    assert_eq!(desk.closed(bob).map(tidings_proto::CloseCode::code), Some(4411));
    let anew = Writer::new(3);
    let mut said = merge(11, &anew.write(0, "new"));
    said["epoch"] = json!(epoch.to_string());
    assert_eq!(desk.ask(ada, &said)["type"], "merged");
    said["epoch"] = json!("0000000000000000");
    assert_eq!(desk.ask(ada, &said)["code"], "document_reset");
    desk.restart();
    let late = desk.reader("late");
    let read = Writer::new(9);
    read.take(&desk.sync(late, &[]));
    assert_eq!(read.text(), "new");
    assert_eq!(desk.merge(late, &at_ada.all())["code"], "document_reset");
}
