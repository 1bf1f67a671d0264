//! Measures the store on this machine:
//! `cargo run --release -p tidings-store --example store_bench -- [folder] [records]`.
//!
//! Appends of 152 bytes of JSON with a producer's number, to 100,000 channels in turn.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings_core::store::{Append, Epoch, Level, Retention, Scoped, Store};
use tidings_store::{LogStore, Options, RealFs};

const CHANNELS: u64 = 100_000;
const NOW: u64 = 1_700_000_000_000;

struct Feed {
    names: Vec<Arc<str>>,
    next: u64,
}

impl Feed {
    fn new() -> Feed {
        Feed { names: (0..CHANNELS).map(|n| format!("room:{n}").into()).collect(), next: 0 }
    }

    fn batch(&mut self, size: u64) -> Vec<Append> {
        let appends = self.next..self.next + size;
        self.next += size;
        appends.map(|n| self.append(n)).collect()
    }

    fn append(&self, n: u64) -> Append {
        let text = format!("{{\"n\":{n:012},\"text\":\"{:0126}\"}}", n.wrapping_mul(0x9e37_79b9));
        Append {
            channel: self.names[(n % CHANNELS) as usize].clone(),
            epoch: Epoch(7),
            offset: n / CHANNELS + 1,
            at_ms: NOW,
            event: Some(text.into()),
            producer: Some((Scoped { user: "u".into(), name: "p".into() }, n)),
            key: None,
            retention: Retention { size: 1000, ttl_ms: 86_400_000, dedup_ms: 600_000 },
        }
    }
}

fn open(dir: &Path, level: Level) -> Result<LogStore<RealFs>, Box<dyn std::error::Error>> {
    let options = Options { level, boot_id: tidings_store::boot_id(), ..Options::new(1) };
    Ok(LogStore::open(RealFs::open(dir)?, options, NOW)?.0)
}

/// Time this thread spent on the processor, from `/proc` (Linux), in steps of a nanosecond.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn appends(dir: &Path, level: Level, size: u64) -> Result<(), Box<dyn std::error::Error>> {
    let _ = std::fs::remove_dir_all(dir);
    let mut store = open(dir, level)?;
    let mut feed = Feed::new();
    let (mut busy, mut on_cpu, mut worst) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut done = 0;
    while busy < Duration::from_secs(4) && done < 1_000_000 {
        let batch = feed.batch(size);
        let (start, start_cpu) = (Instant::now(), cpu());
        for outcome in store.commit(NOW, &batch) {
            outcome?;
        }
        let took = start.elapsed();
        on_cpu += cpu() - start_cpu;
        busy += took;
        worst = worst.max(took);
        done += size;
    }
    println!(
        "{level:?} batch {size}: {:.0}/s, {:.2} us CPU per append, worst {:.1} ms ({done})",
        done as f64 / busy.as_secs_f64(),
        on_cpu.as_secs_f64() * 1e6 / done as f64,
        worst.as_secs_f64() * 1e3,
    );
    drop(store);
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

fn rss() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn big(dir: &Path, records: u64) -> Result<(), Box<dyn std::error::Error>> {
    let _ = std::fs::remove_dir_all(dir);
    let mut store = open(dir, Level::Os)?;
    let mut feed = Feed::new();
    for _ in 0..records / 1000 {
        for outcome in store.commit(NOW, &feed.batch(1000)) {
            outcome?;
        }
    }
    store.close()?;
    drop(feed);
    // In a process of its own, for the memory.
    let exe = std::env::current_exe()?;
    let status = std::process::Command::new(exe).arg(dir).arg("reopen").status()?;
    std::fs::remove_dir_all(dir)?;
    if status.success() { Ok(()) } else { Err("reopening failed".into()) }
}

fn reopen(dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let before = rss();
    let start = Instant::now();
    let options = Options { level: Level::Os, ..Options::new(1) };
    let (mut store, report) = LogStore::open(RealFs::open(dir)?, options, NOW)?;
    let took = start.elapsed();
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        bytes += entry?.metadata()?.len();
    }
    println!(
        "reopen {} events, {} MB: {took:.2?}; {} MB resident with the index",
        report.events,
        bytes / 1_000_000,
        rss().saturating_sub(before) / 1_000_000,
    );
    let mut times: Vec<Duration> = (0..10_000u64)
        .map(|n| {
            let name = format!("room:{}", n.wrapping_mul(0x9e37_79b9) % CHANNELS);
            let start = Instant::now();
            let loaded = store.load(NOW, &name).ok().flatten();
            assert!(loaded.is_some_and(|l| !l.events.is_empty()));
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "load of {} events: p50 {:?} p99 {:?}",
        report.events / CHANNELS,
        times[5000],
        times[9900]
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from).join("tidings-bench");
    let records = args.next().unwrap_or_else(|| "1000000".to_owned());
    if records == "reopen" {
        return reopen(dir.parent().unwrap_or(&dir));
    }
    let records = records.parse()?;
    for level in [Level::Fsync, Level::Os] {
        for size in [1, 100, 1000] {
            appends(&dir, level, size)?;
        }
    }
    big(&dir, records)
}
