//! An inbox in pages, for checkpoints.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::item::Flags;
use super::{Cursor, Inbox, Item};
use crate::push::PushSubscription;

/// Written with postcard: reading JSON was half of what a long inbox took to open.
#[derive(Default, Serialize, Deserialize)]
struct Page<'a> {
    newest: u64,
    #[serde(borrow)]
    items: Vec<Kept<'a>>,
    cursors: Vec<(&'a str, u64, u64)>,
    push: Vec<(&'a str, &'a str, &'a str)>,
}

/// Id, when it came, when it ends, flags, topic, subject, JSON without the flags.
#[derive(Serialize, Deserialize)]
struct Kept<'a>(u64, u64, Option<u64>, u8, &'a str, Option<&'a str>, &'a str);

impl Inbox {
    /// All of it in pages of some `max` bytes, for [`take_page`](Self::take_page).
    pub(crate) fn pages(&self, max: usize) -> Vec<Bytes> {
        let first = Page {
            newest: self.newest,
            cursors: self.cursors.iter().map(cursor).collect(),
            push: self.subscriptions.iter().map(subscription).collect(),
            items: Vec::new(),
        };
        let mut pages = vec![encode(&first)];
        let (mut page, mut room) = (Page { newest: self.newest, ..Page::default() }, max);
        for item in &self.items {
            if item.bytes() > room && !page.items.is_empty() {
                pages.push(encode(&page));
                (page.items, room) = (Vec::new(), max);
            }
            room = room.saturating_sub(item.bytes());
            page.items.push(Kept(
                item.id,
                item.at_ms,
                item.expires_ms,
                item.flags.bits(),
                &item.topic,
                item.subject.as_deref(),
                &item.head,
            ));
        }
        if !page.items.is_empty() {
            pages.push(encode(&page));
        }
        pages
    }

    /// Takes a page back in, in their order.
    pub(crate) fn take_page(&mut self, page: &[u8]) {
        // A page is what was written: the store has checked it.
        let Ok(page) = postcard::from_bytes::<Page<'_>>(page) else { return };
        self.items.reserve(page.items.len());
        for Kept(id, at_ms, expires_ms, flags, topic, subject, head) in page.items {
            self.keep(Item {
                id,
                at_ms,
                expires_ms,
                flags: Flags::of_bits(flags),
                topic: topic.into(),
                subject: subject.map(Into::into),
                head: head.into(),
            });
        }
        for (channel, epoch, offset) in page.cursors {
            let epoch = tidings_proto::Epoch(epoch);
            self.cursors.push(Cursor { channel: channel.into(), epoch, offset });
        }
        for (endpoint, p256dh, auth) in page.push {
            self.subscriptions.push(PushSubscription {
                endpoint: endpoint.into(),
                p256dh: p256dh.into(),
                auth: auth.into(),
            });
        }
        self.newest = self.newest.max(page.newest);
    }

    /// About how many bytes its pages have.
    pub(crate) fn bytes(&self) -> usize {
        let cursors: usize = self.cursors.iter().map(|cursor| cursor.channel.len() + 40).sum();
        let push = |s: &PushSubscription| s.endpoint.len() + s.p256dh.len() + s.auth.len() + 16;
        self.item_bytes + cursors + self.subscriptions.iter().map(push).sum::<usize>()
    }
}

fn cursor(cursor: &Cursor) -> (&str, u64, u64) {
    (&cursor.channel, cursor.epoch.0, cursor.offset)
}

fn subscription(known: &PushSubscription) -> (&str, &str, &str) {
    (&known.endpoint, &known.p256dh, &known.auth)
}

fn encode(page: &Page<'_>) -> Bytes {
    postcard::to_stdvec(page).unwrap_or_default().into()
}
