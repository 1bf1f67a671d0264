// The inbox in virtual time against a scripted server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inbox } from '../src/inbox/index.js'
import type { TidingsError } from '../src/index.js'
import { fake, settle, type Line, type Sent } from './support/fake.js'

const ADA = 'inbox:ada'
const WHEN = '2026-05-01T12:00:00.123Z'
const item = (id: number, more: Sent = {}): Sent =>
  ({ id, topic: 'comments', data: `n${id}`, timestamp: WHEN, seen: false, read: false, archived: false, ...more })
/** Answers the newest question for a page. */
const page = (line: Line, offset: number, items: Sent[], more: Sent = {}): void => line.tell({
  type: 'inbox', id: line.last('inbox').id, channel: ADA, epoch: 'e', offset, items, more: false,
  unread: items.filter(({ read }) => !read).length, unseen: items.filter(({ seen }) => !seen).length, ...more,
})
const push = (line: Line, type: string, offset: number, more: Sent): void =>
  line.tell({ type, channel: ADA, offset, timestamp: WHEN, ...more })
const marked = (line: Line, frame: Sent, offset: number): void =>
  line.tell({ type: 'marked', id: frame.id, epoch: 'e', offset, unread: 0, unseen: 0, duplicate: false })

/** Ada's inbox, open, with items 3, 2 and 1, as of offset 3. */
async function opened(items = [item(3), item(2), item(1, { seen: true })], more: Sent = {}) {
  const world = fake()
  const one = inbox<string>(world.client, { pageSize: 3 })
  one.open()
  world.client.connect()
  const line = await world.up()
  line.subscribed(ADA, 3)
  await settle()
  page(line, 3, items, more)
  await settle()
  const numbers = () => [one.view.current.items.map(({ id }) => id).join(), one.view.current.unread, one.view.current.unseen]
  return { ...world, up: world.up, one, line, numbers }
}

test('the inbox of whoever is connected: a page, then what arrives', async () => {
  const { client, one, line, numbers } = await opened()
  assert.equal(inbox(client), one as unknown)
  assert.deepEqual({ ...line.last('inbox'), id: 0 }, { id: 0, type: 'inbox', limit: 3 })
  assert.deepEqual(numbers(), ['3,2,1', 3, 2])
  assert.equal(one.view.current.status.state, 'live')
  const received: string[] = []
  one.on('received', ({ id, data, at }) => received.push(`${id} ${data} ${at === Date.parse(WHEN)}`))
  let told = 0
  one.view.subscribe(() => told++)
  push(line, 'notification', 4, { item: item(4), unread: 4, unseen: 3 })
  push(line, 'notification', 5, { item: item(5), unread: 4, unseen: 3, dropped: [1] })
  push(line, 'notification', 5, { item: item(5), unread: 9, unseen: 9 })
  push(line, 'hidden', 6, {})
  push(line, 'expired', 7, { ids: [2], unread: 3, unseen: 2 })
  await settle()
  assert.deepEqual([received, told], [['4 n4 true', '5 n5 true'], 1])
  assert.deepEqual(numbers(), ['5,4,3', 3, 2])
})

test('behind a gap the inbox is read anew: what is missing may be marks of any item', async () => {
  const { line, numbers } = await opened()
  line.tell({
    type: 'gap', channel: ADA, reason: 'expired', from: { epoch: 'e', offset: 3 }, to: { epoch: 'e', offset: 9 },
  })
  await settle()
  assert.equal(line.of('inbox').length, 2)
  push(line, 'notification', 10, { item: item(10), unread: 3, unseen: 2 })
  page(line, 9, [item(9), item(3, { read: true, seen: true })])
  await settle()
  assert.deepEqual(numbers(), ['10,9,3', 3, 2])
})

test('who only listens is told all the same', async () => {
  const { client, up } = fake()
  const one = inbox(client)
  const told: string[] = []
  one.view.subscribe(({ unread, status }) => told.push(`${status.state} ${unread}`))
  one.open()
  await settle()
  client.connect()
  const line = await up()
  line.subscribed(ADA, 3)
  await settle()
  page(line, 3, [item(3)])
  await settle()
  push(line, 'notification', 4, { item: item(4), unread: 2, unseen: 2 })
  await settle()
  assert.deepEqual([told[0], told.at(-2), told.at(-1)], ['joining 0', 'live 1', 'live 2'])
})

test('a page whose items were all archived is followed by the next', async () => {
  const { one, line, numbers } = await opened(undefined, { more: true, unread: 4, unseen: 3 })
  push(line, 'mark', 4, { as: 'archived', upto: 3, unread: 1, unseen: 1 })
  assert.deepEqual(numbers(), ['', 1, 1])
  const more = one.loadMore()
  await settle()
  assert.deepEqual({ ...line.last('inbox'), id: 0 }, { id: 0, type: 'inbox', limit: 3 })
  push(line, 'notification', 5, { item: item(5), unread: 2, unseen: 2 })
  page(line, 4, [item(0)])
  await more
  assert.deepEqual(numbers(), ['5,0', 2, 2])
  assert.equal(one.view.current.more, false)
})

test('what another device marks is marked here, with the numbers of the server', async () => {
  const { one, line, numbers } = await opened()
  push(line, 'mark', 4, { as: 'read', ids: [3], unread: 2, unseen: 1 })
  assert.deepEqual(numbers(), ['3,2,1', 2, 1])
  push(line, 'mark', 5, { as: 'archived', ids: [2], unread: 1, unseen: 0 })
  push(line, 'mark', 6, { as: 'unread', ids: [3], unread: 2, unseen: 0 })
  assert.deepEqual(numbers(), ['3,1', 2, 0])
  assert.deepEqual(one.view.current.items.map(({ seen, read }) => [seen, read]), [[true, false], [true, false]])
})

test('marks show at once, wait offline, and count right at every moment until they are confirmed', async () => {
  const { client, up, one, line, numbers } = await opened()
  line.drop()
  const read = one.markRead([3])
  const archived = one.archive([1])
  assert.deepEqual(numbers(), ['3,2', 1, 1])
  const back = one.markUnread([3])
  assert.deepEqual(numbers(), ['3,2', 2, 1])
  assert.deepEqual(client.outbox.current.map(({ type, channel }) => [type, channel]), Array(3).fill(['mark', 'inbox:']))
  client.retryNow()
  const next = await up()
  const sent = next.of('mark').map(({ seq, as, ids }) => [seq, as, ids])
  assert.deepEqual(sent, [[1, 'read', [3]], [2, 'archived', [1]], [3, 'unread', [3]]])
  // Meanwhile the other device has read item 2, and a new one has come.
  next.subscribed(ADA, 5, { recovered: true })
  push(next, 'mark', 4, { as: 'read', ids: [2], unread: 2, unseen: 1 })
  push(next, 'notification', 5, { item: item(5), unread: 3, unseen: 2 })
  assert.deepEqual(numbers(), ['5,3,2', 2, 1])
  next.of('mark').forEach((frame, i) => marked(next, frame, 6 + i))
  await Promise.all([read, archived, back])
  assert.deepEqual(numbers(), ['5,3,2', 2, 1], 'stored, and not told yet')
  push(next, 'mark', 6, { as: 'read', ids: [3], unread: 2, unseen: 1 })
  push(next, 'mark', 7, { as: 'archived', ids: [1], unread: 1, unseen: 1 })
  push(next, 'mark', 8, { as: 'unread', ids: [3], unread: 2, unseen: 1 })
  assert.deepEqual(numbers(), ['5,3,2', 2, 1])
})

test('mark-all swallows nothing that arrives meanwhile, and counts what is not on the page', async () => {
  const { one, line, numbers } = await opened(undefined, { unread: 40, unseen: 20, more: true })
  const all = one.markAllRead()
  assert.deepEqual(numbers(), ['3,2,1', 0, 0])
  const { as, upto, ids } = line.last('mark')
  assert.deepEqual([as, upto, ids], ['read', 3, undefined])
  push(line, 'notification', 4, { item: item(4), unread: 41, unseen: 21 })
  assert.deepEqual(numbers(), ['4,3,2,1', 1, 1])
  marked(line, line.last('mark'), 5)
  await all
  push(line, 'mark', 5, { as: 'read', upto: 3, unread: 1, unseen: 1 })
  assert.deepEqual(numbers(), ['4,3,2,1', 1, 1])
})

test('a refusal is undone and said; many ids go in commands that the server takes', async () => {
  const { one, line, numbers } = await opened()
  const refused = one.markRead([3])
  assert.deepEqual(numbers(), ['3,2,1', 2, 1])
  line.tell({ type: 'error', id: line.last('mark').id, code: 'forbidden', message: 'no', retryable: false })
  await assert.rejects(refused, (error: TidingsError) => error.code === 'forbidden')
  assert.deepEqual(numbers(), ['3,2,1', 3, 2])
  await one.markSeen([])
  void one.markSeen(Array.from({ length: 2500 }, (_, i) => i + 1))
  assert.deepEqual(line.of('mark').slice(1).map(({ ids }) => ids.length), [1000, 1000, 500])
})

test('older pages come behind, and know of what happened while they were on their way', async () => {
  const { one, line, numbers } = await opened(undefined, { more: true, unread: 6, unseen: 5 })
  const [more, same] = [one.loadMore(), one.loadMore()]
  assert.equal(one.view.current.loading, true)
  await settle()
  assert.deepEqual({ ...line.last('inbox'), id: 0 }, { id: 0, type: 'inbox', before: 1, limit: 3 })
  assert.equal(line.of('inbox').length, 2)
  push(line, 'mark', 4, { as: 'read', ids: [0], unread: 5, unseen: 4 })
  page(line, 3, [item(0), item(-1)])
  await Promise.all([more, same])
  assert.deepEqual(numbers(), ['3,2,1,0,-1', 5, 4])
  assert.equal(one.view.current.items[3]!.read, true)
  assert.equal(one.view.current.loading, false)
  await one.loadMore()
  assert.equal(line.of('inbox').length, 2, 'there are no more')
})

test('what arrives before the first page is in it once; what cannot be recovered is loaded again', async () => {
  const { client, up } = fake()
  const one = inbox(client)
  one.open()
  assert.equal(one.view.current.status.state, 'joining')
  client.connect()
  const line = await up()
  line.subscribed(ADA, 3)
  await settle()
  push(line, 'notification', 4, { item: item(4), unread: 2, unseen: 2 })
  push(line, 'notification', 5, { item: item(5), unread: 3, unseen: 3 })
  page(line, 4, [item(4), item(1)])
  await settle()
  const ids = (): string => one.view.current.items.map(({ id }) => id).join()
  assert.deepEqual([ids(), one.view.current.unread], ['5,4,1', 3])
  line.drop()
  client.retryNow()
  const next = await up()
  next.subscribed(ADA, 90, { epoch: 'f' })
  await settle()
  assert.equal(ids(), '5,4,1', 'the last known, meanwhile')
  page(next, 90, [item(88)], { epoch: 'f' })
  await settle()
  assert.equal(ids(), '88')
})

test('a first page that is refused is tried again, or is the status', async () => {
  const { client, clock, up } = fake()
  const one = inbox(client)
  one.open()
  client.connect()
  const line = await up()
  line.subscribed(ADA, 3)
  await settle()
  line.tell({ type: 'error', id: line.last('inbox').id, code: 'unavailable', message: '', retryable: true })
  await clock.pass(1000)
  assert.equal(line.of('inbox').length, 2)
  line.tell({ type: 'error', id: line.last('inbox').id, code: 'forbidden', message: '', retryable: false })
  await settle()
  assert.equal(one.view.current.status.state, 'failed')
  assert.equal(one.view.current.loading, false)
})

test('logging out empties it; who signs in next finds their own', async () => {
  const { client, up, one, numbers } = await opened()
  const kept = one.markRead([3]).catch((error: TidingsError) => error.code)
  await client.logout()
  assert.equal(await kept, 'closed')
  assert.deepEqual(numbers(), ['', 0, 0])
  client.connect()
  const line = await up({ user: 'bob' })
  assert.deepEqual(line.of('subscribe').map(({ channel }) => channel), ['inbox:bob'])
  line.tell({ type: 'subscribed', id: line.last('subscribe').id, channel: 'inbox:bob', epoch: 'b', offset: 0, recovered: false })
  await settle()
  page(line, 0, [])
  await settle()
  line.tell({ type: 'notification', channel: 'inbox:bob', offset: 1, timestamp: WHEN, item: item(1), unread: 1, unseen: 1 })
  assert.deepEqual(numbers(), ['1', 1, 1])
})

test('closing leaves after a second; opening again within it goes on', async () => {
  const { client, clock, up } = fake()
  const one = inbox(client)
  const close = one.open()
  client.connect()
  const line = await up()
  line.subscribed(ADA, 3)
  await settle()
  page(line, 3, [item(3)])
  await settle()
  close()
  await clock.pass(900)
  const again = one.open()
  await clock.pass(2000)
  push(line, 'notification', 4, { item: item(4), unread: 2, unseen: 2 })
  assert.equal(one.view.current.items.length, 2)
  again()
  await clock.pass(1100)
  assert.equal(line.of('unsubscribe').length, 1)
  assert.deepEqual([one.view.current.items.length, one.view.current.status.state], [0, 'idle'])
})

test('groups, following a topic, and Web Push', async () => {
  const { one, line } = await opened()
  const groups = one.groups({ limit: 10, topic: 'comments' })
  await settle()
  assert.deepEqual({ ...line.last('inbox'), id: 0 }, { id: 0, type: 'inbox', group: true, limit: 10, topic: 'comments' })
  line.tell({ type: 'inbox', id: line.last('inbox').id, channel: ADA, epoch: 'e', offset: 3, more: true, unread: 3, unseen: 2,
    groups: [{ subject: 'doc:1', topic: 'comments', count: 3, unread: 2, latest: item(3) }] })
  const { groups: [group], more } = await groups
  assert.deepEqual([group!.subject, group!.count, group!.latest.at, more], ['doc:1', 3, Date.parse(WHEN), true])

  const followed = one.follow('releases')
  await settle()
  line.tell({ type: 'followed', id: line.last('follow').id })
  await followed

  const browser: { asked: unknown[]; ended: boolean } = { asked: [], ended: false }
  const subscription: any = {
    endpoint: 'https://push.example/1', toJSON: () => ({ endpoint: 'https://push.example/1', expirationTime: null, keys: { p256dh: 'p', auth: 'a' } }),
    unsubscribe: async () => browser.ended = true,
  }
  const registration = { pushManager: {
    subscribe: async (options: unknown) => (browser.asked.push(options), subscription), getSubscription: async () => subscription,
  } }
  const on = one.push.subscribe(registration)
  await settle()
  page(line, 3, [], { push_key: 'BKey' })
  await settle()
  assert.deepEqual(browser.asked, [{ userVisibleOnly: true, applicationServerKey: 'BKey' }])
  const told = line.last('push_subscribe')
  assert.deepEqual(told.subscription, { endpoint: 'https://push.example/1', keys: { p256dh: 'p', auth: 'a' } })
  line.tell({ type: 'push_subscribed', id: told.id })
  await on
  const off = one.push.unsubscribe(registration)
  await settle()
  assert.equal(browser.ended, false, 'not before the server knows')
  line.tell({ type: 'push_unsubscribed', id: line.last('push_unsubscribe').id })
  await off
  assert.equal(browser.ended, true)
  const none = assert.rejects(one.push.subscribe(registration), (error: TidingsError) => error.code === 'not_found')
  await settle()
  page(line, 3, [])
  await none
})
