//! What a logged event says.

use serde::Deserialize;
use tidings_proto::{MarkAs, Text};

use super::item::{FRESH, LoggedItem};
use super::{Cursor, Item, Marked, Step};
use crate::push::PushSubscription;

/// Every field that any event of an inbox has.
#[derive(Deserialize)]
struct Logged<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    item: Option<LoggedItem<'a>>,
    #[serde(default)]
    dropped: Vec<u64>,
    #[serde(rename = "as")]
    how: Option<MarkAs>,
    ids: Option<Vec<u64>>,
    upto: Option<u64>,
    #[serde(borrow)]
    of: Option<Text<'a>>,
    #[serde(borrow)]
    epoch: Option<Text<'a>>,
    #[serde(borrow)]
    secret: Option<Secret<'a>>,
}

/// What is stored, and told nobody.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Secret<'a> {
    PushSubscribe(#[serde(borrow)] (Text<'a>, Text<'a>, Text<'a>)),
    PushUnsubscribe(#[serde(borrow)] Text<'a>),
}

/// The step that an event is; `None`: it is none, or is damaged.
pub(super) fn read(at_ms: u64, event: &[u8]) -> Option<Step> {
    let event = str::from_utf8(event).ok()?;
    let logged: Logged<'_> = serde_json::from_str(event).ok()?;
    Some(match &*logged.kind {
        "notification" => {
            let item = Item::read(logged.item?, head_of(event)?, at_ms)?;
            Step::Add(item, logged.dropped)
        }
        "mark" => {
            let which = logged.ids.map(Marked::Ids).or(logged.upto.map(Marked::Upto))?;
            Step::Mark(logged.how?, which)
        }
        "expired" => Step::Expire(logged.ids?),
        "cursor" => Step::Cursor(Cursor {
            channel: (*logged.of?).into(),
            epoch: logged.epoch?.parse().ok()?,
            offset: logged.upto?,
        }),
        "hidden" => match logged.secret? {
            Secret::PushSubscribe((endpoint, p256dh, auth)) => Step::Subscribe(PushSubscription {
                endpoint: (*endpoint).into(),
                p256dh: (*p256dh).into(),
                auth: (*auth).into(),
            }),
            Secret::PushUnsubscribe(endpoint) => Step::Unsubscribe((*endpoint).into()),
        },
        _ => return None,
    })
}

/// The JSON of a new item up to its flags, where it stands in its event: cut out, as parsing it by
/// itself would be half of what a long inbox takes to open. No string has these quotes in it.
fn head_of(event: &str) -> Option<&str> {
    const ITEM: &str = r#","item":{"id":"#;
    let start = event.find(ITEM)? + r#","item":"#.len();
    let end = event.rfind(FRESH)?;
    event.get(start..end)
}
