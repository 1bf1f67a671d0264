//! What a history keeps, shows and counts.

use super::*;

fn history(offsets: std::ops::RangeInclusive<u64>) -> History {
    let event = |offset| StoredEvent {
        offset,
        at_ms: offset * 10,
        event: Bytes::from(format!("{offset:04}")),
        producer: None,
    };
    History::restore(offsets.map(event).collect())
}

fn texts(events: &[Bytes]) -> Vec<u64> {
    events.iter().map(|e| std::str::from_utf8(e).unwrap().parse().unwrap()).collect()
}

#[test]
fn pages_go_forwards_without_overlap_or_hole() {
    let mut history = history(11..=20);
    let page = history.page_after(12, 3, 1000);
    assert_eq!((texts(&page.events), page.end), (vec![13, 14, 15], 15));
    let page = history.page_after(18, 5, 1000);
    assert_eq!((texts(&page.events), page.end), (vec![19, 20], 20));
    assert_eq!(history.page_after(20, 5, 1000).end, 20);
}

#[test]
fn a_page_is_cut_at_its_bytes_but_never_empty() {
    let mut history = history(1..=5);
    assert_eq!(texts(&history.page_after(0, 10, 9).events), [1, 2]);
    assert_eq!(texts(&history.page_after(0, 10, 1).events), [1]);
    assert_eq!(texts(&history.events_before(6, 10, 1).0), [5]);
}

#[test]
fn pages_go_backwards_to_the_start() {
    let mut history = history(11..=15);
    let (events, more) = history.events_before(15, 3, 1000);
    assert_eq!((texts(&events), more), (vec![12, 13, 14], true));
    let (events, more) = history.events_before(12, 3, 1000);
    assert_eq!((texts(&events), more), (vec![11], false));
    assert_eq!(history.events_before(3, 3, 1000), (vec![], false));
    assert_eq!(texts(&history.events_before(u64::MAX, 2, 1000).0), [14, 15]);
}

#[test]
fn what_joiners_may_need_is_kept_however_old_it_is() {
    let mut history = history(1..=10);
    history.trim(5000, (4, 24), 1000);
    assert_eq!((history.first(), history.len()), (Some(5), 6), "six of four bytes");
    history.trim(5000, (8, 8), 1000);
    assert_eq!(history.len(), 2);
    history.trim(5000, (8, 0), 1000);
    assert_eq!((history.len(), history.bytes), (0, 0));
}

#[test]
fn what_is_old_or_too_much_is_dropped() {
    let mut history = history(1..=10);
    history.trim(0, (4, 0), 1000);
    assert_eq!(history.first(), Some(7));
    history.trim(1080, (4, 0), 1000);
    assert_eq!(history.first(), Some(9));
    assert!(history.reaches_back_to(8, 10) && !history.reaches_back_to(7, 10));
    history.trim(5000, (4, 0), 1000);
    assert!(history.first().is_none() && history.reaches_back_to(10, 10));
    assert!(!history.reaches_back_to(9, 10));
}

/// A log of the engine, line by line.
fn log(frames: &[String]) -> Vec<StoredEvent> {
    let event = |(index, frame): (usize, &String)| StoredEvent {
        offset: index as u64 + 1,
        at_ms: index as u64 * 10,
        event: Bytes::from(frame.clone()),
        producer: None,
    };
    frames.iter().enumerate().map(event).collect()
}

fn frame(kind: &str, offset: usize, user: &str, rest: &str) -> String {
    format!(
        r#"{{"type":"{kind}","channel":"a:b","offset":{offset},"timestamp":"2026-05-01T12:00:00.123Z","user":"{user}","session":"0000000000000001",{rest}}}"#
    )
}

fn bytes(history: &History) -> usize {
    history.events.iter().map(|kept| kept.stored.event.len()).sum()
}

#[test]
fn unread_are_events_of_others_that_are_not_deleted() {
    let user = |n: usize| if n.is_multiple_of(2) { "ada" } else { r"b\\ob" };
    let mut frames: Vec<_> = (1..=10).map(|n| frame("event", n, user(n), r#""data":1"#)).collect();
    frames.push(frame("deleted", 11, "ada", r#""target":2"#));
    frames.push(frame("reacted", 12, "ada", r#""target":1,"reaction":"+1","count":1"#));
    frames.push(frame("edited", 13, "ada", r#""target":4,"data":2"#));
    let mut history = History::restore(log(&frames));
    assert_eq!(history.unread(0, "cyd"), (9, Some(1)));
    assert_eq!(history.unread(0, "ada"), (5, Some(1)));
    assert_eq!(history.unread(0, r"b\ob"), (4, Some(4)), "2 is deleted");
    assert_eq!(history.unread(8, r"b\ob"), (1, Some(10)));
    assert_eq!(history.unread(10, "cyd"), (0, None), "changes are no events");
    assert_eq!(history.unread(u64::MAX, "cyd"), (0, None));
    history.trim(0, (3, 0), u64::MAX);
    assert_eq!(history.unread(0, "cyd"), (3, Some(8)), "what is gone is not counted");
}

#[test]
fn its_size_is_that_of_what_it_holds() {
    let mut frames: Vec<_> =
        (1..=10).map(|n| frame("event", n, "ada", r#""data":"something"#)).collect();
    frames.iter_mut().for_each(|frame| frame.insert(frame.len() - 1, '"'));
    for target in 1..=5 {
        let data = "x".repeat(target * 100);
        let edit = format!(r#""target":{target},"data":"{data}""#);
        frames.push(frame("edited", frames.len() + 1, "ada", &edit));
        let react = format!(r#""target":{target},"reaction":"+1","count":1"#);
        frames.push(frame("reacted", frames.len() + 1, "bob", &react));
    }
    frames.push(frame("deleted", frames.len() + 1, "ada", r#""target":5"#));
    let mut history = History::restore(log(&frames));
    assert_eq!(history.bytes, bytes(&history));
    let (events, _) = history.events_after(0, 100, 100_000);
    assert_eq!((events.len(), history.bytes), (10, bytes(&history)));
    assert!(events[3].len() > 400 && events[4].len() < 200);
    assert_eq!((history.changes(), history.tallies.len()), (11, 4));
    history.trim(0, (7, 0), u64::MAX);
    assert_eq!((history.first(), history.bytes), (Some(4), bytes(&history)));
    assert_eq!(history.tallies.len(), 1, "the others went with their events");
    history.trim(0, (0, 0), u64::MAX);
    assert_eq!((history.len(), history.bytes, history.changes()), (0, 0, 0));
}

#[test]
fn changes_have_a_bound_too() {
    let mut frames = vec![frame("event", 1, "ada", r#""data":1"#)];
    for n in 2..200 {
        let react = r#""target":1,"reaction":"+1","count":1"#;
        frames.push(frame("reacted", n, &format!("user-{n}"), react));
    }
    let mut history = History::restore(log(&frames));
    history.trim(0, (10, 0), u64::MAX);
    assert_eq!(history.len(), 10 * (1 + CHANGES_PER_EVENT));
    assert!(history.tallies.is_empty() && !history.has(1));
}

#[test]
fn a_page_shows_reactions_as_they_are_when_it_is_read() {
    let mut history = History::restore(log(&[frame("event", 1, "ada", r#""data":1"#)]));
    for n in 2..5 {
        let react = r#""target":1,"reaction":"+1","count":1"#;
        let react = log(&[frame("reacted", n, &format!("user-{n}"), react)]).remove(0);
        history.push(StoredEvent { offset: n as u64, ..react });
        let page = history.page_after(0, 1, 1000);
        let event: serde_json::Value = serde_json::from_slice(&page.events[0]).unwrap();
        assert_eq!(event["reactions"]["+1"]["count"], n - 1);
    }
}
