//! Why something that was wanted of a document is refused.

use tidings_proto::ErrorCode;

use super::ADRIFT;
use crate::document::{Excess, Fault};
use crate::limits::{DOCUMENT_CROWD, DOCUMENT_LEVELS, DocumentLimits};
use crate::reject::Reject;

pub(super) fn reject_of(fault: Fault, limits: &DocumentLimits) -> Reject {
    match fault {
        Fault::Invalid => {
            Reject::new(ErrorCode::InvalidData, "no Yjs update, or state vector, of version 1")
        }
        Fault::Broken => Reject::unavailable(),
        Fault::Deep => Reject::new(ErrorCode::InvalidData, "its values are nested too deep"),
        Fault::Crowded => too_much(Excess::Crowd),
        Fault::TooLarge => Reject::too_large("the update", "update", limits.update),
        Fault::Clients => Reject::limit("too many clients", "document_clients", limits.clients),
    }
}

/// Of what depends on something that has not come, so much is here that there is no place for more.
pub(super) fn adrift() -> Reject {
    Reject { limit: Some(ADRIFT), ..Reject::later("too many updates wait for others; try again") }
}

pub(super) fn too_much(of: Excess) -> Reject {
    match of {
        Excess::Crowd => {
            Reject::limit("too many items in one place", "document_crowd", DOCUMENT_CROWD)
        }
        Excess::Levels => {
            Reject::limit("too many shared types in each other", "document_levels", DOCUMENT_LEVELS)
        }
    }
}

pub(super) fn was_reset() -> Reject {
    let why = "the document was reset: what the client has of it counts no more";
    Reject::new(ErrorCode::DocumentReset, why)
}

pub(super) fn no_document() -> Reject {
    Reject::bad_request("the channel is no document: its namespace is not of kind `document`")
}
