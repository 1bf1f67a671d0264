// What the client takes from the page it runs in.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runtimeWith } from '../src/runtime.js'
import type { PageEvent } from '../src/index.js'

test('page events, from a page', () => {
  const world = new EventTarget()
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  const before = Object.getOwnPropertyDescriptors(globalThis)
  Object.assign(globalThis, { document, addEventListener: world.addEventListener.bind(world), removeEventListener: world.removeEventListener.bind(world) })
  try {
    const { page } = runtimeWith(undefined)
    const seen: string[] = []
    const all: PageEvent[] = ['visible', 'hidden', 'online', 'offline', 'resume', 'leave', 'return']
    const ends = all.map(event => page.on(event, () => seen.push(event)))
    const turn = (state: string): void => {
      document.visibilityState = state
      document.dispatchEvent(new Event('visibilitychange'))
    }
    const tell = (name: string, persisted = false): void => void world.dispatchEvent(Object.assign(new Event(name), { persisted }))
    assert.equal(page.visible, true)
    turn('hidden')
    assert.equal(page.visible, false)
    document.dispatchEvent(new Event('resume'))
    turn('visible')
    tell('offline')
    tell('online')
    tell('pageshow', false)
    tell('pagehide', false)
    tell('pagehide', true)
    tell('pageshow', true)
    assert.deepEqual(seen, ['hidden', 'resume', 'visible', 'offline', 'online', 'leave', 'leave', 'return'])
    for (const end of ends) end()
    turn('hidden')
    tell('online')
    assert.equal(seen.length, 8)
  } finally {
    for (const name of ['document', 'addEventListener', 'removeEventListener']) {
      if (name in before) Object.defineProperty(globalThis, name, before[name as 'document'])
      else delete (globalThis as any)[name]
    }
  }
})

test('in Node there is no page, and it counts as visible', () => {
  const { page, uuid, now, random, storage } = runtimeWith({ now: () => 7 })
  assert.equal(page.visible, true)
  page.on('visible', () => {})()
  assert.deepEqual([now(), storage], [7, null])
  assert.match(uuid(), /^\d+(-\d+){3}$/)
  assert.notEqual(uuid(), uuid())
  assert.ok(random() < 1)
})
