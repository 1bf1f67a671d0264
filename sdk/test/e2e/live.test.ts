// Live data against the real server: what all see in the end is the same, whatever the network does.
import assert from 'node:assert/strict'
import type { TidingsError } from '../../src/index.js'
import { live } from '../../src/live/index.js'
import { Proxy } from '../support/proxy.js'
import { seeded } from '../support/random.js'
import { connected, sleep, story, until } from '../support/story.js'

const CONFIG = `
[auth]
anonymous = true
[namespace.board]
kind = "state"
subscribe = "anyone"
publish = "anyone"
history = { size = 20, durable = true }
`
type Board = Record<string, unknown>

story('a late joiner has what was set, and a write that comes too late is rolled back', async ({ client }) => {
  const [ada, bob] = [client(), client()]
  const [one, other] = [live<Board>(ada, 'board:main'), live<Board>(bob, 'board:main')]
  one.subscribe()
  ada.connect()
  const { version } = await one.set('title', 'Plan')
  await one.set('card', { x: 1, y: 1, text: 'buy milk', tags: ['a', 'b', 'c'] })
  await one.patch('card', { x: 2 })
  await one.set('gone', 1)
  await one.remove('gone')
  bob.connect()
  other.subscribe()
  const card = { x: 2, y: 1, text: 'buy milk', tags: ['a', 'b', 'c'] }
  await until(() => other.value.current, 'a snapshot')
  assert.deepEqual(other.value.current, { title: 'Plan', card })
  assert.equal(other.entry('title')!.version, version)

  const [first, second] = await Promise.allSettled([
    one.set('title', 'of ada', { ifVersion: version }), other.set('title', 'of bob', { ifVersion: version }),
  ])
  const lost = [first, second].filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
  const won = [first, second].find(({ status }) => status === 'fulfilled') as PromiseFulfilledResult<{ version: number }>
  assert.equal(lost.length, 1, 'one of them')
  const error: TidingsError = lost[0]!.reason
  assert.deepEqual([error.code, error.version, error.retryable], ['conflict', won.value.version, false])
  const title = first.status === 'fulfilled' ? 'of ada' : 'of bob'
  for (const board of [one, other]) await until(() => board.value.current?.title === title, () => JSON.stringify(board.value.current))
  await other.patch('card', { text: null, y: 5 })
  await until(() => (one.value.current?.card as any)?.y === 5, 'the patch')
  assert.deepEqual(one.value.current, { title, card: { x: 2, y: 5, tags: ['a', 'b', 'c'] } })
}, CONFIG)

story('two write while their lines are cut: in the end all have what the server has', async ({ client, server }) => {
  const proxies = [await Proxy.start(server.port), await Proxy.start(server.port)]
  const writers = proxies.map(proxy => client({ url: proxy.url }))
  const boards = writers.map(writer => live<Board>(writer, 'board:main'))
  boards.forEach(board => board.subscribe())
  writers.forEach(writer => writer.connect())
  const next = seeded(5)
  const acks: Promise<unknown>[] = []
  for (let i = 0; i < 200; i++) {
    const board = boards[i % 2]!
    const key = `k${Math.floor(next() * 8)}`
    const what = next()
    acks.push(what < 0.6 ? board.set(key, { i, by: i % 2 }) : what < 0.85 ? board.patch(key, { patched: i }) : board.remove(key))
    if (i % 40 === 20) proxies[i % 3 ? 0 : 1]!.cut()
    if (i % 5 === 0) await sleep(3)
  }
  await Promise.all(acks)
  // A last write of each, so that it is known when everything has arrived.
  await Promise.all(boards.map((board, i) => board.set(`end${i}`, true)))
  const reader = client()
  const late = live<Board>(reader, 'board:main')
  late.subscribe()
  reader.connect()
  const all = [...boards, late]
  // A snapshot may be older; the changes behind it follow.
  for (const board of all) await until(() => board.value.current?.end0 && board.value.current.end1, 'the end')
  for (const board of boards) {
    assert.deepEqual(sorted(board.value.current!), sorted(late.value.current!))
  }
  assert.ok(proxies.every(proxy => proxy.accepted > 1), 'they were cut')
  proxies.forEach(proxy => proxy.close())
}, CONFIG)

story('who was away for longer than history reaches gets a fresh snapshot; what was written offline is in it', async ({ client }) => {
  const [ada, bob] = [client(), client()]
  const [one, other] = [live<Board>(ada, 'board:main'), live<Board>(bob, 'board:main')]
  one.subscribe()
  ada.connect()
  bob.connect()
  await one.set('old', 1)
  await until(() => one.value.current?.old === 1, 'live')
  ada.disconnect()
  await other.remove('old')
  for (let i = 0; i < 100; i++) await other.set('n', i)
  const mine = one.set('mine', 'offline')
  assert.deepEqual(one.value.current, { old: 1, mine: 'offline' })
  ada.connect()
  await connected(ada)
  await mine
  await until(() => one.value.current?.n === 99 && !('old' in one.value.current), () => JSON.stringify(one.value.current))
  assert.deepEqual(one.value.current, { n: 99, mine: 'offline' })
  await until(() => one.entry('mine'), 'confirmed')
}, CONFIG)

const sorted = (board: object): [string, unknown][] => Object.entries(board).sort(([a], [b]) => a.localeCompare(b))
