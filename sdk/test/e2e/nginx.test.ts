// Behind Debian's nginx, configured as people configure it.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { createClient, type Client, type TransportName } from '../../src/index.js'
import { Nginx } from '../support/nginx.js'
import { Server } from '../support/server.js'
import { live, runtime, sleep, until } from '../support/story.js'

/** What the way through two processes may take, on a machine with much to do; a buffer keeps for ever. */
const PROMPT_MS = 3000
/** With the back-off of the defaults: two attempts in vain, and the waits between. */
const FOUND_MS = 8000

/** `proxy_pass` and nothing else: HTTP/1.0 to the server, buffers, no upgrade. */
const plain = (target: string): string => `
  server {
    listen PORT;
    location / { proxy_pass ${target}; }
  }`

/** Everything that can hold an event back is on. */
const buffering = (target: string): string => `
  gzip on; gzip_types *; gzip_min_length 0; gzip_proxied any; gzip_comp_level 9;
  server {
    listen PORT;
    location / {
      proxy_pass ${target};
      proxy_buffering on; proxy_request_buffering on; proxy_buffers 16 64k; proxy_buffer_size 64k;
    }
  }`

/** Not even the server's `X-Accel-Buffering: no` counts. */
const deaf = (target: string): string => `
  server {
    listen PORT;
    location / {
      proxy_pass ${target};
      proxy_ignore_headers X-Accel-Buffering; proxy_buffer_size 64k; proxy_buffers 16 64k;
    }
  }`

/** As some companies' proxies. */
const refusing = (status: number) => (target: string): string => `
  server {
    listen PORT;
    if ($http_upgrade) { return ${status}; }
    location / { proxy_pass ${target}; }
  }`

/** As docs/deployment.md says. */
const upgrading = (target: string): string => `
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream tidings { server ${new URL(target).host}; keepalive 16; }
  server {
    listen PORT;
    location / {
      proxy_pass http://tidings;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }
  }`

interface Person { readonly client: Client<any>; readonly heard: Map<string, number> }
interface Place { readonly nginx: Nginx; person(transports?: TransportName[]): Person }

async function behind(config: (target: string) => string, run: (place: Place) => Promise<void>): Promise<void> {
  const server = await Server.start()
  const people: Person[] = []
  let nginx: Nginx | undefined
  try {
    nginx = await Nginx.start(config(`http://127.0.0.1:${server.port}`))
    const { url } = nginx
    const person = (transports?: TransportName[]): Person => {
      const client = createClient<any>({ url, transports, runtime })
      const heard = new Map<string, number>()
      client.channel('chat:x').on('message', ({ data }) => heard.set(data, performance.now()))
      client.channel('chat:x').subscribe()
      client.connect()
      people.push({ client, heard })
      return people.at(-1)!
    }
    await run({ nginx, person })
  } finally {
    for (const { client } of people) client.disconnect()
    await nginx?.dispose()
    await server.dispose()
  }
}

/** Each in turn, with pauses, so that no event pushes another one out of a buffer. */
async function talk(t: TestContext, ada: Person, bob: Person): Promise<void> {
  const ways: number[] = []
  const say = async (from: Person, to: Person, text: string): Promise<void> => {
    const began = performance.now()
    await from.client.channel('chat:x').publish(text)
    await until(() => to.heard.has(text), `${text} is heard`)
    ways.push(to.heard.get(text)! - began)
  }
  for (let i = 0; i < 5; i++) {
    await say(ada, bob, `ada ${i}`)
    await say(bob, ada, `bob ${i}`)
    await sleep(50)
  }
  // More than fits into any buffer on the way down, and more than a default `client_body_buffer_size` (16k) up.
  await say(ada, bob, 'x'.repeat(30_000))
  await say(bob, ada, 'y'.repeat(30_000))
  const slowest = Math.round(Math.max(...ways))
  t.diagnostic(`${ways.length} messages, the slowest after ${slowest} ms`)
  assert.ok(slowest < PROMPT_MS, `promptly, not after ${slowest} ms`)
}

const transportOf = ({ client }: Person): unknown => (client.status.current as any).transport

/** As it comes: every transport there is, and the defaults of everything. */
function finds(what: string, config: (target: string) => string, transport: TransportName, ms = FOUND_MS): void {
  test(`nginx, ${what}: the SDK connects by ${transport} and chats`, t => behind(config, async ({ person }) => {
    const began = performance.now()
    const [ada, bob] = [person(), person()]
    await Promise.all([ada, bob].map(({ client }) =>
      until(() => client.channel('chat:x').status.current.state === 'live', () => `live, not ${JSON.stringify(client.status.current)}`, ms)))
    const took = performance.now() - began
    t.diagnostic(`connected after ${Math.round(took)} ms`)
    assert.deepEqual([ada, bob].map(transportOf), [transport, transport])
    await talk(t, ada, bob)
  }))
}

finds('default settings', plain, 'sse')
for (const status of [400, 403, 426]) finds(`answering upgrades with ${status}`, refusing(status), 'sse')
finds('buffering and compressing', buffering, 'sse')
// A stream that does not begin is given up after 10 s.
finds('buffering, whatever the server says', deaf, 'poll', 25_000)
finds('with upgrades', upgrading, 'websocket')

for (const [what, config] of [['default settings', plain], ['buffering and compressing', buffering], ['with upgrades', upgrading]] as const) {
  test(`nginx, ${what}: long-polling and Server-Sent Events chat with each other`, t => behind(config, async ({ person }) => {
    const [ada, bob] = [person(['poll']), person(['sse'])]
    for (const { client } of [ada, bob]) await live(client, 'chat:x')
    assert.deepEqual([ada, bob].map(transportOf), ['poll', 'sse'])
    await talk(t, ada, bob)
  }))
}

for (const [config, transport] of [[plain, 'sse'], [plain, 'poll'], [upgrading, 'websocket']] as const) {
  test(`nginx is restarted: by ${transport}, all come back, and nothing is lost or doubled`, () => behind(config, async ({ nginx, person }) => {
    const [ada, bob] = [person([transport]), person([transport])]
    const all: unknown[] = []
    bob.client.channel('chat:x').on('message', ({ data }) => all.push(data))
    for (const { client } of [ada, bob]) await live(client, 'chat:x')
    await ada.client.channel('chat:x').publish('before')
    await nginx.stop()
    await until(() => ada.client.status.current.state === 'waiting', 'ada notices')
    const said = ['one', 'two', 'three'].map(text => ada.client.channel('chat:x').publish(text))
    await nginx.start()
    for (const { client } of [ada, bob]) client.retryNow()
    const offsets = (await Promise.all(said)).map(({ position }) => position!.offset)
    assert.deepEqual(offsets, [2, 3, 4])
    await until(() => all.length >= 4, 'bob hears them')
    await sleep(100)
    assert.deepEqual(all, ['before', 'one', 'two', 'three'])
  }))
}

test('nginx compresses what passes, so that the stories above are about that, too', () => behind(buffering, async ({ nginx }) => {
  const abort = new AbortController()
  const response = await fetch(`${nginx.url}/events`, { method: 'POST', signal: abort.signal })
  assert.equal(response.headers.get('content-encoding'), 'gzip')
  abort.abort()
}))
