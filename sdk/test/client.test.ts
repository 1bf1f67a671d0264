// The client in virtual time against a scripted server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TidingsError, type ConnectionStatus, type Message } from '../src/index.js'
import { fake, settle } from './support/fake.js'

const types = (frames: Record<string, any>[]): string => frames.map(({ type }) => type).join(' ')
const acked = (frame: any, offset: number, more = {}): any =>
  ({ type: 'published', id: frame.id, channel: frame.channel, epoch: 'e', offset, level: 'fsync', duplicate: false, ...more })

test('the first flight: hello, subscriptions and the outbox, before the welcome', async () => {
  const { client, line: none, lines, up } = fake({ name: 'app/1' })
  assert.equal(none, undefined)
  client.channel('chat:x').subscribe({ rewind: 20 })
  void client.channel('chat:x').publish({ text: 'Hello' }, { event: 'message' })
  void client.channel('chat:y').publish(1)
  client.connect()
  await settle()
  lines[0]!.open()
  assert.equal(types(lines[0]!.sent), 'hello subscribe publish publish')
  const [hello, subscribe, publish] = lines[0]!.sent as any[]
  assert.deepEqual(hello, { id: 1, type: 'hello', client: 'app/1' })
  assert.deepEqual(subscribe, { id: 2, type: 'subscribe', channel: 'chat:x', rewind: 20 })
  assert.deepEqual({ ...publish, producer: 0 }, {
    id: 3, producer: 0, seq: 1, type: 'publish', channel: 'chat:x', event: 'message', data: { text: 'Hello' },
  })
  await up()
  client.disconnect()
})

test('attempts come after 1, 2, 4, 8, 16, 30, 30 s, and the status says when', async () => {
  const { client, clock, lines } = fake()
  const start = clock.time
  client.connect()
  for (let i = 0; i < 8; i++) {
    lines.at(-1)!.drop()
    const status = client.status.current as ConnectionStatus & { state: 'waiting' }
    assert.equal(status.attempt, i + 1)
    assert.equal(status.cause.code, 'network')
    await clock.pass(status.retryAt - clock.time)
  }
  assert.deepEqual(lines.map(line => (line.at - start) / 1000), [0, 1, 3, 7, 15, 31, 61, 91, 121])
  client.disconnect()
  await clock.pass(100_000)
  assert.deepEqual([lines.length, clock.pending], [9, 0])
})

test('a server that is up for 40 s less: retryNow skips the wait', async () => {
  const { client, clock, lines, up } = fake()
  client.connect()
  lines[0]!.drop()
  client.retryNow()
  assert.equal(lines.length, 2)
  await up()
  assert.equal(client.status.current.state, 'connected')
  assert.equal(clock.time, lines[1]!.at)
})

test('a laptop sleeps an hour: on waking it asks, and after 5 s without an answer comes back', async () => {
  const { client, clock, page, lines, up } = fake()
  client.connect()
  const line = await up()
  clock.time += 3_600_000 // No timer has run.
  page.tell('resume')
  assert.equal(types(line.sent), 'hello ping')
  await clock.pass(4999)
  assert.equal(client.status.current.state, 'connected')
  await clock.pass(1)
  assert.match(client.status.current.state, /waiting/)
  page.tell('online')
  assert.equal(lines.length, 2)
  // What the old one still says is nobody's business.
  line.tell({ type: 'bye', code: 4403, reconnect: false })
  assert.equal(client.status.current.state, 'connecting')
})

test('quiet for 35 s: a ping, and its answer is enough', async () => {
  const { client, clock, up } = fake()
  client.connect()
  const line = await up()
  await clock.pass(35_000)
  assert.equal(types(line.sent), 'hello ping')
  line.tell({ type: 'pong', id: line.last('ping').id })
  await clock.pass(34_999)
  assert.equal(line.of('ping').length, 1)
  assert.equal(client.status.current.state, 'connected')
})

test('into the browser\'s cache and back: closed, and connected again with the session', async () => {
  const { client, page, lines, up } = fake()
  client.connect()
  const line = await up()
  page.tell('leave')
  assert.ok(line.closed)
  assert.equal(client.status.current.state, 'idle')
  page.tell('return')
  await settle()
  lines[1]!.open()
  assert.equal(lines[1]!.sent[0]!.session, 's1.secret')
})

test('a reload goes on with the session; a tab that is duplicated, and who has logged out, do not', async () => {
  const kept = new Map<string, string>()
  const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) }
  const open = () => fake({ runtime: { storage } })
  const ticket = async (one: ReturnType<typeof fake>): Promise<unknown> => {
    one.client.connect()
    return (await one.up()).of('hello')[0]!.session
  }
  const first = open()
  assert.equal(await ticket(first), undefined)
  assert.equal(await ticket(open()), undefined, 'a copy of the storage of a page that lives')
  first.page.tell('leave')
  const second = open()
  assert.equal(await ticket(second), 's1.secret', 'a reload')
  second.page.tell('leave')
  second.page.tell('return')
  await settle()
  assert.equal(await ticket(open()), undefined, 'a copy of one that has returned')
  await second.client.logout()
  second.page.tell('leave')
  assert.equal(await ticket(open()), undefined, 'after a logout')
})

test('each hello of a ticket has a larger number: the server can tell one that was given up and comes late', async () => {
  const { client, clock, up } = fake()
  client.connect()
  let line = await up()
  assert.ok(!('attempt' in line.sent[0]!), 'there is no ticket yet')
  const attempts = [0]
  for (const back of [0, 100_000, 0]) {
    line.drop()
    await clock.pass(5000)
    clock.time -= back // Somebody sets the clock.
    line = await up()
    attempts.push(line.sent[0]!.attempt)
  }
  for (const [i, attempt] of attempts.entries()) assert.ok(!i || attempt > attempts[i - 1]!, String(attempts))
})

test('attempts that fail tell a channel nothing: it was joining before', async () => {
  const { client, clock } = fake({ transports: ['poll'], runtime: { fetch: async () => { throw new Error('no network') } } })
  const told: string[] = []
  client.channel('chat:x').status.subscribe(({ state }) => told.push(state))
  client.channel('chat:x').subscribe()
  client.connect()
  await clock.pass(10_000)
  assert.deepEqual(told, ['joining'])
})

test('page events never start what the app has not started, or has stopped', async () => {
  const { client, page, lines } = fake()
  for (const event of ['visible', 'online', 'resume', 'return', 'leave', 'hidden', 'offline'] as const) page.tell(event)
  assert.equal(lines.length, 0)
  client.connect()
  lines[0]!.open()
  lines[0]!.tell({ type: 'bye', code: 4403, reason: 'forbidden', reconnect: false })
  const status = client.status.current as ConnectionStatus & { state: 'closed' }
  assert.deepEqual([status.state, status.cause.code, status.cause.closeCode, status.cause.message], ['closed', 'forbidden', 4403, 'forbidden'])
  for (const event of ['visible', 'online', 'resume', 'return'] as const) page.tell(event)
  assert.equal(lines.length, 1)
  client.connect()
  assert.equal(lines.length, 2)
})

test('a jump in the offsets is never passed on: the channel is joined again behind the last one', async () => {
  const { client, up } = fake()
  const told: unknown[] = []
  client.channel('chat:x').on('message', ({ data }) => told.push(data))
  client.channel('chat:x').subscribe()
  client.connect()
  const line = await up()
  line.subscribed('chat:x', 5)
  line.event(6)
  line.event(6)
  line.event(3)
  line.event(9)
  line.event(10)
  assert.deepEqual(told, [6])
  line.tell({ type: 'unsubscribed', id: line.last('unsubscribe').id, channel: 'chat:x' })
  assert.deepEqual(line.last('subscribe').since, { epoch: 'e', offset: 6 })
  line.subscribed('chat:x', 10, { recovered: true })
  for (const offset of [7, 8, 9, 10]) line.event(offset)
  assert.deepEqual(told, [6, 7, 8, 9, 10])
  assert.equal(line.of('subscribe').length, 2)
})

test('offsets of our own unechoed events are no jumps', async () => {
  const { client, up } = fake()
  const told: unknown[] = []
  const room = client.channel('chat:x')
  room.on('message', ({ data }) => told.push(data))
  room.subscribe()
  client.connect()
  const line = await up()
  line.subscribed('chat:x', 0)
  void room.publish('quiet', { echo: false })
  void room.publish('quiet too', { echo: false })
  const [one, two] = line.of('publish')
  line.tell(acked(two, 3))
  line.tell(acked(one, 2))
  line.event(1)
  line.event(4)
  assert.deepEqual(told, [1, 4])
  assert.equal(line.of('subscribe').length, 1)
})

test('a rewind that is cut off goes on where it was, and nothing is called a gap', async () => {
  const { client, clock, lines, up } = fake()
  const told: unknown[] = []
  const room = client.channel('chat:x')
  room.on('message', ({ data, replayed }) => told.push([data, replayed]))
  room.on('gap', gap => told.push(gap))
  room.subscribe({ rewind: 3 })
  client.connect()
  const first = await up()
  first.subscribed('chat:x', 10)
  first.drop()
  await clock.pass(1000)
  const second = await up()
  assert.deepEqual(second.last('subscribe').since, { epoch: 'e', offset: 7 })
  second.subscribed('chat:x', 12, { recovered: false })
  second.tell({ type: 'gap', channel: 'chat:x', reason: 'expired', from: { epoch: 'e', offset: 7 }, to: { epoch: 'e', offset: 9 } })
  for (const offset of [10, 11, 12, 13]) second.event(offset)
  assert.deepEqual(told, [[10, true], [11, true], [12, true], [13, false]])
  assert.equal(lines.length, 2)
})

test('a gap is told with its reason, and the position goes on behind it', async () => {
  const { client, clock, up } = fake()
  const room = client.channel('chat:x')
  const gaps: unknown[] = []
  room.on('gap', gap => gaps.push(gap))
  room.subscribe({ since: { epoch: 'old', offset: 4 } })
  client.connect()
  const line = await up()
  assert.deepEqual(line.last('subscribe').since, { epoch: 'old', offset: 4 })
  line.subscribed('chat:x', 2, { recovered: false })
  line.tell({ type: 'gap', channel: 'chat:x', reason: 'new_epoch', from: { epoch: 'old', offset: 4 }, to: { epoch: 'e', offset: 2 } })
  line.event(3)
  assert.deepEqual(gaps, [{ from: { epoch: 'old', offset: 4 }, to: { epoch: 'e', offset: 2 }, reason: 'new_epoch' }])
  line.drop()
  await clock.pass(1000)
  assert.deepEqual((await up()).last('subscribe').since, { epoch: 'e', offset: 3 })
})

test('where history may not be read, what was missed is a gap', async () => {
  const { client, clock, up } = fake()
  const room = client.channel('chat:x')
  const gaps: unknown[] = []
  room.on('gap', gap => gaps.push(gap))
  room.subscribe()
  client.connect()
  const first = await up()
  first.subscribed('chat:x', 5)
  first.drop()
  await clock.pass(1000)
  const second = await up()
  second.tell({ type: 'error', id: second.last('subscribe').id, code: 'forbidden', message: 'no history', retryable: false, channel: 'chat:x' })
  assert.equal(second.last('subscribe').since, undefined)
  second.subscribed('chat:x', 9)
  assert.equal(room.status.current.state, 'live')
  assert.deepEqual(gaps, [{ from: { epoch: 'e', offset: 5 }, to: { epoch: 'e', offset: 9 }, reason: 'expired' }])
})

test('a refused subscription fails; one that is refused for now is tried again', async () => {
  const { client, clock, up } = fake()
  client.channel('chat:x').subscribe()
  client.channel('chat:y').subscribe()
  client.connect()
  const line = await up()
  const [x, y] = line.of('subscribe')
  line.tell({ type: 'error', id: x!.id, code: 'forbidden', message: 'not you', retryable: false, channel: 'chat:x' })
  line.tell({ type: 'error', id: y!.id, code: 'rate_limited', message: 'slow', retryable: true, retry_after: 700, channel: 'chat:y' })
  assert.equal(client.channel('chat:x').status.current.state, 'failed')
  assert.equal(client.channel('chat:y').status.current.state, 'joining')
  await clock.pass(700)
  line.subscribed('chat:y')
  assert.equal(client.channel('chat:y').status.current.state, 'live')
  line.tell({ type: 'error', channel: 'chat:y', code: 'forbidden', message: 'no longer', retryable: false })
  const status = client.channel('chat:y').status.current
  assert.ok(status.state === 'failed' && status.cause.message === 'no longer')
})

test('presence is entered again after a reconnect, unless the session was resumed', async () => {
  for (const resumed of [false, true]) {
    const { client, clock, up } = fake()
    client.channel('chat:x').subscribe()
    client.connect()
    const first = await up()
    const entered = client.channel('chat:x').presence.enter({ name: 'Ada' })
    first.tell({ type: 'entered', id: first.last('enter').id, channel: 'chat:x' })
    await entered
    first.drop()
    await clock.pass(1000)
    const second = await up({ resumed, entered: resumed ? ['chat:x'] : [] })
    assert.equal(second.of('enter').length, resumed ? 0 : 1)
    client.disconnect()
  }
})

test('leaving while away from a session that goes on is said when it does', async () => {
  const { client, clock, up } = fake()
  const { presence } = client.channel('chat:x')
  client.connect()
  const first = await up()
  const entered = presence.enter(1)
  first.tell({ type: 'entered', id: first.last('enter').id, channel: 'chat:x' })
  await entered
  first.drop()
  await presence.leave()
  await clock.pass(1000)
  const second = await up({ resumed: true, entered: ['chat:x'] })
  await clock.pass(1000)
  assert.equal(second.of('leave').length, 1)
})

test('a session that goes on is still present where nobody wants it any more: that is left, and nothing else', async () => {
  const { client, clock, up } = fake()
  client.connect()
  const line = await up({ resumed: true, entered: ['chat:wanted', 'chat:late', 'chat:old'] })
  const wanted = client.channel('chat:wanted').presence.enter({})
  // The program may say so a little later: a page that begins.
  await clock.pass(900)
  void client.channel('chat:late').presence.enter({})
  await clock.pass(100)
  assert.deepEqual(line.of('leave').map(({ channel }) => channel), ['chat:old'])
  line.tell({ type: 'entered', id: line.of('enter')[0]!.id, channel: 'chat:wanted' })
  await wanted
  assert.deepEqual(line.of('enter').map(({ channel }) => channel), ['chat:wanted', 'chat:late'])
})

test('where the server has forgotten our presence in a session that goes on, we enter again', async () => {
  for (const entered of [[], ['chat:x']]) {
    const { client, clock, up } = fake()
    const { presence } = client.channel('chat:x')
    client.connect()
    const first = await up()
    const sure = presence.enter({})
    first.tell({ type: 'entered', id: first.last('enter').id, channel: 'chat:x' })
    await sure
    first.drop()
    await clock.pass(1000)
    const second = await up({ resumed: true, entered })
    assert.equal(second.of('enter').length, entered.length ? 0 : 1)
  }
})

test('members: told with the subscription, kept up to date, compared after a reconnect', async () => {
  const { client, clock, up } = fake()
  const { presence } = client.channel('chat:x')
  const news: string[] = []
  for (const event of ['enter', 'update', 'leave'] as const) presence.on(event, ({ user }) => news.push(`${event} ${user}`))
  const member = (user: string, data: unknown = {}, sessions = 1): object =>
    ({ user, sessions, data, since: '2026-05-01T12:00:00.000Z', last_seen: '2026-05-01T12:10:00.000Z' })
  client.channel('chat:x').subscribe()
  client.connect()
  const line = await up()
  assert.equal(line.last('subscribe').presence, true)
  line.subscribed('chat:x', 0, { members: [member('ada'), member('bob')], count: 2 })
  assert.deepEqual([presence.count.current, presence.members.current.map(({ user }) => user)], [2, ['ada', 'bob']])
  line.tell({ type: 'presence', channel: 'chat:x', action: 'enter', member: member('cy'), count: 3 })
  line.tell({ type: 'presence', channel: 'chat:x', action: 'update', member: member('ada', 'busy'), count: 3 })
  line.tell({ type: 'presence', channel: 'chat:x', action: 'leave', member: member('bob'), count: 2 })
  assert.deepEqual(presence.members.current.map(({ user, data }) => [user, data]), [['ada', 'busy'], ['cy', {}]])
  line.drop()
  await clock.pass(1000)
  const second = await up()
  second.subscribed('chat:x', 0, { recovered: true, members: [member('cy'), member('dan'), member('ada', 'busy', 2)], count: 3 })
  assert.deepEqual(news, ['enter cy', 'update ada', 'leave bob', 'enter dan', 'update ada'])
  second.tell({ type: 'presence', channel: 'chat:x', action: 'count', count: 1523 })
  assert.deepEqual([presence.count.current, presence.members.current], [1523, []])
})

test('who begins to listen to presence later joins again for it, without a loss', async () => {
  const { client, up } = fake()
  client.channel('chat:x').subscribe()
  client.connect()
  const line = await up()
  line.subscribed('chat:x', 4)
  client.channel('chat:x').presence.count.subscribe(() => {})
  await settle()
  line.tell({ type: 'unsubscribed', id: line.last('unsubscribe').id, channel: 'chat:x' })
  const { since, presence } = line.last('subscribe')
  assert.deepEqual([since, presence], [{ epoch: 'e', offset: 4 }, true])
})

test('a listener that throws is reported and hurts nobody', async () => {
  const reported: unknown[] = []
  const before = globalThis.reportError
  globalThis.reportError = error => void reported.push(error)
  try {
    const { client, up } = fake()
    const told: Message<any>[] = []
    const room = client.channel('chat:x')
    room.on('message', () => { throw new Error('a bug') })
    room.on('message', message => told.push(message))
    client.status.subscribe(() => { throw new Error('another') })
    room.subscribe()
    client.connect()
    const line = await up()
    line.subscribed()
    line.event(1)
    line.event(2)
    assert.deepEqual([told.map(({ data }) => data), client.status.current.state], [[1, 2], 'connected'])
    assert.deepEqual(reported.map(String), ['Error: another', 'Error: another', 'Error: a bug', 'Error: a bug'])
  } finally {
    globalThis.reportError = before
  }
})

test('a listener may disconnect in the middle of things', async () => {
  const { client, lines, up } = fake()
  const seen: string[] = []
  client.status.subscribe(({ state }) => {
    seen.push(state)
    if (state === 'waiting') client.disconnect()
  })
  client.connect()
  const line = await up()
  line.drop()
  assert.deepEqual(seen, ['connecting', 'connected', 'waiting', 'idle'])
  assert.equal(lines.length, 1)
})

test('observables: the same object until it changes', async () => {
  const { client, up } = fake()
  const room = client.channel('chat:x')
  assert.equal(client.channel('chat:x'), room)
  client.connect()
  await up()
  void room.publish(1)
  for (const observable of [client.status, client.outbox, room.status, room.presence.members, room.presence.count]) {
    assert.equal(observable.current, observable.current)
  }
  assert.equal(client.outbox.current[0], client.outbox.current[0])
})

test('rubbish from the server is a fault of the protocol; three in a row stop', async () => {
  const { client, clock, lines } = fake()
  client.connect()
  for (let i = 0; i < 3; i++) {
    lines.at(-1)!.open()
    lines.at(-1)!.onmessage!({ data: i ? '{}' : 'not json' })
    if (i < 2) await clock.pass(5000)
  }
  await clock.pass(60_000)
  const status = client.status.current
  assert.ok(status.state === 'closed' && status.cause instanceof TidingsError && status.cause.code === 'protocol')
  assert.equal(lines.length, 3)
})

test('the token goes into hello, a new one in `refresh`, and never into the URL', async () => {
  const asked: string[] = []
  let url = ''
  const { client, up, lines } = fake({ token: ({ reason }) => { asked.push(reason); return `t${asked.length}` } })
  client.connect()
  const line = await up({ expires_in: 60_000 })
  url = JSON.stringify(lines)
  assert.equal(line.sent[0]!.token, 't1')
  line.tell({ type: 'expiring', expires_in: 30_000 })
  await settle()
  assert.equal(line.last('refresh').token, 't2')
  line.tell({ type: 'refreshed', id: line.last('refresh').id, expires_in: 60_000 })
  assert.deepEqual(asked, ['connect', 'expiring'])
  assert.ok(!url.includes('wss://'))
})
