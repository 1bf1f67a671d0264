// Read cursors and unread counts in virtual time against a scripted server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inbox, type Unread } from '../src/inbox/index.js'
import type { TidingsError } from '../src/index.js'
import { fake, settle, type Line, type Sent } from './support/fake.js'

const answer = async (line: Line, read: number, offset: number, count: number): Promise<void> => {
  line.tell({ type: 'unread', id: line.last('unread').id, channel: 'chat:x', read, offset, count, first: count ? read + 1 : undefined })
  await settle()
}
const moved = (line: Line, frame: Sent): void => line.tell({ type: 'read', id: frame.id, channel: 'chat:x', offset: frame.offset })

/** Ada has read up to 5 of 10 in chat:x, and somebody looks at the number. */
async function counted() {
  const world = fake()
  const one = inbox(world.client)
  const unread = one.unread('chat:x')
  const told: number[] = []
  const end = unread.subscribe(({ count }: Unread) => told.push(count))
  world.client.connect()
  const line = await world.up()
  line.subscribed('chat:x', 10)
  line.subscribed('inbox:ada', 0)
  await settle()
  await answer(line, 5, 10, 5)
  return { ...world, up: world.up, one, unread, told, end, line }
}

test('asked for once, then counted along: messages of others only, each once', async () => {
  const { one, unread, told, line } = await counted()
  assert.equal(one.unread('chat:x'), unread)
  assert.deepEqual(unread.current, { read: 5, count: 5, first: 6 })
  line.event(11)
  line.event(12, 'mine', { user: 'ada' })
  line.event(0, 'typing', { ephemeral: true })
  line.event(13)
  assert.deepEqual([told, line.of('unread').length], [[5, 6, 7], 1])
})

test('what comes before the first answer is not counted: other devices may have read it', async () => {
  const { client, up } = fake()
  const unread = inbox(client).unread('chat:x')
  unread.subscribe(() => {})
  client.connect()
  const line = await up()
  line.subscribed('chat:x', 8)
  line.event(9)
  line.event(10)
  await settle()
  assert.deepEqual(unread.current, { count: 0, read: 0 })
  line.subscribed('inbox:ada', 0)
  await settle()
  await answer(line, 9, 10, 1)
  assert.deepEqual(unread.current, { read: 9, count: 1, first: 10 })
})

test('what arrives while the answer is on its way is counted once', async () => {
  const { unread, line } = await counted()
  line.tell({ type: 'cursor', channel: 'inbox:ada', offset: 1, timestamp: '', of: 'chat:x', epoch: 'e', upto: 8 })
  await settle()
  assert.equal(line.of('unread').length, 2, 'another device has read')
  line.event(11)
  line.event(12)
  await answer(line, 8, 11, 3)
  assert.deepEqual(unread.current, { read: 8, count: 4, first: 9 })
  line.tell({ type: 'deleted', channel: 'chat:x', offset: 13, target: 12, user: 'bob', timestamp: '' })
  await settle()
  await answer(line, 8, 13, 3)
  assert.equal(unread.current.count, 3)
})

test('reading shows at once, waits offline, and only the furthest is sent', async () => {
  const { client, up, one, unread, line } = await counted()
  line.drop()
  const all = [one.readUpto('chat:x', 7), one.readUpto('chat:x', 10), one.readUpto('chat:x', 8), one.readUpto('chat:y', 1)]
  assert.deepEqual([unread.current.read, unread.current.count], [10, 0])
  assert.equal(client.outbox.current.length, 2)
  client.retryNow()
  const next = await up()
  assert.deepEqual(next.of('read').map(({ channel, offset }) => [channel, offset]), [['chat:x', 10], ['chat:y', 1]])
  next.subscribed('inbox:ada', 0, { recovered: true })
  next.subscribed('chat:x', 11, { recovered: true })
  await settle()
  next.event(11)
  await answer(next, 5, 11, 6)
  assert.deepEqual([unread.current.read, unread.current.count], [10, 1], 'an answer that does not know of it yet')
  next.of('read').forEach(frame => moved(next, frame))
  await Promise.all(all)
  await answer(next, 10, 11, 1)
  assert.deepEqual(unread.current, { read: 10, count: 1, first: 11 })
})

test('a refused cursor is taken back', async () => {
  const { one, unread, line } = await counted()
  const refused = one.readUpto('chat:x', 10)
  assert.equal(unread.current.count, 0)
  line.tell({ type: 'error', id: line.last('read').id, code: 'forbidden', message: 'no', retryable: false })
  await assert.rejects(refused, (error: TidingsError) => error.code === 'forbidden')
  await answer(line, 5, 10, 5)
  assert.deepEqual([unread.current.read, unread.current.count], [5, 5])
})

test('an offset beyond the newest counts as the newest: what comes is unread', async () => {
  const { one, unread, line } = await counted()
  const done = one.readUpto('chat:x', 500)
  assert.deepEqual([unread.current.read, unread.current.count], [500, 0])
  line.tell({ type: 'read', id: line.last('read').id, channel: 'chat:x', offset: 10 })
  await done
  await answer(line, 10, 10, 0)
  line.event(11)
  assert.deepEqual([unread.current.read, unread.current.count], [10, 1])
})

test('a question that is refused for now is asked again', async () => {
  const { clock, unread, line } = await counted()
  line.tell({ type: 'cursor', channel: 'inbox:ada', offset: 1, timestamp: '', of: 'chat:x', epoch: 'e', upto: 8 })
  await settle()
  line.tell({ type: 'error', id: line.last('unread').id, code: 'limit_exceeded', message: '', retryable: true, retry_after: 300 })
  await clock.pass(300)
  assert.equal(line.of('unread').length, 3)
  await answer(line, 8, 10, 2)
  assert.deepEqual(unread.current, { read: 8, count: 2, first: 9 })
})

test('asked when both the channel and the inbox are followed: what is read on another device before is in the answer', async () => {
  const { client, up } = fake()
  const unread = inbox(client).unread('chat:x')
  unread.subscribe(() => {})
  client.connect()
  const line = await up()
  line.subscribed('chat:x', 10)
  await settle()
  assert.equal(line.of('unread').length, 0)
  line.subscribed('inbox:ada', 7)
  await settle()
  assert.equal(line.of('unread').length, 1)
  await answer(line, 10, 10, 0)
  assert.equal(unread.current.read, 10)
})

test('nobody looks: the channel and the inbox are left, and nothing is asked', async () => {
  const { clock, end, line, one } = await counted()
  end()
  end()
  await clock.pass(1100)
  assert.deepEqual(line.of('unsubscribe').map(({ channel }) => channel).sort(), ['chat:x', 'inbox:ada'])
  const done = one.readUpto('chat:x', 9)
  moved(line, line.last('read'))
  await done
  assert.equal(line.of('unread').length, 1)
})
