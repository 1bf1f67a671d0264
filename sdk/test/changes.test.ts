// Edits, deletions and reactions in virtual time against a scripted server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change, Message, TidingsError } from '../src/index.js'
import { fake, settle, type Line, type Sent } from './support/fake.js'

const acked = (line: Line, frame: Sent, offset: number): void => line.tell(
  { type: 'published', id: frame.id, channel: frame.channel, epoch: 'e', offset, level: 'fsync', duplicate: false })

test('changes are numbered and queued with the messages of their channel, in one order', async () => {
  const { client, up } = fake()
  const room = client.channel('chat:x')
  const acks = [
    room.publish('Helo', { key: 'k' }), room.edit(1, 'Hello', { key: 'k2' }), room.react(1, '👍'), room.react(1, '👍', { remove: true }), room.delete(1),
  ]
  assert.deepEqual(client.outbox.current.map(({ type, data }) => [type, data]),
    [['publish', 'Helo'], ['edit', 'Hello'], ['react', undefined], ['react', undefined], ['delete', undefined]])
  client.connect()
  const line = await up()
  const sent = line.sent.filter(({ seq }) => seq).map(({ id: _, producer: __, ...frame }) => frame)
  assert.deepEqual(sent, [
    { seq: 1, type: 'publish', channel: 'chat:x', key: 'k', data: 'Helo' },
    { seq: 2, type: 'edit', channel: 'chat:x', offset: 1, key: 'k2', data: 'Hello' },
    { seq: 3, type: 'react', channel: 'chat:x', offset: 1, reaction: '👍' },
    { seq: 4, type: 'react', channel: 'chat:x', offset: 1, reaction: '👍', remove: true },
    { seq: 5, type: 'delete', channel: 'chat:x', offset: 1 },
  ])
  line.sent.filter(({ seq }) => seq).forEach((frame, i) => acked(line, frame, i + 1))
  assert.deepEqual((await Promise.all(acks)).map(({ position }) => position!.offset), [1, 2, 3, 4, 5])
  const refused = room.edit(9, 'x')
  line.tell({ type: 'error', id: line.last('edit').id, code: 'not_found', message: 'deleted', retryable: false })
  await assert.rejects(refused, (error: TidingsError) => error.code === 'not_found')
  const loop: any = {}
  loop.loop = loop
  await assert.rejects(room.edit(1, loop), (error: TidingsError) => error.code === 'invalid_data')
})

test('changes are told in one order with the messages, and their offsets are no gaps', async () => {
  const { client, up } = fake()
  const room = client.channel('chat:x')
  const told: (Message | Change)[] = []
  room.on('message', message => told.push(message))
  room.on('change', change => told.push(change))
  room.subscribe()
  client.connect()
  const line = await up()
  line.subscribed()
  const change = (type: string, offset: number, more: Sent): void =>
    line.tell({ type, channel: 'chat:x', offset, timestamp: '2026-05-01T12:00:00.123Z', user: 'bob', session: 's2', target: 1, ...more })
  line.event(1)
  change('edited', 2, { data: 'new' })
  change('reacted', 3, { reaction: '👍', count: 1 })
  change('reacted', 4, { reaction: '👍', count: 0, removed: true })
  line.tell({ type: 'hidden', channel: 'chat:x', offset: 5 })
  change('deleted', 6, {})
  change('deleted', 6, {})
  line.event(7)
  const at = Date.parse('2026-05-01T12:00:00.123Z')
  const place = (offset: number): object => ({ target: 1, position: { epoch: 'e', offset }, at, user: 'bob', session: 's2' })
  assert.deepEqual(told.slice(1, 5), [
    { ...place(2), kind: 'edited', removed: false, data: 'new' },
    { ...place(3), kind: 'reacted', removed: false, reaction: '👍', count: 1 },
    { ...place(4), kind: 'reacted', removed: true, reaction: '👍', count: 0 },
    { ...place(6), kind: 'deleted', removed: false },
  ])
  assert.equal(told.length, 6)
  assert.equal(line.of('unsubscribe').length, 0)
  change('edited', 9, { data: 'a jump' })
  assert.equal(line.of('unsubscribe').length, 1)
})

test('history has the newest version of each message', async () => {
  const { client, up } = fake()
  client.connect()
  const line = await up()
  const page = client.channel('chat:x').history()
  await settle()
  const event = { channel: 'chat:x', timestamp: '2026-05-01T12:00:00.123Z', user: 'bob', session: 's2' }
  line.tell({
    type: 'history', id: line.last('history').id, channel: 'chat:x', epoch: 'e', more: false, events: [
      { ...event, offset: 1, data: 'Hello', edited: '2026-05-01T12:01:00.000Z', reactions: { '👍': { count: 2, users: ['ada', 'bob'] } } },
      { ...event, offset: 2, data: null, deleted: true }, { ...event, offset: 3, data: 'plain' },
    ],
  })
  const { messages: [edited, deleted, plain] } = await page
  assert.equal(edited!.edited, Date.parse('2026-05-01T12:01:00.000Z'))
  assert.deepEqual(edited!.reactions, { '👍': { count: 2, users: ['ada', 'bob'] } })
  assert.deepEqual([deleted!.data, deleted!.deleted], [null, true])
  assert.deepEqual([plain!.edited, plain!.deleted, plain!.reactions], [undefined, undefined, undefined])
})
