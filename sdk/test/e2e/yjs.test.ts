// Documents against the real server: what all see in the end is the same, whatever the network does.
import assert from 'node:assert/strict'
import * as Y from 'yjs'
import { openDocument, type DocumentProvider } from '../../src/yjs/index.js'
import { seeded } from '../support/random.js'
import { connected, story, until } from '../support/story.js'

const CONFIG = `
[auth]
anonymous = true
[namespace.doc]
kind = "document"
subscribe = "anyone"
publish = "anyone"
history = { durable = true }
presence = { access = "anyone" }
`
const text = ({ doc }: DocumentProvider): Y.Text => doc.getText('text')
const stored = (...all: DocumentProvider[]): Promise<unknown> => until(
  () => all.every(one => one.synced.current && !one.unsaved.current),
  () => JSON.stringify(all.map(({ status, unsaved, access }) => [status.current, unsaved.current, access.current])))
const same = (...all: DocumentProvider[]): Promise<unknown> => until(
  () => new Set(all.map(one => text(one).toString())).size === 1, () => all.map(one => text(one).toString()).join('\n'))

story('two write one document, and see where the other is', async ({ client }) => {
  const [a, b] = [client(), client()]
  const [ada, bob] = [openDocument(a, 'doc:plan'), openDocument(b, 'doc:plan')]
  a.connect()
  text(ada).insert(0, 'Plan')
  await stored(ada)
  b.connect()
  await stored(bob)
  assert.equal(text(bob).toString(), 'Plan')
  ada.awareness!.setLocalStateField('name', 'Ada')
  await connected(a)
  const status = a.status.current
  await until(() => bob.awareness!.getStates().get(ada.doc.clientID)?.name === 'Ada', 'ada is seen')
  assert.equal(bob.userOf(ada.doc.clientID), status.state === 'connected' && status.user)
  for (let i = 0; i < 20; i++) {
    text(ada).insert(0, 'a')
    text(bob).insert(text(bob).length, 'b')
  }
  await stored(ada, bob)
  await same(ada, bob)
  assert.equal(text(ada).toString(), `${'a'.repeat(20)}Plan${'b'.repeat(20)}`)
  // 600 KB: up in parts, down in parts.
  const long = 'tidings '.repeat(75_000)
  text(ada).insert(0, long)
  await stored(ada)
  await same(ada, bob)
  // Formats stay as they are, however it is cut.
  text(ada).format(0, 7, { bold: true })
  ada.destroy()
  await until(() => !bob.awareness!.getStates().has(ada.doc.clientID), 'ada has gone')
  const c = client()
  c.connect()
  const cid = openDocument(c, 'doc:plan')
  await stored(cid)
  assert.deepEqual(text(cid).toDelta()[0], { insert: 'tidings', attributes: { bold: true } })
  assert.equal(text(cid).length, long.length + 44)
  for (const one of [bob, cid]) one.destroy()
}, CONFIG)

story('without a connection, with deletions, and through ends of the server: nothing is lost', async ({ client, server, line }) => {
  const proxies = [await line(), await line()]
  const writers = proxies.map(proxy => client({ url: proxy.url }))
  const all = writers.map(writer => openDocument(writer, 'doc:plan'))
  writers.forEach(writer => writer.connect())
  await stored(...all)
  const next = seeded(7)
  for (let i = 0; i < 400; i++) {
    const one = all[i % 2]!
    const { length } = text(one)
    if (next() < 0.3 && length > 5) text(one).delete(Math.floor(next() * (length - 3)), 3)
    else text(one).insert(Math.floor(next() * (length + 1)), `${i} `)
    if (i % 40 === 20) proxies[i % 80 === 20 ? 0 : 1]!.cut()
    if (i === 200) {
      await server.stop()
      await server.start()
    }
    if (i % 10 === 0) await new Promise(done => setTimeout(done, 5))
  }
  await stored(...all)
  await same(...all)
  const third = client()
  third.connect()
  const late = openDocument(third, 'doc:plan')
  await stored(late)
  await same(late, ...all)
  for (const one of [late, ...all]) one.destroy()
}, CONFIG)

story('ada saves a version, bob ruins the text, ada restores it: both have it, and what bob wrote is a version', async ({ client, server }) => {
  const [a, b] = [client(), client()]
  const [ada, bob] = [openDocument(a, 'doc:plan'), openDocument(b, 'doc:plan')]
  for (const one of [a, b]) one.connect()
  // Long enough for several frames, up and down.
  const plan = `Plan ${'tidings '.repeat(40_000)}`
  text(ada).insert(0, plan)
  text(ada).format(0, 4, { bold: true })
  const draft = await ada.versions.save('Draft')
  const users = [a, b].map(({ status: { current } }) => current.state === 'connected' ? current.user : '')
  assert.deepEqual([draft.version, draft.name, draft.user, draft.authors], [1, 'Draft', users[0], [users[0]]])
  assert.ok(draft.bytes > plan.length && Math.abs(draft.at - Date.now()) < 60_000)
  await until(() => text(bob).length === plan.length, 'bob has it')
  text(bob).delete(0, plan.length)
  text(bob).insert(0, 'ruined')
  await stored(bob)
  await until(() => text(ada).toString() === 'ruined', 'ada sees it')
  assert.deepEqual(await ada.versions.list(), { versions: [draft], more: false, changed: true, authors: [users[1]] })

  const old = await ada.versions.read(1)
  assert.deepEqual(text({ doc: old } as DocumentProvider).toDelta()[0], { insert: 'Plan', attributes: { bold: true } })
  assert.equal(text({ doc: old } as DocumentProvider).length, plan.length)
  old.destroy()
  await ada.versions.restore(1)
  for (const one of [ada, bob]) await until(() => text(one).toString() === plan, 'it is back')
  const { versions } = await bob.versions.list()
  assert.equal(versions.at(-1)!.version, 1)
  const kept = versions.find(({ authors }) => authors.includes(users[1]!))!
  assert.equal(text({ doc: await bob.versions.read(kept.version) } as DocumentProvider).toString(), 'ruined')
  assert.equal((await bob.versions.rename(kept.version, 'What Bob did')).name, 'What Bob did')

  await server.stop()
  await server.start()
  await stored(ada, bob)
  assert.deepEqual((await ada.versions.list()).versions.map(({ version, name }) => [version, name]).slice(-2), [[kept.version, 'What Bob did'], [1, 'Draft']])
  const error = await ada.versions.read(99).catch(error => error)
  assert.equal(error.code, 'not_found')
  for (const one of [ada, bob]) one.destroy()
}, CONFIG)
