//! The one place that runs yrs. Whatever it does with what a stranger sent, a document is hurt and
//! not the process.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{
    ClientID, Doc, IdSet, OffsetKind, Options, ReadTxn, StateVector, Transact, Update, WriteTxn,
};

/// The client that the server's copies are: none of them ever writes as it.
const NOBODY: u64 = 0;

/// yrs has panicked: what it was working on is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Runs yrs. Its code has assertions, and arithmetic and pointers behind them, that crafted updates
/// have reached before; the guard and the decoder stand in front, and this stands behind. Whoever
/// gets [`Broken`] has to throw the document away, which is why unwinding past it is safe.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Broken> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Broken)
}

/// A document that nobody writes into directly, with deleted content thrown away.
pub(super) fn blank() -> Doc {
    doc(NOBODY)
}

/// A document that is written into as this client.
pub(super) fn doc(client: u64) -> Doc {
    let mut options = Options::with_guid_and_client_id("".into(), ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    options.skip_gc = false;
    // Otherwise this copy would delete formats by itself: it is what its log says and nothing else.
    options.cleanup_formatting = false;
    Doc::with_options(options)
}

/// What became of an update.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// A part of it cannot be applied to anything.
    pub(super) faulty: bool,
    /// Clients of whom more has to come before all of it can be applied. What could not be is
    /// forgotten here: the whole update has to come again then.
    pub(super) waits: Vec<ClientID>,
}

/// Applies an update as one transaction.
///
/// yrs would keep what waits for structs that have not come. But when it joins two of those, it
/// writes gaps that overlap (`Update::merge_updates`, 0.28.1), which is read as other structs: so it
/// never has any to keep.
pub(super) fn apply(doc: &Doc, update: Update) -> Result<Applied, Broken> {
    guarded(|| {
        // A transaction commits when it is dropped. In the middle of a panic that would run on what
        // is half done, and a second panic there ends the process: so it is given up, and with it
        // the document's memory.
        let mut txn = ManuallyDrop::new(doc.transact_mut());
        let faulty = txn.apply_update(update).is_err();
        let mut waits = Vec::new();
        if txn.has_missing_updates() {
            let store = txn.store();
            waits.extend(store.pending_ds().into_iter().flat_map(IdSet::client_ids));
            let missing = store.pending_update().map(|pending| &pending.missing);
            waits
                .extend(missing.into_iter().flat_map(StateVector::iter).map(|(client, _)| *client));
            waits.sort_unstable();
            waits.dedup();
            txn.prune_pending();
        }
        txn.commit();
        drop(ManuallyDrop::into_inner(txn));
        Applied { faulty, waits }
    })
}

/// What somebody lacks who has this vector, as one update.
pub(super) fn encode(doc: &Doc, since: &StateVector) -> Result<Vec<u8>, Broken> {
    guarded(|| doc.transact().encode_diff_v1(since))
}

pub(super) fn vector(doc: &Doc) -> StateVector {
    doc.transact().state_vector()
}

/// What is deleted in it: takes as long as encoding it.
pub(super) fn deleted(doc: &Doc) -> IdSet {
    doc.transact().snapshot().delete_set
}

pub(super) fn encode_vector(vector: &StateVector) -> Vec<u8> {
    vector.encode_v1()
}

/// `None`: it is no update.
pub(super) fn decode(update: &[u8]) -> Option<Update> {
    guarded(|| Update::decode_v1(update).ok()).ok().flatten()
}

/// `None`: it is no state vector.
pub(super) fn decode_vector(vector: &[u8]) -> Option<StateVector> {
    guarded(|| StateVector::decode_v1(vector).ok()).ok().flatten()
}
