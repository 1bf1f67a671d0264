//! A chat in forty lines: `cargo run -p tidings-client --example chat -- localhost:8000 Ada`

use serde_json::json;
use tidings_client::{Client, Error, Options, Push};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "localhost:8000".into());
    let name = arguments.next().unwrap_or_else(|| "Rust".into());

    let client = Client::connect(&address, Options::default()).await?;
    let lobby = client.channel("chat:lobby");
    lobby.enter(json!({ "name": name })).await?;
    let mut pushes = lobby.subscribe().rewind(10).presence().await?;
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            Some(push) = pushes.next() => match push? {
                Push::Event(event) => println!("{}: {}", event.user, event.data()),
                Push::Gap(gap) => println!("(messages are missing up to {})", gap.to),
                Push::Presence(change) => println!("({} are here)", change.count),
                _ => {}
            },
            line = lines.next_line() => match line {
                // It is in the outbox then, and is stored once, with or without a connection now.
                Ok(Some(text)) => {
                    lobby.publish(json!({ "text": text, "name": name })).queue().await?;
                }
                Ok(None) | Err(_) => break,
            },
        }
    }
    client.flush().await;
    client.close().await;
    Ok(())
}
