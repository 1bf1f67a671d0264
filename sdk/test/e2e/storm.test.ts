// Fifty clients publish and subscribe while links are cut and the server is killed; then a checker looks
// for anything lost, doubled, out of order, or missing without a gap. SOAK_SECONDS and SEED may be set.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createClient, type Client, type TransportName } from '../../src/index.js'
import { check, Ear, historyOf, truthOf, type Publish } from '../support/checker.js'
import { Proxy } from '../support/proxy.js'
import { seeded, type Random } from '../support/random.js'
import { Server, signedIn, token } from '../support/server.js'
import { runtime, sleep, TRANSPORTS, until } from '../support/story.js'

const SECONDS = Number(process.env.SOAK_SECONDS ?? 60)
const SEED = Number(process.env.SEED ?? 20_261_123)
const CLIENTS = 50
const ROOMS = [...Array.from({ length: 8 }, (_, i) => `chat:${i}`), 'short:0']
// The heartbeat is short, so that half-open connections are found while the test runs.
const CONFIG = signedIn(`
[namespace.short]
publish = "signed-in"
history = { size = 10, durable = true }
[limits]
heartbeat = "1s"`)

/** The last requests of each client, for when one is stuck. */
const traces = new Map<string, string[]>()

const traced = (user: string): typeof fetch => async (input, init) => {
  const trace = traces.get(user) ?? []
  traces.set(user, trace.slice(-8))
  const lines = String(init!.body).split('\n')
  const what = `${String(input).replace(/.*\//, '/')} ${lines[0]!.slice(0, 90)} (${lines.length} lines)`
  const say = (result: unknown): void => void traces.get(user)!.push(`${what}: ${result}`)
  try {
    const response = await fetch(input, init)
    say(response.status)
    return response
  } catch (error) {
    say((error as Error).cause ?? error)
    throw error
  }
}

async function chaos(proxy: Proxy, server: Server, random: Random, end: number): Promise<string> {
  const done: Record<string, number> = {}
  const kills = [0.3, 0.65].map(part => end - SECONDS * 1000 * (1 - part))
  while (Date.now() < end) {
    await sleep(100 + random() * 600)
    const killing = Date.now() > (kills[0] ?? Infinity)
    const what = killing ? 'kill' : ['cut', 'cut all', 'stall', 'delay', 'half-open', 'refuse'][Math.floor(random() * 6)]!
    done[what] = (done[what] ?? 0) + 1
    if (what === 'cut') proxy.cut(0.3, random)
    else if (what === 'cut all') proxy.cut()
    else if (what === 'delay') proxy.delay(random() < 0.5 ? 0 : random() * 40)
    else if (what === 'half-open') proxy.halfOpen(0.1, random)
    else if (what === 'stall') {
      proxy.stall()
      await sleep(random() * 800)
      proxy.flow()
    } else if (what === 'refuse') {
      proxy.refuse(true)
      proxy.cut(0.5, random)
      await sleep(random() * 500)
      proxy.refuse(false)
    } else {
      kills.shift()
      await server.stop()
      await sleep(random() * 500)
      await server.start()
    }
  }
  return JSON.stringify(done)
}

async function storm(transport: TransportName, say: (line: string) => void): Promise<void> {
  const random = seeded(SEED)
  const server = await Server.start(CONFIG)
  const proxy = await Proxy.start(server.port)
  const clients: Client<any>[] = []
  const ears: Ear[] = []
  const publishes: Publish[] = []
  const counts = new Map<string, number>()
  try {
    const make = (user: string, url: string): Client<any> => createClient<any>({
      url, transports: [transport], token: () => token(user), backoff: { baseMs: 50, maxMs: 500 },
      runtime: { ...runtime, fetch: traced(user) },
    })
    for (let who = 0; who < CLIENTS; who++) {
      const client = make(`user-${who}`, proxy.url)
      clients.push(client)
      client.connect()
      const rooms = new Set([ROOMS[who % ROOMS.length]!, ROOMS[Math.floor(random() * ROOMS.length)]!])
      for (const room of rooms) ears.push(new Ear(client, room))
    }
    await until(() => ears.every(ear => ear.client.channel(ear.room).status.current.state === 'live'), 'all are live', 20_000)
    const end = Date.now() + SECONDS * 1000
    const talking = clients.map(async (client, who) => {
      const mine = seeded(SEED + who)
      while (Date.now() < end) {
        await sleep(mine() * 700)
        const room = ROOMS[Math.floor(mine() * ROOMS.length)]!
        const burst = mine() < 0.1 ? 20 : 1
        for (let i = 0; i < burst; i++) {
          const key = `${who} ${room}`
          const n = counts.get(key) ?? 0
          counts.set(key, n + 1)
          const publish: Publish = { room, said: { who, n } }
          publishes.push(publish)
          client.channel(room).publish(publish.said).then(ack => { publish.ack = ack }, error => { publish.error = error })
        }
      }
    })
    const [what] = await Promise.all([chaos(proxy, server, random, end), ...talking])
    // Peace: no delay, and what is half open would only cost time.
    proxy.delay(0)
    proxy.cut()
    const open = (): Publish[] => publishes.filter(({ ack, error }) => !ack && !error)
    const stuck = (): string => [...new Set(open().map(({ said }) => said.who))].map(who => {
      const states = clients[who]!.outbox.current.map(({ state }) => state)
      return `${who} (${JSON.stringify(clients[who]!.status.current)}; ${states})\n  ${traces.get(`user-${who}`)?.join('\n  ')}`
    }).join('\n')
    await until(() => !open().length, () => `${open().length} publishes without an answer, of\n${stuck()}`, 60_000)
    assert.deepEqual(publishes.filter(({ error }) => error).map(({ error }) => String(error)), [], 'nothing is refused')
    const judge = make('judge', server.url)
    clients.push(judge)
    judge.connect()
    for (const room of ROOMS) {
      const here = ears.filter(ear => ear.room === room)
      const said = publishes.filter(publish => publish.room === room)
      const last = (): number[] => here.map(ear => ear.last?.offset ?? 0)
      await until(() => last().every(offset => offset >= said.length), () => `${room}: ${said.length}, but ${last()}`, 30_000)
      const stored = await historyOf(judge, room)
      check(room, truthOf(room, stored, here, said), here, said)
    }
    const gaps = ears.flatMap(ear => ear.told).filter(one => 'gap' in one).length
    const told = ears.reduce((sum, ear) => sum + ear.told.length, 0)
    say(`${publishes.length} events published, ${told} told, ${gaps} gaps announced, ${proxy.accepted} connections; ${what}; seed ${SEED}`)
    assert.ok(proxy.accepted > CLIENTS * 2, 'it was a storm')
  } finally {
    for (const client of clients) client.disconnect()
    proxy.close()
    await server.dispose()
  }
}

// All transports at once: each storm has a server of its own, and mostly waits.
describe(`${CLIENTS} clients in a storm of ${SECONDS} s: nothing lost, doubled, out of order or silent`, { concurrency: true }, () => {
  for (const transport of TRANSPORTS) {
    test(transport, { timeout: (SECONDS + 180) * 1000 }, t => storm(transport, line => t.diagnostic(line)))
  }
})
