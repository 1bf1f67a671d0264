//! The tables of how fast somebody may ask.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How fast somebody may ask. Nothing is limited unless it stands here; who stays below a rate
/// notices nothing of it. A rate is written as `50/s`, `600/m` or `1000/h`; so many may also come
/// at once, or another number: `50/s burst 200`. A command that comes too soon is refused with
/// `rate_limited` and told when it may be sent again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Sessions that one address may open. Too many are told to come back later. A network of IPv6
    /// (its first 64 bits) counts as one address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["20/s burst 200"]))]
    pub sessions: Option<Rate>,
    /// All commands of one user, of all the user's sessions together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["200/s burst 1000"]))]
    pub commands: Option<Rate>,
    /// Commands of one kind of one user.
    pub command: CommandRates,
}

macro_rules! command_rates {
    ($($name:ident $kind:ident $about:literal;)*) => {
        /// Commands of one kind of one user, of all the user's sessions together.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct CommandRates {
            $(
                #[doc = $about]
                #[serde(skip_serializing_if = "Option::is_none")]
                #[schemars(extend("examples" = ["50/s burst 200"]))]
                pub $name: Option<Rate>,
            )*
        }

        impl CommandRates {
            /// The rate of each kind that has one.
            pub(crate) fn each(&self) -> Vec<(CommandKind, Rate)> {
                [$((CommandKind::$kind, self.$name)),*]
                    .into_iter()
                    .filter_map(|(kind, rate)| Some((kind, rate?)))
                    .collect()
            }
        }
    };
}

use tidings_core::engine::CommandKind;

command_rates! {
    publish Publish "Publishes; edits, deletions and reactions count as such.";
    subscribe Subscribe "Subscriptions: after a lost connection an app asks for all of its own again.";
    unsubscribe Unsubscribe "Ends of subscriptions.";
    set Set "Writes of live data: `set`.";
    patch Patch "`patch`.";
    remove Remove "`remove`.";
    get Get "Reading live data.";
    history History "Pages of history.";
    presence Presence "Questions who is present.";
    merge Merge "Changes of documents. Editors are read more slowly; a person who types makes some ten a second.";
    sync Sync "Questions for what a client lacks of a document, or what a version holds.";
    awareness Awareness "Changes of what others see of somebody who has a document open.";
    versions Versions "Lists of a document's versions.";
    save_version SaveVersion "Versions that somebody asks for: each is as long as the document.";
    name_version NameVersion "Names of versions.";
    restore_version RestoreVersion "Versions that are restored: each takes another one before.";
    enter Enter "Entering.";
    update Update "Changes of a member's data.";
    leave Leave "Leaving.";
    inbox Inbox "Pages of the inbox.";
    mark Mark "Marks of notifications.";
    read Read "Moves of read cursors.";
    unread Unread "Questions how much is unread in a channel.";
    cursors Cursors "Questions how far the user has read.";
    follow Follow "`follow`.";
    unfollow Unfollow "`unfollow`.";
    push_subscribe PushSubscribe "`push_subscribe`.";
    push_unsubscribe PushUnsubscribe "`push_unsubscribe`.";
    refresh Refresh "Fresh tokens: each is checked with a signature.";
    ping Ping "Pings of clients that cannot send WebSocket pings.";
}

/// So many in a period, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In how many seconds: 1, 60 or 3600.
    pub seconds: u32,
    /// How many at once.
    pub burst: NonZeroU32,
}

const UNITS: [(&str, u32); 3] = [("s", 1), ("m", 60), ("h", 3600)];

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not a rate: write 50/s, 600/m or 1000/h, or 50/s burst 200");
        let mut words = text.split(' ');
        let rate = words.next().ok_or_else(wrong)?;
        let (count, unit) = rate.split_once('/').ok_or_else(wrong)?;
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let count: NonZeroU32 = count.parse().map_err(|_| wrong())?;
        let burst = match (words.next(), words.next(), words.next()) {
            (None, ..) => count,
            (Some("burst"), Some(burst), None) => burst.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        Ok(Self { count, seconds: *seconds, burst })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, seconds)| *seconds == self.seconds);
        write!(f, "{}/{}", self.count, unit.map_or("s", |(name, _)| name))?;
        if self.burst == self.count { Ok(()) } else { write!(f, " burst {}", self.burst) }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "rate".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let pattern = "^[0-9]+/[smh]( burst [0-9]+)?$";
        schemars::json_schema!({ "type": "string", "pattern": pattern })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        for text in ["50/s", "600/m", "1000/h", "50/s burst 200", "1/m burst 5"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in ["", "50", "0/s", "50/d", "50/s burst 0", "50/s 200", "-1/s", "5/s burst 2 x"] {
            assert!(text.parse::<Rate>().is_err(), "{text:?}");
        }
    }
}
