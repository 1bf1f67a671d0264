//! Lost sessions come back as themselves: nobody sees them leave, and nobody is asked again.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "stories, told briefly")]

use serde_json::{Value, json};
use tidings_sim::{Time, Who, World};

const ROOM: &str = "memo:room";

/// Says hello on a connection of its own, with more fields.
fn hello(w: &mut World, fields: Value) -> (Who, Value) {
    let who = w.stranger();
    let mut hello = json!({ "type": "hello" });
    for (name, value) in fields.as_object().unwrap() {
        hello[name] = value.clone();
    }
    let welcome = w.ask(who, hello);
    (who, welcome)
}

/// Ada is in the room, and Bob sees who comes and goes.
fn scene(seed: u64, token: &str) -> (World, Who, Who, Value) {
    let mut w = World::new(seed);
    let bob = w.user("bob");
    w.join_with(bob, ROOM, 0, true);
    let (ada, welcome) = hello(&mut w, json!({ "token": token }));
    assert_eq!(welcome["resumed"], false);
    w.ask(ada, json!({ "type": "enter", "channel": ROOM, "data": 1 }));
    (w, ada, bob, json!({ "session": welcome["session"] }))
}

fn actions(w: &World, who: Who) -> Vec<String> {
    let pushes = w.frames_of(who, "presence");
    pushes.iter().map(|push| push["action"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn ada_is_back_within_the_window_and_nobody_saw_her_leave() {
    for seed in 0..20 {
        let (mut w, ada, bob, ticket) = scene(seed, "user:ada");
        w.drop_link(ada);
        w.run(50.secs());
        let (ada, welcome) = hello(&mut w, ticket);
        assert_eq!((&welcome["resumed"], &welcome["user"]), (&json!(true), &json!("ada")));
        // She is present without having entered, and can show something else.
        let update = json!({ "type": "update", "channel": ROOM, "data": 2 });
        assert_eq!(w.ask(ada, update)["type"], "updated", "seed {seed}");
        w.run(120.secs());
        assert_eq!(actions(&w, bob), ["enter", "update"], "seed {seed}");
        w.check();
    }
}

#[test]
fn behind_the_window_she_has_left() {
    let (mut w, ada, bob, ticket) = scene(1, "user:ada");
    w.drop_link(ada);
    w.run(58.secs());
    assert_eq!(actions(&w, bob), ["enter"]);
    w.run(4.secs());
    assert_eq!(actions(&w, bob), ["enter", "leave"]);
    let with_token = json!({ "session": ticket["session"], "token": "user:ada" });
    assert_eq!(hello(&mut w, with_token).1["resumed"], false);
}

#[test]
fn a_half_open_connection_gives_its_place_to_the_new_one() {
    for seed in 0..20 {
        let (mut w, ada, bob, ticket) = scene(seed, "user:ada");
        w.half_open(ada);
        let (back, welcome) = hello(&mut w, ticket);
        assert_eq!(welcome["resumed"], true, "seed {seed}");
        w.run(100.secs());
        assert_eq!(actions(&w, bob), ["enter"], "seed {seed}");
        let leave = json!({ "type": "leave", "channel": ROOM });
        assert_eq!(w.ask(back, leave)["type"], "left");
    }
}

#[test]
fn who_is_replaced_is_told() {
    let (mut w, ada, _, ticket) = scene(3, "user:ada");
    let (_, welcome) = hello(&mut w, ticket);
    assert_eq!(welcome["resumed"], true);
    assert_eq!(w.closed(ada), [4409]);
}

#[test]
fn a_delayed_hello_of_an_abandoned_attempt_does_not_take_a_newer_sessions_place() {
    for seed in 0..20 {
        let (mut w, ada, bob, ticket) = scene(seed, "user:ada");
        w.half_open(ada);
        let attempt = |attempt: u64, token: &str| json!({ "session": ticket["session"], "attempt": attempt, "token": token });
        let (second, welcome) = hello(&mut w, attempt(2, "user:ada"));
        assert_eq!(welcome["resumed"], true, "seed {seed}");
        // Her client gave this one up before that; the network had it until now.
        let (first, late) = hello(&mut w, attempt(1, "user:ada"));
        assert_eq!(late["resumed"], false, "seed {seed}");
        let public = |welcome: &Value| {
            welcome["session"].as_str().unwrap().split('.').next().unwrap().to_owned()
        };
        assert_ne!(public(&late), public(&welcome), "seed {seed}");
        assert_eq!(w.closed(second), [0_u16; 0], "seed {seed}");
        // Also while it is lost, and with the same number as once more.
        w.drop_link(first);
        w.drop_link(second);
        let (_, late) = hello(&mut w, attempt(1, "user:ada"));
        assert_eq!(late["resumed"], false, "seed {seed}");
        let (third, welcome) = hello(&mut w, attempt(3, "user:ada"));
        assert_eq!(welcome["resumed"], true, "seed {seed}");
        let leave = json!({ "type": "leave", "channel": ROOM });
        assert_eq!(w.ask(third, leave)["type"], "left", "seed {seed}");
        w.run(10.secs());
        assert_eq!(actions(&w, bob), ["enter", "leave"], "seed {seed}");
        w.check();
    }
}

#[test]
fn who_claims_a_session_and_is_gone_before_the_answer_leaves_it_to_the_next() {
    for seed in 0..40 {
        let (mut w, ada, bob, ticket) = scene(seed, "user:ada");
        if seed % 2 == 0 {
            w.half_open(ada);
        } else {
            w.drop_link(ada);
            w.run(2.secs());
        }
        let claimant = w.stranger();
        w.tell(claimant, json!({ "type": "hello", "session": ticket["session"], "attempt": 1 }));
        w.drop_link(claimant);
        let (_, welcome) = hello(&mut w, json!({ "session": ticket["session"], "attempt": 2 }));
        assert_eq!(welcome["resumed"], true, "seed {seed}");
        w.run(100.secs());
        assert_eq!(actions(&w, bob), ["enter"], "seed {seed}");
        w.check();
    }
}

#[test]
fn who_says_good_bye_leaves_soon_and_is_not_resumed() {
    let (mut w, ada, bob, ticket) = scene(4, "user:ada");
    w.leave_for_good(ada);
    w.run(6.secs());
    assert_eq!(actions(&w, bob), ["enter", "leave"]);
    let with_token = json!({ "session": ticket["session"], "token": "user:ada" });
    assert_eq!(hello(&mut w, with_token).1["resumed"], false);
}

#[test]
fn an_expired_identity_is_not_resumed_without_a_fresh_token() {
    let exp = World::new(5).wall_ms() + 30_000;
    let (mut w, ada, bob, ticket) = scene(5, &format!("user:ada;exp={exp}"));
    w.drop_link(ada);
    w.run(40.secs());
    let (stale, _) = hello(&mut w, ticket.clone());
    assert_eq!(w.closed(stale), [4501]);
    // What the ticket names was given away with that; her place waits for whoever is her.
    let (ada, welcome) =
        hello(&mut w, json!({ "session": ticket["session"], "token": "user:ada" }));
    assert_eq!(welcome["user"], "ada");
    w.ask(ada, json!({ "type": "enter", "channel": ROOM, "data": 1 }));
    w.run(60.secs());
    assert_eq!(actions(&w, bob), ["enter"]);
}

#[test]
fn another_user_with_the_ticket_gets_nothing_of_it() {
    let (mut w, ada, bob, ticket) = scene(6, "user:ada");
    w.drop_link(ada);
    let (eve, welcome) =
        hello(&mut w, json!({ "session": ticket["session"], "token": "user:eve" }));
    assert_eq!((&welcome["resumed"], &welcome["user"]), (&json!(false), &json!("eve")));
    let update = json!({ "type": "update", "channel": ROOM, "data": 2 });
    assert_eq!(w.ask(eve, update)["code"], "not_subscribed");
    w.run(70.secs());
    assert_eq!(actions(&w, bob), ["enter", "leave"]);
}

#[test]
fn commands_behind_a_hello_with_a_ticket_wait_for_its_welcome() {
    for seed in 0..20 {
        let (mut w, ada, _, ticket) = scene(seed, "user:ada");
        w.drop_link(ada);
        let back = w.stranger();
        w.tell(back, json!({ "type": "hello", "session": ticket["session"] }));
        w.tell(back, json!({ "type": "hello", "session": ticket["session"] }));
        w.tell(back, json!({ "type": "subscribe", "channel": ROOM }));
        w.tell(back, json!({ "type": "publish", "channel": ROOM, "data": "I am back" }));
        w.run(2.secs());
        let kinds: Vec<_> =
            w.frames(back).iter().map(|f| f["type"].as_str().unwrap().to_owned()).collect();
        assert_eq!(kinds[..2], ["welcome", "error"], "seed {seed}");
        assert_eq!(w.frames_of(back, "event")[0]["user"], "ada", "seed {seed}");
        w.check();
    }
}
