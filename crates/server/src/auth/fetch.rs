//! Fetching key sets, on the thread for calls.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::egress::{Egress, Target};
use crate::node::Node;

use super::RemoteKeys;

/// How often it is looked whether a set is due.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A fetch takes no longer. Nobody waits for it.
const WITHIN: Duration = Duration::from_secs(3);

/// A set has no more bytes.
const BYTES: usize = 256 << 10;

/// Keeps the key sets of a node current, for as long as it lives.
pub(crate) fn keep_fetching(node: &Arc<Node>) {
    let (egress, weak) = (node.egress.clone(), Arc::downgrade(node));
    egress.spawn(look(weak));
}

async fn look(node: Weak<Node>) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let Some(node) = node.upgrade() else { return };
        for set in node.authority.remote() {
            if set.begin(Instant::now()) {
                let node = node.clone();
                tokio::spawn(async move { fetch(&node, &set).await });
            }
        }
    }
}

async fn fetch(node: &Node, set: &RemoteKeys) {
    let fetched = read(&node.egress, set.url()).await;
    let fetched = fetched.as_ref().map(|text| &**text).map_err(Clone::clone);
    match set.end(Instant::now(), node.authority.grace(), fetched) {
        Ok(false) => {}
        Ok(true) => {
            tracing::info!(url = set.url(), "keys were withdrawn; their sessions end");
            node.authority.withdraw();
        }
        Err(error) => {
            tracing::warn!(url = set.url(), %error, "a key set could not be fetched; the old one stays");
        }
    }
}

async fn read(egress: &Egress, url: &str) -> Result<bytes::Bytes, String> {
    let target = Target::parse(url, &egress.guard()).map_err(|error| error.to_string())?;
    let reply = egress.get(&target, (WITHIN, BYTES)).await.map_err(|error| error.to_string())?;
    if reply.status != hyper::StatusCode::OK {
        return Err(format!("the answer is {}", reply.status));
    }
    Ok(reply.body)
}
