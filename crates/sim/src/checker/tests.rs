//! For each rule a history that breaks it, and one that breaks none.

use super::*;

/// Writes histories by hand; the channel is always `c`, the epoch `e` unless said otherwise.
#[derive(Default)]
struct Told(History);

fn pos(epoch: &str, offset: u64) -> Pos {
    Pos { epoch: epoch.into(), offset }
}

impl Told {
    fn op(mut self, op: Op) -> Self {
        self.0.push(0, op);
        self
    }

    fn memory(self) -> Self {
        self.op(Op::Channel { channel: "c".into(), durable: false, keeps: 100 })
    }

    fn durable(self, keeps: u64) -> Self {
        self.op(Op::Channel { channel: "c".into(), durable: true, keeps })
    }

    fn sent(self, publish: u64) -> Self {
        let data = publish.to_string();
        let (channel, ephemeral) = ("c".into(), false);
        self.op(Op::Publish { publish, channel, data, ephemeral, except: None, change: None })
    }

    fn acked(self, publish: u64, epoch: &str, offset: u64) -> Self {
        self.op(Op::Ok { publish, at: Some(pos(epoch, offset)), duplicate: false })
    }

    /// Sent and acknowledged, numbered like their offsets.
    fn published(mut self, numbers: std::ops::RangeInclusive<u64>) -> Self {
        for n in numbers {
            self = self.sent(n).acked(n, "e", n);
        }
        self
    }

    fn subscribed(self, subscription: u64, at: Pos) -> Self {
        self.resubscribed(subscription, at, None, false)
    }

    fn resubscribed(self, n: u64, at: Pos, since: Option<Pos>, recovered: bool) -> Self {
        let (channel, rewind) = ("c".into(), 0);
        let op = Op::Subscribed {
            subscription: n,
            connection: n,
            channel,
            at,
            since,
            rewind,
            recovered,
        };
        self.op(op)
    }

    fn heard(self, subscription: u64, offset: u64, data: u64) -> Self {
        let (channel, data) = ("c".into(), data.to_string());
        self.op(Op::Delivered { subscription, channel, offset: Some(offset), data })
    }

    fn fault(self, memory: bool, durable: bool) -> Self {
        self.op(Op::Fault { what: "test".into(), memory, durable })
    }

    fn at_rest(self, at: Pos, offsets: std::ops::RangeInclusive<u64>) -> Self {
        let events = offsets.map(|n| (n, n.to_string())).collect();
        self.op(Op::Final { channel: "c".into(), at, events, changed: Vec::new() })
    }

    #[track_caller]
    fn breaks(self, rule: Rule) {
        let found = check(&self.0);
        assert!(found.iter().any(|v| v.rule == rule), "{rule:?} not among {found:?}");
    }

    #[track_caller]
    fn breaks_nothing(self) {
        assert_eq!(check(&self.0), []);
    }
}

fn nothing_left() -> Op {
    Op::Final { channel: "c".into(), at: pos("f", 0), events: Vec::new(), changed: Vec::new() }
}

fn users(list: &[(&str, u64)]) -> BTreeMap<String, u64> {
    list.iter().map(|(user, n)| ((*user).into(), *n)).collect()
}

#[test]
fn an_ordinary_run_breaks_nothing() {
    let told = Told::default().durable(100).subscribed(1, pos("e", 0)).published(1..=3);
    let told = told.heard(1, 1, 1).heard(1, 2, 2).op(Op::Closed { connection: 1 });
    let told = told.resubscribed(2, pos("e", 3), Some(pos("e", 2)), true).heard(2, 3, 3);
    told.fault(true, false).at_rest(pos("e", 3), 1..=3).breaks_nothing();
}

#[test]
fn what_memory_held_may_go_with_the_process() {
    let told = Told::default().memory().published(1..=3).fault(true, false);
    told.op(nothing_left()).breaks_nothing();
}

#[test]
fn an_acknowledged_event_that_is_not_there() {
    let told = || Told::default().durable(100).published(1..=3).fault(true, false);
    told().at_rest(pos("e", 2), 1..=2).breaks(Rule::Lost);
    told().at_rest(pos("e", 3), 2..=3).breaks(Rule::Lost);
    told().at_rest(pos("f", 3), 1..=3).breaks(Rule::Lost);
    Told::default().durable(2).published(1..=3).at_rest(pos("e", 3), 2..=3).breaks_nothing();
    Told::default()
        .published(1..=3)
        .fault(false, true)
        .at_rest(pos("f", 2), 1..=2)
        .breaks_nothing();
}

#[test]
fn one_publish_that_became_two_events() {
    let told = || Told::default().published(1..=1).subscribed(1, pos("e", 0)).heard(1, 1, 1);
    told().heard(1, 2, 1).breaks(Rule::Twice);
    told().resubscribed(2, pos("f", 0), None, false).heard(2, 1, 1).breaks(Rule::Twice);
    let again = told().fault(false, true).resubscribed(2, pos("f", 0), None, false);
    again.heard(2, 1, 1).breaks_nothing();
}

#[test]
fn one_position_that_is_two_events() {
    let told = Told::default().sent(1).sent(2).subscribed(1, pos("e", 0));
    told.heard(1, 1, 1).subscribed(2, pos("e", 0)).heard(2, 1, 2).breaks(Rule::Position);
    Told::default().sent(1).sent(2).acked(1, "e", 1).acked(2, "e", 1).breaks(Rule::Position);
}

#[test]
fn events_out_of_order() {
    let told = || Told::default().published(1..=3).subscribed(1, pos("e", 0));
    told().heard(1, 1, 1).heard(1, 2, 2).heard(1, 1, 1).breaks(Rule::Order);
    told().heard(1, 1, 1).heard(1, 1, 1).breaks(Rule::Order);
}

#[test]
fn history_with_a_hole() {
    let told = Told::default().published(1..=3);
    let events = vec![(1, "1".into()), (3, "3".into())];
    told.op(Op::Final { channel: "c".into(), at: pos("e", 3), events, changed: Vec::new() })
        .breaks(Rule::Dense);
}

#[test]
fn a_jump_without_a_gap() {
    let told = || Told::default().published(1..=5).subscribed(1, pos("e", 0)).heard(1, 1, 1);
    told().heard(1, 3, 3).breaks(Rule::SilentGap);
    let gap = || Op::Gap { subscription: 1, from: pos("e", 1), to: pos("e", 4) };
    told().op(gap()).heard(1, 5, 5).breaks_nothing();
    told().op(gap()).heard(1, 4, 4).breaks(Rule::Order);
    told()
        .op(Op::Gap { subscription: 1, from: pos("e", 0), to: pos("e", 4) })
        .breaks(Rule::SilentGap);
}

#[test]
fn a_recovery_that_skips() {
    let told = |recovered| {
        let told = Told::default().published(1..=5);
        told.resubscribed(1, pos("e", 5), Some(pos("e", 2)), recovered)
    };
    told(true).heard(1, 3, 3).breaks_nothing();
    told(true).heard(1, 4, 4).breaks(Rule::SilentGap);
    told(false).heard(1, 3, 3).breaks(Rule::SilentGap);
    let other = Told::default().resubscribed(1, pos("e", 5), Some(pos("d", 5)), true);
    other.breaks(Rule::SilentGap);
}

#[test]
fn a_subscriber_that_never_gets_the_end() {
    let told = || Told::default().published(1..=3).subscribed(1, pos("e", 0)).heard(1, 1, 1);
    told().at_rest(pos("e", 3), 1..=3).breaks(Rule::SilentGap);
    told().op(Op::Unsubscribed { subscription: 1 }).at_rest(pos("e", 3), 1..=3).breaks_nothing();
    told().op(Op::Closed { connection: 1 }).at_rest(pos("e", 3), 1..=3).breaks_nothing();
}

#[test]
fn an_event_that_was_spared_to_its_publisher_is_no_gap() {
    let spared = |except| {
        let (channel, data) = ("c".into(), "2".into());
        Op::Publish { publish: 2, channel, data, ephemeral: false, except, change: None }
    };
    let told = |except| {
        let told = Told::default().published(1..=1).subscribed(1, pos("e", 0)).heard(1, 1, 1);
        let told = told.op(spared(except)).acked(2, "e", 2).published(3..=3);
        told.heard(1, 3, 3).at_rest(pos("e", 3), 1..=3)
    };
    told(Some(1)).breaks_nothing();
    told(Some(9)).breaks(Rule::SilentGap);
    told(None).breaks(Rule::SilentGap);
}

#[test]
fn an_event_that_nobody_published() {
    Told::default().subscribed(1, pos("e", 0)).heard(1, 1, 1).breaks(Rule::Invented);
    let code = "invalid_data".into();
    let told = Told::default().sent(1).op(Op::Fail { publish: 1, code, certain: true });
    told.subscribed(1, pos("e", 0)).heard(1, 1, 1).breaks(Rule::Invented);
}

#[test]
fn an_ephemeral_event_that_was_stored() {
    let (channel, data) = ("c".into(), "1".into());
    let sent =
        Op::Publish { publish: 1, channel, data, ephemeral: true, except: None, change: None };
    Told::default().op(sent).at_rest(pos("e", 1), 1..=1).breaks(Rule::Invented);
}

#[test]
fn an_event_outside_of_a_subscription() {
    Told::default().published(1..=1).heard(0, 1, 1).breaks(Rule::Stray);
    let told = Told::default().published(1..=1).subscribed(1, pos("e", 0));
    told.op(Op::Unsubscribed { subscription: 1 }).heard(1, 1, 1).breaks(Rule::Stray);
}

#[test]
fn an_epoch_that_changes_for_no_reason() {
    let told = |fault: bool| {
        let told = Told::default().durable(9).subscribed(1, pos("e", 3)).fault(true, fault);
        told.subscribed(2, pos("f", 3))
    };
    told(false).breaks(Rule::Epoch);
    told(true).breaks_nothing();
    let empty = Told::default().subscribed(1, pos("e", 0)).subscribed(2, pos("f", 0));
    empty.breaks_nothing();
}

#[test]
fn a_command_without_an_answer_or_with_two() {
    let asked = || Told::default().op(Op::Command { connection: 1, id: 5 });
    let answer = || Op::Answer { connection: 1, id: 5 };
    asked().breaks(Rule::Answers);
    asked().op(answer()).op(answer()).breaks(Rule::Answers);
    Told::default().op(answer()).breaks(Rule::Answers);
    asked().op(answer()).breaks_nothing();
    asked().op(Op::Closed { connection: 1 }).breaks_nothing();
}

#[test]
fn a_ghost() {
    let there = Op::Present { channel: "c".into(), users: users(&[("ada", 1)]) };
    let seen = |list: &[(&str, u64)]| {
        let (by, channel) = ("bob".into(), "c".into());
        Told::default().op(there.clone()).op(Op::Seen { by, channel, users: users(list) })
    };
    seen(&[("ada", 1)]).breaks_nothing();
    seen(&[("ada", 1), ("eve", 1)]).breaks(Rule::Ghost);
    seen(&[("ada", 2)]).breaks(Rule::Ghost);
    seen(&[]).breaks(Rule::Ghost);
}

#[test]
fn a_version_that_was_changed() {
    let changed = |publish: u64, says: &str| {
        let (channel, data) = ("c".into(), format!("\"change-{publish}\""));
        let change = Some(Changed { target: 2, says: Some(says.into()) });
        Op::Publish { publish, channel, data, ephemeral: false, except: None, change }
    };
    let told = |acked: bool| {
        let told = Told::default().durable(9).published(1..=3);
        let told = told.op(changed(4, "\"new\"")).acked(4, "e", 4).op(changed(5, "null"));
        if acked { told.acked(5, "e", 5) } else { told }
    };
    let at_rest = |told: Told, says: &str| {
        let event = |n: u64| (n, if n == 2 { String::new() } else { n.to_string() });
        let (events, changed) = ((1..=3).map(event).collect(), vec![(2, says.into())]);
        told.op(Op::Final { channel: "c".into(), at: pos("e", 5), events, changed })
    };
    told(true).at_rest(pos("e", 5), 1..=3).breaks(Rule::Version);
    at_rest(told(true), "\"new\"").breaks(Rule::Version);
    at_rest(told(true), "\"other\"").breaks(Rule::Version);
    at_rest(told(true), "null").breaks_nothing();
    at_rest(told(false), "\"new\"").breaks_nothing();
    at_rest(told(false), "null").breaks_nothing();
}

#[test]
fn a_history_is_lines_of_json() {
    let told = Told::default().durable(9).published(1..=2).fault(true, false).0;
    let mut text = Vec::new();
    told.write_jsonl(&mut text).unwrap();
    assert_eq!(History::read_jsonl(&text[..]).unwrap(), told);
    let first = std::str::from_utf8(&text).unwrap().lines().next().unwrap();
    assert_eq!(first, r#"{"at_ms":0,"op":"channel","channel":"c","durable":true,"keeps":9}"#);
}
