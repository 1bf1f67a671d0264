//! Who sees a change, and what is left of what was changed.

use serde_json::{Value, json};
use tidings_sim::{Keeping, Time, World};

use super::{LOBBY, data_of, delete, edit, history, lobby, react};

#[test]
fn an_edit_is_seen_live_and_in_history() {
    let (mut w, ada, bob) = lobby(1, &["one", "two"]);
    w.join(bob, LOBBY);
    let published = w.ask(ada, edit(1, "uno"));
    assert_eq!((&published["type"], &published["offset"]), (&"published".into(), &3.into()));
    assert_eq!(published["level"], "fsync");
    w.run(1.secs());
    let told = w.frames_of(bob, "edited");
    assert_eq!((&told[0]["target"], &told[0]["data"]), (&1.into(), &"uno".into()));
    assert_eq!((&told[0]["offset"], &told[0]["user"]), (&3.into(), &"ada".into()));
    let events = history(&mut w, bob, LOBBY);
    assert_eq!(data_of(&events), ["uno", "two"], "the edit itself is no event");
    assert_eq!(events[0]["edited"], told[0]["timestamp"]);
    assert_eq!(events[0]["offset"], 1);
    assert!(events[1].get("edited").is_none());
    w.check();
}

#[test]
fn who_was_away_gets_the_newest_version_and_every_change() {
    let (mut w, ada, bob) = lobby(2, &["one"]);
    w.join(bob, LOBBY);
    w.go_away(bob);
    w.say(ada, LOBBY, "two");
    for text in ["2", "II", "deux"] {
        w.ask(ada, edit(2, text));
    }
    w.say(ada, LOBBY, "three");
    w.come_back(bob);
    w.run(1.secs());
    assert_eq!(w.heard(bob, LOBBY), ["deux", "three"], "no earlier version of it");
    let edits = w.frames_of(bob, "edited");
    assert_eq!((edits.len(), &edits[0]["data"]), (1, &"deux".into()), "of the edits the last");
    assert_eq!(w.frames_of(bob, "hidden").len(), 2);
    assert_eq!((w.recovered(bob, LOBBY), w.gaps(bob, LOBBY).len()), (vec![false, true], 0));
    w.check();
}

#[test]
fn what_is_deleted_is_given_to_nobody_again() {
    for kill in [false, true] {
        let (mut w, ada, bob) = lobby(3, &["secret", "two"]);
        w.ask(ada, edit(1, "secret too"));
        w.ask(bob, react(1, "+1"));
        assert_eq!(w.ask(ada, delete(1))["offset"], 5);
        if kill {
            w.kill(1.secs());
            w.run(40.secs());
        }
        let cyd = w.user("cyd");
        w.join_with(cyd, LOBBY, 100, false);
        w.run(1.secs());
        let events = history(&mut w, cyd, LOBBY);
        assert_eq!((&events[0]["deleted"], &events[0]["data"]), (&true.into(), &Value::Null));
        assert!(events[0].get("reactions").is_none() && events[0].get("edited").is_none());
        assert_eq!(data_of(&events), ["-", "two"]);
        let rewound = w.frames_of(cyd, "event");
        assert_eq!(rewound[0]["deleted"], true);
        let texts: Vec<String> = w.frames(cyd).iter().map(ToString::to_string).collect();
        assert!(!texts.concat().contains("secret"), "every version is gone: {texts:?}");
        w.check();
    }
}

#[test]
fn an_edit_of_what_was_deleted_does_not_bring_it_back() {
    let (mut w, ada, bob) = lobby(4, &["one"]);
    w.join(bob, LOBBY);
    // Both are under way at once: the edit is looked at while the deletion is at the store.
    let first = w.tell(ada, delete(1));
    let second = w.tell(ada, edit(1, "back"));
    w.run(1.secs());
    assert_eq!(w.answer(ada, first).unwrap()["offset"], 2);
    assert_eq!(w.answer(ada, second).unwrap()["code"], "not_found");
    for command in [edit(1, "back"), delete(1), react(1, "+1")] {
        assert_eq!(w.ask(ada, command)["code"], "not_found");
    }
    assert!(w.frames_of(bob, "edited").is_empty());
    assert_eq!(data_of(&history(&mut w, bob, LOBBY)), ["-"]);
    w.check();
}

#[test]
fn what_has_expired_or_never_was_is_not_found() {
    let mut w = World::new(5);
    let ada = w.user("ada");
    for n in 1..=5 {
        w.say(ada, "tiny:a", &n.to_string());
    }
    let on_tiny = |w: &mut World, mut command: Value| {
        command["channel"] = "tiny:a".into();
        w.ask(ada, command)
    };
    assert_eq!(on_tiny(&mut w, edit(2, "x"))["code"], "not_found", "three are kept");
    assert_eq!(on_tiny(&mut w, edit(3, "x"))["offset"], 6);
    assert_eq!(on_tiny(&mut w, delete(6))["code"], "not_found", "a change is no event");
    assert_eq!(on_tiny(&mut w, delete(7))["code"], "not_found");
    assert_eq!(on_tiny(&mut w, delete(u64::MAX))["code"], "not_found");
    assert_eq!(on_tiny(&mut w, delete(0))["code"], "not_found");
    w.check();
}

#[test]
fn changes_do_not_push_events_out() {
    for channel in ["tiny:a", "wisp:a"] {
        let mut w = World::new(6);
        let (ada, bob) = (w.user("ada"), w.user("bob"));
        for n in 1..=3 {
            w.say(ada, channel, &n.to_string());
        }
        for n in 0..20 {
            let mut command = react(1 + n % 3, &format!("r{}", n / 3));
            command["channel"] = channel.into();
            assert_eq!(w.ask(bob, command)["type"], "published");
        }
        if channel == "tiny:a" {
            w.restart(1.secs());
            w.run(40.secs());
        }
        let events = history(&mut w, bob, channel);
        assert_eq!(data_of(&events), ["1", "2", "3"]);
        assert_eq!(events[0]["reactions"].as_object().unwrap().len(), 7);
        w.say(ada, channel, "4");
        assert_eq!(data_of(&history(&mut w, bob, channel)), ["2", "3", "4"]);
        w.check();
    }
}

#[test]
fn pages_have_as_many_events_as_were_asked_for_whatever_stands_between() {
    let (mut w, ada, bob) = lobby(7, &["1", "2", "3"]);
    for n in 1..=3 {
        w.ask(bob, react(n, "+1"));
        w.ask(ada, edit(n, &format!("{n}!")));
    }
    w.say(ada, LOBBY, "4");
    let page = |w: &mut World, fields: Value| {
        let mut command = json!({ "type": "history", "channel": LOBBY, "limit": 2 });
        command.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let page = w.ask(bob, command);
        let events = page["events"].as_array().unwrap().clone();
        let data: Vec<String> = data_of(&events).into_iter().map(Into::into).collect();
        (data.join(" "), page["more"] == true)
    };
    assert_eq!(page(&mut w, json!({})), ("3! 4".into(), true));
    assert_eq!(page(&mut w, json!({ "before": 3 })), ("1! 2!".into(), false));
    assert_eq!(page(&mut w, json!({ "after": 0 })), ("1! 2!".into(), true));
    assert_eq!(page(&mut w, json!({ "after": 2 })), ("3! 4".into(), false));
    assert_eq!(page(&mut w, json!({ "after": 10 })), (String::new(), false));
    w.check();
}

#[test]
fn the_store_gives_back_what_memory_had() {
    for keeping in [Keeping::Map, Keeping::Log(tidings_core::store::Level::Fsync)] {
        let mut w = World::with(8, |setup| setup.keeping = keeping);
        let (ada, bob) = (w.user("ada"), w.user("bob"));
        for n in 1..=10 {
            w.say(ada, LOBBY, &n.to_string());
        }
        for n in 1..=10_u64 {
            w.ask(bob, react(n, "+1"));
            w.ask(ada, react(n, "+1"));
            if n % 3 == 0 {
                w.ask(ada, edit(n, &format!("{n} again")));
            }
            if n % 4 == 0 {
                w.ask(ada, delete(n));
            }
        }
        let before = history(&mut w, bob, LOBBY);
        w.kill(1.secs());
        w.run(40.secs());
        assert_eq!(history(&mut w, bob, LOBBY), before);
        assert_eq!(before[0]["reactions"]["+1"], json!({ "count": 2, "users": ["bob", "ada"] }));
        w.check();
    }
}
