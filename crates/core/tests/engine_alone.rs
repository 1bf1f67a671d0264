//! What only an engine by itself shows: the order of its effects, and a store that finds damage.

mod common_engine;

use common_engine::Desk;
use tidings_core::Effect;
use tidings_core::store::{Epoch, Loaded, StoreError, StoredEvent};

/// Ada is subscribed and publishes; the store says that its history is another one now.
#[test]
fn an_epoch_that_changes_under_a_running_server_is_told_and_publishing_goes_on() {
    let mut desk = Desk::new();
    let ada = desk.open();
    desk.say(ada, r#"{"type":"subscribe","id":1,"channel":"chat:a"}"#);
    desk.engine.loaded(desk.now, "chat:a", Ok(None));
    assert!(desk.sent().contains("subscribed"));
    desk.say(ada, r#"{"type":"publish","id":2,"channel":"chat:a","data":1}"#);
    assert!(matches!(desk.effects()[..], [Effect::Append(_)]));

    desk.engine.stored(desk.now, "chat:a", &Err(StoreError::OutOfOrder));
    let effects = desk.effects();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Load { .. })), "{effects:?}");
    let kept =
        Loaded { epoch: Epoch(7), last_offset: 4, events: vec![], producers: vec![], keys: vec![] };
    desk.engine.loaded(desk.now, "chat:a", Ok(Some(kept)));
    let told = desk.sent();
    assert!(told.contains(r#""reason":"new_epoch""#) && told.contains(r#""offset":4"#), "{told}");

    desk.say(ada, r#"{"type":"publish","id":3,"channel":"chat:a","data":2}"#);
    let effects = desk.effects();
    let [Effect::Append(append)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((append.epoch, append.offset), (Epoch(7), 5));
}

/// Two channels are being read from the store, a third waits for them. Ada leaves the two.
#[test]
fn who_waits_for_the_pages_of_others_goes_on_when_those_are_left() {
    let mut desk = Desk::new();
    let ada = desk.open();
    for (id, channel) in [(1, "chat:a"), (2, "chat:b"), (3, "chat:c")] {
        let rewind = r#""rewind":9"#;
        let text = format!(r#"{{"type":"subscribe","id":{id},"channel":"{channel}",{rewind}}}"#);
        desk.say(ada, &text);
    }
    let event =
        StoredEvent { offset: 1, at_ms: desk.now.wall_ms, event: "{}".into(), producer: None };
    let kept = Loaded {
        epoch: Epoch(7),
        last_offset: 1,
        events: vec![event],
        producers: vec![],
        keys: vec![],
    };
    desk.engine.loaded(desk.now, "chat:c", Ok(Some(kept)));
    desk.effects();
    desk.engine.drained(desk.now, ada);
    assert!(desk.effects().is_empty(), "two pages are under way");
    for (id, channel) in [(4, "chat:a"), (5, "chat:b")] {
        desk.say(ada, &format!(r#"{{"type":"unsubscribe","id":{id},"channel":"{channel}"}}"#));
        desk.engine.loaded(desk.now, channel, Ok(None));
    }
    assert!(desk.effects().iter().any(|effect| matches!(effect, Effect::Drain { .. })));
    desk.engine.drained(desk.now, ada);
    assert_eq!(desk.sent(), "{}", "the event of chat:c");
}

/// Over HTTP a line is a frame: a line break in `data` would cut the event in two for those
/// subscribers.
#[test]
fn data_that_was_written_in_many_lines_is_sent_in_one() {
    let mut desk = Desk::new();
    let ada = desk.open();
    desk.subscribe(ada, "chat:a");
    desk.engine.loaded(desk.now, "chat:a", Ok(None));
    desk.sent();
    let data = "{\n  \"text\":\r\n\"two\\nlines\"\n}";
    let rest = format!("\"channel\":\"chat:a\",\"ephemeral\":true,\"data\":{data}");
    desk.say(ada, &format!("{{\"type\":\"publish\",\"id\":2,{rest}}}"));
    let sent = desk.sent();
    assert!(sent.contains(r#""data":{   "text":  "two\nlines" }"#), "{sent}");
    assert!(!sent.contains(['\n', '\r']), "{sent}");
}
