//! What the backend is told: who came and who is gone, once each, without the noise of reloads.

#![allow(clippy::unwrap_used, reason = "stories, told briefly")]

use std::sync::Arc;

use serde_json::{Value, json};
use tidings_core::engine::{Attendee, Crowd, Effect, Happened, Wants};
use tidings_core::policy::Policy;
use tidings_sim::{Setup, Time, World};

mod common_engine;
use common_engine::Desk;

/// Everything is wanted.
fn all(setup: &mut Setup) {
    let any = || vec!["*".into()];
    setup.policy.wants = Wants { users: true, channels: any(), events: any() };
}

/// Who came (`+`) and went (`-`), and what was published (`!`), in order.
fn told(w: &World) -> Vec<String> {
    let text = |what: &Happened| match what {
        Happened::Attendance(who, there) => {
            let sign = if *there { '+' } else { '-' };
            format!("{sign}{}", who.name())
        }
        Happened::Published { event, .. } => {
            let event: Value = serde_json::from_slice(event).unwrap();
            format!("!{}@{}", event["channel"].as_str().unwrap(), event["offset"])
        }
    };
    w.notices().iter().map(|notice| text(&notice.what)).collect()
}

#[test]
fn a_channel_is_occupied_by_its_first_subscriber_and_vacated_by_its_last() {
    for seed in 0..20 {
        let mut w = World::with(seed, |setup| {
            all(setup);
            (setup.policy.wants.users, setup.policy.wants.events) = (false, Vec::new());
        });
        // Each of them has a subscription elsewhere first, so both stay on their shards.
        let (ada, bob) = (w.user("ada"), w.user("bob"));
        w.join(ada, "memo:hers");
        w.join(bob, "chat:his");
        w.join(ada, "chat:room");
        w.join(bob, "chat:room");
        w.part(ada, "chat:room");
        w.run(30.secs());
        assert!(!told(&w).contains(&"-chat:room".to_owned()), "bob is there, seed {seed}");
        w.part(bob, "chat:room");
        w.run(9.secs());
        assert!(!told(&w).contains(&"-chat:room".to_owned()), "he may be back, seed {seed}");
        w.run(2.secs());
        let room: Vec<_> = told(&w).into_iter().filter(|t| t.ends_with("room")).collect();
        assert_eq!(room, ["+chat:room", "-chat:room"], "seed {seed}");
    }
}

#[test]
fn a_page_that_is_loaded_again_is_no_news() {
    for seed in 0..20 {
        let mut w = World::with(seed, all);
        let ada = w.user("ada");
        w.join(ada, "memo:room");
        for _ in 0..3 {
            w.drop_link(ada);
            w.run(2.secs());
            w.come_back(ada);
            w.run(20.secs());
        }
        assert_eq!(told(&w), ["+ada", "+memo:room"], "seed {seed}");
        w.leave_for_good(ada);
        w.run(12.secs());
        let mut told = told(&w).split_off(2);
        told.sort();
        assert_eq!(told, ["-ada", "-memo:room"], "seed {seed}");
    }
}

#[test]
fn a_user_with_two_devices_is_online_until_the_second_one_is_gone() {
    for seed in 0..20 {
        let mut w = World::with(seed, all);
        let (phone, laptop) = (w.user("ada"), w.user("ada"));
        w.run(1.secs());
        assert_eq!(told(&w), ["+ada"], "seed {seed}");
        w.leave_for_good(phone);
        w.run(60.secs());
        assert_eq!(told(&w), ["+ada"], "seed {seed}");
        w.leave_for_good(laptop);
        w.run(12.secs());
        assert_eq!(told(&w), ["+ada", "-ada"], "seed {seed}");
    }
}

#[test]
fn a_session_that_moves_to_another_shard_is_still_there() {
    for seed in 0..20 {
        let mut w = World::with(seed, all);
        let ada = w.user("ada");
        // One of these lives elsewhere, whichever shard she was accepted on.
        for room in 0..6 {
            w.join(ada, &format!("memo:{room}"));
            w.part(ada, &format!("memo:{room}"));
            w.run(1.secs());
        }
        w.run(60.secs());
        let users = told(&w).into_iter().filter(|t| t.contains("ada")).count();
        assert_eq!(users, 1, "seed {seed}: {:?}", told(&w));
    }
}

#[test]
fn a_session_that_is_resumed_behind_the_delay_comes_online_again() {
    let mut w = World::with(1, all);
    let ada = w.stranger();
    let welcome = w.ask(ada, json!({ "type": "hello", "token": "user:ada" }));
    w.drop_link(ada);
    w.run(15.secs());
    assert_eq!(told(&w), ["+ada", "-ada"]);
    let again = w.stranger();
    let welcome = w.ask(again, json!({ "type": "hello", "session": welcome["session"] }));
    assert_eq!(welcome["resumed"], true);
    assert_eq!(told(&w), ["+ada", "-ada", "+ada"]);
}

#[test]
fn who_has_no_token_is_no_user_but_a_subscriber() {
    let mut w = World::with(1, |setup| {
        setup.namespace("open", |policy| {
            policy.subscribe = tidings_core::policy::Access::Anyone;
        });
        all(setup);
    });
    let somebody = w.anonymous();
    w.join(somebody, "open:room");
    w.run(1.secs());
    assert_eq!(told(&w), ["+open:room"]);
}

#[test]
fn who_does_not_come_back_after_a_crash_is_told_as_gone_and_who_does_is_no_news() {
    for seed in 0..20 {
        let mut w = World::with(seed, all);
        let (ada, bob) = (w.user("ada"), w.user("bob"));
        w.join(ada, "memo:hers");
        w.join(bob, "memo:his");
        w.run(1.secs());
        w.kill(2.secs());
        w.go_away(bob);
        w.run(25.secs());
        let before = told(&w);
        assert_eq!(before.iter().filter(|t| t.starts_with('-')).count(), 0, "seed {seed}");
        w.run(15.secs());
        let mut gone = told(&w).split_off(4);
        gone.sort();
        assert_eq!(gone, ["-bob", "-memo:his"], "seed {seed}: {before:?}");
    }
}

#[test]
fn events_in_memory_are_told_once_in_order_and_ephemeral_ones_are_not() {
    let mut w = World::with(1, |setup| setup.policy.wants.events = vec!["memo:*".into()]);
    let ada = w.user("ada");
    w.say(ada, "memo:room", "one");
    w.say(ada, "wisp:room", "not wanted");
    let event = json!({ "data": 1, "key": "k" });
    w.publish(ada, "memo:room", event.clone());
    w.run(1.secs());
    w.publish(ada, "memo:room", event);
    w.publish(ada, "memo:room", json!({ "data": 1, "ephemeral": true }));
    w.run(1.secs());
    assert_eq!(told(&w), ["!memo:room@1", "!memo:room@2"]);
}

/// What one engine alone tells.
fn notices(desk: &mut Desk) -> Vec<(Attendee, bool)> {
    let told = |effect| match effect {
        Effect::Notice(notice) => match notice.what {
            Happened::Attendance(who, there) => Some((who, there)),
            Happened::Published { .. } => None,
        },
        _ => None,
    };
    desk.effects().into_iter().filter_map(told).collect()
}

#[test]
fn rules_that_change_tell_of_all_that_is_there_and_forget_what_nobody_wants() {
    let mut desk = Desk::new();
    let ada = desk.open();
    desk.subscribe(ada, "chat:room");
    desk.effects();
    desk.engine.loaded(desk.now, "chat:room", Ok(None));
    assert_eq!(notices(&mut desk), [], "nobody wants to know");
    let wants = Wants { channels: vec!["chat:*".into()], ..Wants::default() };
    let wanting = Arc::new(Policy { wants, ..Desk::policy() });
    let room = Attendee::Channel("chat:room".into());
    desk.engine.reconfigure(desk.now, wanting.clone(), Arc::default());
    assert_eq!(notices(&mut desk), [(room.clone(), true)]);
    desk.engine.reconfigure(desk.now, wanting.clone(), Arc::default());
    assert_eq!(notices(&mut desk), [], "nothing has changed");
    desk.engine.reconfigure(desk.now, Arc::new(Desk::policy()), Arc::default());
    desk.engine.close(desk.now, ada, false);
    desk.engine.reconfigure(desk.now, wanting, Arc::default());
    desk.now.mono_ms += 60_000;
    desk.engine.tick(desk.now);
    assert_eq!(notices(&mut desk), [], "what happened meanwhile is told to nobody");
}

#[test]
fn more_that_are_held_than_allowed_are_told_as_gone_at_once() {
    let mut desk = Desk::of_two(0, Arc::new(Crowd::new(2)));
    let wants = Wants { users: true, ..Wants::default() };
    let limits = tidings_core::Limits { lost_sessions: 10, ..tidings_core::Limits::default() };
    let policy = Arc::new(Policy { wants, ..Desk::policy() });
    desk.engine.reconfigure(desk.now, policy, Arc::new(limits));
    let users = (0..100).map(|n| Attendee::User(format!("user-{n}").into()));
    desk.engine.expect(desk.now, users);
    desk.engine.tick(desk.now);
    let gone = notices(&mut desk).len();
    assert!(gone > 10 && gone < 90, "{gone}: it holds ten, and some live on the other shard");
    desk.now.mono_ms += 30_000;
    desk.engine.tick(desk.now);
    assert_eq!(notices(&mut desk).len(), 10);
}
