// The hooks of `tidings/live` and `tidings/inbox`, and changes in `useMessages`.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { act, StrictMode } from 'react'
import { inbox } from '../src/inbox/index.js'
import { TidingsProvider, useInbox, useLive, useMessages, useUnread } from '../src/react/index.js'
import type { Change, Client } from '../src/types.js'
import { at, FakeClient, installDocument, message, turn } from './react-support.js'
import { fake, settle, type Sent } from './support/fake.js'

installDocument()
const { createRoot } = await import('react-dom/client')

/** Mounts one hook, in StrictMode, and remembers what it returned last. */
async function watch<T>(client: unknown, use: () => T) {
  const seen: T[] = []
  const root = createRoot(document.createElement('div'))
  const Look = () => { seen.push(use()); return null }
  await act(async () => root.render(
    <StrictMode><TidingsProvider client={client as Client}><Look /></TidingsProvider></StrictMode>))
  return { seen, get now() { return seen.at(-1)! }, unmount: () => act(async () => { root.unmount(); await turn() }) }
}
const does = (work: () => unknown) => act(async () => { work(); await settle(); await turn() })
const WHEN = '2026-05-01T12:00:00.123Z'

test('useLive: the values as they change, many changes in one render, and a write at once', async () => {
  const { client, up } = fake()
  const hook = await watch(client, () => useLive<{ a: number; b: number }>('board:x'))
  const none = await watch(client, () => useLive(null))
  assert.deepEqual([none.now.value, none.now.live, none.now.status.state], [undefined, null, 'idle'])
  client.connect()
  const line = await up()
  await does(() => {
    line.subscribed('board:x', 1)
    line.tell({ type: 'snapshot', channel: 'board:x', offset: 1, first: true, entries: [{ key: 'a', value: 1, version: 1 }] })
  })
  assert.deepEqual([hook.now.value, hook.now.status.state], [{ a: 1 }, 'live'])
  const renders = hook.seen.length
  await does(() => {
    for (let offset = 2; offset <= 51; offset++) line.tell({ type: 'state', channel: 'board:x', offset, key: 'a', value: offset, version: offset })
  })
  assert.equal(hook.now.value!.a, 51)
  assert.ok(hook.seen.length - renders <= 2, `${hook.seen.length - renders} renders, StrictMode's included`)
  await does(() => void hook.now.live!.set('b', 7))
  assert.deepEqual(hook.now.value, { a: 51, b: 7 })
  await hook.unmount()
  client.disconnect()
})

test('useInbox and useUnread follow while mounted', async () => {
  const { client, up } = fake()
  const hook = await watch(client, () => useInbox<string>())
  const count = await watch(client, () => useUnread('chat:x'))
  assert.equal(hook.now.inbox, inbox(client))
  assert.equal(hook.now.status.state, 'joining')
  client.connect()
  const line = await up()
  const items: Sent[] = [{ id: 1, topic: 't', data: 'n1', timestamp: WHEN, seen: false, read: false, archived: false }]
  await does(() => {
    line.subscribed('inbox:ada', 1)
    line.subscribed('chat:x', 4)
  })
  await does(() => {
    line.tell({ type: 'inbox', id: line.last('inbox').id, offset: 1, items, more: false, unread: 1, unseen: 1 })
    line.tell({ type: 'unread', id: line.last('unread').id, channel: 'chat:x', read: 2, offset: 4, count: 2, first: 3 })
  })
  assert.deepEqual([hook.now.items.map(({ data }) => data), hook.now.unread, count.now.count], [['n1'], 1, 2])
  await does(() => {
    void hook.now.inbox.markRead([1])
    void hook.now.inbox.readUpto('chat:x', 4)
  })
  assert.deepEqual([hook.now.items[0]!.read, hook.now.unread, hook.now.unseen, count.now.count], [true, 0, 0, 0])
  await hook.unmount()
  await count.unmount()
  client.disconnect()
})

test('useMessages shows the newest version of each message', async () => {
  const client = new FakeClient()
  const hook = await watch(client, () => useMessages<string>('chat:a'))
  const channel = client.channel('chat:a')
  const news = (offset: number, target: number, more: object): Change<any> =>
    ({ target, position: at(offset), at: offset, user: 'bob', ...more }) as Change<any>
  await does(() => {
    channel.live()
    channel.deliver(message(1), message(2), message(3))
    channel.change(
      news(4, 1, { kind: 'edited', data: 'new' }), news(5, 2, { kind: 'deleted' }), news(6, 2, { kind: 'edited', data: 'told again' }),
      news(7, 3, { kind: 'reacted', reaction: '👍', removed: false, count: 1 }), news(8, 3, { kind: 'reacted', reaction: '👍', removed: false, count: 2, user: 'eve' }),
      news(9, 3, { kind: 'reacted', reaction: '🎉', removed: false, count: 1 }), news(10, 3, { kind: 'reacted', reaction: '👍', removed: true, count: 1 }),
      news(11, 3, { kind: 'reacted', reaction: '🎉', removed: true, count: 0 }), news(12, 99, { kind: 'edited', data: 'of nothing here' }),
    )
  })
  const [one, two, three] = hook.now.messages
  assert.deepEqual([one!.data, one!.edited], ['new', 4])
  assert.deepEqual([two!.data, two!.deleted], [null, true])
  assert.deepEqual([three!.data, three!.reactions], ['m3', { '👍': { count: 1, users: ['eve'] } }])
  await hook.unmount()
})

test('useMessages: a page of history shows what is told right behind it', async () => {
  const { client, up } = fake()
  const hook = await watch(client, () => useMessages<string>('chat:x', { rewind: 2 }))
  client.connect()
  const line = await up()
  await does(() => {
    line.subscribed('chat:x', 4)
    line.event(3)
    line.event(4)
  })
  const more = hook.now.loadEarlier() // Before which the first message changes.
  await settle()
  await does(() => {
    const event = (offset: number): Sent => ({ type: 'event', channel: 'chat:x', offset, timestamp: WHEN, user: 'bob', session: 's', data: `m${offset}` })
    // In one piece, as a poll brings them: nobody has seen the page yet.
    line.tell({ type: 'reacted', channel: 'chat:x', offset: 5, timestamp: WHEN, user: 'bob', target: 3, reaction: '👍', count: 1 })
    line.tell({ type: 'history', id: line.last('history').id, channel: 'chat:x', epoch: 'e', events: [event(1), event(2)], more: false })
    line.tell({ type: 'edited', channel: 'chat:x', offset: 6, timestamp: WHEN, user: 'bob', target: 2, data: 'new' })
    line.tell({ type: 'deleted', channel: 'chat:x', offset: 7, timestamp: WHEN, user: 'bob', target: 1 })
  })
  await more
  assert.deepEqual(hook.now.messages.map(({ data }) => data), [null, 'new', 3, 4])
  await hook.unmount()
  client.disconnect()
})

test('an edit that waits is no message that waits', async () => {
  const { client } = fake()
  const hook = await watch(client, () => useMessages<string>('chat:a'))
  await does(() => {
    void client.channel('chat:a').publish('a message')
    void client.channel('chat:a').edit(1, 'an edit')
  })
  assert.deepEqual(hook.now.pending.map(({ data }) => data), ['a message'])
  await hook.unmount()
})
