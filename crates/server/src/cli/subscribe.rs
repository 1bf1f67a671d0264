//! `tidings subscribe`: events as lines of JSON.

use std::io::Write as _;

use clap::Args;
use tidings_client::{Happening, Reconnecting, Subscription};

use super::error::CliError;
use super::remote::{Remote, parse_channel, random_name, runtime};
use super::style::{Style, printable};

/// Print a channel's events, one line of JSON each
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidings subscribe localhost:8000 chat:lobby
  tidings subscribe localhost:8000 chat:lobby --rewind 10 --count 10
  tidings subscribe localhost:8000 chat:lobby --since 01f3a9c2d47be511:41 | jq .data
  tidings subscribe localhost:8000 chat:lobby --presence

It comes back by itself after a lost connection and goes on where it was: nothing twice, and
nothing missing without a line of type \"gap\". The line of type \"subscribed\" has the position
to give to --since next time. What it has to say itself goes to the standard error.

Exit codes: 0 --count events came, or Ctrl-C; 1 refused by the server; 2 wrong usage;
3 no connection at the start")]
pub(super) struct SubscribeArgs {
    #[command(flatten)]
    remote: Remote,
    /// The channel: namespace:name
    #[arg(value_parser = parse_channel)]
    channel: String,
    /// Everything after this position
    #[arg(long, value_name = "EPOCH:OFFSET", value_parser = parse_position)]
    since: Option<(String, u64)>,
    /// So many of the newest events first
    #[arg(long, value_name = "N", default_value_t = 0)]
    rewind: u64,
    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Print who comes and goes, too
    #[arg(long)]
    presence: bool,
    /// Do not print lines that are not events
    #[arg(long, conflicts_with = "presence")]
    events_only: bool,
}

fn parse_position(text: &str) -> Result<(String, u64), String> {
    let wrong = || "a position is EPOCH:OFFSET, as 01f3a9c2d47be511:41".to_owned();
    let (epoch, offset) = text.split_once(':').ok_or_else(wrong)?;
    let offset = offset.parse().map_err(|_| wrong())?;
    if epoch.is_empty() { Err(wrong()) } else { Ok((epoch.to_owned(), offset)) }
}

pub(super) fn run(args: &SubscribeArgs) -> Result<(), CliError> {
    runtime()?.block_on(async {
        tokio::select! {
            done = follow(args) => done,
            // The shell prints its prompt behind whatever stands there.
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    })
}

async fn follow(args: &SubscribeArgs) -> Result<(), CliError> {
    let mut client =
        Reconnecting::new(args.remote.address.clone(), args.remote.options(), random_name()?);
    let subscription = Subscription {
        rewind: args.rewind,
        presence: args.presence,
        enter: None,
        since: args.since.clone(),
    };
    client.subscribe(&args.channel, subscription);
    let style = Style::of_stderr();
    let (mut connected, mut events) = (false, 0);
    while args.count.is_none_or(|count| events < count) {
        match client.next().await? {
            Happening::Connected(_) => connected = true,
            Happening::Lost(error, _) if !connected => return Err(error.into()),
            Happening::Lost(error, wait) => {
                let text = printable(&format!("{error}; trying again in {:.1?}", wait));
                eprintln!("{}", style.faint(&text));
            }
            Happening::Frame(frame) => {
                if let Some(refusal) = frame.refusal() {
                    return Err(tidings_client::Error::Refused(Box::new(refusal)).into());
                }
                let event = frame.kind() == "event";
                events += u64::from(event);
                if (event || !args.events_only) && !print(frame.text())? {
                    return Ok(());
                }
            }
            Happening::Refused(..) | Happening::Stored(..) => {}
        }
    }
    Ok(())
}

/// Prints a line at once; `false` if nobody reads on.
fn print(line: &str) -> Result<bool, CliError> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_an_epoch_and_an_offset() {
        assert_eq!(parse_position("01f3:41"), Ok(("01f3".into(), 41)));
        for wrong in ["41", ":41", "01f3:", "01f3:x", "01f3:-1"] {
            assert!(parse_position(wrong).is_err(), "{wrong}");
        }
    }
}
