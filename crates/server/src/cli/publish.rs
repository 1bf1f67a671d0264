//! `tidings publish`: one event.

use std::io::Read as _;

use clap::Args;
use serde_json::{Value, json};
use tidings_client::Client;

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
it was stored before (duplicate). With --key it is safe to run again.

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
    let mut fields = json!({ "channel": args.channel, "data": data });
    for (name, value) in [("event", &args.event), ("key", &args.key)] {
        if let Some(value) = value {
            fields[name] = value.as_str().into();
        }
    }
    if args.ephemeral {
        fields["ephemeral"] = true.into();
    }
    let reply = runtime()?.block_on(async {
        let mut client = Client::connect_to(&args.remote.address, &args.remote.options()).await?;
        let reply = client.request("publish", fields).await?;
        client.close().await;
        Ok::<_, tidings_client::Error>(reply)
    })?;
    let mut position = reply.value();
    if let Some(fields) = position.as_object_mut() {
        fields.remove("type");
        fields.remove("id");
    }
    println!("{position}");
    Ok(())
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
