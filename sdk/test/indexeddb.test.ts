// The outbox in IndexedDB: what a page leaves behind, the next one sends, and only one of them.
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'node:test'
import { IDBFactory } from 'fake-indexeddb'
import { indexedDbOutbox } from '../src/outbox-indexeddb.js'
import type { OutboxStore } from '../src/index.js'
import { fake, settle } from './support/fake.js'
import { Locks, type Page } from './support/locks.js'

interface Tab { readonly store: OutboxStore; readonly page: Page }
const origin = (): (() => Tab) => {
  const [indexedDB, locks] = [new IDBFactory(), new Locks()]
  return () => {
    const page = locks.page()
    return { page, store: indexedDbOutbox({ indexedDB, locks: page as never }) }
  }
}
const record = (key: string, createdAt = 1): Parameters<OutboxStore['put']>[0] => ({ key, channel: 'chat:x', body: '[]', createdAt })
const never = (): void => assert.fail('nothing comes later')
const rest = async (): Promise<void> => { for (let i = 0; i < 30; i++) await settle() }

test('records are there for the next page, oldest first, and not for a page next to it', async () => {
  const open = origin()
  const [ada, bob] = [open(), open()]
  assert.deepEqual(await ada.store.load(never), [])
  await ada.store.put(record('a-1000000002', 7))
  await ada.store.put(record('a-1000000001', 7))
  await ada.store.put(record('a-0999999999', 9))
  await ada.store.put(record('a-1000000003', 7))
  await ada.store.remove('a-1000000003')
  assert.deepEqual(await bob.store.load(() => {}), [], 'ada lives')
  bob.page.die()
  ada.page.die()
  const next = open()
  assert.deepEqual((await next.store.load(never)).map(({ key }) => key), ['a-1000000001', 'a-1000000002', 'a-0999999999'])
  assert.deepEqual(await open().store.load(never), [], 'they are the next one\'s now')
  next.page.die()
  assert.equal((await open().store.load(never)).length, 3, 'and after it, the one\'s after that')
})

test('the page before a reload may die a moment after the next one has begun', async () => {
  const open = origin()
  const [before, next] = [open(), open()]
  await before.store.put(record('a'))
  const loading = next.store.load(never)
  await rest()
  before.page.die()
  assert.deepEqual((await loading).map(({ key }) => key), ['a'])
})

test('what a tab next to this one leaves behind is taken over when that is closed', async () => {
  const open = origin()
  const [first, second] = [open(), open()]
  await first.store.put(record('a'))
  await first.store.put(record('b', 2))
  const later: string[] = []
  assert.deepEqual(await second.store.load(records => later.push(...records.map(({ key }) => key))), [], 'it lives')
  await first.store.remove('a')
  await first.store.put(record('c', 3))
  assert.deepEqual(later, [])
  first.page.die()
  const reloaded = open()
  assert.deepEqual((await reloaded.store.load(never)).map(({ key }) => key), ['b', 'c'], 'a reload comes first')
  await pause(3200)
  assert.deepEqual(later, [])
  reloaded.page.die()
  await pause(3200)
  assert.deepEqual(later, ['b', 'c'], 'what is closed for good is inherited')
})

test('a record is replaced by its key', async () => {
  const open = origin()
  const tab = open()
  await tab.store.put(record('a'))
  await tab.store.put({ ...record('a'), body: '[1]' })
  tab.page.die()
  assert.deepEqual(await open().store.load(never), [{ ...record('a'), body: '[1]' }])
})

test('what is withdrawn in the turn in which it was written is not there for the next page', async () => {
  const open = origin()
  const tab = open()
  await tab.store.put(record('before'))
  await Promise.all([tab.store.put(record('a')), tab.store.remove('a'), tab.store.put(record('b'))])
  tab.page.die()
  assert.deepEqual((await open().store.load(never)).map(({ key }) => key), ['b', 'before'])
})

test('without Web Locks nothing is taken over, for its owner might live', async () => {
  const indexedDB = new IDBFactory()
  const store = indexedDbOutbox({ indexedDB, locks: undefined as never })
  await store.put(record('a'))
  assert.deepEqual(await indexedDbOutbox({ indexedDB, locks: undefined as never }).load(never), [])
})

test('ada writes offline and closes the tab; the next one sends it, once, though two are opened', async () => {
  const open = origin()
  const tab = open()
  const before = fake({ outbox: { store: tab.store } })
  void before.client.channel('chat:x').publish('written in a tunnel')
  await rest()
  tab.page.die()
  const sent: unknown[] = []
  for (const { store } of [open(), open()]) {
    const after = fake({ outbox: { store } }, (line, frame) => {
      if (frame.type !== 'publish') return
      sent.push(frame.data)
      setImmediate(() => line.tell({ type: 'published', id: frame.id, channel: 'chat:x', epoch: 'e', offset: 1, duplicate: false }))
    })
    await rest()
    after.client.connect()
    await after.up()
    await rest()
    assert.equal(after.client.outbox.current.length, 0)
  }
  assert.deepEqual(sent, ['written in a tunnel'])
  assert.deepEqual(await open().store.load(never), [])
})
