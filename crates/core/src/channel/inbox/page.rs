//! An inbox in pages, for checkpoints.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidings_proto::Text;

use super::item::Flags;
use super::{Cursor, Inbox, Item};
use crate::push::PushSubscription;

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Page<'a> {
    newest: u64,
    #[serde(borrow)]
    items: Vec<Kept<'a>>,
    #[serde(borrow)]
    cursors: Vec<(Text<'a>, u64, u64)>,
    #[serde(borrow)]
    push: Vec<(Text<'a>, Text<'a>, Text<'a>)>,
}

/// Id, when it came, when it ends, flags, topic, subject, JSON without the flags.
#[derive(Serialize, Deserialize)]
struct Kept<'a>(
    u64,
    u64,
    Option<u64>,
    u8,
    #[serde(borrow)] Text<'a>,
    #[serde(borrow)] Option<Text<'a>>,
    #[serde(borrow)] &'a RawValue,
);

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
        let heads: Vec<_> = self.items.iter().map(|item| raw(&item.head)).collect();
        let (mut page, mut room) = (Page { newest: self.newest, ..Page::default() }, max);
        for (item, head) in self.items.iter().zip(&heads) {
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
                Text::from(&*item.topic),
                item.subject.as_deref().map(Text::from),
                head,
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
        let Ok(page) = serde_json::from_slice::<Page<'_>>(page) else { return };
        self.items.reserve(page.items.len());
        for Kept(id, at_ms, expires_ms, flags, topic, subject, head) in page.items {
            self.keep(Item {
                id,
                at_ms,
                expires_ms,
                flags: Flags::of_bits(flags),
                topic: (*topic).into(),
                subject: subject.map(|subject| (*subject).into()),
                head: head.get().strip_suffix('}').unwrap_or_default().into(),
            });
        }
        for (channel, epoch, offset) in page.cursors {
            let epoch = tidings_proto::Epoch(epoch);
            self.cursors.push(Cursor { channel: (*channel).into(), epoch, offset });
        }
        for (endpoint, p256dh, auth) in page.push {
            self.subscriptions.push(PushSubscription {
                endpoint: (*endpoint).into(),
                p256dh: (*p256dh).into(),
                auth: (*auth).into(),
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

/// The JSON that begins so.
fn raw(head: &str) -> Box<RawValue> {
    let whole = RawValue::from_string(format!("{head}}}"));
    whole.unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn cursor(cursor: &Cursor) -> (Text<'_>, u64, u64) {
    (Text::from(&*cursor.channel), cursor.epoch.0, cursor.offset)
}

fn subscription(known: &PushSubscription) -> (Text<'_>, Text<'_>, Text<'_>) {
    let PushSubscription { endpoint, p256dh, auth } = known;
    (Text::from(&**endpoint), Text::from(&**p256dh), Text::from(&**auth))
}

fn encode(page: &Page<'_>) -> Bytes {
    serde_json::to_vec(page).unwrap_or_default().into()
}
