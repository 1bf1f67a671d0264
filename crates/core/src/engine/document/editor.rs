//! Editors: sessions that speak a protocol of Yjs.

use tidings_proto::CloseCode;

use super::{Dialect, Editing, Editor};
use crate::engine::Engine;
use crate::engine::types::{Now, SessionKey};

impl Engine {
    /// The session that was just [opened](Self::open) is an editor's: from now on its messages go
    /// to [`receive_binary`](Self::receive_binary). Its token was given before, if it has one.
    pub fn open_editor(&mut self, now: Now, key: SessionKey, editor: Editor) {
        let Some(session) = self.session(key) else { return };
        let dialect = match editor {
            Editor::Yjs { .. } => Dialect::Yjs,
            Editor::Hocuspocus => Dialect::Hocuspocus,
        };
        session.editing = Some(Box::new(Editing { dialect }));
        self.settle(now);
    }

    /// A binary message of an editor.
    pub fn receive_binary(&mut self, now: Now, key: SessionKey, message: &[u8]) {
        let _ = message;
        if self.dialect(key) != Dialect::Json {
            self.end_session(key, CloseCode::NotFound, None);
        }
        self.settle(now);
    }

    /// What a session speaks.
    pub fn dialect(&self, key: SessionKey) -> Dialect {
        let here = self.sessions.get(key.slot as usize).filter(|s| s.serial == key.serial);
        here.and_then(|session| session.editing.as_ref()).map_or(Dialect::Json, |it| it.dialect)
    }

    /// An [`Effect::Wake`](crate::Effect::Wake) is due.
    pub fn wake(&mut self, now: Now) {
        self.settle(now);
    }
}
