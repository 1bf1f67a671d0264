// Versions of documents in virtual time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TidingsError } from '../src/index.js'
import { PLAN } from './support/documents.js'
import { both, open, text, told, type } from './support/plan.js'

const code = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'resolved', ({ code }: TidingsError) => code)
/** What a promise has come to by now. */
const sofar = (promise: Promise<unknown>): Promise<unknown> => Promise.race([promise, Promise.resolve('waiting')])

test('ada saves a version, bob reads and lists it, and it is another document', async () => {
  const { ada, bob, server } = await both()
  const saved = await ada.versions.save('Draft')
  assert.deepEqual(saved, {
    version: 1, at: Date.parse('2026-05-01T12:00:00.000Z'), name: 'Draft', user: 'ada', authors: ['zoe'], bytes: saved.bytes,
    position: { epoch: 'd1', offset: 1 },
  })
  type(bob, ' B')
  assert.deepEqual(await told(bob), ['synced', false])
  server.versions.take()
  assert.deepEqual((await bob.versions.list()).versions.map(({ version, name, user }) => [version, name, user]), [
    [2, undefined, undefined], [1, 'Draft', 'ada'],
  ])
  assert.deepEqual(await bob.versions.list({ before: 2, limit: 1 }), { versions: [saved], more: false, changed: false, authors: [] })
  type(ada, ' A')
  await told(ada)
  const { more, changed, authors } = await bob.versions.list({ limit: 1 })
  assert.deepEqual([more, changed, authors], [true, true, ['zoe']])
  const old = await bob.versions.read(1)
  assert.equal(text({ doc: old }).toString(), 'Plan')
  text({ doc: old }).insert(0, 'Old ')
  old.destroy()
  assert.deepEqual(await told(bob), ['synced', false])
  assert.equal(text(bob).toString(), 'Plan B A', 'what is done to it is done to nothing else')
})

test('a version that comes in parts is one, and edits go on meanwhile', async () => {
  const { ada, bob, server } = await both()
  type(ada, 'x'.repeat(1000))
  await told(ada)
  await ada.versions.save()
  server.pages = 7
  server.hold.add('sync')
  const reading = bob.versions.read(1)
  type(ada, 'y')
  await told(ada)
  server.go()
  const old = await reading
  assert.equal(text({ doc: old }).length, 1004)
  assert.deepEqual([await told(bob), text(bob).length], [['synced', false], 1005])
})

test('what is saved has in it what ada typed before, also without a connection', async () => {
  const { a, ada, server } = await both()
  server.hold.add('merge')
  type(ada, ' one')
  const saving = ada.versions.save('One')
  await told(ada)
  assert.equal(a.line.of('save_version').length, 0, 'not before it is stored')
  server.go()
  assert.equal((await saving).version, 1)
  assert.equal(text({ doc: await ada.versions.read(1) }).toString(), 'Plan one')

  a.drop()
  type(ada, ' two')
  const later = ada.versions.save('Two')
  const listing = ada.versions.list()
  await told(ada)
  assert.equal(await sofar(later), 'waiting')
  a.client.retryNow()
  await a.up()
  assert.equal((await later).name, 'Two')
  assert.equal((await listing).versions.length > 0, true)
  assert.equal(text({ doc: await ada.versions.read(2) }).toString(), 'Plan one two')
})

test('ada restores a version: bob and she have it, and it can be undone', async () => {
  const { ada, bob, server } = await both()
  await ada.versions.save('Draft')
  text(bob).delete(0, 4)
  type(bob, 'ruined')
  await told(bob)
  await ada.versions.restore(1)
  await told(bob)
  for (const one of [ada, bob]) {
    assert.deepEqual(await told(one), ['synced', false])
    assert.equal(text(one).toString(), 'Plan')
  }
  assert.equal(text({ doc: await bob.versions.read(2) }).toString(), 'ruined')
  assert.equal(server.text, 'Plan')
})

test('a version is called something else, or nothing', async () => {
  const { a, ada } = await both()
  await ada.versions.save()
  assert.equal((await ada.versions.rename(1, 'Final')).name, 'Final')
  assert.equal((await ada.versions.rename(1, null)).name, undefined)
  assert.equal(a.line.last('name_version').name, null)
})

test('what is refused says why', async () => {
  const { ada, bob, server } = await both()
  for (const call of [() => ada.versions.read(9), () => ada.versions.restore(9), () => ada.versions.rename(9, 'x')]) {
    assert.equal(await code(call()), 'not_found')
  }
  for (const name of ['1', '2', '3']) await ada.versions.save(name)
  const error = await ada.versions.save('4').catch(error => error)
  assert.deepEqual([error.code, error.limit], ['limit_exceeded', 'versions'])
  server.allow({ write: false })
  await told(bob)
  type(bob, ' mine alone')
  await told(bob)
  assert.equal(bob.unsaved.current, true)
  assert.equal(await code(bob.versions.save('x')), 'forbidden', 'and it does not wait for what will not be stored')
  assert.equal((await bob.versions.list()).versions.length, 3)
})

test('what the server does not store is in no version, and ada is told', async () => {
  const { ada, server } = await both()
  server.refusals.push({ type: 'merge', frame: { code: 'too_large', limit: 'document.size' } })
  server.hold.add('merge')
  type(ada, ' too much')
  const saving = code(ada.versions.save('Draft'))
  server.go()
  assert.equal(await saving, 'too_large')
  assert.equal(await code(ada.versions.restore(1)), 'too_large')
  assert.deepEqual(server.versions.all, [])
})

test('the connection is lost under way: reading goes on, a change may have been made', async () => {
  const { a, ada, server } = await both()
  await ada.versions.save('Draft')
  for (const one of ['versions', 'sync', 'save_version', 'restore_version', 'name_version']) server.hold.add(one)
  const reading = [ada.versions.list(), ada.versions.read(1)]
  const changes = [ada.versions.save('x'), ada.versions.restore(1), ada.versions.rename(1, 'x')].map(code)
  await told(ada)
  await a.again()
  assert.deepEqual(await Promise.all(changes), ['network', 'network', 'network'])
  await told(ada)
  server.go()
  await told(ada)
  const [list, old] = await Promise.all(reading)
  assert.equal((list as any).versions.length, 1)
  assert.equal(text({ doc: old as any }).toString(), 'Plan')
})

test('half of a version before the connection was lost is not half of the next', async () => {
  const { a, ada, server } = await both()
  await ada.versions.save()
  server.hold.add('sync')
  const reading = ada.versions.read(1)
  await told(ada)
  const { id } = a.line.last('sync')
  a.line.tell({ type: 'synced', id, channel: PLAN, epoch: 'd1', vector: 'AA==', update: 'AQEB', more: true })
  server.hold.clear()
  await a.again()
  assert.equal(text({ doc: await reading }).toString(), 'Plan')
})

test('nobody waits for a document that is closed, reset, or of a client that is', async () => {
  const { a, b, ada, bob, server } = await both()
  a.drop()
  const waiting = code(ada.versions.list())
  const again = open(a)
  const other = code(again.versions.list())
  ada.destroy()
  assert.equal(await waiting, 'closed')
  assert.equal(await code(ada.versions.list()), 'closed')
  assert.equal(await sofar(other), 'waiting', 'somebody else has it open')
  a.client.disconnect()
  assert.equal(await other, 'closed')
  assert.equal(await code(again.versions.read(1)), 'closed')

  server.hold.add('merge')
  type(bob, ' x')
  const saving = code(bob.versions.save())
  server.reset()
  assert.equal(await saving, 'document_reset')
  assert.equal(await code(bob.versions.list()), 'document_reset')
  b.client.disconnect()
})

test('a document that cannot be joined has no versions to tell of', async () => {
  const { a, ada } = await both()
  a.line.tell({ type: 'error', channel: PLAN, code: 'forbidden', message: 'no longer', retryable: false })
  await told(ada)
  assert.equal(await code(ada.versions.list()), 'forbidden')
})
