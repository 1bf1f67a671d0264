//! Versions that are taken, named, restored and deleted in any order while others write, the disk
//! fails and the process is killed: whatever is listed can be read and is what the document held,
//! what was acknowledged is listed, and nothing else is on the disk.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tidings_core::document::{Record, What};
use tidings_core::engine::VersionAsk;
use tidings_core::store::StoreError;

use crate::desk::{DOC, Desk, Who, merge};
use crate::random::Chance;
use crate::writer::Writer;

struct Story {
    desk: Desk,
    ada: Who,
    clients: u64,
    id: u64,
    /// Commands that have no answer yet: whether they ask for a version.
    open: BTreeMap<u64, bool>,
    /// Versions that were acknowledged, and those that somebody wanted to be deleted.
    saved: BTreeSet<u64>,
    gone: BTreeSet<u64>,
}

impl Story {
    fn new() -> Self {
        let mut desk = Desk::with(1, |limits, policy| {
            limits.page_bytes = 100;
            (policy.versions.automatic, policy.versions.named) = (3, 1000);
        });
        let ada = desk.reader("ada");
        Self {
            desk,
            ada,
            clients: 0,
            id: 1000,
            open: BTreeMap::new(),
            saved: BTreeSet::new(),
            gone: BTreeSet::new(),
        }
    }

    fn ask(&mut self, kind: &str, version: u64) {
        self.id += 1;
        let mut command = json!({ "type": kind, "id": self.id, "channel": DOC });
        match kind {
            "save_version" => command["name"] = json!("Draft"),
            "name_version" => command["name"] = json!("Final"),
            _ => {}
        }
        if kind != "save_version" {
            command["version"] = json!(version);
        }
        self.desk.say(self.ada, &command);
        self.open.insert(self.id, kind == "save_version");
        self.look();
    }

    /// Somebody new comes and writes.
    fn edit(&mut self, chance: &mut Chance) {
        self.clients += 1;
        let writer = Writer::new(self.clients);
        writer.take(&self.desk.sync(self.ada, &[0]));
        let length = u32::try_from(writer.text().len()).unwrap();
        let update = match chance.below(4) {
            0 if length > 4 => writer.cut(u32::try_from(chance.below(3)).unwrap(), length / 2),
            _ => writer.write(length / 2, &format!("<{}>", self.clients)),
        };
        self.id += 1;
        self.desk.say(self.ada, &merge(self.id, &update));
        self.open.insert(self.id, false);
        self.look();
    }

    /// Takes in answers.
    fn look(&mut self) {
        for frame in self.desk.heard(self.ada) {
            let Some(id) = frame["id"].as_u64() else { continue };
            let asked = self.open.remove(&id);
            let asked = asked.unwrap_or_else(|| panic!("nobody waits for {frame}"));
            if asked && frame["type"] == "version" {
                self.saved.insert(frame["version"].as_u64().unwrap());
            }
        }
    }

    /// What the document held at this offset, by its log.
    fn text_at(&self, offset: u64) -> String {
        let mut writer = Writer::new(1);
        let log = self.desk.disk.get(DOC).map_or(&[][..], |kept| &kept.events);
        for event in log.iter().filter(|event| event.offset <= offset) {
            match Record::decode(&event.event).unwrap().what {
                What::Update(update) => writer.take(update),
                What::Reset { .. } => writer = Writer::new(1),
                _ => {}
            }
        }
        writer.text()
    }

    fn reset(&mut self, versions: bool) {
        if versions {
            self.gone.extend(0..self.id);
        }
        self.desk.engines[0].reset_document(self.desk.now, &"api".into(), 1, DOC, versions);
        self.desk.run();
        self.look();
    }

    fn store_all(&mut self) {
        while !self.desk.queue.is_empty() {
            self.desk.store_one();
            self.look();
        }
    }

    /// The disk is as it should be.
    fn settle(&mut self, seed: u64) {
        self.desk.slow = false;
        self.store_all();
        // What could not be let go is tried again after a while.
        self.desk.pass(61_000);
        self.look();
        assert!(self.open.is_empty(), "seed {seed}: {:?} were never answered", self.open);
        let listed = self.desk.version(self.ada, "versions", &json!({ "limit": 100 }));
        let listed = listed["versions"].as_array().unwrap().clone();
        for version in &listed {
            let number = version["version"].as_u64().unwrap();
            let offset = version["offset"].as_u64().unwrap();
            let text = self.desk.text_of(self.ada, number);
            assert_eq!(text, self.text_at(offset), "seed {seed}: version {number}");
        }
        let numbers: BTreeSet<_> =
            listed.iter().map(|version| version["version"].as_u64().unwrap()).collect();
        let lost: Vec<_> = self.saved.difference(&numbers).collect();
        let lost = lost.into_iter().filter(|number| !self.gone.contains(number));
        assert_eq!(lost.count(), 0, "seed {seed}: {:?} of {numbers:?}", self.saved);
        // What is left of one that was not taken to its end is written over by the next one.
        let others = self.desk.kept_numbers().filter(|number| !numbers.contains(number));
        let others: Vec<_> = others.collect();
        let newer = others.iter().all(|number| numbers.last().is_none_or(|last| number > last));
        assert!(others.len() <= 1 && newer, "seed {seed}: {others:?} beside {numbers:?}");
    }

    fn restart(&mut self) {
        self.desk.restart();
        self.open.clear();
        self.desk.slow = false;
        self.ada = self.desk.reader("ada");
        self.look();
    }

    fn act(&mut self, chance: &mut Chance, seed: u64) {
        let some = chance.below(self.saved.last().map_or(3, |last| last + 3));
        match chance.below(100) {
            0..30 => self.edit(chance),
            30..45 => self.ask("save_version", 0),
            45..55 => self.ask("restore_version", some),
            55..60 => self.ask("name_version", some),
            60..66 => {
                self.gone.insert(some);
                let ask = VersionAsk::Delete { number: some };
                self.desk.engines[0].ask_version(self.desk.now, 5, DOC, ask);
                self.desk.run();
                self.look();
            }
            66..68 => self.reset(chance.below(2) == 0),
            68..76 => self.desk.slow = true,
            76..88 => {
                self.desk.store_one();
                self.look();
            }
            88..91 => {
                self.desk.store(&Err(StoreError::Full));
                self.look();
            }
            91..94 => self.settle(seed),
            94..96 => self.restart(),
            _ => {
                self.desk.pass(150_000);
                self.look();
            }
        }
    }
}

#[test]
fn whatever_happens_a_listed_version_is_what_the_document_held() {
    for seed in 0..150 {
        let (mut story, mut chance) = (Story::new(), Chance(seed));
        for _ in 0..120 {
            story.act(&mut chance, seed);
        }
        story.settle(seed);
        story.restart();
        story.settle(seed);
    }
}
