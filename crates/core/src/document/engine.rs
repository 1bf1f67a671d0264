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

/// Applies an update as one transaction: one that lacks nothing. `Ok(false)`: a part of it cannot
/// be applied to anything, and is lost.
pub(super) fn apply(doc: &Doc, update: Update) -> Result<bool, Broken> {
    guarded(|| {
        // A transaction commits when it is dropped. In the middle of a panic that would run on what
        // is half done, and a second panic there ends the process: so it is given up, and with it
        // the document's memory.
        let mut txn = ManuallyDrop::new(doc.transact_mut());
        let applied = txn.apply_update(update).is_ok();
        let waits = txn.has_missing_updates();
        if waits {
            txn.prune_pending();
        }
        txn.commit();
        drop(ManuallyDrop::into_inner(txn));
        applied && !waits
    })
}

/// What somebody lacks who has this vector, as one update. A document that is locked is one that
/// yrs has panicked on: to wait for it would be to wait for ever.
pub(super) fn encode(doc: &Doc, since: &StateVector) -> Result<Vec<u8>, Broken> {
    guarded(|| doc.try_transact().map(|txn| txn.encode_diff_v1(since)).map_err(|_| Broken))?
}

pub(super) fn vector(doc: &Doc) -> StateVector {
    doc.transact().state_vector()
}

/// What is deleted in it: takes as long as encoding it.
pub(super) fn deleted(doc: &Doc) -> IdSet {
    doc.transact().snapshot().delete_set
}

/// Whether there are documents in it. One that yrs has panicked on is locked, and not asked.
pub(super) fn has_documents(doc: &Doc) -> bool {
    doc.try_transact().is_ok_and(|txn| txn.subdocs().next().is_some())
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
