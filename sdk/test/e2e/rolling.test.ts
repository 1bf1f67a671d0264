// A server is replaced again and again under load, as deploys do it: SIGTERM, and the next one when it has ended.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient, type Client, type TransportName } from '../../src/index.js'
import { check, Ear, historyOf, truthOf, type Publish } from '../support/checker.js'
import { Nginx } from '../support/nginx.js'
import { seeded } from '../support/random.js'
import { Server, signedIn, token } from '../support/server.js'
import { runtime, sleep, until } from '../support/story.js'

const CLIENTS = 120
const DEPLOYS = 3
const SEED = Number(process.env.SEED ?? 20_261_123)
const ROOMS = Array.from({ length: 8 }, (_, i) => `chat:${i}`)
/** Good-byes are said over 20 ms for each session, and returns are spread over as long behind them: see docs/operations.md. */
const SPREAD_MS = CLIENTS * 20
const BUCKET_MS = SPREAD_MS / 10
/** Even would be 10 % in each bucket; without spreading, or with everybody's first attempt in vain, most would be in one or two. */
const SHARE_MAX = 0.35
// Ten thousand events of history: no gap is an excuse.
const CONFIG = signedIn(`
[server]
drain = "8s"`).replace('size = 1000', 'size = 10000')

const through = (target: string): string => `
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen PORT;
    location / {
      proxy_pass ${target};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_buffering off;
    }
  }`

/** When somebody began the attempt that succeeded, as planned, and was welcome; ms since 1970. */
interface Return { readonly who: number; readonly attempt: number; readonly welcome: number }

/** How many fall into each piece of time behind the first. */
function histogram(moments: number[]): number[] {
  const first = Math.min(...moments)
  const buckets: number[] = []
  for (const moment of moments) {
    const bucket = Math.floor((moment - first) / BUCKET_MS)
    buckets[bucket] = (buckets[bucket] ?? 0) + 1
  }
  return Array.from(buckets, count => count ?? 0)
}

class Watch {
  returns: Return[] = []

  /** Who is connected anew is noted. */
  constructor(clients: Client<any>[]) {
    for (const [who, client] of clients.entries()) {
      let attempt: number | undefined
      client.status.subscribe(status => {
        if (status.state === 'waiting') attempt = status.retryAt
        if (status.state !== 'connected' || attempt === undefined) return
        this.returns.push({ who, attempt, welcome: Date.now() })
        attempt = undefined
      })
    }
  }
}

async function deploy(server: Server, watch: Watch, say: (line: string) => void): Promise<void> {
  watch.returns = []
  await server.stop('SIGTERM')
  await server.start()
  const back = (): number => new Set(watch.returns.map(({ who }) => who)).size
  await until(() => back() === CLIENTS, () => `${back()} of ${CLIENTS} are back`, 60_000)
  // What was planned: when it is carried out says more about what else this machine does.
  const attempts = watch.returns.map(({ attempt }) => attempt).sort((a, b) => a - b)
  const planned = histogram(attempts)
  say(`attempts per ${BUCKET_MS} ms: ${planned.join(' ')}`)
  say(`welcomes per ${BUCKET_MS} ms: ${histogram(watch.returns.map(({ welcome }) => welcome)).join(' ')}`)
  const most = Math.max(...planned)
  assert.ok(most <= attempts.length * SHARE_MAX, `${most} of ${attempts.length} came back in ${BUCKET_MS} ms: ${planned}`)
  const spread = attempts[Math.floor(CLIENTS * 0.9)]! - attempts[Math.floor(CLIENTS * 0.1)]!
  assert.ok(spread > SPREAD_MS / 3, `eight of ten came back within ${Math.round(spread)} ms`)
}

/** Each says its next number to a room, some times a second, until the end; what it published. */
function talk(clients: Client<any>[], publishes: Publish[], until: () => boolean): Promise<unknown> {
  const counts = new Map<string, number>()
  return Promise.all(clients.map(async (client, who) => {
    const random = seeded(SEED + who)
    while (!until()) {
      await sleep(random() * 800)
      const room = ROOMS[Math.floor(random() * ROOMS.length)]!
      const n = counts.get(`${who} ${room}`) ?? 0
      counts.set(`${who} ${room}`, n + 1)
      const publish: Publish = { room, said: { who, n } }
      publishes.push(publish)
      client.channel(room).publish(publish.said).then(ack => { publish.ack = ack }, error => { publish.error = error })
    }
  }))
}

async function judge(client: Client<any>, ears: Ear[], publishes: Publish[]): Promise<void> {
  const open = (): number => publishes.filter(({ ack, error }) => !ack && !error).length
  await until(() => !open(), () => `${open()} publishes without an answer`, 30_000)
  assert.deepEqual(publishes.filter(({ error }) => error).map(({ error }) => String(error)), [], 'nothing is refused')
  client.connect()
  for (const room of ROOMS) {
    const here = ears.filter(ear => ear.room === room)
    const said = publishes.filter(publish => publish.room === room)
    const last = (): number[] => here.map(ear => ear.last?.offset ?? 0)
    await until(() => last().every(offset => offset >= said.length), () => `${room}: ${said.length}, but ${last()}`, 30_000)
    check(room, truthOf(room, await historyOf(client, room), here, said), here, said)
  }
  assert.deepEqual(ears.flatMap(ear => ear.told).filter(one => 'gap' in one), [], 'nobody was told of a gap')
}

async function rolling(nginx: boolean, say: (line: string) => void): Promise<void> {
  const server = await Server.start(CONFIG)
  const front = nginx ? await Nginx.start(through(`http://127.0.0.1:${server.port}`)) : undefined
  const clients: Client<any>[] = []
  try {
    const make = (user: string, transport: TransportName): Client<any> => {
      const client = createClient<any>({ url: front?.url ?? server.url, transports: [transport], token: () => token(user), runtime })
      clients.push(client)
      return client
    }
    const random = seeded(SEED)
    for (let who = 0; who < CLIENTS; who++) make(`user-${who}`, who % 10 === 0 ? 'sse' : who % 10 === 1 ? 'poll' : 'websocket').connect()
    const people = clients.slice()
    const ears = people.map((client, who) => new Ear(client, ROOMS[who % 2 ? who % ROOMS.length : Math.floor(random() * ROOMS.length)]!))
    await until(() => ears.every(ear => ear.client.channel(ear.room).status.current.state === 'live'), 'all are live', 30_000)
    const publishes: Publish[] = []
    let over = false
    const talking = talk(people, publishes, () => over)
    const watch = new Watch(people)
    await sleep(1000)
    for (let i = 0; i < DEPLOYS; i++) {
      await deploy(server, watch, say)
      await sleep(1000)
    }
    over = true
    await talking
    await judge(make('judge', 'websocket'), ears, publishes)
    say(`${publishes.length} events, ${ears.reduce((sum, ear) => sum + ear.told.length, 0)} told, seed ${SEED}`)
  } finally {
    for (const client of clients) client.disconnect()
    await front?.dispose()
    await server.dispose()
  }
}

for (const nginx of [false, true]) {
  test(`${DEPLOYS} deploys under ${CLIENTS} clients${nginx ? ' behind nginx' : ''}: nothing lost, doubled or out of order, and the returns are spread`,
    { timeout: 180_000 }, t => rolling(nginx, line => t.diagnostic(line)))
}
