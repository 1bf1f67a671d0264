//! `tidings subscribe`: events as lines of JSON.

use std::io::Write as _;

use clap::Args;
use tidings_client::{Client, Position, Push, Status};
use tokio::time::Instant;

use super::error::CliError;
use super::remote::{Remote, parse_channel, runtime};
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
    since: Option<Position>,
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

fn parse_position(text: &str) -> Result<Position, String> {
    let wrong = || "a position is EPOCH:OFFSET, as 01f3a9c2d47be511:41".to_owned();
    let (epoch, offset) = text.split_once(':').ok_or_else(wrong)?;
    let offset = offset.parse().map_err(|_| wrong())?;
    if epoch.is_empty() { Err(wrong()) } else { Ok(Position { epoch: epoch.to_owned(), offset }) }
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
    let (address, options) = (args.remote.address.clone(), args.remote.options());
    let client = Client::connect_to(address, options).await?;
    let mut subscribe = client.channel(&args.channel).subscribe().rewind(args.rewind);
    if let Some(since) = &args.since {
        subscribe = subscribe.since(since.clone());
    }
    if args.presence {
        subscribe = subscribe.presence();
    }
    let mut subscription = subscribe.later().await?;
    let mut status = client.status();
    let mut events = 0;
    while args.count.is_none_or(|count| events < count) {
        tokio::select! {
            push = subscription.next() => match push {
                Some(push) => {
                    let push = push?;
                    let event = matches!(push, Push::Event(_));
                    events += u64::from(event);
                    if (event || !args.events_only) && !print(push.frame().text())? {
                        return Ok(());
                    }
                }
                None => return Ok(()),
            },
            // The subscription says how it ends.
            Ok(()) = status.changed() => warn(&status.borrow_and_update()),
        }
    }
    client.close().await;
    Ok(())
}

/// Says that the connection is lost.
fn warn(status: &Status) {
    if let Status::Waiting { retry_at, cause, .. } = status {
        let wait = retry_at.saturating_duration_since(Instant::now());
        let text = printable(&format!("{cause}; trying again in {wait:.1?}"));
        eprintln!("{}", Style::of_stderr().faint(&text));
    }
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
        let position = Position { epoch: "01f3".into(), offset: 41 };
        assert_eq!(parse_position("01f3:41"), Ok(position));
        for wrong in ["41", ":41", "01f3:", "01f3:x", "01f3:-1"] {
            assert!(parse_position(wrong).is_err(), "{wrong}");
        }
    }
}
