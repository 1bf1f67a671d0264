//! How far users have read in other channels. The cursor is in the user's inbox, the events are in
//! the channel: what is asked goes to the channel first, which has been checked like any command to
//! it, and from there to the inbox.

use std::sync::Arc;

use tidings_proto::{Epoch, Frame, Position, Timestamp};

use super::home::Asked;
use super::{Ask, Producer, user_of};
use crate::channel::inbox::{Cursor, Step};
use crate::channel::{Seen, UsedUp};
use crate::engine::home::Scene;
use crate::engine::types::{Message, Request, RequestBody, ShardId};
use crate::reject::Reject;

/// Where a user's inbox is.
type Inbox = (Arc<str>, ShardId);

impl Scene<'_> {
    fn pass_on(&mut self, asked: Asked, channel: Arc<str>, home: ShardId, ask: Ask) {
        let (from, id, body) = (asked.from, asked.id, RequestBody::Inbox(Box::new(ask)));
        self.out.post(home, Message::Request(Request { from, id, channel, body }));
    }

    /// At the channel: nobody has read further than there is.
    pub(super) fn read_upto(
        &mut self,
        asked: Asked,
        (inbox, home): Inbox,
        offset: u64,
        producer: Producer,
    ) {
        let Position { epoch, offset: last } = self.channel.position();
        let (of, offset) = (self.channel.name.clone(), offset.min(last));
        self.pass_on(asked, inbox, home, Ask::Cursor { of, epoch, offset, producer });
    }

    /// At the inbox.
    pub(super) fn move_cursor(
        &mut self,
        asked: Asked,
        cursor: Cursor,
        producer: Producer,
    ) -> Result<(), Reject> {
        let (id, of) = (asked.id, cursor.channel.clone());
        let seen = self.check_number(&producer)?;
        let moves = self.inbox()?.moves(&of, cursor.epoch, cursor.offset);
        let known = self.inbox()?.cursor(&of).map_or(cursor.offset, |known| known.offset);
        let at = if moves && seen == Seen::New { cursor.offset } else { known };
        let text = Frame::Read { id, channel: &of, offset: at }.encode();
        match seen {
            Seen::New => {}
            Seen::Pending => {
                self.wait_with(asked, &producer, text);
                return Ok(());
            }
            _ => return self.answer(asked, text),
        }
        if !moves {
            if producer.is_none() {
                return self.answer(asked, text);
            }
            self.write(asked, Err(UsedUp::Nothing), (producer, None), text);
            return Ok(());
        }
        if self.channel.failing {
            return Err(Reject::unavailable());
        }
        let event = Frame::Cursor {
            channel: &self.channel.name,
            offset: self.channel.assigned + 1,
            timestamp: Timestamp(self.now.wall_ms),
            of: &of,
            epoch: cursor.epoch,
            upto: cursor.offset,
        };
        let event = event.encode();
        self.inbox()?.apply(Step::Cursor(cursor));
        self.write(asked, Ok(event), (producer, None), text);
        Ok(())
    }

    /// At the channel: first the inbox has to say where the cursor is.
    pub(super) fn count_unread(
        &mut self,
        asked: Asked,
        (inbox, home): Inbox,
        cursor: Option<Option<(Epoch, u64)>>,
    ) {
        let Some(cursor) = cursor else {
            let (of, here) = (self.channel.name.clone(), self.out.shard);
            return self.pass_on(asked, inbox, home, Ask::Unread { of, home: here });
        };
        self.channel.expire_history(self.steady_ms);
        let Position { epoch, offset: last } = self.channel.position();
        // What was read of another history says nothing of this one.
        let read = cursor.filter(|(of, _)| *of == epoch).map_or(0, |(_, offset)| offset.min(last));
        let (count, first) = self.channel.history.unread(read, user_of(&inbox));
        let (id, channel) = (asked.id, &*self.channel.name);
        let frame = Frame::Unread { id, channel, read, offset: last, count, first };
        self.out.reply(asked.kind, asked.from, frame.encode());
    }

    /// At the inbox.
    pub(super) fn tell_cursor(
        &mut self,
        asked: Asked,
        of: Arc<str>,
        home: ShardId,
    ) -> Result<(), Reject> {
        let inbox = self.channel.name.clone();
        let cursor = self.inbox()?.cursor(&of).map(|cursor| (cursor.epoch, cursor.offset));
        let ask = Ask::Count { inbox, home: self.out.shard, cursor: Some(cursor) };
        self.pass_on(asked, of, home, ask);
        Ok(())
    }
}
