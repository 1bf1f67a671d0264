//! What a process costs, as Linux tells in `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// A process whose cost is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pid: u32,
}

/// The CPU time that a process has used so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cpu {
    /// Nanoseconds of each thread that lives.
    threads: BTreeMap<u32, u64>,
    /// User and system time of all threads there ever were, in hundredths of a second.
    ticks: u64,
}

impl Cpu {
    /// Nanoseconds from `earlier` to this. Exact while no thread has ended in between; else from
    /// the clock ticks, which count the ended ones too.
    pub(crate) fn since(&self, earlier: &Self) -> u64 {
        let all_live = earlier.threads.keys().all(|thread| self.threads.contains_key(thread));
        if all_live && !self.threads.is_empty() {
            let sum = |cpu: &Self| cpu.threads.values().sum::<u64>();
            sum(self).saturating_sub(sum(earlier))
        } else {
            self.ticks.saturating_sub(earlier.ticks) * 10_000_000
        }
    }
}

impl Process {
    /// The one with this id.
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// This one.
    pub(crate) fn own() -> Self {
        Self { pid: std::process::id() }
    }

    /// The one that listens on a TCP port of this machine, if it may be seen.
    pub(crate) fn listening_on(port: u16) -> Option<Self> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let inode = tables
            .iter()
            .filter_map(|table| fs::read_to_string(table).ok())
            .find_map(|table| listener_inode(&table, port))?;
        let wanted = format!("socket:[{inode}]");
        let mut processes = fs::read_dir("/proc").ok()?.flatten();
        processes.find_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let mut files = fs::read_dir(process.path().join("fd")).ok()?.flatten();
            files
                .any(|file| fs::read_link(file.path()).is_ok_and(|to| to == Path::new(&wanted)))
                .then_some(Self { pid })
        })
    }

    /// Its CPU time so far.
    pub(crate) fn cpu(self) -> Result<Cpu> {
        let stat = self.read("stat")?;
        let ticks = ticks(&stat).ok_or_else(|| Error::usage("/proc/PID/stat is unreadable"))?;
        let mut threads = BTreeMap::new();
        let directory = format!("/proc/{}/task", self.pid);
        for entry in fs::read_dir(&directory).map_err(Error::system(directory))?.flatten() {
            let thread = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let text = fs::read_to_string(entry.path().join("schedstat")).unwrap_or_default();
            if let (Some(thread), Some(spent)) = (thread, first_number(&text)) {
                threads.insert(thread, spent);
            }
        }
        Ok(Cpu { threads, ticks })
    }

    /// Its proportional share of memory, in bytes.
    pub(crate) fn pss(self) -> Result<u64> {
        let text = self.read("smaps_rollup")?;
        pss(&text).ok_or_else(|| Error::usage("/proc/PID/smaps_rollup has no Pss"))
    }

    fn read(self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.pid);
        fs::read_to_string(&path).map_err(Error::system(path))
    }
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// utime + stime. The name of the program may hold spaces and brackets.
fn ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(field(11)? + field(12)?)
}

fn pss(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(first_number(line)? * 1024)
}

/// The inode of the socket that listens (state 0A) on `port` in `/proc/net/tcp`.
fn listener_inode(table: &str, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, hex) = fields.get(1)?.rsplit_once(':')?;
        let local = u16::from_str_radix(hex, 16).ok()?;
        (local == port && *fields.get(3)? == "0A").then(|| fields.get(9)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stat_of_a_program_with_a_nasty_name() {
        let stat = "42 (a) b (c) S 1 1 1 0 -1 4194304 100 0 0 0 250 75 3 4 20 0 4 0 100";
        assert_eq!(ticks(stat), Some(325));
        assert_eq!(ticks("42 (a"), None);
    }

    #[test]
    fn the_share_of_memory() {
        let text = "00400000-7ffe [rollup]\nRss:   900 kB\nPss:    802 kB\nPss_Dirty: 1 kB\n";
        assert_eq!(pss(text), Some(802 * 1024));
        assert_eq!(pss("Rss: 1 kB"), None);
    }

    #[test]
    fn the_listener_and_not_a_connection_of_its_port() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  0 0 111 1 0
   1: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 222 1 0
   2: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 333 1 0
";
        assert_eq!(listener_inode(table, 8000), Some(222));
        assert_eq!(listener_inode(table, 8001), Some(333));
        assert_eq!(listener_inode(table, 8002), None);
    }

    #[test]
    fn an_ended_thread_falls_back_to_ticks() {
        let at = |threads: &[(u32, u64)], ticks| Cpu {
            threads: threads.iter().copied().collect(),
            ticks,
        };
        let start = at(&[(1, 100), (2, 50)], 3);
        assert_eq!(at(&[(1, 150), (2, 60), (3, 5)], 9).since(&start), 65);
        assert_eq!(at(&[(1, 150)], 9).since(&start), 60_000_000);
    }

    #[test]
    fn this_process_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(Process::listening_on(port), Some(Process::own()));
        assert!(Process::own().pss().unwrap() > 0);
        Process::own().cpu().unwrap();
    }
}
