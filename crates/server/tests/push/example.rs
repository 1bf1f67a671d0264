//! The service worker of the documentation, in `examples/web-push`, in what stands for a browser.

use std::process::Command;

/// Runs the worker and its events in Node.js, and prints what came of them.
const HARNESS: &str = r"
const handlers = {}, shown = [], opened = [], badges = []
const self = {
  addEventListener: (name, handler) => { handlers[name] = handler },
  registration: { showNotification: async (title, options) => { shown.push({ title, ...options }) } },
  navigator: { setAppBadge: async count => { badges.push(count) } },
  location: { origin: 'https://app.example' },
  clients: {
    matchAll: async () => [{ url: 'https://app.example/there', focus: () => opened.push('focus') }],
    openWindow: url => opened.push(url),
  },
}
const source = require('node:fs').readFileSync(process.argv[1], 'utf8')
new Function('self', source)(self)
const fire = async (name, event) => {
  const waits = []
  handlers[name]({ ...event, waitUntil: promise => waits.push(promise) })
  await Promise.all(waits)
}
const push = said => fire('push', { data: { json: () => said } })
const click = url => fire('notificationclick', { notification: { close() {}, data: { id: 1, url } } })
const run = async () => {
  await push({ id: 7, topic: 'mentions', subject: 'room', data: { title: 'Ada', text: 'Hi', url: '/r' }, unread: 3 })
  await push({ id: 8, unread: 4 })
  for (const url of ['/r', '/there', 'https://evil.example/']) await click(url)
  console.log(JSON.stringify({ shown, opened, badges }))
}
run()
";

#[test]
fn the_service_worker_of_the_documentation_shows_and_opens_what_was_pushed() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/web-push/sw.js");
    let out = Command::new("node").args(["-e", HARNESS, file]).output();
    let out = out.expect("Node.js is needed for this");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let came: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let expected = serde_json::json!({
        "shown": [
            {"title": "Ada", "body": "Hi", "tag": "room", "data": {"id": 7, "url": "/r"}},
            {
                "title": "News", "body": "There is something new.", "tag": "item-8",
                "data": {"id": 8, "url": "/"},
            },
        ],
        "opened": ["https://app.example/r", "focus"],
        "badges": [3, 4],
    });
    assert_eq!(came, expected);
}
