//! What `docs/clients-rust.md` begins with: `cargo run -p tidings-client --example quick`

use tidings_client::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // region quick
    use serde_json::json;
    use tidings_client::{Client, Options, Push};

    let client = Client::connect("http://localhost:8000", Options::default()).await?;
    let lobby = client.channel("chat:lobby");

    let mut pushes = lobby.subscribe().rewind(20).presence().await?;
    lobby.enter(json!({ "name": "Ada" })).await?;
    lobby.publish(json!({ "text": "Hello" })).await?; // stored, exactly once

    while let Some(push) = pushes.next().await {
        match push? {
            Push::Event(event) => println!("{}: {}", event.user, event.data()),
            Push::Gap(gap) => println!("events are missing up to {}", gap.to),
            Push::Presence(change) => println!("{} are here", change.count),
            _ => {}
        }
    }
    // endregion
    Ok(())
}
