//! Sessions move to the shard of their first channel.

mod common_engine;

use std::sync::Arc;

use common_engine::Desk;
use serde_json::json;
use tidings_core::engine::{Crowd, Effect, SessionKey, ShardId, Traveller};
use tidings_sim::{Time, World};

/// A channel of `chat` whose home is this shard of two.
fn channel_of(shard: u16) -> String {
    let homed = |name: &String| {
        let mut here = Desk::of_two(shard, Arc::new(Crowd::new(2)));
        let ada = here.open();
        here.subscribe(ada, name);
        // Its home reads it from the store; other shards let the session go.
        here.effects().iter().any(|effect| matches!(effect, Effect::Load { .. }))
    };
    (0..).map(|n| format!("chat:room-{n}")).find(homed).unwrap_or_default()
}

fn departure(desk: &mut Desk) -> Option<(SessionKey, ShardId, Box<Traveller>)> {
    desk.effects().into_iter().find_map(|effect| match effect {
        Effect::Move { session, to, traveller } => Some((session, to, traveller)),
        _ => None,
    })
}

#[test]
fn ada_moves_to_where_her_channel_lives_and_takes_her_command_along() {
    let crowd = Arc::new(Crowd::new(2));
    let (mut here, mut there) = (Desk::of_two(0, crowd.clone()), Desk::of_two(1, crowd.clone()));
    let ada = here.open();
    here.subscribe(ada, &channel_of(1));
    let (session, to, traveller) = departure(&mut here).expect("she moves");
    assert_eq!((session, to), (ada, ShardId(1)));
    assert_eq!(here.engine.counts().sessions, 0);
    here.subscribe(ada, &channel_of(0));
    assert_eq!(here.sent(), "", "the old key is nobody's");
    there.engine.arrive(there.now, *traveller);
    assert_eq!((crowd.sessions(ShardId(0)), crowd.sessions(ShardId(1))), (0, 1));
    assert!(matches!(there.effects()[..], [Effect::Load { .. }]), "it is subscribing there");
}

#[test]
fn who_has_a_subscription_stays() {
    let mut here = Desk::of_two(0, Arc::new(Crowd::new(2)));
    let ada = here.open();
    here.subscribe(ada, &channel_of(0));
    here.subscribe(ada, &channel_of(1));
    assert!(departure(&mut here).is_none());
}

#[test]
fn who_waits_for_an_answer_stays() {
    let mut here = Desk::of_two(0, Arc::new(Crowd::new(2)));
    let ada = here.open();
    let publish = json!({ "type": "publish", "id": 1, "channel": channel_of(1), "data": 1 });
    here.say(ada, &publish.to_string());
    here.subscribe(ada, &channel_of(1));
    assert!(departure(&mut here).is_none());
}

#[test]
fn a_crowded_shard_takes_no_more_so_a_large_channel_is_on_all() {
    let crowd = Arc::new(Crowd::new(2));
    let (mut here, mut there) = (Desk::of_two(0, crowd.clone()), Desk::of_two(1, crowd.clone()));
    let channel = channel_of(1);
    let mut moved = 0;
    for _ in 0..500 {
        for desk in [&mut here, &mut there] {
            let somebody = desk.open();
            desk.subscribe(somebody, &channel);
        }
        while let Some((_, _, traveller)) = departure(&mut here) {
            there.engine.arrive(there.now, *traveller);
            moved += 1;
        }
        there.effects();
    }
    let (few, many) = (crowd.sessions(ShardId(0)), crowd.sessions(ShardId(1)));
    assert_eq!(few + many, 1000);
    assert!(moved > 0 && few * 3 > many, "{few} and {many}");
}

#[test]
fn what_ada_said_behind_her_first_subscription_is_heard_where_she_moved_to() {
    for seed in 0..20 {
        let mut w = World::new(seed);
        let (ada, bob) = (w.user("ada"), w.user("bob"));
        // One of these lives elsewhere, wherever she was accepted.
        let channels = [channel_of(0), channel_of(1)];
        for channel in &channels {
            let subscribe = json!({ "type": "subscribe", "channel": channel });
            w.tell(ada, subscribe);
            w.say(ada, channel, "hello");
        }
        w.join(bob, &channels[1]);
        w.say(bob, &channels[1], "ada?");
        w.run(2.secs());
        let heard = |channel: &String| {
            w.frames_of(ada, "event").iter().filter(|e| e["channel"] == **channel).count()
        };
        assert_eq!((heard(&channels[0]), heard(&channels[1])), (1, 2), "seed {seed}");
        w.check();
    }
}
