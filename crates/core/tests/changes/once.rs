//! Changes are published exactly once, like events.

use serde_json::{Value, json};
use tidings_sim::Time;

use super::{LOBBY, data_of, delete, edit, history, lobby, react};

fn numbered(mut command: Value, seq: u64) -> Value {
    command["producer"] = "q".into();
    command["seq"] = seq.into();
    command
}

#[test]
fn an_edit_whose_answer_was_lost_is_one_edit_also_after_a_restart() {
    let (mut w, ada, bob) = lobby(11, &["one"]);
    w.join(bob, LOBBY);
    w.publish(ada, LOBBY, edit(1, "uno"));
    w.run(45.ms());
    w.kill(1.secs());
    w.run(40.secs());
    assert_eq!(w.unsent(ada), 0);
    assert_eq!(w.frames_of(bob, "edited").len(), 1);
    assert_eq!(data_of(&history(&mut w, bob, LOBBY)), ["uno"]);
    w.check();
}

#[test]
fn who_was_offline_says_and_changes_it_in_order() {
    let (mut w, ada, bob) = lobby(12, &["one"]);
    w.join(bob, LOBBY);
    w.go_away(ada);
    for text in ["uno", "un", "eins"] {
        w.publish(ada, LOBBY, edit(1, text));
    }
    w.publish(ada, LOBBY, json!({ "data": "two" }));
    w.publish(ada, LOBBY, react(1, "+1"));
    w.come_back(ada);
    w.run(40.secs());
    assert_eq!(w.unsent(ada), 0);
    let edits: Vec<_> = w.frames_of(bob, "edited").iter().map(|e| e["data"].clone()).collect();
    assert_eq!(edits, ["uno", "un", "eins"]);
    let events = history(&mut w, bob, LOBBY);
    assert_eq!(data_of(&events), ["eins", "two"]);
    assert_eq!(events[0]["reactions"]["+1"]["count"], 1);
    w.check();
}

#[test]
fn a_number_and_a_key_return_the_first_result() {
    let (mut w, ada, _) = lobby(13, &["one"]);
    let first = w.ask(ada, numbered(edit(1, "uno"), 1));
    let again = w.ask(ada, numbered(edit(1, "uno"), 1));
    assert_eq!((&first["offset"], &first["duplicate"]), (&2.into(), &false.into()));
    assert_eq!((&again["offset"], &again["duplicate"]), (&2.into(), &true.into()));
    let keyed = |data: &str| {
        let mut command = edit(1, data);
        command["key"] = "k".into();
        command
    };
    assert_eq!(w.ask(ada, keyed("a"))["duplicate"], false);
    let again = w.ask(ada, keyed("b"));
    assert_eq!((&again["offset"], &again["duplicate"]), (&3.into(), &true.into()));
    assert_eq!(data_of(&history(&mut w, ada, LOBBY)), ["a"]);
}

#[test]
fn refusals_use_numbers_up_as_those_of_publish_do() {
    let (mut w, ada, bob) = lobby(14, &["one"]);
    w.say(bob, LOBBY, "two");
    let long = "x".repeat(40 << 10);
    assert_eq!(w.ask(ada, numbered(edit(1, &long), 1))["code"], "too_large");
    assert_eq!(w.ask(ada, numbered(react(1, &long[..65]), 2))["code"], "too_large");
    assert_eq!(w.ask(ada, numbered(edit(1, &long), 1))["code"], "too_large", "sent again");
    // What is refused for the sake of its event leaves its number to the next one.
    assert_eq!(w.ask(ada, numbered(edit(2, "hers"), 3))["code"], "forbidden");
    assert_eq!(w.ask(ada, numbered(delete(9), 3))["code"], "not_found");
    assert_eq!(w.ask(ada, numbered(edit(1, "uno"), 3))["offset"], 3);
    w.check();
}

#[test]
fn a_store_that_fails_changes_nothing() {
    let (mut w, ada, bob) = lobby(15, &["one"]);
    w.join(bob, LOBBY);
    w.disk_space(Some(10));
    let refused = w.ask(ada, edit(1, "uno"));
    assert_eq!((&refused["code"], &refused["retryable"]), (&"unavailable".into(), &true.into()));
    assert_eq!(w.ask(bob, react(1, "+1"))["code"], "unavailable");
    assert_eq!(data_of(&history(&mut w, bob, LOBBY)), ["one"]);
    w.disk_space(None);
    let reacted = w.ask(bob, react(1, "+1"));
    assert_eq!(reacted["offset"], 2);
    assert_eq!(w.frames_of(bob, "reacted")[0]["count"], 1, "the lost one does not count");
    w.check();
}
