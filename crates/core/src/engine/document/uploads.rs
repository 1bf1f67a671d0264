//! Updates that come in parts: frames of clients are shorter than what somebody may paste.

use std::collections::HashMap;
use std::sync::Arc;

use tidings_proto::Frame;

use super::commands::Change;
use crate::engine::Engine;
use crate::engine::counters::CommandKind;
use crate::engine::types::{Now, SessionKey};
use crate::limits::{UPLOAD_MS, UPLOADED_BYTES};
use crate::reject::Reject;

/// Updates of which some parts have come: one for each session.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    by_session: HashMap<SessionKey, Upload>,
    /// Of all of them.
    bytes: usize,
}

#[derive(Debug)]
struct Upload {
    channel: Arc<str>,
    /// The parts so far; or why those that are still to come are refused: one of them is missing.
    parts: Result<Vec<u8>, Reject>,
    /// When the last part came.
    at_ms: u64,
}

impl Uploads {
    /// The session is over.
    pub(super) fn forget(&mut self, key: SessionKey) {
        if let Some(upload) = self.by_session.remove(&key) {
            self.bytes -= upload.parts.map_or(0, |parts| parts.len());
        }
    }

    /// Takes a part; `Some` with the whole when it is the last one.
    fn take(
        &mut self,
        now: Now,
        key: SessionKey,
        change: &Change,
        max: usize,
    ) -> Result<Option<Vec<u8>>, Reject> {
        let fresh = || Upload {
            channel: change.channel.clone(),
            parts: Ok(Vec::new()),
            at_ms: now.mono_ms,
        };
        let upload = self.by_session.entry(key).or_insert_with(fresh);
        if upload.channel != change.channel {
            return Err(Reject::limit("updates in parts at once", "uploads", 1));
        }
        let parts = upload.parts.as_mut().map_err(|reject| reject.clone())?;
        if parts.len() + change.update.len() > max {
            return Err(Reject::too_large("the update", "update", max));
        }
        if self.bytes + change.update.len() > UPLOADED_BYTES {
            let what = "bytes of updates in parts";
            return Err(Reject::limit(what, "uploaded_bytes", UPLOADED_BYTES));
        }
        parts.extend_from_slice(&change.update);
        self.bytes += change.update.len();
        upload.at_ms = now.mono_ms;
        if change.more {
            return Ok(None);
        }
        let parts = self.by_session.remove(&key).and_then(|upload| upload.parts.ok());
        let parts = parts.unwrap_or_default();
        self.bytes -= parts.len();
        Ok(Some(parts))
    }

    /// No part of it counts any more.
    fn refuse(&mut self, key: SessionKey, why: Reject) {
        if let Some(upload) = self.by_session.get_mut(&key)
            && let Ok(parts) = &upload.parts
        {
            self.bytes -= parts.len();
            upload.parts = Err(why);
        }
    }
}

impl Engine {
    /// Takes a part of an update, or the whole of one; `Some` with the whole.
    ///
    /// # Errors
    /// When it is too long, or there are too many. All its later parts are refused then.
    pub(super) fn collect(
        &mut self,
        now: Now,
        key: SessionKey,
        id: u64,
        change: Change,
    ) -> Result<Option<Change>, Reject> {
        let max = self.config.limits.update;
        let uploads = &mut self.desks.uploads;
        let goes_on = uploads.by_session.get(&key).is_some_and(|it| it.channel == change.channel);
        if !change.more && !goes_on {
            return Ok(Some(change));
        }
        if let Some(update) = uploads.take(now, key, &change, max)? {
            return Ok(Some(Change { update, ..change }));
        }
        let frame = Frame::Merged { id, channel: &change.channel, offset: None, more: true };
        self.done(CommandKind::Merge, key, &frame);
        Ok(None)
    }

    /// A `merge` was refused, for whatever reason. If it was a part of an update, so are those that
    /// follow: what is left of it would be another update.
    pub(in crate::engine) fn refuse_upload(
        &mut self,
        now: Now,
        key: SessionKey,
        (channel, more): (&str, bool),
        why: &Reject,
    ) {
        let uploads = &mut self.desks.uploads;
        match uploads.by_session.get(&key) {
            Some(upload) if *upload.channel != *channel => {}
            Some(_) if more => uploads.refuse(key, why.clone()),
            Some(_) => uploads.forget(key),
            None if more => {
                let parts = Err(why.clone());
                let upload = Upload { channel: channel.into(), parts, at_ms: now.mono_ms };
                uploads.by_session.insert(key, upload);
            }
            None => {}
        }
    }

    /// Parts that do not come are given up.
    pub(super) fn tick_uploads(&mut self, now: Now) {
        let uploads = &mut self.desks.uploads;
        let late =
            |upload: &Upload| upload.parts.is_ok() && upload.at_ms + UPLOAD_MS <= now.mono_ms;
        let late = uploads.by_session.iter().filter(|(_, upload)| late(upload));
        let late: Vec<_> = late.map(|(key, _)| *key).collect();
        for key in late {
            let why = "the next part of the update took too long: send all of it again";
            uploads.refuse(key, Reject::later(why));
        }
    }
}
