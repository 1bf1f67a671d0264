//! How something is told: JSON, and the lane that keeps its order.

use tidings_core::engine::{Attendee, Happened};
use tidings_proto::{Epoch, Timestamp};

use super::queue::LANES;

/// An item as it is sent. `word` is its type.
pub(super) fn body(id: &str, word: &str, at_ms: u64, what: &Happened) -> String {
    let head = format!("{{\"id\":\"{id}\",\"type\":\"{word}\",\"at\":\"{}\"", Timestamp(at_ms));
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match what {
        Happened::Attendance(Attendee::Channel(name), _) => {
            format!("{head},\"channel\":{}}}", quoted(name))
        }
        Happened::Attendance(Attendee::User(name), _) => {
            format!("{head},\"user\":{}}}", quoted(name))
        }
        Happened::Published { channel, epoch, event } => {
            // What subscribers get, as it is: the engine has written it.
            let event = String::from_utf8_lossy(event);
            let channel = quoted(channel);
            format!("{head},\"channel\":{channel},\"epoch\":\"{epoch}\",\"event\":{event}}}")
        }
    }
}

/// The id of an item: of the queue's life and the place in it, so the same after a restart.
pub(super) fn id(epoch: Epoch, offset: u64) -> String {
    format!("{epoch}-{offset}")
}

/// What has one order is in one lane. A lane is stored, so this may change from one version to the
/// next.
pub(super) fn lane(what: &Happened) -> u8 {
    let (kind, name) = match what {
        Happened::Attendance(Attendee::User(name), _) => (b'u', name),
        Happened::Attendance(Attendee::Channel(name), _)
        | Happened::Published { channel: name, .. } => (b'c', name),
    };
    // FNV-1a, folded.
    let hash = std::iter::once(kind)
        .chain(name.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    u8::try_from((hash ^ (hash >> 32)) % LANES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_json_whatever_the_names_are() {
        let odd: std::sync::Arc<str> = "a\"b\\c".into();
        let event = bytes::Bytes::from_static(b"{\"type\":\"event\",\"data\":[1]}");
        for what in [
            Happened::Attendance(Attendee::User(odd.clone()), true),
            Happened::Attendance(Attendee::Channel(odd.clone()), false),
            Happened::Published { channel: odd.clone(), epoch: Epoch(7), event },
        ] {
            let text = body(&id(Epoch(1), 2), "a.b", 0, &what);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["id"], "0000000000000001-2");
            let name = value.get("user").or(value.get("channel")).unwrap();
            assert_eq!(*name, *odd, "{text}");
        }
    }

    #[test]
    fn lanes_are_used_evenly_and_a_channels_items_are_in_one() {
        let mut used = [0; LANES];
        for n in 0..6400 {
            let name: std::sync::Arc<str> = format!("chat:{n}").into();
            let came = Happened::Attendance(Attendee::Channel(name.clone()), true);
            let (epoch, event) = (Epoch(1), bytes::Bytes::new());
            let said = Happened::Published { channel: name, epoch, event };
            assert_eq!(lane(&came), lane(&said));
            used[usize::from(lane(&came))] += 1;
        }
        assert!(used.iter().all(|count| (50..200).contains(count)), "{used:?}");
    }
}
