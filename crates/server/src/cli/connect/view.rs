//! Frames as lines for people.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidings_client::Frame;
use tidings_proto::ServerFrame;

use crate::cli::style::{Style, printable};

/// A user who types is announced again after this long.
const TYPING: Duration = Duration::from_secs(10);
/// Names that are remembered.
const NAMES_MAX: usize = 10_000;
/// Characters of a name that are shown.
const NAME_CHARS: usize = 40;

/// Writes lines, and remembers what users are called.
pub(super) struct View {
    style: Style,
    /// Who we are: we know that we came in.
    pub(super) me: String,
    names: HashMap<String, String>,
    typing: HashMap<String, Instant>,
}

impl View {
    pub(super) fn new(style: Style) -> Self {
        Self { style, me: String::new(), names: HashMap::new(), typing: HashMap::new() }
    }

    /// Something beside the matter.
    pub(super) fn note(&self, text: &str) -> String {
        self.style.faint(&printable(text))
    }

    /// Something doubtful.
    pub(super) fn warning(&self, text: &str) -> String {
        self.style.warning(&printable(text))
    }

    /// Something that did not work.
    pub(super) fn bad(&self, text: &str) -> String {
        self.style.bad(&printable(text))
    }

    /// The line of a push; `None` if there is nothing to say.
    pub(super) fn push(&mut self, frame: &Frame) -> Option<String> {
        let fields = frame.decode();
        match frame.kind() {
            "event" => self.event(&fields),
            "edited" | "deleted" | "reacted" => self.amendment(frame.kind(), &fields),
            "presence" => self.presence(&fields),
            "gap" => {
                let reason = fields.reason.as_deref().unwrap_or("?");
                Some(self.warning(&match reason {
                    "expired" => "messages are missing here: you were away for long".to_owned(),
                    "new_epoch" => {
                        "the server has lost this room's history; what follows is new".to_owned()
                    }
                    reason => format!("messages are missing here ({reason})"),
                }))
            }
            "expiring" => {
                let seconds = fields.expires_in.unwrap_or_default() / 1000;
                Some(self.warning(&format!("your token ends in {seconds} s")))
            }
            "error" => {
                let refusal = frame.refusal()?;
                Some(self.bad(&format!("refused: {refusal}")))
            }
            _ => Some(self.note(frame.text())),
        }
    }

    fn event(&mut self, fields: &ServerFrame<'_>) -> Option<String> {
        let user = fields.user.as_deref()?;
        let data: Value = serde_json::from_str(fields.data?.get()).ok()?;
        self.learn(user, &data);
        let name = self.name(user);
        if fields.deleted {
            return Some(self.note(&format!("{name}: (deleted)")));
        }
        let event = fields.event.as_deref().unwrap_or("message");
        if fields.ephemeral && event == "typing" {
            let now = Instant::now();
            let last = self.typing.insert(user.to_owned(), now);
            let again = last.is_none_or(|last| now - last > TYPING);
            return again.then(|| self.note(&format!("{name} is typing …")));
        }
        self.typing.remove(user);
        let time = fields.timestamp.as_deref().and_then(clock).unwrap_or_default();
        let time = self.style.faint(&time);
        let name = self.style.name(user, &printable(&name));
        let text = match (event, &data["text"]) {
            ("message", Value::String(text)) => printable(text).replace('\n', "\n      "),
            ("message", _) => printable(&data.to_string()),
            (event, _) => self.note(&format!("[{event}] {data}")),
        };
        Some(format!("{time} {name}: {text}"))
    }

    /// A line of what has scrolled away cannot be changed: it is said what has.
    fn amendment(&self, kind: &str, fields: &ServerFrame<'_>) -> Option<String> {
        let name = self.name(fields.user.as_deref()?);
        let target = fields.target?;
        let taken_back = fields.removed.is_some_and(|removed| removed.get() == "true");
        let reaction = fields.reaction.as_deref().unwrap_or_default();
        Some(self.note(&match kind {
            "deleted" => format!("{name} has deleted message {target}"),
            "reacted" if taken_back => format!("{name} takes {reaction} to {target} back"),
            "reacted" => format!("{name} reacts to {target} with {reaction}"),
            _ => {
                let data: Value = serde_json::from_str(fields.data?.get()).ok()?;
                let said = data["text"].as_str().map_or_else(|| data.to_string(), str::to_owned);
                format!("{name} has changed message {target}: {said}")
            }
        }))
    }

    fn presence(&mut self, fields: &ServerFrame<'_>) -> Option<String> {
        let count = fields.count.unwrap_or_default();
        let member: Value = match fields.member {
            Some(member) => serde_json::from_str(member.get()).ok()?,
            None => return Some(self.note(&format!("{count} are here"))),
        };
        let user = member["user"].as_str()?;
        self.learn(user, &member["data"]);
        if user == self.me {
            return None;
        }
        let name = self.name(user);
        match fields.action.as_deref()? {
            "enter" => Some(self.note(&format!("→ {name} came in ({count} here)"))),
            "leave" => Some(self.note(&format!("← {name} left ({count} here)"))),
            _ => None,
        }
    }

    /// Who is here: the reply to `subscribe` or `presence`.
    pub(super) fn members(&mut self, fields: &ServerFrame<'_>) -> String {
        let mut names = Vec::new();
        for member in fields.members.iter().flatten() {
            let member: Value = serde_json::from_str(member.get()).unwrap_or_default();
            let Some(user) = member["user"].as_str() else { continue };
            self.learn(user, &member["data"]);
            let sessions = member["sessions"].as_u64().unwrap_or(1);
            let name = self.name(user);
            names.push(if sessions > 1 { format!("{name} (×{sessions})") } else { name });
        }
        let count = fields.count.unwrap_or(names.len() as u64);
        match (count, names.is_empty()) {
            (0, _) => "nobody is here".into(),
            (count, true) => format!("{count} are here"),
            (count, false) => format!("{count} here: {}", names.join(", ")),
        }
    }

    /// Who left lately: a part of the reply to `presence`.
    pub(super) fn departed(&self, reply: &Value) -> Option<String> {
        let list = reply["departed"].as_array()?.iter().filter_map(|member| {
            let at = member["last_seen"].as_str().and_then(clock)?;
            Some(format!("{} ({at})", self.name(member["user"].as_str()?)))
        });
        let names: Vec<_> = list.collect();
        (!names.is_empty()).then(|| format!("left lately: {}", names.join(", ")))
    }

    /// What a user is called.
    fn name(&self, user: &str) -> String {
        let called = self.names.get(user).filter(|name| *name != user);
        match called {
            // A name can be anybody's; who signed in is known by their user's name.
            Some(name) if user.starts_with("anon-") => name.clone(),
            Some(name) => format!("{name} ({user})"),
            // `anon-` and four digits tell them apart well enough.
            None if user.starts_with("anon-") => user.chars().take(9).collect(),
            None => user.to_owned(),
        }
    }

    /// Remembers what a user calls themselves.
    fn learn(&mut self, user: &str, data: &Value) {
        let Some(name) = data["name"].as_str() else { return };
        let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect();
        if !name.trim().is_empty()
            && (self.names.len() < NAMES_MAX || self.names.contains_key(user))
        {
            self.names.insert(user.to_owned(), name);
        }
    }
}

/// The time of day of a timestamp (UTC), to the minute.
fn clock(timestamp: &str) -> Option<String> {
    timestamp.get(11..16).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(view: &mut View, text: &str) -> Option<String> {
        let frame: Frame = text.parse().unwrap();
        view.push(&frame)
    }

    fn event(user: &str, event: &str, data: &str, more: &str) -> String {
        format!(
            r#"{{"type":"event","channel":"chat:a","timestamp":"2026-05-01T12:34:56.000Z",
               "user":"{user}","event":"{event}","data":{data}{more}}}"#
        )
    }

    #[test]
    fn messages_have_a_time_and_a_name() {
        let mut view = View::new(Style::plain());
        let mut line = |text: &str| show(&mut view, text).unwrap();
        let said = |user, data| event(user, "message", data, "");
        assert_eq!(line(&said("anon-1", r#"{"text":"Hi"}"#)), "12:34 anon-1: Hi");
        assert_eq!(line(&said("anon-1", r#"{"text":"Hi","name":"Ada"}"#)), "12:34 Ada: Hi");
        assert_eq!(
            line(&said("bob", r#"{"text":"a\nb","name":"Ada"}"#)),
            "12:34 Ada (bob): a\n      b"
        );
        assert_eq!(line(&said("bob", "[1]")), "12:34 Ada (bob): [1]");
        assert_eq!(line(&event("bob", "moved", "7", "")), "12:34 Ada (bob): [moved] 7");
    }

    #[test]
    fn what_others_send_commands_no_terminal() {
        let mut view = View::new(Style::plain());
        let text = event("anon-1", "message", r#"{"text":"\u001b[2J","name":"\u001b[1mX"}"#, "");
        assert_eq!(show(&mut view, &text).unwrap(), "12:34 [1mX: \u{fffd}[2J");
    }

    #[test]
    fn typing_is_said_once() {
        let mut view = View::new(Style::plain());
        let typing = event("anon-1", "typing", "{}", r#","ephemeral":true"#);
        assert_eq!(show(&mut view, &typing).unwrap(), "anon-1 is typing …");
        assert_eq!(show(&mut view, &typing), None);
        show(&mut view, &event("anon-1", "message", "1", ""));
        assert!(show(&mut view, &typing).is_some());
    }

    #[test]
    fn comings_and_goings_and_gaps() {
        let mut view = View::new(Style::plain());
        let presence = |action: &str| {
            format!(
                r#"{{"type":"presence","channel":"chat:a","action":"{action}","count":2,
                   "member":{{"user":"anon-1","data":{{"name":"Ada"}}}}}}"#
            )
        };
        assert_eq!(show(&mut view, &presence("enter")).unwrap(), "→ Ada came in (2 here)");
        assert_eq!(show(&mut view, &presence("leave")).unwrap(), "← Ada left (2 here)");
        assert_eq!(show(&mut view, &presence("update")), None);
        let count = r#"{"type":"presence","channel":"chat:a","action":"count","count":900}"#;
        assert_eq!(show(&mut view, count).unwrap(), "900 are here");
        let gap = r#"{"type":"gap","channel":"chat:a","reason":"expired"}"#;
        assert!(show(&mut view, gap).unwrap().contains("missing"));
    }

    #[test]
    fn who_is_here_and_who_left() {
        let mut view = View::new(Style::plain());
        let reply: Frame = r#"{"type":"members","id":1,"members":[
            {"user":"anon-1","sessions":2,"data":{"name":"Ada"}},{"user":"bob","sessions":1}],
            "count":2,"departed":[{"user":"eve","last_seen":"2026-05-01T11:58:00.000Z"}]}"#
            .parse()
            .unwrap();
        assert_eq!(view.members(&reply.decode()), "2 here: Ada (×2), bob");
        assert_eq!(view.departed(&reply.value()).unwrap(), "left lately: eve (11:58)");
    }
}
