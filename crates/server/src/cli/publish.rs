//! `tidings publish`: one event.

use std::io::Read as _;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tidings_client::{Ack, Client, Error};

use super::error::CliError;
use super::remote::{Remote, parse_channel, runtime};

/// Publish one event and print where it is stored
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tidings publish localhost:8000 chat:lobby '{\"text\":\"Hello\"}'
  tidings publish localhost:8000 chat:lobby --text 'Hello'
  date | tidings publish localhost:8000 log:all --text -
  tidings publish https://example.com orders:7 '{\"paid\":true}' --key order-7-paid

It prints the server's answer as JSON: the position, how safely it is stored (level), and whether
it was stored before (duplicate). If the connection is lost it is sent again, for --timeout at
most, and stored once. With --key it is safe to run again.

Exit codes: 0 stored; 1 refused by the server; 2 wrong usage; 3 no connection (it may be stored)")]
pub(super) struct PublishArgs {
    #[command(flatten)]
    remote: Remote,
    /// The channel: namespace:name
    #[arg(value_parser = parse_channel)]
    channel: String,
    /// The data: JSON; `-` reads it from the standard input
    data: String,
    /// DATA is a text, not JSON: publishes {"text": DATA}, as the chat does
    #[arg(long)]
    text: bool,
    /// The event's name inside the channel
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// A key of your own: a second publish with the same one is not stored again
    #[arg(long)]
    key: Option<String>,
    /// Send it to those who are subscribed now; do not store it
    #[arg(long, conflicts_with = "key")]
    ephemeral: bool,
}

pub(super) fn run(args: &PublishArgs) -> Result<(), CliError> {
    let mut input = args.data.clone();
    if input == "-" {
        input.clear();
        std::io::stdin().read_to_string(&mut input)?;
    }
    let data = data(&input, args.text)?;
    let ack = runtime()?.block_on(publish(args, data))?;
    println!("{}", answer(&args.channel, &ack));
    Ok(())
}

async fn publish(args: &PublishArgs, data: Value) -> Result<Ack, Error> {
    let (address, options) = (args.remote.address.clone(), args.remote.options());
    let client = Client::connect_to(address, options).await?;
    let patience = Duration::from_secs(args.remote.timeout);
    let mut publish = client.channel(&args.channel).publish(data).max_age(patience);
    if let Some(event) = &args.event {
        publish = publish.event(event);
    }
    if let Some(key) = &args.key {
        publish = publish.key(key);
    }
    if args.ephemeral {
        publish = publish.ephemeral();
    }
    let ack = publish.await?;
    client.close().await;
    Ok(ack)
}

/// What the server has answered, as JSON.
fn answer(channel: &str, ack: &Ack) -> Value {
    let Ack { position, level, duplicate, .. } = ack;
    let mut answer = json!({ "channel": channel, "level": level, "duplicate": duplicate });
    if let Some(position) = position {
        answer["epoch"] = position.epoch.as_str().into();
        answer["offset"] = position.offset.into();
    }
    answer
}

fn data(input: &str, text: bool) -> Result<Value, CliError> {
    if text {
        return Ok(json!({ "text": input.trim_end_matches('\n') }));
    }
    serde_json::from_str(input).map_err(|error| {
        CliError::Usage(format!("DATA is not JSON: {error}; for a text add --text"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_json_or_text() {
        assert_eq!(data("{\"a\":1}", false).unwrap(), json!({ "a": 1 }));
        assert_eq!(data("a \"b\"\n", true).unwrap(), json!({ "text": "a \"b\"" }));
        assert!(data("hello", false).unwrap_err().to_string().contains("--text"));
    }
}
