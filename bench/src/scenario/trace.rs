//! `trace`: recorded editing sessions, through the engine's document.

use std::collections::BTreeSet;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use flate2::read::GzDecoder;
use serde::Deserialize;
use tidings_core::DocumentLimits;
use tidings_core::document::Document;
use yrs::block::ClientID;
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, OffsetKind, Options, Text, TextRef, Transact, Update};

use crate::error::{Error, Result};
use crate::process::Process;
use crate::report::Outcome;

/// How often the times that are short are taken: the median counts.
const ROUNDS: usize = 9;
/// Bytes of a checkpoint's page, as the engine cuts them.
const PAGE: usize = 256 << 10;
/// Editors take 32 bits by chance.
const CLIENT: u64 = 3_000_000_000;
/// Edits of ten characters that make a document of 10,000.
const INSERTS: u32 = 1000;

/// A recorded editing session of one or more authors: what its updates cost the server, how fast
/// the document opens, and how much memory documents take.
#[derive(Args, Clone, Debug)]
pub struct TraceArgs {
    /// A trace of github.com/josephg/editing-traces: JSON, or that with gzip.
    pub file: PathBuf,
    /// How many documents of 10,000 characters are held in memory, to weigh them.
    #[arg(long, default_value_t = 500)]
    pub documents: usize,
    /// Saves the figures.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    #[serde(default)]
    start_content: String,
    end_content: String,
    #[serde(default)]
    num_agents: Option<usize>,
    txns: Vec<Txn>,
}

#[derive(Deserialize)]
struct Txn {
    #[serde(default)]
    parents: Option<Vec<usize>>,
    #[serde(default)]
    agent: usize,
    patches: Vec<(u32, u32, String)>,
}

impl TraceArgs {
    /// Runs it.
    pub(crate) fn run(&self) -> Result<Outcome> {
        let trace = Trace::read(&self.file)?;
        let updates = trace.updates()?;
        let mut outcome = Outcome::new(format!("trace, {} edits", updates.len()));
        let bytes: usize = updates.iter().map(Vec::len).sum();
        outcome.figure("bytes of an update", bytes as f64 / updates.len().max(1) as f64, "B");
        let mut document = apply(&updates, &mut outcome)?;
        let state = document.encode().map_err(|_| Error::server("breaks a document"))?;
        outcome.figure("encoded", state.len() as f64 / 1024.0, "KiB");
        let found = read(&state)?;
        outcome.figure("characters at the end", found.chars().count() as f64, "");
        if found != trace.end_content {
            outcome.faults.push("the text at the end is another one".to_owned());
        }
        open(&mut document, &mut outcome)?;
        if self.documents > 0 {
            weigh(self.documents, &mut outcome)?;
        }
        Ok(outcome)
    }
}

/// What the server does with each update: proves it, and applies it.
fn apply(updates: &[Vec<u8>], outcome: &mut Outcome) -> Result<Document> {
    let (limits, mut document) = (DocumentLimits::default(), Document::new());
    let start = Instant::now();
    for update in updates {
        let prepared = Document::prepare(update, &limits);
        let prepared = prepared.map_err(|fault| Error::server(format!("refuses: {fault:?}")))?;
        if !document.admits(&prepared) || document.commit("ada", (1, 0), prepared).is_err() {
            return Err(Error::server("cannot apply an update"));
        }
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / updates.len().max(1) as f64;
    outcome.figure("applied, each update", each, "us");
    Ok(document)
}

/// How long it takes until a document that was compacted can be read, and written into.
fn open(document: &mut Document, outcome: &mut Outcome) -> Result<()> {
    let pages = document.pages(PAGE).map_err(|_| Error::server("breaks a document"))?;
    let mut opened = Vec::new();
    let mut answered = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut again = Document::new();
        pages.iter().for_each(|page| again.take_page(page));
        let vector = again.vector();
        opened.push(ms(start.elapsed()));
        let start = Instant::now();
        let nothing = again.missing(&vector, &DocumentLimits::default());
        answered.push(ms(start.elapsed()));
        if again.skipped() > 0 || nothing.is_err() {
            return Err(Error::server("cannot read its own pages"));
        }
    }
    outcome.figure("opens, from its pages", middle(&opened), "ms");
    outcome.figure("answers who has all of it", middle(&answered), "ms");
    Ok(())
}

/// The memory of documents of 10,000 characters, typed ten at a time in random places.
fn weigh(count: usize, outcome: &mut Outcome) -> Result<()> {
    let updates = scattered();
    // Those that rest first: what open ones have used and given back would hide them.
    for (name, rests) in [("at rest", true), ("open", false)] {
        let before = Process::own().pss()?;
        let documents = (0..count).map(|_| typed(&updates, rests)).collect::<Result<Vec<_>>>()?;
        let grown = Process::own().pss()?.saturating_sub(before) as f64;
        outcome.figure(format!("10,000 characters, {name}"), grown / count as f64 / 1024.0, "KiB");
        black_box(documents);
    }
    Ok(())
}

fn typed(updates: &[Vec<u8>], rests: bool) -> Result<Document> {
    let (limits, mut document) = (DocumentLimits::default(), Document::new());
    for update in updates {
        let prepared = Document::prepare(update, &limits);
        let prepared = prepared.map_err(|fault| Error::server(format!("refuses: {fault:?}")))?;
        document.commit("ada", (1, 0), prepared).map_err(|_| Error::server("breaks a document"))?;
    }
    if rests {
        document.rest();
    }
    Ok(document)
}

/// The updates of a document of 10,000 characters.
fn scattered() -> Vec<Vec<u8>> {
    let (doc, text) = author(CLIENT);
    let mut updates = Vec::new();
    let mut chance: u64 = 1;
    for written in 0..INSERTS {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = (chance >> 33) as u32 % (written * 10 + 1);
        updates.push(change(&doc, |txn| text.insert(txn, at, "ten chars ")));
    }
    updates
}

impl Trace {
    fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::system(path.display().to_string()))?;
        let mut text = Vec::new();
        let packed = path.extension().is_some_and(|extension| extension == "gz");
        let mut reader: Box<dyn Read> = match packed {
            true => Box::new(GzDecoder::new(BufReader::new(file))),
            false => Box::new(file),
        };
        reader.read_to_end(&mut text).map_err(Error::system(path.display().to_string()))?;
        let saved = |source| Error::Saved { path: path.to_owned(), source };
        serde_json::from_slice(&text).map_err(saved)
    }

    /// The updates that its authors' editors would have sent.
    fn updates(&self) -> Result<Vec<Vec<u8>>> {
        if !self.start_content.is_empty() {
            return Err(Error::usage("traces that begin with a text are not understood"));
        }
        let bmp = |c: char| u32::from(c) < 0x1_0000;
        let all = self.txns.iter().flat_map(|txn| &txn.patches);
        if !all.clone().all(|(_, _, inserted)| inserted.chars().all(bmp)) {
            return Err(Error::usage("its positions are not those of UTF-16"));
        }
        let mut authors: Vec<_> =
            (0..self.num_agents.unwrap_or(1).max(1)).map(Author::new).collect();
        let mut updates: Vec<Vec<u8>> = Vec::with_capacity(self.txns.len());
        for (number, txn) in self.txns.iter().enumerate() {
            let author = authors.get_mut(txn.agent);
            let author = author.ok_or_else(|| Error::usage("it has more agents than it says"))?;
            if txn.parents.is_some() {
                author.hear(self, number, &updates)?;
            }
            updates.push(author.write(number, &txn.patches));
        }
        Ok(updates)
    }
}

/// Somebody's editor.
struct Author {
    doc: Doc,
    text: TextRef,
    /// Transactions that it has, own ones too.
    has: BTreeSet<usize>,
}

impl Author {
    fn new(number: usize) -> Self {
        let (doc, text) = author(CLIENT + number as u64);
        Self { doc, text, has: BTreeSet::new() }
    }

    /// Takes in what others wrote before this transaction.
    fn hear(&mut self, trace: &Trace, number: usize, updates: &[Vec<u8>]) -> Result<()> {
        let parents = |number: usize| trace.txns[number].parents.iter().flatten().copied();
        let mut lacks = BTreeSet::new();
        let mut open: Vec<_> = parents(number).collect();
        while let Some(number) = open.pop() {
            if number >= updates.len() {
                return Err(Error::usage("a transaction stands before its parent"));
            }
            if !self.has.contains(&number) && lacks.insert(number) {
                open.extend(parents(number));
            }
        }
        for &number in &lacks {
            let update = Update::decode_v1(&updates[number]);
            let update = update.map_err(|error| Error::usage(error.to_string()))?;
            let applied = self.doc.transact_mut().apply_update(update);
            applied.map_err(|error| Error::usage(error.to_string()))?;
        }
        self.has.append(&mut lacks);
        Ok(())
    }

    fn write(&mut self, number: usize, patches: &[(u32, u32, String)]) -> Vec<u8> {
        self.has.insert(number);
        change(&self.doc, |txn| {
            for (at, deleted, inserted) in patches {
                if *deleted > 0 {
                    self.text.remove_range(txn, *at, *deleted);
                }
                if !inserted.is_empty() {
                    self.text.insert(txn, *at, inserted);
                }
            }
        })
    }
}

/// Changes a document; the update of it.
fn change(doc: &Doc, work: impl FnOnce(&mut yrs::TransactionMut<'_>)) -> Vec<u8> {
    let mut txn = doc.transact_mut();
    work(&mut txn);
    txn.commit();
    txn.encode_update_v1()
}

fn author(client: u64) -> (Doc, TextRef) {
    let mut options = Options::with_client_id(ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    let doc = Doc::with_options(options);
    let text = doc.get_or_insert_text("text");
    (doc, text)
}

/// The text of a document.
fn read(state: &[u8]) -> Result<String> {
    let (doc, text) = author(0);
    let update = Update::decode_v1(state).map_err(|error| Error::server(error.to_string()))?;
    let applied = doc.transact_mut().apply_update(update);
    applied.map_err(|error| Error::server(error.to_string()))?;
    let found = text.get_string(&doc.transact());
    Ok(found)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn middle(times: &[f64]) -> f64 {
    crate::report::median(times).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_write_at_once_and_the_server_has_what_both_wrote() {
        let trace = r#"{"endContent": "Hello, world!", "numAgents": 2, "txns": [
            {"parents": [], "agent": 0, "patches": [[0, 0, "Helo"]]},
            {"parents": [0], "agent": 0, "patches": [[3, 0, "l"]]},
            {"parents": [0], "agent": 1, "patches": [[4, 0, ", Bob"]]},
            {"parents": [1, 2], "agent": 1, "patches": [[7, 3, "world!"]]}]}"#;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), trace).unwrap();
        let args = TraceArgs { file: file.path().to_owned(), documents: 0, json: None };
        let outcome = args.run().unwrap();
        assert_eq!(outcome.faults, Vec::<String>::new());
        assert_eq!(outcome.value("characters at the end"), Some(13.0));
        std::fs::write(file.path(), trace.replace("world!\",", "moon\",")).unwrap();
        assert_eq!(args.run().unwrap().faults.len(), 1);
    }
}
