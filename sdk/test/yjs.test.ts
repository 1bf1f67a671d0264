// Documents in virtual time, against a server with a real Y.Doc.
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import * as Y from 'yjs'
import { openDocument, type DocumentOptions, type DocumentProvider, type DocumentStatus } from '../src/yjs/index.js'
import { PLAN, Server } from './support/documents.js'
import { fake, settle } from './support/fake.js'

type World = Awaited<ReturnType<Server['join']>>
const opened: DocumentProvider[] = []
afterEach(() => opened.splice(0).forEach(one => one.destroy()))

function open({ client }: { client: World['client'] }, options?: DocumentOptions): DocumentProvider {
  const one = openDocument(client, PLAN, options)
  opened.push(one)
  return one
}
const text = (one: { doc: Y.Doc }): Y.Text => one.doc.getText('text')
const type = (one: { doc: Y.Doc }, what: string): void => text(one).insert(text(one).length, what)
const told = async (one: DocumentProvider): Promise<[string, boolean]> => {
  for (let turn = 0; turn < 4; turn++) await settle()
  return [one.status.current.state, one.unsaved.current]
}

/** Ada and bob have the plan open, which says `Plan`. */
async function both() {
  const server = new Server()
  server.edit(doc => doc.getText('text').insert(0, 'Plan'))
  const [a, b] = [await server.join('ada'), await server.join('bob')]
  const [ada, bob] = [open(a), open(b)]
  await told(ada)
  await told(bob)
  return { server, a, b, ada, bob }
}

test('ada and bob see the same, as they type', async () => {
  const { server, a, ada, bob } = await both()
  assert.deepEqual(await told(ada), ['synced', false])
  assert.equal(text(ada).toString(), 'Plan')
  assert.equal(a.line.of('merge').length, 0, 'what the server has is not sent to it')
  type(ada, ' A')
  assert.equal(ada.unsaved.current, true, 'at once')
  text(bob).delete(0, 1)
  assert.deepEqual([await told(ada), await told(bob)], [['synced', false], ['synced', false]])
  assert.deepEqual([text(ada).toString(), text(bob).toString(), server.text], ['lan A', 'lan A', 'lan A'])
  assert.deepEqual(ada.access.current, { write: true, awareness: true })
})

test('what is edited while an update is under way is the next, in one', async () => {
  const { server, a, ada } = await both()
  server.hold.add('merge')
  for (let i = 0; i < 250; i++) type(ada, 'x')
  await settle()
  assert.equal(a.line.of('merge').length, 1)
  assert.equal(ada.unsaved.current, true)
  server.go()
  assert.deepEqual(await told(ada), ['synced', false])
  assert.equal(a.line.of('merge').length, 2)
  assert.equal(server.text, 'Plan' + 'x'.repeat(250))
})

test('edits without a connection are kept and sent, those of others arrive', async () => {
  const { server, a, b, ada, bob } = await both()
  a.drop()
  assert.deepEqual(await told(ada), ['connecting', false])
  type(ada, ' offline')
  assert.deepEqual(await told(ada), ['connecting', true])
  type(bob, ' online')
  a.client.retryNow()
  const line = await a.up()
  assert.deepEqual(await told(ada), ['synced', false])
  assert.equal(line.last('subscribe').since, undefined, 'it knows by itself what it lacks')
  assert.equal(line.last('sync').epoch, 'd1')
  assert.equal(line.of('merge').length, 1)
  assert.equal(text(ada).toString(), server.text)
  await told(bob)
  assert.equal(text(bob).toString(), server.text)
  assert.equal(b.line.of('merge').length, 1)
})

test('a deletion alone is unsaved, too, until the server has it', async () => {
  const { server, a, ada } = await both()
  a.drop()
  text(ada).delete(0, 2)
  assert.deepEqual(await told(ada), ['connecting', true])
  a.client.retryNow()
  server.hold.add('merge')
  await a.up()
  assert.deepEqual(await told(ada), ['synced', true])
  server.go()
  assert.deepEqual(await told(ada), ['synced', false])
  assert.equal(server.text, 'an')
  const line = await a.again()
  assert.deepEqual(await told(ada), ['synced', false])
  assert.equal(line.of('merge').length, 0, 'nothing is missing there')
})

test('an update whose answer was lost is not sent again if it was stored, and is if it was not', async () => {
  const { server, a, ada } = await both()
  const before = server.log.length
  type(ada, '1')
  await settle()
  assert.equal(server.log.length, before + 1)
  a.drop() // perhaps before the answer
  server.hold.add('merge')
  type(ada, '2')
  a.client.retryNow()
  await a.up()
  assert.deepEqual(await told(ada), ['synced', true])
  type(ada, '3')
  server.hold.clear()
  a.drop()
  assert.deepEqual(await told(ada), ['connecting', true])
  a.client.retryNow()
  await a.up()
  assert.deepEqual(await told(ada), ['synced', false])
  assert.equal(server.text, 'Plan123')
  assert.equal(server.log.length, before + 2)
})

test('a long update goes up in parts that fit into frames, and a long document comes in parts', async () => {
  const { server, a, b, ada, bob } = await both()
  const long = Array.from({ length: 20_000 }, (_, i) => String.fromCharCode(0x4e00 + i)).join('')
  type(ada, long)
  assert.deepEqual(await told(ada), ['synced', false])
  const merges = a.line.of('merge')
  assert.ok(merges.length > 1)
  assert.ok(merges.every(frame => JSON.stringify(frame).length <= 65_536))
  assert.deepEqual(merges.map(({ more }) => !!more), merges.map((_, i) => i < merges.length - 1))
  assert.equal(server.text, `Plan${long}`)
  await told(bob)
  assert.equal(text(bob).toString(), server.text)
  server.pages = 3
  type(bob, '!')
  await told(bob)
  await b.again()
  const zoe = await server.join('zoe')
  const one = open(zoe)
  assert.deepEqual(await told(one), ['synced', false])
  assert.equal(text(one).toString(), server.text)
  assert.deepEqual(await told(bob), ['synced', false])
})

test('what is read from a disk is unsaved until it was compared with what the server has', async () => {
  const { server } = await both()
  const kept = new Y.Doc()
  Y.applyUpdate(kept, Y.encodeStateAsUpdate(server.doc))
  assert.equal(open(fake(), { doc: kept }).unsaved.current, true)

  const world = await server.join('ada')
  server.hold.add('sync')
  const one = open(world, { doc: new Y.Doc() })
  await settle()
  // As y-indexeddb does, while the question is on its way.
  Y.applyUpdate(one.doc, Y.encodeStateAsUpdate(kept), 'disk')
  assert.deepEqual(await told(one), ['syncing', true])
  server.go()
  assert.deepEqual(await told(one), ['synced', false])
  assert.equal(world.line.of('merge').length, 0)
})

test('what others store while the server is asked is not sent back to it', async () => {
  const { server, a, ada } = await both()
  a.drop()
  server.hold.add('sync')
  a.client.retryNow()
  const line = await a.up()
  type(ada, ' mine')
  await told(ada)
  // Told before the answer, which is of a moment before it.
  const asked = line.last('sync')
  server.go()
  server.edit(doc => doc.getText('text').delete(0, 1))
  assert.deepEqual(await told(ada), ['synced', false])
  assert.ok(asked)
  const sent = server.log.at(-1)!
  assert.equal(Y.decodeUpdate(sent).structs.length, 1, 'only what ada wrote')
  assert.equal(text(ada).toString(), server.text)
})

test('who may not write keeps what they write, and sends it when they may', async () => {
  const { server, a, ada, bob } = await both()
  server.allow({ write: false })
  await settle()
  assert.deepEqual(ada.access.current, { write: false, awareness: true })
  type(ada, ' mine')
  assert.deepEqual(await told(ada), ['synced', true])
  server.edit(doc => doc.getText('text').insert(0, '! '))
  await told(ada)
  assert.equal(text(ada).toString(), '! Plan mine')
  const line = await a.again()
  assert.deepEqual(await told(ada), ['synced', true])
  assert.equal(line.of('merge').length, 0)
  server.allow({ write: true })
  assert.deepEqual(await told(ada), ['synced', false])
  await told(bob)
  assert.equal(text(bob).toString(), '! Plan mine')
})

test('a right that is lost while an update is under way refuses it, and nothing is lost', async () => {
  const { server, ada } = await both()
  server.hold.add('merge')
  type(ada, ' mine')
  server.allow({ write: false })
  server.go()
  assert.deepEqual(await told(ada), ['synced', true])
  server.allow({ write: true })
  assert.deepEqual(await told(ada), ['synced', false])
  assert.equal(server.text, 'Plan mine')
})

test('a refusal that passes is tried again, ever later; one that does not waits for the next edit', async () => {
  const { server, a, ada } = await both()
  const refuse = (code: string, retryable: boolean, more = {}): void => {
    server.refusals.push({ type: 'merge', frame: { code, retryable, ...more } })
  }
  refuse('unavailable', true)
  refuse('unavailable', true)
  refuse('rate_limited', true, { retry_after: 10_000 })
  type(ada, '1')
  const state = async (): Promise<unknown> => {
    await told(ada)
    const status = ada.status.current as DocumentStatus & { refused?: { code: string } }
    return [status.state, status.refused?.code, ada.unsaved.current]
  }
  assert.deepEqual(await state(), ['synced', 'unavailable', true])
  type(ada, '2')
  await a.clock.pass(999)
  assert.equal(a.line.of('merge').length, 1)
  await a.clock.pass(1)
  assert.equal(a.line.of('merge').length, 2)
  await a.clock.pass(2000)
  assert.deepEqual(await state(), ['synced', 'rate_limited', true])
  await a.clock.pass(9999)
  assert.equal(a.line.of('merge').length, 3)
  await a.clock.pass(1)
  assert.deepEqual(await state(), ['synced', undefined, false])
  assert.equal(server.text, 'Plan12')

  refuse('too_large', false, { limit: 'document' })
  type(ada, 'too long')
  assert.deepEqual(await state(), ['synced', 'too_large', true])
  await a.clock.pass(20_000)
  assert.equal(a.line.of('merge').length, 5, 'it would be refused again')
  text(ada).delete(6, 8)
  assert.deepEqual(await state(), ['synced', 'too_large', true])
  await a.clock.pass(0)
  assert.deepEqual(await state(), ['synced', undefined, false])
  assert.equal(server.text, 'Plan12')
})

test('a question that is refused is asked again, or the document has failed until the next connection', async () => {
  const { server, a, ada } = await both()
  server.refusals.push({ type: 'sync', frame: { code: 'unavailable', retryable: true } })
  await a.again()
  assert.equal((await told(ada))[0], 'syncing')
  await a.clock.pass(1000)
  assert.equal((await told(ada))[0], 'synced')
  server.refusals.push({ type: 'subscribe', frame: { code: 'forbidden' } })
  await a.again()
  assert.equal((await told(ada))[0], 'failed')
  open(a)
  assert.equal((await told(ada))[0], 'synced', 'opened again, it is tried again')
})

test('a document that was begun anew says so, and is not sent any more', async () => {
  const { server, a, b, ada, bob } = await both()
  let resets = 0
  ada.on('reset', () => resets++)
  bob.on('reset', () => resets++)
  b.drop()
  type(bob, ' zombie')
  server.reset()
  assert.equal((await told(ada))[0], 'reset')
  type(ada, ' more')
  b.client.retryNow()
  const line = await b.up()
  assert.deepEqual(await told(bob), ['reset', true])
  assert.equal(resets, 2)
  assert.equal(line.of('merge').length + a.line.of('merge').length, 0)
  assert.equal(server.text, '')
  const next = open(a)
  assert.notEqual(next.doc, ada.doc)
  assert.deepEqual(await told(next), ['synced', false])
  type(next, 'new')
  await told(next)
  ada.destroy()
  assert.equal(server.text, 'new')
  assert.deepEqual(await told(next), ['synced', false])
})

test('two components share one document; each destroys its own, and what was typed last is still stored', async () => {
  const { server, a, ada } = await both()
  const second = open(a)
  assert.equal(second.doc, ada.doc)
  assert.equal(second.awareness, ada.awareness)
  assert.throws(() => open(a, { doc: new Y.Doc() }), { code: 'bad_request' })
  ada.destroy()
  ada.destroy()
  type(second, ' 1')
  assert.deepEqual(await told(second), ['synced', false])
  server.hold.add('merge')
  type(second, ' 2')
  await settle()
  type(second, ' 3')
  second.destroy()
  await a.clock.pass(5000)
  assert.equal(a.line.of('unsubscribe').length, 0)
  server.go()
  await a.clock.pass(5000)
  assert.equal(server.text, 'Plan 1 2 3')
  assert.equal(a.line.of('unsubscribe').length, 1)
  assert.equal(second.doc.isDestroyed, true, 'nobody else has it')
  assert.equal(a.clock.pending, 1, 'nothing but the heartbeat')
})

test('edits made without a connection outlive the component, and the page that comes back finds them', async () => {
  const { server, a, ada } = await both()
  a.drop()
  type(ada, ' offline')
  ada.destroy()
  const back = open(a)
  assert.equal(text(back).toString(), 'Plan offline')
  back.destroy()
  const kept = new Y.Doc()
  const mine = open(a, { doc: kept })
  assert.equal(text(mine).toString(), 'Plan offline', 'also in a doc of its own')
  assert.equal(mine.unsaved.current, true)
  mine.destroy()
  a.client.retryNow()
  await a.up()
  await told(mine)
  assert.equal(server.text, 'Plan offline')
  await a.clock.pass(5000)
  assert.equal(a.line.of('unsubscribe').length, 1)
  assert.equal(kept.isDestroyed, false, 'it is not ours')
})

test('who opens a channel that is joined already learns rights and whereabouts as well', async () => {
  const world = await new Server().join('eve')
  const leave = world.client.channel(PLAN).subscribe()
  await settle()
  const one = open(world)
  assert.deepEqual(await told(one), ['synced', false])
  assert.deepEqual(one.access.current, { write: true, awareness: true })
  leave()
})

test('after logout the document goes on with whoever signs in next', async () => {
  const { server, a, b, ada, bob } = await both()
  ada.awareness!.setLocalStateField('name', 'ada')
  await told(bob)
  await a.client.logout()
  assert.equal((await told(ada))[0], 'connecting')
  assert.equal(ada.access.current, null)
  assert.equal(ada.awareness!.getLocalState(), null, 'nobody is there')
  a.client.connect()
  await a.up({ user: 'eve' })
  assert.deepEqual(await told(ada), ['synced', false])
  type(ada, ' again')
  assert.deepEqual(await told(ada), ['synced', false])
  assert.equal(server.text, 'Plan again')

  type(bob, ' unsaved')
  bob.destroy()
  await b.client.logout()
  assert.equal(bob.doc.isDestroyed, true, 'what nobody uses ends with the user')
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
