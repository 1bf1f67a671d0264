//! One collaborative document: what its log makes, the only part that knows yrs.
//!
//! A document is a fold. Each update is a record of the channel's log (`record.rs`), proved
//! ([`Document::prepare`]) before it is appended and applied ([`Document::commit`]) when it is
//! stored: so its vector tells only what is stored. The same log always makes the same document:
//! this copy writes nothing by itself.
//!
//! A document that nobody touches rests ([`Document::rest`]): then it is its encoded bytes, a sixth
//! of what it takes when it is open.

mod admission;
mod compare;
mod crowd;
mod diff;
mod edit;
mod engine;
mod node;
mod open;
mod pages;
mod plain;
mod record;
mod restore;
#[cfg(test)]
mod tests;
mod versions;
mod view;
mod waiting;

use std::collections::BTreeSet;

use bytes::Bytes;
use tidings_proto::yjs::{self, EMPTY_UPDATE, EMPTY_VECTOR, UpdateLimits};
use yrs::{ClientID, IdSet, Update};

pub use self::admission::{Excess, Taken};
pub use self::compare::{Compared, TextChange, compare};
use self::crowd::Crowd;
pub use self::edit::{EditFault, PatchOp, TextEdit, Values, edit_text, json_patch};
pub use self::engine::Broken;
use self::open::Open;
pub use self::record::{Record, What};
pub use self::restore::restore;
pub use self::versions::{Changed, Pages, Version, Versions};
pub use self::view::{RootKind, json, plain_text, roots};
use crate::limits::{BURIED_CLIENTS, DOCUMENT_LEVELS, DocumentLimits};
use crate::store::Epoch;

/// What somebody sent is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No Yjs update, or no state vector, of version 1.
    Invalid,
    /// Longer than `update` of the limits.
    TooLarge,
    /// More clients than `clients` of the limits.
    Clients,
    /// Shared types, or values, are nested in it deeper than anything needs.
    Deep,
    /// It puts more items into one place than anybody writes at once.
    Crowded,
    /// Nothing of what was sent: yrs has failed on the document.
    Broken,
}

impl From<yjs::Fault> for Fault {
    fn from(fault: yjs::Fault) -> Self {
        match fault {
            yjs::Fault::Limit("update") => Self::TooLarge,
            yjs::Fault::Limit("document_clients") => Self::Clients,
            yjs::Fault::Limit("nesting" | "depth") => Self::Deep,
            yjs::Fault::Limit("same_place") => Self::Crowded,
            _ => Self::Invalid,
        }
    }
}

/// An update that can be applied.
#[derive(Debug)]
pub struct Prepared {
    bytes: Bytes,
    update: Update,
    /// Which structs are in it.
    structs: IdSet,
    /// How many levels of shared types it adds at most.
    levels: usize,
    /// How many items it puts into one place at most.
    crowd: usize,
}

impl Prepared {
    /// The update.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether applying it changes nothing, whatever it is applied to.
    pub fn is_empty(&self) -> bool {
        self.update.is_empty()
    }

    /// Whose structs are in it, and where they end.
    fn ends(&self) -> impl Iterator<Item = (u64, u32)> {
        self.structs.iter().map(|(client, ranges)| {
            (client.get(), ranges.iter().map(|range| range.end).max().unwrap_or(0))
        })
    }

    /// Whether there is anything in it but deletions.
    pub fn inserts(&self) -> bool {
        self.structs.client_ids().next().is_some()
    }
}

/// See the module.
#[derive(Debug)]
pub struct Document {
    body: Body,
    epoch: Epoch,
    /// Clients that wrote before the last resets, the newest last.
    buried: Vec<u64>,
    versions: Versions,
    /// Its encoded length as it was last measured, and what has been applied since.
    measured: usize,
    grown: usize,
    depth: Depth,
    crowd: Crowd,
    /// What it was read from, until something is committed: if yrs breaks on one of these updates
    /// it is made again, without that one.
    replayed: Vec<Bytes>,
    /// Records that could not be applied.
    skipped: u64,
    /// Pages that have come so far.
    loading: Vec<u8>,
}

/// How deep its shared types are nested, at most.
#[derive(Clone, Copy, Debug, Default)]
struct Depth {
    /// What is stored: as last measured, and what has come since. `None`: not measured yet.
    stored: Option<usize>,
    since: usize,
    /// What was admitted and is at the store.
    ahead: usize,
    /// How much had grown when it was measured.
    at: usize,
}

#[derive(Debug)]
enum Body {
    Open(Open),
    Resting { state: Bytes, waiting: Vec<Bytes>, vector: Bytes, clients: usize },
}

impl Default for Document {
    fn default() -> Self {
        Self::new()
    }
}

impl Document {
    /// Nothing yet; its epoch is 0 until it is reset.
    pub fn new() -> Self {
        Self {
            body: Body::blank(),
            epoch: Epoch(0),
            buried: Vec::new(),
            versions: Versions::default(),
            measured: EMPTY_UPDATE.len(),
            grown: 0,
            depth: Depth::default(),
            crowd: Crowd::default(),
            replayed: Vec::new(),
            skipped: 0,
            loading: Vec::new(),
        }
    }

    /// Proves that an update can be applied, to whatever document.
    pub fn prepare(update: &[u8], limits: &DocumentLimits) -> Result<Prepared, Fault> {
        let guard = UpdateLimits {
            bytes: limits.update,
            clients: limits.clients,
            nesting: DOCUMENT_LEVELS,
            ..UpdateLimits::default()
        };
        let crowd = yjs::check_update(update, &guard)?.crowd;
        let bytes = Bytes::copy_from_slice(update);
        let levels = yjs::levels(update)?;
        let update = engine::decode(update).ok_or(Fault::Invalid)?;
        let structs = update.insertions(true);
        Ok(Prepared { bytes, update, structs, levels, crowd })
    }

    /// What was at the store has failed, all of it.
    pub fn revert(&mut self) {
        self.depth.ahead = 0;
        self.crowd.revert();
    }

    /// Takes in an update that has been stored. After [`Broken`] the document is empty and has to
    /// be read again from the store, where [`replay`](Self::replay) gets around it.
    ///
    /// `place`: its offset, and when it was stored (milliseconds since 1970).
    pub fn commit(
        &mut self,
        user: &str,
        place: (u64, u64),
        prepared: Prepared,
    ) -> Result<(), Broken> {
        let Prepared { bytes, update, levels, crowd, .. } = prepared;
        self.replayed = Vec::new();
        self.depth.since += levels;
        self.depth.ahead = self.depth.ahead.saturating_sub(levels);
        self.crowd.commit(crowd);
        let applied = self.open().and_then(|open| open.apply(update, &bytes));
        match applied {
            Ok(whole) => self.skipped += u64::from(!whole),
            Err(broken) => {
                self.clear();
                return Err(broken);
            }
        }
        self.grown += bytes.len();
        self.versions.note_change(user, place);
        Ok(())
    }

    /// Takes in a record that was stored. One that cannot be applied is skipped and counted.
    pub fn replay(&mut self, place: (u64, u64), record: &[u8]) {
        let Some(Record { user, what }) = Record::decode(record) else {
            self.skipped += 1;
            return;
        };
        match what {
            What::Update(update) => {
                if self.replay_update(update) {
                    self.versions.note_change(user, place);
                } else {
                    self.skipped += 1;
                }
            }
            What::Reset { epoch, versions } => self.reset(epoch, versions),
            What::Version(version) => match serde_json::from_slice(version) {
                Ok(version) => self.versions.take(version),
                Err(_) => self.skipped += 1,
            },
            What::NameVersion(number, name) => {
                let name = Some(name).filter(|name| !name.is_empty());
                self.versions.name(number, name.map(Box::from));
            }
            What::DeleteVersion(number) => self.versions.delete(number),
            What::ForgetVersion(number) => self.versions.forget(number),
        }
    }

    fn replay_update(&mut self, bytes: &[u8]) -> bool {
        let Some(update) = engine::decode(bytes) else { return false };
        let bytes = Bytes::copy_from_slice(bytes);
        let applied = self.open().and_then(|open| open.apply(update, &bytes));
        if let Ok(whole) = applied {
            self.grown += bytes.len();
            self.depth.stored = None;
            self.crowd = self.crowd.unknown();
            self.replayed.push(bytes);
            return whole;
        }
        // What yrs has left is of no use: again, without this one.
        let mut open = Open::blank();
        for bytes in &self.replayed {
            let _ = engine::decode(bytes).map(|update| open.apply(update, bytes));
        }
        self.body = Body::Open(open);
        false
    }

    /// What is stored, as a Yjs state vector.
    pub fn vector(&self) -> Bytes {
        match &self.body {
            Body::Open(open) => engine::encode_vector(&open.vector()).into(),
            Body::Resting { vector, .. } => vector.clone(),
        }
    }

    /// An update with what somebody lacks who has this vector, but for [`waiting`](Self::waiting).
    pub fn missing(&mut self, vector: &[u8], limits: &DocumentLimits) -> Result<Bytes, Fault> {
        yjs::check_vector(vector, limits.clients)?;
        let vector = engine::decode_vector(vector).ok_or(Fault::Invalid)?;
        if vector.is_empty() {
            return self.encode().map_err(|Broken| Fault::Broken);
        }
        let update = self.open().and_then(|open| open.missing(&vector));
        update.map_err(|Broken| Fault::Broken)
    }

    /// Updates that were stored and wait for others, which have not come yet. Whoever gets what is
    /// missing, or all of it, needs these as well: others will be told only what they wait for.
    pub fn waiting(&self) -> Vec<Bytes> {
        match &self.body {
            Body::Open(open) => open.waiting(),
            Body::Resting { waiting, .. } => waiting.clone(),
        }
    }

    /// All of it as one update, but for [`waiting`](Self::waiting).
    ///
    /// # Errors
    /// yrs has failed on it: that it cannot be told does not make it empty.
    pub fn encode(&mut self) -> Result<Bytes, Broken> {
        let state = match &self.body {
            Body::Resting { state, .. } => state.clone(),
            Body::Open(open) => open.encode()?,
        };
        (self.measured, self.grown) = (state.len() + length(&self.waiting()), 0);
        Ok(state)
    }

    /// About how long its encoding is, and rather more: what was applied since it was encoded last
    /// counts in full.
    pub fn bytes(&self) -> usize {
        self.measured + self.grown
    }

    /// Whether so much has come since it was encoded last that [`bytes`](Self::bytes) may be
    /// rather more than it is. `often`: as soon as anything has.
    pub fn has_grown(&self, often: bool) -> bool {
        self.grown > if often { 0 } else { self.measured / 16 }
    }

    /// How many clients have written into it.
    pub fn clients(&self) -> usize {
        match &self.body {
            Body::Open(open) => open.count(),
            Body::Resting { clients, .. } => *clients,
        }
    }

    /// Which document it is, of those that have had its name.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether it holds anything of a client that wrote before a reset: it is about a document that
    /// is gone.
    pub fn buries(&self, prepared: &Prepared) -> bool {
        let mut clients = prepared.structs.client_ids();
        clients.any(|client| self.buried.contains(&client.get()))
    }

    /// Whether it has anything that is not in here yet. Who comes back sends all deletions there
    /// are: those are compared, which takes as long as encoding the document, once after a change.
    pub fn adds(&mut self, prepared: &Prepared) -> bool {
        !prepared.is_empty() && self.open().map_or(true, |open| open.adds(prepared))
    }

    /// How many clients there are in it that have not written here yet.
    pub fn newcomers(&mut self, prepared: &Prepared) -> usize {
        let Ok(open) = self.open() else { return 0 };
        prepared.structs.client_ids().filter(|client| !open.has_client(*client)).count()
    }

    /// Whether what this client wrote in it comes right behind what it has written here.
    pub fn follows(&self, prepared: &Prepared, client: u64) -> bool {
        let client = ClientID::new(client);
        let stored = engine::decode_vector(&self.vector());
        let stored = stored.map_or(0, |vector| vector.get(&client));
        let written = prepared.structs.get(&client);
        written.and_then(|range| range.iter().next()).is_none_or(|(first, _)| first.start == stored)
    }

    /// Records and parts of updates that could not be applied, since it was loaded.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// From here on it is another document, with nothing in it. `versions`: they go as well.
    pub fn reset(&mut self, epoch: Epoch, versions: bool) {
        let open = self.open();
        let buried: BTreeSet<_> = open.map(|open| open.clients()).unwrap_or_default();
        self.buried.retain(|client| !buried.contains(client));
        self.buried.extend(buried);
        let over = self.buried.len().saturating_sub(BURIED_CLIENTS);
        self.buried.drain(..over);
        self.versions.reset(versions);
        self.epoch = epoch;
        self.empty();
    }

    /// Gives memory back until somebody touches it again.
    pub fn rest(&mut self) {
        let Body::Open(open) = &self.body else { return };
        let Ok(state) = open.encode() else { return };
        let vector = engine::encode_vector(&open.vector()).into();
        let (clients, waiting) = (open.count(), open.waiting());
        (self.measured, self.grown) = (state.len() + length(&waiting), 0);
        self.replayed = Vec::new();
        self.body = Body::Resting { state, waiting, vector, clients };
    }

    /// Whether it takes no more memory than its bytes.
    pub fn is_resting(&self) -> bool {
        matches!(self.body, Body::Resting { .. })
    }

    /// Whether nothing would be lost without it.
    pub fn is_empty(&self) -> bool {
        let is_blank = matches!(&self.body, Body::Resting { state, .. } if state == EMPTY_UPDATE);
        is_blank && self.epoch == Epoch(0) && self.versions.is_empty()
    }

    /// Begins again, with nothing.
    pub fn clear(&mut self) {
        *self = Self { skipped: self.skipped, ..Self::new() };
    }

    fn empty(&mut self) {
        self.body = Body::blank();
        (self.measured, self.grown) = (EMPTY_UPDATE.len(), 0);
        self.depth = Depth { stored: Some(0), ahead: self.depth.ahead, ..Depth::default() };
        self.crowd = self.crowd.emptied();
        self.replayed = Vec::new();
        self.loading = Vec::new();
    }

    /// Wakes it.
    fn open(&mut self) -> Result<&mut Open, Broken> {
        if let Body::Resting { state, waiting, .. } = &self.body {
            self.body = Body::Open(Open::decode(state, waiting)?);
        }
        match &mut self.body {
            Body::Open(open) => Ok(open),
            Body::Resting { .. } => Err(Broken),
        }
    }
}

impl Body {
    fn blank() -> Self {
        let (state, vector) = (Bytes::from_static(EMPTY_UPDATE), Bytes::from_static(EMPTY_VECTOR));
        Self::Resting { state, waiting: Vec::new(), vector, clients: 0 }
    }
}

fn length(updates: &[Bytes]) -> usize {
    updates.iter().map(Bytes::len).sum()
}
