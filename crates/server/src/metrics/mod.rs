//! Metrics: what a scrape of `/metrics` gets, and the page that documents them.
//!
//! - `table`: every metric, with its meaning;
//! - `counted`: what shards and the storage thread count;
//! - `page`: the text format;
//! - `process`: what the system says;
//! - `stats`: the same in JSON, for the API.
//!
//! Shards count in plain cells. A scrape asks each by mail, and waits for the answers.

mod counted;
mod page;
mod process;
mod stats;
mod table;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tidings_core::engine::{CommandKind, Recovery};
use tidings_proto::{CloseCode, ErrorCode};
use tokio::sync::oneshot;

pub(crate) use counted::{COMMIT_MICROS, Histogram};
pub(crate) use counted::{DROPPED, Dropped, End, HookTally, Refusal, Sample, StoreTally, Tally};
use page::Page;
use process::Process;
pub(crate) use stats::Stats;

use crate::hooks::{KINDS, OUTCOMES};
use crate::node::Node;
use crate::push::Tally as PushTally;
use crate::shard::mailbox::Mail;
use crate::storage::Storage;
use crate::telemetry;
use crate::transport::tls::TlsKeys;

/// A shard that does not answer for so long is in trouble, and the scrape says so.
const PATIENCE: Duration = Duration::from_secs(5);

/// All metrics of a node, or `None` when a shard does not answer.
pub(crate) async fn scrape(node: &Node) -> Option<String> {
    Some(text(node, &gather(node).await?))
}

/// The same for the API.
pub(crate) async fn stats(node: &Node) -> Option<Stats> {
    Some(Stats::new(node, &gather(node).await?))
}

/// What all shards have counted.
async fn gather(node: &Node) -> Option<Sample> {
    let mut answers = Vec::new();
    for mailbox in node.mailboxes.iter() {
        let (reply, answer) = oneshot::channel();
        mailbox.post(&mut vec![Mail::Count(reply)]);
        answers.push(answer);
    }
    let mut sum = Sample::default();
    let all = async {
        for answer in answers {
            sum.add(&*answer.await.ok()?);
        }
        Some(())
    };
    tokio::time::timeout(PATIENCE, all).await.ok()??;
    Some(sum)
}

fn text(node: &Node, sum: &Sample) -> String {
    let mut page = Page::default();
    page.each(&table::BUILD, [(env!("CARGO_PKG_VERSION"), 1)]);
    page.one(&table::READY, u8::from(node.operations.is_ready()));
    page.each(&table::CONNECTIONS, counted::TRANSPORTS.into_iter().zip(sum.connections));
    page.one(&table::SESSIONS, sum.counts.sessions);
    page.one(&table::LOST, sum.counts.lost);
    page.one(&table::CHANNELS, sum.counts.channels);
    page.one(&table::DOCUMENTS, sum.counts.documents);
    page.one(&table::DOCUMENT_BYTES, sum.counts.document_bytes);
    page.one(&table::SUBSCRIPTIONS, sum.counts.subscriptions);
    page.one(&table::TRACES, node.traces.load(Relaxed));
    page.each(&table::OPENED, counted::TRANSPORTS.into_iter().zip(sum.opened));
    closed(&mut page, sum);
    page.each(&table::REFUSED, counted::REFUSALS.into_iter().zip(sum.refused));
    certificate(&mut page, node.tls.as_deref());
    commands(&mut page, sum);
    page.histogram(&table::PUBLISH, sum.published, &counted::PUBLISH_MICROS, 1e6);
    let engine = &sum.engine;
    let kept = [("disk", engine.durable), ("memory", engine.memory), ("nowhere", engine.ephemeral)];
    page.each(&table::PUBLISHED, kept);
    page.one(&table::DUPLICATES, engine.duplicates);
    page.one(&table::NOTIFICATIONS, engine.notifications);
    page.one(&table::MERGED, engine.merged_bytes);
    page.one(&table::SYNCED, engine.synced_bytes);
    page.each(&table::DELIVERED, [("history", engine.replayed), ("live", sum.delivered)]);
    page.one(&table::CONFLATED, engine.conflated);
    page.one(&table::BYTES_OUT, sum.bytes_out);
    let recoveries = Recovery::ALL.iter().map(|outcome| outcome.as_str()).zip(engine.recoveries);
    page.each(&table::RECOVERIES, recoveries);
    page.each(&table::RESUMES, [("new", engine.not_resumed), ("resumed", engine.resumed)]);
    let mut mailboxes = page.metric(&table::MAILBOX);
    for (shard, mailbox) in node.mailboxes.iter().enumerate() {
        mailboxes.put(&[&shard.to_string()], mailbox.len());
    }
    store(&mut page, &node.storage);
    hooks(&mut page, node);
    page.one(&table::QUESTIONS, sum.counts.questions);
    webhooks(&mut page, node);
    pushes(&mut page, node);
    page.each(&table::RELOADS, node.operations.reloads());
    page.each(&table::TELEMETRY, telemetry::exports());
    process(&mut page, node.clock.started_wall_ms());
    page.finish()
}

fn closed(page: &mut Page, sum: &Sample) {
    let mut closed = page.metric(&table::CLOSED);
    for code in CloseCode::ALL {
        closed.put(&[&code.code().to_string()], sum.ended[*code as usize]);
    }
    closed.put(&["left"], sum.ended[counted::LEFT]);
    closed.put(&["lost"], sum.ended[counted::LOST]);
}

fn commands(page: &mut Page, sum: &Sample) {
    let mut commands = page.metric(&table::COMMANDS);
    for kind in CommandKind::ALL {
        let mut put = |outcome: Option<ErrorCode>, name: &str| {
            let count = sum.engine.commands(*kind, outcome);
            let plain = outcome.is_none() && *kind != CommandKind::Invalid;
            if count > 0 || plain {
                commands.put(&[kind.as_str(), name], count);
            }
        };
        put(None, "ok");
        for code in ErrorCode::ALL {
            put(Some(*code), code.as_str());
        }
    }
}

fn certificate(page: &mut Page, keys: Option<&TlsKeys>) {
    let mut expiry = page.metric(&table::CERTIFICATE);
    if let Some(keys) = keys {
        expiry.put(&[], keys.expires());
    }
    let count =
        |counter: fn(&TlsKeys) -> &AtomicU64| keys.map_or(0, |keys| counter(keys).load(Relaxed));
    let outcomes = [("failed", count(|keys| &keys.failed)), ("issued", count(|keys| &keys.issued))];
    page.each(&table::CERTIFICATES, outcomes);
}

fn store(page: &mut Page, storage: &Storage) {
    let tally = &storage.tally;
    page.histogram(&table::COMMIT, tally.commit.read(), &COMMIT_MICROS, 1e6);
    page.histogram(&table::BATCH, tally.batch.read(), &counted::BATCHES, 1.0);
    page.one(&table::SYNCS, tally.syncs.load(Relaxed));
    page.one(&table::STORE_QUEUE, storage.len());
    page.one(&table::STORE_ERRORS, tally.errors.load(Relaxed));
}

fn hooks(page: &mut Page, node: &Node) {
    let all = || KINDS.into_iter().zip(node.hook_tallies.all());
    let mut questions = page.metric(&table::ASK_OUTCOMES);
    for (hook, tally) in all() {
        for (outcome, count) in OUTCOMES.into_iter().zip(tally.outcomes()) {
            questions.put(&[hook, outcome], count);
        }
    }
    let took = all().map(|(hook, tally)| (hook, &tally.took));
    page.histograms(&table::ASK_SECONDS, took, &COMMIT_MICROS, 1e6);
    page.each(&table::ASK_UNDER_WAY, all().map(|(hook, tally)| (hook, tally.now().0)));
    page.each(&table::ASK_QUEUE, all().map(|(hook, tally)| (hook, tally.now().1)));
    page.each(&table::ASK_OPEN, all().map(|(hook, tally)| (hook, u8::from(tally.now().2))));
}

fn webhooks(page: &mut Page, node: &Node) {
    let running = node.webhooks.running();
    let now_ms = node.clock.steady_ms();
    let hooks = running.iter().map(|hook| (hook.name(), hook.waiting(now_ms), &hook.tally));
    let hooks: Vec<_> = hooks.collect();
    let names = || hooks.iter().map(|(name, ..)| &**name);
    let counts = hooks.iter().map(|(_, (count, _), _)| *count);
    page.each(&table::HOOK_QUEUE, names().zip(counts));
    let ages = hooks.iter().map(|(_, (_, age_ms), _)| *age_ms as f64 / 1000.0);
    page.each(&table::HOOK_AGE, names().zip(ages));
    let told = hooks.iter().map(|(.., tally)| tally.told.load(Relaxed));
    page.each(&table::HOOK_TOLD, names().zip(told));
    let failed = hooks.iter().map(|(.., tally)| tally.failed.load(Relaxed));
    page.each(&table::HOOK_FAILED, names().zip(failed));
    let mut dropped = page.metric(&table::HOOK_DROPPED);
    for (name, _, tally) in &hooks {
        for (reason, count) in DROPPED.iter().zip(&tally.dropped) {
            dropped.put(&[&**name, *reason], count.load(Relaxed));
        }
    }
    page.one(&table::NOTICES_DROPPED, node.storage.tally.unnoticed.load(Relaxed));
}

fn pushes(page: &mut Page, node: &Node) {
    let (off, sender) = (PushTally::default(), node.pushes.as_ref().map(|on| &on.sender));
    let tally = sender.map_or(&off, |sender| &sender.tally);
    page.one(&table::PUSH_QUEUE, sender.map_or(0, |sender| sender.waiting()));
    page.each(&table::PUSH_CALLS, tally.calls());
    page.each(&table::PUSH_SPARED, tally.not_called());
    page.each(&table::PUSH_DROPPED, tally.lost());
}

fn process(page: &mut Page, started_ms: u64) {
    let process = Process::read();
    if let Some(seconds) = process.cpu_seconds {
        page.one(&table::CPU, seconds);
    }
    for (metric, value) in [
        (&table::MEMORY, process.memory_bytes),
        (&table::OPEN_FDS, process.open_fds),
        (&table::MAX_FDS, process.max_fds),
    ] {
        if let Some(value) = value {
            page.one(metric, value);
        }
    }
    page.one(&table::START_TIME, started_ms as f64 / 1000.0);
}

/// The documentation of every metric, in Markdown.
pub fn markdown() -> String {
    let mut out = "# Metrics\n\n\
         Generated by `tidings config metrics` from `crates/server/src/metrics/table.rs`: change that, \
         not this. Where they are served, and what to watch, is in [operations](operations.md).\n\n\
         Counters start at 0 with the process. A histogram has `_bucket`, `_sum` and `_count`.\n\n\
         | metric | kind | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n"
        .to_owned();
    for metric in table::TABLE {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let or_none = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {} |",
            metric.name,
            metric.kind.as_str(),
            or_none(metric.unit),
            or_none(&labels.join(", ")),
            metric.help,
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::table::{Kind, TABLE};

    #[test]
    fn names_follow_the_conventions() {
        for metric in TABLE {
            let name = metric.name;
            assert!(name.starts_with("tidings_") || name.starts_with("process_"), "{name}");
            assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(name.contains(metric.unit), "{name} has the unit {}", metric.unit);
            assert!(metric.help.ends_with('.') && !metric.help.contains('|'), "{name}");
            assert_eq!(TABLE.iter().filter(|other| other.name == name).count(), 1, "{name}");
        }
    }
}
