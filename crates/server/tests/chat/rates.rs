//! Changes count as publishes.

use serde_json::json;

use crate::common::{Server, Setup};
use crate::{ROOM, react, setup, user};

#[test]
fn a_storm_of_reactions_meets_the_rate_of_publishes() {
    let more = format!("{}\n[rate.command]\npublish = \"1/m burst 5\"\n", setup().more);
    let server = Server::start(&Setup { more: &more, ..Setup::default() });
    let mut ada = user(&server, "ada", &[]);
    assert_eq!(ada.publish(ROOM, json!("one"))["type"], "published");
    let answers: Vec<_> = (0..8).map(|n| ada.ask(react(1, &format!("r{n}")))).collect();
    let refused = answers.iter().filter(|answer| answer["code"] == "rate_limited").count();
    assert_eq!(refused, 4, "{answers:?}");
    assert_eq!(ada.publish(ROOM, json!("two"))["code"], "rate_limited");
    let mut bob = user(&server, "bob", &[]);
    assert_eq!(bob.ask(react(1, "+1"))["type"], "published", "it is not his storm");
}
