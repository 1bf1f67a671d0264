//! Where a plain `EventSource` stands, in the `id:` of each event. The browser sends the last one
//! back as `Last-Event-ID`, so it recovers without a line of script.

use serde::Deserialize;
use tidings_proto::Epoch;

/// Positions in the channels of one `EventSource`, in the order of its URL.
#[derive(Debug)]
pub(crate) struct Positions(Vec<Position>);

#[derive(Debug)]
struct Position {
    channel: Box<str>,
    at: Option<(Box<str>, u64)>,
    /// It stands where `Last-Event-ID` says until something newer comes.
    resumes: bool,
    /// Old events were asked for, up to this position: it has none before it has those, so that
    /// whoever comes back too early asks for them again.
    rewinds_to: Option<(Box<str>, u64)>,
    /// It has keys: a position only behind the last page of a snapshot.
    has_keys: bool,
    epoch: Box<str>,
}

/// What of a frame moves a position.
#[derive(Deserialize)]
struct Moving<'a> {
    r#type: &'a str,
    channel: Option<String>,
    epoch: Option<&'a str>,
    offset: Option<u64>,
    #[serde(default)]
    recovered: bool,
    #[serde(default)]
    more: bool,
    to: Option<To<'a>>,
}

#[derive(Deserialize)]
struct To<'a> {
    epoch: &'a str,
    offset: u64,
}

/// Frames that stand at an offset of their channel.
const MOVE: [&str; 11] = [
    "cursor",
    "deleted",
    "edited",
    "event",
    "expired",
    "hidden",
    "mark",
    "notification",
    "reacted",
    "state",
    "values",
];

impl Positions {
    /// Of these channels; `last` is the `Last-Event-ID`; which of them have keys.
    pub(crate) fn new(
        channels: &[String],
        last: Option<&str>,
        has_keys: impl Fn(&str) -> bool,
    ) -> Self {
        let parts: Vec<_> = last.map(|last| last.split(',').collect()).unwrap_or_default();
        let known = |index: usize| {
            let part = parts.get(index).filter(|_| parts.len() == channels.len())?;
            let (epoch, offset) = part.split_once(':')?;
            epoch.parse::<Epoch>().ok()?;
            Some((epoch.into(), offset.parse().ok()?))
        };
        let position = |(index, channel): (usize, &String)| {
            let at = known(index);
            Position {
                channel: channel.as_str().into(),
                resumes: at.is_some(),
                at,
                rewinds_to: None,
                has_keys: has_keys(channel),
                epoch: "".into(),
            }
        };
        Self(channels.iter().enumerate().map(position).collect())
    }

    /// Where it stands in a channel.
    pub(crate) fn of(&self, index: usize) -> Option<(&str, u64)> {
        self.0.get(index)?.at.as_ref().map(|(epoch, offset)| (&**epoch, *offset))
    }

    /// Old events were asked for where there is no position.
    pub(crate) fn rewind(mut self) -> Self {
        for position in &mut self.0 {
            position.rewinds_to = position.at.is_none().then(|| ("".into(), u64::MAX));
        }
        self
    }

    /// A frame goes out: writes the id behind it, once every channel has a position.
    pub(crate) fn advance(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let Ok(frame) = serde_json::from_slice::<Moving<'_>>(text) else { return };
        let Some(channel) = frame.channel else { return };
        let Some(position) = self.0.iter_mut().find(|one| *one.channel == *channel) else { return };
        match (frame.r#type, frame.epoch, frame.offset, frame.to) {
            ("subscribed", Some(epoch), Some(offset), _) => {
                let resumed = std::mem::take(&mut position.resumes);
                if position.rewinds_to.is_some() && offset > 0 {
                    position.rewinds_to = Some((epoch.into(), offset));
                } else if position.has_keys && !frame.recovered {
                    (position.at, position.epoch) = (None, epoch.into());
                } else if !(resumed && frame.recovered) {
                    position.at = Some((epoch.into(), offset));
                }
            }
            ("snapshot", _, Some(offset), _) if position.has_keys => {
                position.at = (!frame.more).then(|| (position.epoch.clone(), offset));
            }
            ("gap", _, _, Some(to)) => position.at = Some((to.epoch.into(), to.offset)),
            (kind, _, Some(offset), _) if MOVE.contains(&kind) => {
                if position.rewinds_to.as_ref().is_some_and(|(_, to)| offset >= *to) {
                    position.at = position.rewinds_to.take();
                }
                if let Some((_, at)) = &mut position.at {
                    *at = offset;
                }
            }
            _ => return,
        }
        self.put(out);
    }

    fn put(&self, out: &mut Vec<u8>) {
        let part =
            |one: &Position| one.at.as_ref().map(|(epoch, offset)| format!("{epoch}:{offset}"));
        if let Some(parts) = self.0.iter().map(part).collect::<Option<Vec<_>>>() {
            out.extend_from_slice(format!("id: {}\n", parts.join(",")).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "01f3a9c2d47be511";
    const B: &str = "77c2d10aa417be5f";

    fn after(positions: &mut Positions, frame: &str) -> String {
        let mut out = Vec::new();
        positions.advance(frame.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn new(channels: &[String], last: Option<&str>) -> Positions {
        Positions::new(channels, last, |channel| channel.starts_with("board:"))
    }

    #[test]
    fn whoever_is_cut_off_inside_of_a_snapshot_has_no_position() {
        let mut ids = new(&["board:a".to_owned()], None);
        assert_eq!(after(&mut ids, &subscribed("board:a", A, 9, false)), "");
        let page = |more: bool| {
            format!(r#"{{"type":"snapshot","channel":"board:a","offset":8,"more":{more}}}"#)
        };
        assert_eq!(after(&mut ids, &page(true)), "");
        assert_eq!(after(&mut ids, &page(false)), format!("id: {A}:8\n"));
        let change = r#"{"type":"state","channel":"board:a","offset":9,"key":"k"}"#;
        assert_eq!(after(&mut ids, change), format!("id: {A}:9\n"));
        let mut back = new(&["board:a".to_owned()], Some(&format!("{A}:9")));
        assert_eq!(after(&mut back, &subscribed("board:a", A, 12, true)), format!("id: {A}:9\n"));
    }

    fn subscribed(channel: &str, epoch: &str, offset: u64, recovered: bool) -> String {
        format!(
            r#"{{"type":"subscribed","id":1,"channel":"{channel}","epoch":"{epoch}","offset":{offset},"recovered":{recovered}}}"#
        )
    }

    #[test]
    fn an_id_names_every_channel_and_brings_each_back_to_where_it_was() {
        let channels = ["news:a".to_owned(), "news:b".to_owned()];
        let mut ids = new(&channels, None);
        assert_eq!(after(&mut ids, &subscribed("news:a", A, 5, false)), "", "b is not known yet");
        assert_eq!(
            after(&mut ids, &subscribed("news:b", B, 0, false)),
            format!("id: {A}:5,{B}:0\n")
        );
        let event = r#"{"type":"event","channel":"news:b","offset":1,"data":{"channel":"news:a"}}"#;
        assert_eq!(after(&mut ids, event), format!("id: {A}:5,{B}:1\n"));

        let mut back = new(&channels, Some(&format!("{A}:5,{B}:1")));
        assert_eq!((back.of(0), back.of(1)), (Some((A, 5)), Some((B, 1))));
        assert_eq!(
            after(&mut back, &subscribed("news:a", A, 9, true)),
            format!("id: {A}:5,{B}:1\n"),
            "6 to 9 are still to come"
        );
        let event = r#"{"type":"event","channel":"news:a","offset":6,"data":1}"#;
        assert_eq!(after(&mut back, event), format!("id: {A}:6,{B}:1\n"));
    }

    #[test]
    fn who_leaves_before_the_old_events_have_come_asks_for_them_again() {
        let mut ids = new(&["news:a".to_owned()], None).rewind();
        assert_eq!(after(&mut ids, &subscribed("news:a", A, 5, false)), "");
        let event =
            |offset| format!(r#"{{"type":"event","channel":"news:a","offset":{offset},"data":1}}"#);
        assert_eq!(after(&mut ids, &event(4)), "");
        assert_eq!(after(&mut ids, &event(5)), format!("id: {A}:5\n"));
        assert_eq!(after(&mut ids, &event(6)), format!("id: {A}:6\n"));
        let mut empty = new(&["news:a".to_owned()], None).rewind();
        assert_eq!(after(&mut empty, &subscribed("news:a", A, 0, false)), format!("id: {A}:0\n"));
    }

    #[test]
    fn what_was_lost_moves_the_position_to_behind_the_gap() {
        let mut ids = new(&["news:a".to_owned()], Some(&format!("{A}:5")));
        after(&mut ids, &subscribed("news:a", B, 2, false));
        let gap = format!(
            r#"{{"type":"gap","channel":"news:a","reason":"new_epoch","from":{{"epoch":"{A}","offset":5}},"to":{{"epoch":"{B}","offset":2}}}}"#
        );
        assert_eq!(after(&mut ids, &gap), format!("id: {B}:2\n"));
    }

    #[test]
    fn an_id_of_something_else_is_no_position() {
        let channels = ["news:a".to_owned()];
        for last in ["", "5", "x:5", &format!("{A}:x"), &format!("{A}:5,{A}:6"), "::", ","] {
            assert_eq!(new(&channels, Some(last)).of(0), None, "{last}");
        }
    }
}
