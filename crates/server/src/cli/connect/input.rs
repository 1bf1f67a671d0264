//! What is typed.

/// A line that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Help,
    History(u64),
    Join(String),
    Leave,
    Quit,
    Raw(String),
    Say(String),
    Who,
}

/// Answers to `/help`.
pub(super) const HELP: &str = "\
/join ROOM      go to another room (a name, or a whole channel: chat:lobby)
/leave          leave the room
/say TEXT       say something; what does not start with / is said, too
/who            who is here, and who left lately
/history [N]    the newest N events again (20)
/raw {JSON}     send a command as it stands
/quit           end; so do Ctrl-C and Ctrl-D";

/// Events that `/history` shows.
const HISTORY: u64 = 20;

/// Understands a line; `None` if it is empty.
///
/// # Errors
/// What is wrong, for whoever typed it.
pub(super) fn parse(line: &str) -> Result<Option<Input>, String> {
    let line = line.trim();
    let Some(command) = line.strip_prefix('/') else {
        return Ok((!line.is_empty()).then(|| Input::Say(line.to_owned())));
    };
    // Two slashes: a text that starts with one.
    if command.starts_with('/') {
        return Ok(Some(Input::Say(command.to_owned())));
    }
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    let with = |what: &str, input: fn(String) -> Input| match rest {
        "" => Err(format!("/{name} wants {what}")),
        rest => Ok(input(rest.to_owned())),
    };
    let input = match name {
        "join" | "j" => with("a room", Input::Join)?,
        "leave" => Input::Leave,
        "say" => with("a text", Input::Say)?,
        "who" | "w" => Input::Who,
        "history" if rest.is_empty() => Input::History(HISTORY),
        "history" => match rest.parse() {
            Ok(count @ 1..=100) => Input::History(count),
            _ => return Err("/history wants a number from 1 to 100".into()),
        },
        "raw" => {
            let json = serde_json::from_str::<serde_json::Value>(rest);
            if !json.is_ok_and(|json| json.is_object()) {
                return Err("/raw wants a JSON object, as {\"type\":\"ping\"}".into());
            }
            Input::Raw(rest.to_owned())
        }
        "help" | "h" | "?" => Input::Help,
        "quit" | "q" | "exit" => Input::Quit,
        _ => return Err(format!("/{name} is not a command: see /help")),
    };
    Ok(Some(input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        let say = |text: &str| Input::Say(text.into());
        for (line, input) in [
            ("hello there", say("hello there")),
            ("  hello  ", say("hello")),
            ("/say /join is a command", say("/join is a command")),
            ("//shrug", say("/shrug")),
            ("/join lobby", Input::Join("lobby".into())),
            ("/j chat:a b", Input::Join("chat:a b".into())),
            ("/leave", Input::Leave),
            ("/who", Input::Who),
            ("/history", Input::History(20)),
            ("/history 5", Input::History(5)),
            ("/raw {\"type\":\"ping\"}", Input::Raw("{\"type\":\"ping\"}".into())),
            ("/help", Input::Help),
            ("/quit", Input::Quit),
        ] {
            assert_eq!(parse(line), Ok(Some(input)), "{line}");
        }
        assert_eq!(parse("   "), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, hint) in [
            ("/join", "a room"),
            ("/say ", "a text"),
            ("/history x", "a number"),
            ("/history 101", "100"),
            ("/raw ping", "JSON"),
            ("/raw [1]", "JSON"),
            ("/dance", "/help"),
            ("/", "/help"),
        ] {
            assert!(parse(line).unwrap_err().contains(hint), "{line}");
        }
    }
}
