// Live data in virtual time against a scripted server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TidingsError } from '../src/index.js'
import { live } from '../src/live/index.js'
import { joinPatches, mergePatch } from '../src/live/merge.js'
import { fake, settle, type Line, type Sent } from './support/fake.js'
import { seeded } from './support/random.js'

interface Board { title: string; lock: string; card: { x?: number; y?: number; text?: string }; a: number; b: number }
const BOARD = 'board:main'

const snapshot = (line: Line, offset: number, values: object, more: Sent = {}): void => line.tell({
  type: 'snapshot', channel: BOARD, offset, first: true, ...more,
  entries: Object.entries(values).map(([key, value], i) => ({ key, value, version: i + 1 })),
})
const state = (line: Line, offset: number, key: string, more: Sent): void => line.tell({
  type: 'state', channel: BOARD, offset, timestamp: '2026-05-01T12:00:00.123Z', user: 'bob', key, version: offset, ...more,
})
const written = (line: Line, frame: Sent, offset: number, more: Sent = {}): void => line.tell({
  type: 'written', id: frame.id, channel: BOARD, key: frame.key, epoch: 'e', offset, version: offset, level: 'fsync', duplicate: false, ...more,
})

/** A board that is live, with `values` as of offset 10. */
async function board(values: object = { title: 'Plan' }) {
  const world = fake()
  const one = live<Board>(world.client, BOARD)
  one.subscribe()
  world.client.connect()
  const line = await world.up()
  line.subscribed(BOARD, 10)
  snapshot(line, 10, values)
  await settle()
  return { ...world, up: world.up, one, line }
}

test('who only listens, and never looks, is told once per turn', async () => {
  const { client, up } = fake()
  const one = live<Board>(client, BOARD)
  const told: unknown[] = []
  one.value.subscribe(value => told.push(value))
  one.subscribe()
  client.connect()
  const line = await up()
  line.subscribed(BOARD, 10)
  snapshot(line, 10, { a: 1 })
  await settle()
  state(line, 11, 'a', { value: 2 })
  state(line, 12, 'a', { value: 3 })
  await settle()
  assert.deepEqual(told, [{ a: 1 }, { a: 3 }])
})

test('a late joiner gets the snapshot in pages, then the changes, with nothing between', async () => {
  const { client, up } = fake()
  const one = live<Board>(client, BOARD)
  assert.equal(live(client, BOARD), one as unknown, 'one object for a channel')
  const told: unknown[] = []
  one.value.subscribe(value => told.push(value))
  one.subscribe()
  client.connect()
  const line = await up()
  line.subscribed(BOARD, 12)
  snapshot(line, 9, { title: 'Plan' }, { more: true })
  await settle()
  assert.equal(one.value.current, undefined, 'half of it is nothing')
  snapshot(line, 9, { a: 1 }, { first: undefined })
  state(line, 10, 'a', { value: 2 })
  state(line, 11, 'b', { value: 3, expires_at: '2026-05-01T12:00:30.000Z' })
  state(line, 12, 'title', { removed: true })
  state(line, 12, 'b', { value: 'told twice' })
  await settle()
  assert.deepEqual(one.value.current, { a: 2, b: 3 })
  assert.deepEqual(told, [{ a: 2, b: 3 }], 'once per turn')
  assert.equal(one.value.current, one.value.current)
  assert.deepEqual(one.entry('b'), { value: 3, version: 11, expiresAt: Date.parse('2026-05-01T12:00:30.000Z') })
  assert.equal(one.entry('title'), undefined)
  assert.equal(line.of('unsubscribe').length, 0)
})

test('a merge patch on the wire applies to the value of the offset before', async () => {
  const { one, line } = await board({ card: { x: 1, y: 2, text: 'buy milk' } })
  state(line, 11, 'card', { patch: { x: 5 } })
  state(line, 12, 'card', { patch: { y: 6 } })
  assert.deepEqual(one.value.current, { card: { x: 5, y: 6, text: 'buy milk' } })
  assert.equal(one.entry('card')!.version, 12)
})

test('a jump in the offsets is asked for again; what a conflated client skips is no jump', async () => {
  const { line } = await board()
  state(line, 13, 'a', { value: 1 })
  assert.equal(line.of('unsubscribe').length, 1)

  const { client, up } = fake()
  const slow = live<Board>(client, BOARD)
  slow.subscribe()
  client.connect()
  const other = await up()
  other.subscribed(BOARD, 10, { conflated: true })
  snapshot(other, 10, { a: 1, title: 'Plan' })
  other.tell({ type: 'values', channel: BOARD, offset: 40, version: 44, values: { a: 7, b: 8 }, removed: ['title'] })
  // A round through the keys is under way: the position stands still.
  other.tell({ type: 'values', channel: BOARD, offset: 40, version: 50, values: { c: 6 } })
  state(other, 55, 'b', { value: 9 })
  assert.deepEqual(slow.value.current, { a: 7, b: 9, c: 6 })
  assert.equal(slow.entry('a')!.version, 44)
  assert.equal(other.of('unsubscribe').length, 0)
  other.drop()
  client.retryNow()
  assert.deepEqual((await up()).last('subscribe').since, { epoch: 'e', offset: 55 })
})

test('who returns goes on behind the last change, or starts again with a fresh snapshot', async () => {
  const { client, up, one, line } = await board()
  state(line, 11, 'a', { value: 1 })
  line.drop()
  assert.deepEqual(one.value.current, { title: 'Plan', a: 1 }, 'the last known, meanwhile')
  client.retryNow()
  const second = await up()
  assert.deepEqual(second.last('subscribe').since, { epoch: 'e', offset: 11 })
  second.subscribed(BOARD, 12, { recovered: true })
  state(second, 12, 'b', { value: 2 })
  assert.deepEqual(one.value.current, { title: 'Plan', a: 1, b: 2 })
  second.drop()
  client.retryNow()
  const third = await up()
  third.subscribed(BOARD, 90, { epoch: 'f' })
  third.tell({ type: 'snapshot', channel: BOARD, offset: 90, first: true, entries: [{ key: 'a', value: 9, version: 88 }] })
  assert.deepEqual(one.value.current, { a: 9 }, 'what is not in it is gone')
})

test('a snapshot that is cut off is no position to return to', async () => {
  const { client, up, one } = await board()
  client.disconnect()
  client.connect()
  const line = await up()
  line.subscribed(BOARD, 90)
  snapshot(line, 90, { a: 1 }, { more: true })
  line.drop()
  client.retryNow()
  const next = await up()
  assert.equal(next.last('subscribe').since, undefined)
  next.subscribed(BOARD, 91)
  snapshot(next, 91, { b: 2 })
  assert.deepEqual(one.value.current, { b: 2 })
})

test('a write shows at once and stays until the server has told it back', async () => {
  const { one, line } = await board()
  const set = one.set('title', 'Plan B', { ttl: 5000 })
  assert.deepEqual(one.value.current, { title: 'Plan B' })
  assert.equal(one.entry('title')!.value, 'Plan', 'not confirmed yet')
  const frame = line.last('set')
  assert.deepEqual({ ...frame, id: 0, producer: 0 }, { id: 0, producer: 0, seq: 1, type: 'set', channel: BOARD, key: 'title', value: 'Plan B', ttl: 5000 })
  state(line, 11, 'title', { value: 'of bob' })
  assert.deepEqual(one.value.current, { title: 'Plan B' }, 'ours is newer')
  written(line, frame, 12)
  assert.deepEqual(await set, { version: 12, duplicate: false })
  assert.deepEqual(one.value.current, { title: 'Plan B' })
  state(line, 12, 'title', { value: 'Plan B' })
  state(line, 13, 'title', { value: 'of bob again' })
  assert.deepEqual(one.value.current, { title: 'of bob again' })
  const late = one.remove('title')
  state(line, 14, 'title', { removed: true })
  written(line, line.last('remove'), 14)
  await late
  state(line, 15, 'title', { value: 'back' })
  assert.deepEqual(one.value.current, { title: 'back' }, 'the change was faster than the answer')
})

test('behind a refusal that uses its number up the next write has the next number, also when it is sent again', async () => {
  const { clock, one, line } = await board()
  one.set('title', 'Mine', { ifVersion: 1 }).catch(() => {})
  const other = one.set('a', 1)
  const refuse = (id: number, code: string, retryable: boolean): void =>
    line.tell({ type: 'error', id, code, message: code, retryable, ...retryable && { retry_after: 100 } })
  const [first, second] = line.of('set')
  assert.deepEqual([first!.seq, second!.seq], [1, 2])
  refuse(first!.id, 'conflict', false)
  refuse(second!.id, 'rate_limited', true)
  await clock.pass(200)
  assert.equal(line.last('set').seq, 2)
  written(line, line.last('set'), 11)
  await other
})

test('a patch that joins a write has its own ttl, as the server would have it', async () => {
  const { client, up, one, line } = await board()
  line.drop()
  void one.set('card', { x: 1, y: 1 }, { ttl: 5000 })
  void one.patch('card', { x: 2 })
  client.retryNow()
  const { value, ttl } = (await up()).last('set')
  assert.deepEqual([value, ttl], [{ x: 2, y: 1 }, undefined])
})

test('a refusal rolls back and says why', async () => {
  const { one, line } = await board()
  const refused = one.set('title', 'Mine', { ifVersion: 1 })
  const other = one.set('a', 1)
  line.tell({ type: 'error', id: line.last('set').id - 1, code: 'conflict', message: 'changed', retryable: false, version: 7 })
  await assert.rejects(refused, (error: TidingsError) => error.code === 'conflict' && error.version === 7 && !error.retryable)
  assert.deepEqual(one.value.current, { title: 'Plan', a: 1 }, 'the other write still shows')
  written(line, line.last('set'), 11)
  await other
  const loop: any = {}
  loop.loop = loop
  await assert.rejects(one.set('card', loop), (error: TidingsError) => error.code === 'invalid_data')
  assert.deepEqual(one.value.current, { title: 'Plan', a: 1 })
})

test('offline, writes to a key become one; they survive the reconnect and are settled together', async () => {
  const { client, up, one, line } = await board({ card: { x: 1, y: 1, text: 'milk' } })
  line.drop()
  const all = [
    one.set('a', 1), one.patch('card', { x: 2 }), one.set('a', 2), one.patch('card', { y: 3, x: 4 }), one.set('a', 3, { ifVersion: 0 }),
    one.remove('title'), one.patch('title' as 'card', { text: 'new' }),
  ]
  assert.deepEqual(one.value.current, { card: { x: 4, y: 3, text: 'milk' }, a: 3, title: { text: 'new' } })
  assert.deepEqual(client.outbox.current.map(({ type, data }) => [type, data]),
    [['set', 2], ['patch', { y: 3, x: 4 }], ['set', 3], ['set', { text: 'new' }]])
  client.retryNow()
  const next = await up()
  next.subscribed(BOARD, 10, { recovered: true })
  const sent = next.sent.filter(({ seq }) => seq)
  assert.deepEqual(sent.map(({ seq, type, key, value, patch, if_version }) => [seq, type, key, value ?? patch, if_version]), [
    [1, 'set', 'a', 2, undefined], [2, 'patch', 'card', { x: 4, y: 3 }, undefined], [3, 'set', 'a', 3, 0],
    [4, 'set', 'title', { text: 'new' }, undefined],
  ])
  sent.forEach((frame, i) => written(next, frame, 11 + i))
  assert.deepEqual((await Promise.all(all)).map(({ version }) => version), [11, 12, 11, 12, 13, 14, 14])
  assert.deepEqual(one.value.current, { card: { x: 4, y: 3, text: 'milk' }, a: 3, title: { text: 'new' } }, 'still: no change was told')
  next.drop()
  client.retryNow()
  const last = await up()
  last.subscribed(BOARD, 14)
  snapshot(last, 14, { a: 3 })
  assert.deepEqual(one.value.current, { a: 3 }, 'what was stored is in the snapshot')
})

test('what was sent is not taken back, and one that cannot be queued takes nobody with it', async () => {
  const { one, line } = await board()
  const first = one.set('a', 1)
  const second = one.set('a', 2)
  assert.deepEqual(line.of('set').map(({ value }) => value), [1, 2])
  line.of('set').forEach((frame, i) => written(line, frame, 11 + i))
  assert.deepEqual([(await first).version, (await second).version], [11, 12])
  line.drop()
  const waits = one.set('title', 'small')
  await assert.rejects(one.set('title', 'x'.repeat(70_000)), (error: TidingsError) => error.code === 'too_large')
  assert.equal((one.value.current as Board).title, 'small')
  let settled = false
  waits.then(() => { settled = true }, () => { settled = true })
  await settle()
  assert.ok(!settled)
})

test('logging out forgets values and writes', async () => {
  const { client, one, line } = await board()
  line.drop()
  const waits = one.set('a', 1)
  const closed = assert.rejects(waits, (error: TidingsError) => error.code === 'closed')
  await client.logout()
  await closed
  assert.equal(one.value.current, undefined)
  assert.equal(one.entry('title'), undefined)
})

test('RFC 7396: the examples of its appendix', () => {
  const cases: [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }], [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }], [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }], [{ a: ['b'] }, { a: 'c' }, { a: 'c' }], [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }], [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [['a', 'b'], ['c', 'd'], ['c', 'd']], [{ a: 'b' }, ['c'], ['c']], [{ a: 'foo' }, null, null], [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }], [[1, 2], { a: 'b', c: null }, { a: 'b' }], [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ]
  for (const [target, patch, result] of cases) assert.deepEqual(mergePatch(target, patch), result)
  const bad = mergePatch({}, JSON.parse('{"__proto__":{"admin":true}}')) as any
  assert.equal(bad.admin, undefined)
  assert.equal(JSON.stringify(bad), '{"__proto__":{"admin":true}}')
})

test('two patches in one do what they do one after the other, or are not joined', () => {
  const next = seeded(7)
  const pick = (depth: number): unknown => {
    const n = Math.floor(next() * (depth ? 6 : 3))
    if (n < 3) return [null, 1, 'x'][n]
    return Object.fromEntries(['a', 'b', 'c'].filter(() => next() < 0.6).map(name => [name, pick(depth - 1)]))
  }
  let joined = 0
  for (let i = 0; i < 20_000; i++) {
    const [target, first, second] = [pick(3), pick(3), pick(3)]
    const both = joinPatches(first, second)
    if (both === undefined) continue
    joined++
    assert.deepEqual(mergePatch(target, both), mergePatch(mergePatch(target, first), second), JSON.stringify([target, first, second]))
  }
  assert.ok(joined > 5000, `${joined}`)
})
