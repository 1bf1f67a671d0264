// Exactly once, in order: each story that can go wrong, and then thousands of random ones.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ack, OutboxRecord, OutboxStore, TidingsError } from '../src/index.js'
import { Clock, fake, settle, type Line, type Sent } from './support/fake.js'
import { Model } from './support/model.js'
import { seeded } from './support/random.js'

const acked = ({ id, channel }: Sent, offset: number, more = {}): Sent =>
  ({ type: 'published', id, channel, epoch: 'e', offset, level: 'fsync', duplicate: false, ...more })
const refused = ({ id, channel }: Sent, code: string, retryable: boolean, more = {}): Sent =>
  ({ type: 'error', id, code, message: code, retryable, channel, ...more })
const seqs = (line: Line): string => line.of('publish').map(({ data, seq }) => `${data}:${seq}`).join(' ')
const codeOf = (promise: Promise<Ack>): Promise<string> =>
  promise.then(({ duplicate }) => duplicate ? 'duplicate' : 'ok', (error: TidingsError) => error.code ?? String(error))

/** A store whose content outlives its clients. */
class MemoryStore implements OutboxStore {
  readonly records = new Map<string, OutboxRecord>()
  readonly log: string[] = []
  slow: Promise<void> | undefined
  async load(): Promise<OutboxRecord[]> { return [...this.records.values()] }
  async put(record: OutboxRecord): Promise<void> {
    await this.slow
    this.log.push('put')
    this.records.set(record.key, record)
  }
  async remove(key: string): Promise<void> {
    this.log.push('remove')
    this.records.delete(key)
  }
}

test('what was not acknowledged is sent again with its number, before what is new', async () => {
  const { client, clock, up } = fake()
  const room = client.channel('chat:x')
  client.connect()
  const first = await up()
  const promises = ['a', 'b', 'c'].map(data => room.publish(data))
  first.tell(acked(first.of('publish')[0]!, 1))
  first.drop()
  promises.push(room.publish('d'))
  assert.deepEqual(client.outbox.current.map(({ data, state }) => [data, state]), [['b', 'queued'], ['c', 'queued'], ['d', 'queued']])
  await clock.pass(1000)
  const second = await up()
  assert.equal(seqs(second), 'b:2 c:3 d:4')
  second.of('publish').forEach((frame, i) => second.tell(acked(frame, i + 2, { duplicate: i === 0 })))
  assert.deepEqual(await Promise.all(promises.map(codeOf)), ['ok', 'duplicate', 'ok', 'ok'])
  assert.equal(clock.pending, 1, 'no timer stays but that of the connection')
})

test('a producer that was silent for longer than the window begins again at 1', async () => {
  const { client, up } = fake()
  const room = client.channel('chat:x')
  client.connect()
  const line = await up()
  const a = room.publish('a')
  line.tell(acked(line.last('publish'), 1))
  await a
  const later = ['b', 'c'].map(data => room.publish(data))
  for (const frame of line.of('publish').slice(1)) line.tell(refused(frame, 'out_of_sequence', true, { expected: 1 }))
  assert.equal(seqs(line), 'a:1 b:2 c:3 b:1 c:2')
  line.of('publish').slice(3).forEach((frame, i) => line.tell(acked(frame, i + 2)))
  assert.deepEqual(await Promise.all(later.map(codeOf)), ['ok', 'ok'])
})

test('what may have been stored is never sent under another number', async () => {
  const { client, clock, up } = fake()
  const room = client.channel('chat:x')
  client.connect()
  const first = await up()
  void room.publish('a')
  first.tell(acked(first.last('publish'), 1))
  const doubtful = room.publish('b')
  first.drop()
  const fresh = room.publish('c')
  await clock.pass(1000)
  const second = await up()
  assert.equal(seqs(second), 'b:2 c:3')
  for (const frame of second.of('publish')) second.tell(refused(frame, 'out_of_sequence', true, { expected: 1 }))
  assert.equal(await codeOf(doubtful), 'unconfirmed')
  assert.equal(seqs(second), 'b:2 c:3 c:1')
  second.tell(acked(second.last('publish'), 1))
  assert.equal(await codeOf(fresh), 'ok')
})

test('a refusal that leaves a hole: what was under way is sent again in front of it', async () => {
  const { client, up } = fake()
  client.connect()
  const line = await up()
  const all = ['a', 'b', 'c'].map(data => client.channel('chat:x').publish(data))
  const [a, b, c] = line.of('publish') as [Sent, Sent, Sent]
  line.tell(refused(a, 'forbidden', false))
  line.tell(refused(b, 'out_of_sequence', true, { expected: 1 }))
  assert.equal(seqs(line), 'a:1 b:2 c:3', 'not before all answers are there')
  line.tell(refused(c, 'out_of_sequence', true, { expected: 1 }))
  assert.equal(seqs(line), 'a:1 b:2 c:3 b:1 c:2')
  line.of('publish').slice(3).forEach((frame, i) => line.tell(acked(frame, i + 1)))
  assert.deepEqual(await Promise.all(all.map(codeOf)), ['forbidden', 'ok', 'ok'])
})

test('a refusal that uses its number up stops nothing', async () => {
  const { client, up } = fake()
  client.connect()
  const line = await up()
  const all = ['a', 'b'].map(data => client.channel('chat:x').publish(data))
  const [a, b] = line.of('publish') as [Sent, Sent]
  line.tell(refused(a, 'invalid_data', false, { path: '/text' }))
  line.tell(acked(b, 1))
  assert.deepEqual(await Promise.all(all.map(codeOf)), ['invalid_data', 'ok'])
  await assert.rejects(all[0]!, { path: '/text', retryable: false })
})

test('a transient refusal stalls its own channel, for as long as it says', async () => {
  const { client, clock, up } = fake()
  client.connect()
  const line = await up()
  const all = ['a', 'b'].map(data => client.channel('chat:x').publish(data))
  const [a, b] = line.of('publish') as [Sent, Sent]
  line.tell(refused(a, 'rate_limited', true, { retry_after: 1500 }))
  line.tell(refused(b, 'out_of_sequence', true, { expected: 1 }))
  const other = client.channel('chat:y').publish('y')
  assert.equal(line.last('publish').channel, 'chat:y')
  line.tell(acked(line.last('publish'), 1))
  assert.equal(await codeOf(other), 'ok')
  await clock.pass(1499)
  assert.equal(line.of('publish').length, 3)
  await clock.pass(1)
  assert.equal(seqs(line), 'a:1 b:2 y:1 a:1 b:2')
  line.of('publish').slice(3).forEach((frame, i) => line.tell(acked(frame, i + 1)))
  assert.deepEqual(await Promise.all(all.map(codeOf)), ['ok', 'ok'])
})

test('never more commands without an answer than the server allows; channels take turns', async () => {
  const { client, up, lines } = fake()
  client.connect()
  await settle()
  lines[0]!.open()
  for (let i = 0; i < 200; i++) void client.channel(`chat:${i % 2}`).publish(i)
  assert.equal(lines[0]!.sent.length, 64, 'hello and 63')
  const line = await up({ limits: { frame: 65_536, channels: 128, in_flight: 8 } })
  for (const frame of line.of('publish').slice(0, 60)) line.tell(acked(frame, 1))
  assert.equal(line.of('publish').length, 60 + 8, 'hello has been answered')
  const channels = line.of('publish').slice(-6).map(({ channel }) => channel)
  assert.equal(new Set(channels).size, 2)
})

test('full is said at once, to the newest; old is said when it is', async () => {
  const { client, clock } = fake({ outbox: { maxEntries: 2, maxAgeMs: 60_000 } })
  const room = client.channel('chat:x')
  const all = [room.publish('a'), room.publish('b', { maxAgeMs: 1000 }), room.publish('c')].map(codeOf)
  assert.equal(await all[2], 'outbox_full')
  await clock.pass(1000)
  assert.equal(await all[1], 'expired')
  await clock.pass(59_000)
  assert.equal(await all[0], 'expired')
  const bytes = fake({ outbox: { maxBytes: 1000 } }).client.channel('chat:x')
  void bytes.publish('x'.repeat(500))
  assert.equal(await codeOf(bytes.publish('é'.repeat(200))), 'outbox_full')
})

test('an age of a year is no age of a millisecond', async () => {
  const clock = { setTimeout: (call: () => void, ms: number) => setTimeout(call, ms).unref(), clearTimeout: (timer: any) => clearTimeout(timer), now: Date.now }
  const { client } = fake({ outbox: { maxAgeMs: 365 * 86_400_000 }, runtime: clock })
  const published = codeOf(client.channel('chat:x').publish('a'))
  await new Promise(done => setTimeout(done, 20))
  assert.equal(client.outbox.current.length, 1)
  await client.logout()
  assert.equal(await published, 'closed')
})

test('the age is limited by what the server remembers', async () => {
  const { client, clock, up } = fake()
  client.connect()
  const line = await up({ dedup_window: 60_000 })
  line.drop()
  const published = codeOf(client.channel('chat:x').publish('a'))
  client.disconnect()
  await clock.pass(54_000)
  assert.equal(await published, 'expired')
})

test('a signal takes back what was not sent, and nothing else', async () => {
  const { client, clock, up } = fake()
  const room = client.channel('chat:x')
  const [first, second] = [new AbortController(), new AbortController()]
  client.connect()
  const line = await up()
  const sent = room.publish('a', { signal: first.signal })
  line.drop()
  const queued = room.publish('b', { signal: second.signal })
  first.abort()
  second.abort(new Error('never mind'))
  await assert.rejects(queued, /never mind/)
  await assert.rejects(room.publish('c', { signal: AbortSignal.abort('why') }), error => error === 'why')
  await clock.pass(1000)
  const again = await up()
  assert.equal(seqs(again), 'a:1')
  again.tell(acked(again.last('publish'), 1))
  assert.equal(await codeOf(sent), 'ok')
})

test('a number that somebody else has used: a new name, and nothing is lost', async () => {
  const { client, up } = fake()
  client.connect()
  const line = await up()
  const published = client.channel('chat:x').publish('a')
  const { producer } = line.last('publish')
  line.tell(acked(line.last('publish'), 7, { duplicate: true }))
  assert.notEqual(line.last('publish').producer, producer)
  line.tell(acked(line.last('publish'), 8))
  assert.equal((await published).position!.offset, 8)
})

test('disconnect keeps the outbox, and what is terminal does, too', async () => {
  const { client, up, lines } = fake()
  const room = client.channel('chat:x')
  client.connect()
  const line = await up()
  const published = room.publish('a')
  line.tell({ type: 'bye', code: 4401, reason: 'token_refused', reconnect: false })
  assert.equal(client.status.current.state, 'closed')
  client.connect()
  const again = await up()
  client.disconnect()
  client.connect()
  const last = await up()
  assert.deepEqual([lines.length, seqs(again), seqs(last)], [3, 'a:1', 'a:1'])
  last.tell(acked(last.last('publish'), 1))
  assert.equal(await codeOf(published), 'ok')
})

test('what may be too large for a server that has not said so yet waits for the welcome', async () => {
  const { client, up, lines } = fake()
  const room = client.channel('chat:x')
  const large = codeOf(room.publish('x'.repeat(70_000)))
  const small = codeOf(room.publish('y'))
  client.connect()
  await settle()
  lines[0]!.open()
  assert.equal(lines[0]!.of('publish').length, 0)
  const line = await up()
  assert.equal(await large, 'too_large')
  line.tell(acked(line.last('publish'), 1))
  assert.equal(await small, 'ok')
})

test('with a store: written before it is sent, under its number, and removed when it is settled', async () => {
  const store = new MemoryStore()
  let go!: () => void
  const { client, up } = fake({ outbox: { store } })
  client.connect()
  const line = await up()
  store.slow = new Promise(done => { go = done })
  const published = client.channel('chat:x').publish('a')
  await settle()
  assert.equal(line.of('publish').length, 0)
  go()
  await settle()
  assert.equal(seqs(line), 'a:1')
  assert.deepEqual(JSON.parse([...store.records.values()][0]!.body).slice(1, 3), [line.last('publish').producer, 1])
  line.tell(acked(line.last('publish'), 1))
  await published
  await settle()
  assert.deepEqual([store.log, store.records.size], [['put', 'remove'], 0])
})

test('a reload: what was sent goes again under its old name and number, then what was not', async () => {
  const store = new MemoryStore()
  const before = fake({ outbox: { store }, runtime: { uuid: () => 'old' } })
  before.client.connect()
  const line = await before.up()
  void before.client.channel('chat:x').publish('sent')
  await settle()
  line.drop()
  void before.client.channel('chat:x').publish('queued')
  await settle()
  // The page is gone; the next one has only the store.
  const after = fake({ outbox: { store } })
  const fresh = after.client.channel('chat:x').publish('fresh')
  await settle()
  assert.deepEqual(after.client.outbox.current.map(({ data }) => data), ['sent', 'queued', 'fresh'])
  after.client.connect()
  const next = await after.up()
  await settle()
  assert.deepEqual(next.of('publish').map(({ data, producer, seq }) => [data, producer, seq]), [['sent', 'old', 1]])
  next.tell(acked(next.last('publish'), 1, { duplicate: true }))
  await settle()
  const [, queued, last] = next.of('publish') as [Sent, Sent, Sent]
  assert.deepEqual([queued.data, queued.seq, last.data, last.seq], ['queued', 1, 'fresh', 2])
  assert.equal(queued.producer, last.producer)
  next.tell(acked(queued, 2))
  next.tell(acked(last, 3))
  assert.equal(await codeOf(fresh), 'ok')
  await settle()
  assert.equal(store.records.size, 0)
})

test('a reload as another user: nobody says what somebody else has written', async () => {
  const reported: unknown[] = []
  const report = globalThis.reportError
  globalThis.reportError = error => void reported.push(error)
  try {
    const store = new MemoryStore()
    const before = fake({ outbox: { store } })
    before.client.connect()
    await before.up({ user: 'ada' })
    before.line.drop()
    void before.client.channel('chat:x').publish('ada was here')
    await settle()
    const after = fake({ outbox: { store } })
    after.client.connect()
    const line = await after.up({ user: 'bob' })
    await settle()
    assert.equal(line.of('publish').length, 0)
    assert.deepEqual(reported.map(error => (error as TidingsError).code), ['unauthorized'])
  } finally {
    globalThis.reportError = report
  }
})

test('what an earlier page wrote and the server refuses, or what is too old, is told to who listens', async () => {
  const store = new MemoryStore()
  const before = fake({ outbox: { store } })
  void before.client.channel('chat:x').publish('old', { maxAgeMs: 5000 })
  void before.client.channel('chat:x').publish('refused', { key: 'mine', event: 'text' })
  void before.client.channel('chat:x').publish('stored')
  await settle()
  const { client, clock, up } = fake({ outbox: { store } })
  clock.time += 6000
  const failures: unknown[] = []
  client.outbox.on('failed', ({ entry, error }) => failures.push([entry.channel, entry.data, entry.key, entry.event, error.code]))
  await settle()
  await clock.pass(0)
  const [[channel, data, , , code]] = failures as unknown[][] as [unknown[]]
  assert.deepEqual([channel, data, code], ['chat:x', 'old', 'expired'])
  client.connect()
  const line = await up()
  await settle()
  const [first, second] = line.of('publish') as [Sent, Sent]
  line.tell(refused(first, 'invalid_data', false))
  line.tell(acked(second, 1))
  await settle()
  assert.deepEqual(failures.slice(1), [['chat:x', 'refused', 'mine', 'text', 'invalid_data']])
  assert.deepEqual([client.outbox.current.length, store.records.size], [0, 0])
  // What this page writes is told by its promise, and by nothing else.
  const own = client.channel('chat:x').publish('own')
  await settle()
  line.tell(refused(line.last('publish'), 'invalid_data', false))
  assert.equal(await codeOf(own), 'invalid_data')
  assert.equal(failures.length, 2)
})

test('what another tab left is taken over while this one sends: behind what is under way, before what waits', async () => {
  const store = new MemoryStore()
  let more!: (records: OutboxRecord[]) => void
  const inherits = { put: store.put.bind(store), remove: store.remove.bind(store), load: async (call: typeof more) => { more = call; return [] } }
  const model = new Model(() => 1)
  const answers: (() => void)[] = []
  const { client, up } = fake({ outbox: { store: inherits } }, (line, frame) => {
    if (frame.type === 'publish') model.serve(line, frame, call => answers.push(call))
  })
  client.connect()
  await up({ limits: { in_flight: 2 } })
  const all = ['a', 'b', 'c'].map(data => client.channel('chat:x').publish(data))
  await settle()
  assert.equal(answers.length, 2)
  const body = (data: string, seq: number): string =>
    JSON.stringify([JSON.stringify({ type: 'publish', channel: 'chat:x', data }), 'other', seq, 60_000, 'ada'])
  more([{ key: 'o-1', channel: 'chat:x', body: body('x', 1), createdAt: 999_999 }, { key: 'o-2', channel: 'chat:x', body: body('y', 0), createdAt: 999_999 }])
  for (let answer; (answer = answers.shift());) {
    answer()
    await settle()
  }
  assert.deepEqual(model.stored('chat:x'), ['a', 'b', 'x', 'y', 'c'])
  assert.deepEqual(await Promise.all(all.map(codeOf)), ['ok', 'ok', 'ok'])
  assert.deepEqual([client.outbox.current.length, store.records.size], [0, 0])
})

for (const withStore of [false, true]) {
  test(`300 random stories${withStore ? ' with a store and reloads' : ''}: once, in order, and every promise is kept`, async () => {
    const report = globalThis.reportError
    globalThis.reportError = error => assert.equal((error as Error).name, 'TidingsError') // what earlier pages wrote
    for (let seed = 1; seed <= 300; seed++) await randomStory(seed, withStore)
    globalThis.reportError = report
  })
}

interface Told { readonly channel: string; readonly n: number; outcome?: string; offset?: number | undefined }

async function randomStory(seed: number, withStore: boolean): Promise<void> {
  const random = seeded(seed)
  const clock = new Clock()
  const model = new Model(random)
  const chance = (max: number): number => random() < 0.5 ? 0 : random() * max
  model.chances = {
    rate_limited: chance(0.2), unavailable: chance(0.2), forbidden: chance(0.1), invalid_data: chance(0.1),
    lose: chance(0.1), forget: 0,
  }
  const store = withStore ? new MemoryStore() : undefined
  const told: Told[] = []
  const make = (): ReturnType<typeof fake> => fake({
    outbox: store ? { store } : {}, runtime: { uuid: () => `u${Math.floor(random() * 1e12)}` },
  }, (line, frame) => model.serve(line, frame, call => void clock.setTimeout(call, 10)), clock)
  let now = make()
  const begin = (): void => {
    // The model's connections open by themselves.
    now.client.status.subscribe(({ state }) => {
      if (state === 'connecting') clock.setTimeout(() => { if (now.line && !now.line.closed) now.line.open() }, 20)
    })
    now.client.connect()
  }
  begin()
  let n = 0
  for (let i = 0; i < 25; i++) {
    const what = random()
    if (what < 0.15 && now.line && !now.line.closed) now.line.drop()
    else if (what < 0.2 && withStore) { // A reload: nobody hears what becomes of what was there.
      now.client.disconnect()
      for (const one of told) one.outcome ??= 'unheard'
      now = make()
      begin()
    } else {
      for (let burst = random() * 6; burst > 0; burst--) {
        const one: Told = { channel: `chat:${Math.floor(random() * 2)}`, n: n++ }
        told.push(one)
        now.client.channel(one.channel).publish(one.n).then(
          ack => Object.assign(one, { outcome: one.outcome ?? 'ok', offset: ack.position?.offset }),
          (error: TidingsError) => { one.outcome ??= error.code })
      }
    }
    await clock.pass(random() * 60)
  }
  model.chances = { rate_limited: 0, unavailable: 0, forbidden: 0, invalid_data: 0, lose: 0, forget: 0 }
  await clock.pass(120_000)
  judge(seed, model, told)
  assert.equal(now.client.outbox.current.length, 0, `seed ${seed}: nothing is left`)
  if (store) assert.equal(store.records.size, 0, `seed ${seed}: nothing is left in the store`)
  assert.ok(model.most <= 64)
  now.client.disconnect()
}

function judge(seed: number, model: Model, told: Told[]): void {
  for (const channel of ['chat:0', 'chat:1']) {
    const stored = model.stored(channel) as number[]
    assert.deepEqual(stored, [...new Set(stored)].sort((a, b) => a - b), `seed ${seed}: once and in order in ${channel}`)
    for (const { n, outcome, offset } of told.filter(one => one.channel === channel)) {
      assert.ok(outcome, `seed ${seed}: ${n} is settled`)
      if (outcome === 'ok') assert.equal(stored.indexOf(n), offset! - 1, `seed ${seed}: ${n} is where its ack says`)
      if (outcome === 'invalid_data') assert.ok(!stored.includes(n), `seed ${seed}: ${n} was refused`)
    }
  }
}
