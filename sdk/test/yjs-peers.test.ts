// Where everybody is in a document, in virtual time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'
import type { DocumentProvider } from '../src/yjs/index.js'
import { Server } from './support/documents.js'
import { both, open, told } from './support/plan.js'

test('who does not fit in among those who are seen does not ask each second', async () => {
  const { server, b, bob } = await both()
  await b.clock.pass(50)
  const before = b.line.of('awareness').length
  server.refusals.push({ type: 'awareness', frame: { code: 'limit_exceeded', retryable: true, limit: 'awareness_bytes' } })
  bob.awareness!.setLocalStateField('name', 'Bobby')
  await b.clock.pass(10_000)
  assert.equal(b.line.of('awareness').length, before + 1)
  bob.awareness!.setLocalStateField('name', 'Bob')
  await b.clock.pass(50)
  assert.equal(b.line.of('awareness').length, before + 2, 'a change is')
})

test('who has none of their own state to show is not shown after a logout, either', async () => {
  const server = new Server()
  const world = await server.join('ada')
  const doc = new Y.Doc()
  const hidden = new Awareness(doc)
  hidden.setLocalState(null)
  const one = open(world, { doc, awareness: hidden })
  await told(one)
  await world.client.logout()
  world.client.connect()
  await world.up()
  await told(one)
  assert.equal(hidden.getLocalState(), null)
  hidden.destroy()
})

test('ada sees where bob is, who he is by his token, and when he goes', async () => {
  const { a, b, ada, bob } = await both()
  const where = (one: DocumentProvider): unknown[] => [...one.awareness!.getStates()]
    .filter(([client]) => client !== one.doc.clientID).map(([client, state]) => [one.userOf(client), state.name])
  assert.deepEqual(where(ada), [['bob', undefined]])
  await b.clock.pass(50)
  bob.awareness!.setLocalStateField('name', 'Bobby')
  for (let i = 0; i < 100; i++) bob.awareness!.setLocalStateField('cursor', i)
  await b.clock.pass(49)
  await told(ada)
  assert.deepEqual(where(ada), [['bob', 'Bobby']])
  const before = b.line.of('awareness').length
  await b.clock.pass(1)
  await b.clock.pass(500)
  assert.equal(b.line.of('awareness').length - before, 1, 'of many, the newest')
  await told(ada)
  assert.equal(ada.awareness!.getStates().get(bob.doc.clientID)!.cursor, 99)

  a.drop()
  assert.deepEqual(where(ada), [], 'nobody knows')
  a.client.retryNow()
  await a.up()
  await told(ada)
  assert.deepEqual(where(ada), [['bob', 'Bobby']], 'with the same clock')
  await b.again()
  await told(bob)
  await told(ada)
  assert.deepEqual(where(ada), [['bob', 'Bobby']], 'at once: with another, or it would be no news')
  bob.destroy()
  await told(ada)
  assert.deepEqual(where(ada), [])
})

test('who may not see where others are tells nothing, either; the right may come and go', async () => {
  const { server, b, ada, bob } = await both()
  assert.equal(ada.awareness!.getStates().size, 2)
  server.allow({ awareness: false })
  await told(ada)
  assert.equal(ada.awareness!.getStates().size, 1)
  await b.clock.pass(100)
  const before = b.line.of('awareness').length
  bob.awareness!.setLocalStateField('name', 'Robert')
  await b.clock.pass(1000)
  assert.equal(b.line.of('awareness').length, before)
  server.allow({ awareness: true })
  await b.clock.pass(100)
  await told(ada)
  assert.equal(ada.awareness!.getStates().get(bob.doc.clientID)?.name, 'Robert')
})

test('without awareness nobody is told anything', async () => {
  const server = new Server()
  const world = await server.join('ada')
  const one = open(world, { awareness: null })
  assert.deepEqual(await told(one), ['synced', false])
  assert.equal(one.awareness, null)
  assert.equal(world.line.of('awareness').length, 0)
})
