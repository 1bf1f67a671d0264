use super::*;

const RULES: Rules =
    Rules { delay_ms: 30_000, ttl_ms: 3_600_000, timeout_ms: 10_000, concurrency: 4, items: 100 };

fn key(user: &str, id: u64) -> Key {
    (user.into(), id)
}

fn turn(queue: &mut Queue, now_ms: u64) -> Option<Turn> {
    match queue.next(now_ms) {
        Next::Turn(turn) => Some(turn),
        Next::Wait(_) => None,
    }
}

fn due(queue: &mut Queue, now_ms: u64) -> Option<u64> {
    match queue.next(now_ms) {
        Next::Turn(turn) => panic!("{turn:?}"),
        Next::Wait(until) => until,
    }
}

#[test]
fn a_notification_has_its_turn_when_its_delay_is_over_and_is_done_with_once() {
    let mut queue = Queue::new(RULES);
    queue.push(key("ada", 1), 1000, 1000);
    assert_eq!(due(&mut queue, 30_999), Some(31_000));
    let first = turn(&mut queue, 31_000).unwrap();
    assert_eq!((first.key.clone(), first.expires_ms), (key("ada", 1), 3_601_000));
    assert_eq!(due(&mut queue, 31_000), None, "it has its turn only once");
    queue.done(31_500, first.key, Outcome::Over, 0);
    assert_eq!(queue.take_done(), [key("ada", 1)]);
    assert_eq!((queue.waiting(), queue.take_done().len()), (0, 0));
}

#[test]
fn who_is_there_is_looked_for_once_more_because_a_connection_may_be_dead() {
    let mut queue = Queue::new(RULES);
    queue.push(key("ada", 1), 0, 0);
    let first = turn(&mut queue, 30_000).unwrap();
    queue.done(30_000, first.key, Outcome::Present, 0);
    let again = turn(&mut queue, 90_000).unwrap();
    queue.done(90_000, again.key, Outcome::Present, 0);
    assert_eq!((queue.waiting(), queue.take_done().len()), (0, 1));
    assert_eq!(queue.take_lost(), Lost::default());
}

#[test]
fn what_was_not_sent_comes_again_later_each_time_until_its_time_is_up() {
    let mut queue = Queue::new(RULES);
    queue.push(key("ada", 1), 0, 0);
    let (mut now_ms, mut turns) = (30_000, Vec::new());
    while queue.waiting() > 0 {
        match queue.next(now_ms) {
            Next::Turn(turn) => {
                turns.push(now_ms);
                assert_eq!(turn.sent.len(), turns.len() - 1);
                let sent = (0..turns.len() as u64).collect();
                queue.done(now_ms, turn.key, Outcome::Again(sent, 0), 7);
            }
            Next::Wait(until) => now_ms = until.unwrap(),
        }
    }
    let waits: Vec<_> = turns.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(waits.windows(2).all(|two| two[1] >= two[0]), "{waits:?}");
    assert!((8..16).contains(&turns.len()), "{turns:?}");
    assert_eq!(queue.take_lost(), Lost { expired: 1, full: 0 });
    assert_eq!(queue.take_done().len(), 1);
}

#[test]
fn one_that_waited_for_its_time_to_be_up_is_not_pushed() {
    let mut queue = Queue::new(RULES);
    queue.push(key("ada", 1), 0, 0);
    assert!(turn(&mut queue, 3_600_000).is_none());
    assert_eq!(queue.take_lost().expired, 1);
}

#[test]
fn retry_after_holds_one_browser_in_all_notifications_and_no_other() {
    let mut queue = Queue::new(RULES);
    assert_eq!(queue.may_call(0, 7, "https://a"), Ok(()));
    assert_eq!(queue.called(0, (7, "https://a"), Call::Held(120_000), 0), 120_000);
    assert_eq!(queue.may_call(119_999, 7, "https://a"), Err(120_000));
    assert_eq!(queue.may_call(119_999, 8, "https://a"), Ok(()));
    assert_eq!(queue.may_call(120_000, 7, "https://a"), Ok(()));
    let until = queue.called(0, (7, "https://a"), Call::Held(u64::MAX), 0);
    assert_eq!(until, RETRY_AFTER_MAX_MS, "nobody waits for ever");
}

#[test]
fn a_push_service_that_fails_is_left_alone_but_for_one_call_and_others_are_not() {
    let mut queue = Queue::new(RULES);
    for browser in 0..5 {
        assert_eq!(queue.may_call(0, browser, "https://down"), Ok(()));
        queue.called(0, (browser, "https://down"), Call::Failed(None), 0);
    }
    assert!(queue.is_broken("https://down"));
    let until = queue.may_call(10, 99, "https://down").unwrap_err();
    assert_eq!(queue.may_call(10, 99, "https://up"), Ok(()));
    assert_eq!(queue.may_call(until, 99, "https://down"), Ok(()), "one finds out");
    assert_eq!(queue.may_call(until, 98, "https://down"), Err(until + 10_000), "one alone");
    queue.called(until, (99, "https://down"), Call::Answered, 0);
    assert!(!queue.is_broken("https://down"));
    assert_eq!(queue.may_call(until, 98, "https://down"), Ok(()));
}

#[test]
fn origins_that_users_make_up_take_only_so_much() {
    let mut queue = Queue::new(RULES);
    for number in 0..3 * HELD_MAX as u64 {
        let origin = format!("https://{number}");
        queue.called(number, (number, &origin), Call::Failed(Some(3_000_000)), 0);
    }
    assert!(queue.held.len() <= HELD_MAX && queue.gates.len() <= ORIGINS_MAX);
}

#[test]
fn more_than_may_wait_drops_the_oldest_and_only_so_many_have_their_turn_at_once() {
    let mut queue = Queue::new(RULES);
    for id in 1..=150 {
        queue.push(key("ada", id), id, id);
    }
    assert_eq!((queue.waiting(), queue.take_lost()), (100, Lost { expired: 0, full: 50 }));
    assert_eq!(queue.take_done().len(), 50);
    let mut queue = Queue::new(RULES);
    for id in 51..=56 {
        queue.push(key(&format!("user-{id}"), id), id, id);
    }
    let mut turns: Vec<_> = std::iter::from_fn(|| turn(&mut queue, 60_000)).collect();
    assert_eq!(turns.iter().map(|turn| turn.key.1).collect::<Vec<_>>(), [51, 52, 53, 54]);
    queue.done(60_000, turns.remove(0).key, Outcome::Over, 0);
    assert_eq!(turn(&mut queue, 60_000).unwrap().key.1, 55);
}

#[test]
fn one_whose_browsers_do_not_answer_holds_nobody_else_up() {
    let mut queue = Queue::new(RULES);
    for id in 1..=20 {
        queue.push(key("mallory", id), 0, 0);
    }
    queue.push(key("ada", 21), 1, 1);
    let turns: Vec<_> = std::iter::from_fn(|| turn(&mut queue, 60_000)).collect();
    let whose: Vec<_> = turns.iter().map(|turn| &*turn.key.0).collect();
    assert_eq!(whose, ["mallory", "mallory", "ada"]);
    // The others come when one is done.
    queue.done(60_000, turns[0].key.clone(), Outcome::Over, 0);
    assert_eq!(turn(&mut queue, 61_000).map(|turn| turn.key.0), Some("mallory".into()));
    assert!(turn(&mut queue, 61_000).is_none());
}

#[test]
fn an_id_that_is_given_again_is_one_notification() {
    let mut queue = Queue::new(RULES);
    queue.push(key("ada", 1), 0, 0);
    queue.push(key("ada", 1), 5000, 5000);
    assert_eq!(due(&mut queue, 30_000), Some(35_000));
    let flying = turn(&mut queue, 35_000).unwrap();
    queue.push(key("ada", 1), 35_000, 35_000);
    assert_eq!(due(&mut queue, 90_000), None);
    queue.done(35_001, flying.key, Outcome::Over, 0);
    assert_eq!(queue.waiting(), 0);
}
