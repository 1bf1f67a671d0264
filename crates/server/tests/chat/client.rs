//! The Rust client changes events, and hears of it.

use serde_json::json;
use tidings_client::{Amended, Client, Options, Push, Subscription};

use crate::common::Server;
use crate::setup;

async fn next(subscription: &mut Subscription) -> Push {
    loop {
        match subscription.next().await.unwrap().unwrap() {
            Push::Subscribed(_) => {}
            push => return push,
        }
    }
}

#[test]
fn a_client_edits_reacts_deletes_and_reads_on_behind_it() {
    let mut server = Server::start(&setup());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("localhost:{}", server.port);
        let ada = Client::connect(&url, Options::default()).await.unwrap();
        let bob = Client::connect(&url, Options::default()).await.unwrap();
        let (mine, his) = (ada.channel("chat:a"), bob.channel("chat:a"));
        let mut heard = his.subscribe().await.unwrap();
        mine.publish(json!({"text": "one"})).await.unwrap();
        mine.edit(1, json!({"text": "uno"})).key("k").await.unwrap();
        his.react(1, "👍").await.unwrap();
        his.unreact(1, "👍").await.unwrap();
        his.react(1, "🎉").await.unwrap();
        mine.publish("two").await.unwrap();
        assert!(mine.edit(7, "none").await.is_err() && his.delete(1).await.is_err());
        mine.delete(6).await.unwrap();
        assert!(matches!(next(&mut heard).await, Push::Event(_)));
        let Push::Amended(edited) = next(&mut heard).await else { panic!("an edit") };
        assert_eq!((edited.target, edited.position.offset), (1, 2));
        assert_eq!(edited.how, Amended::Edited(json!({"text": "uno"})));
        let mut counts = Vec::new();
        for _ in 0..3 {
            let Push::Amended(reacted) = next(&mut heard).await else { panic!("a reaction") };
            let Amended::Reacted { reaction, removed, count } = reacted.how else {
                panic!("a reaction")
            };
            counts.push((reaction, removed, count));
        }
        let (thumb, party) = ("👍".to_owned(), "🎉".to_owned());
        assert_eq!(
            counts,
            [(thumb.clone(), false, 1), (thumb, true, 0), (party.clone(), false, 1)]
        );
        assert!(matches!(next(&mut heard).await, Push::Event(_)), "nothing is missing between");
        let Push::Amended(deleted) = next(&mut heard).await else { panic!("a deletion") };
        assert_eq!((deleted.how, deleted.target), (Amended::Deleted, 6));
        let page = his.history().await.unwrap();
        assert_eq!(page.events.len(), 2);
        assert_eq!(page.events[0].data(), r#"{"text":"uno"}"#);
        assert!(page.events[0].edited.is_some() && page.events[1].deleted);
        assert_eq!(page.events[0].reactions()[&party].count, 1);
        ada.close().await;
        bob.close().await;
    });
    server.signal("TERM");
    server.ended();
}
