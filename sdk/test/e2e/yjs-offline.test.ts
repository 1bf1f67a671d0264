// An hour in a tunnel: three who write one document without a connection, on pages that are loaded again meanwhile.
import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { IndexeddbPersistence } from 'y-indexeddb'
import * as Y from 'yjs'
import type { Client } from '../../src/index.js'
import { openDocument, type DocumentProvider } from '../../src/yjs/index.js'
import type { Proxy } from '../support/proxy.js'
import { seeded, type Random } from '../support/random.js'
import { leave, comeBack, connected, story, TRANSPORTS, until, type Story } from '../support/story.js'

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
const SEED = 2026
/** Who types without pause makes 40 words of five letters a minute. */
const KEYS_PER_MINUTE = 200
/** The pages are loaded again six times in the hour, the last time right before its end. */
const [MINUTES, RELOAD_MINUTES] = [60, 10]

/** Somebody at a page, whose document y-indexeddb keeps. */
class Writer {
  client!: Client<any>
  doc!: Y.Doc
  open!: DocumentProvider
  /** Of the entries that only they write: what they should be. */
  readonly own = new Map<string, boolean>()
  #kept!: IndexeddbPersistence
  /** Where they type. */
  #cursor = 0
  #made = 0

  constructor(readonly name: string, readonly proxy: Proxy, readonly next: Random, readonly story: Story) {}

  get text(): Y.Text { return this.doc.getText('text') }
  get todos(): Y.Map<unknown> { return this.doc.getMap('todos') }
  get content(): { text: string; todos: unknown } { return { text: this.text.toString(), todos: this.todos.toJSON() } }

  /** Loads the page. */
  async load(): Promise<void> {
    this.doc = new Y.Doc()
    this.#kept = new IndexeddbPersistence(`${this.story.transport} ${this.name}`, this.doc)
    await this.#kept.whenSynced
    this.client = this.story.client({ url: this.proxy.url })
    this.open = openDocument(this.client, 'doc:plan', { doc: this.doc })
    this.client.connect()
  }

  async reload(): Promise<void> {
    const before = this.content
    this.client.disconnect()
    await this.#kept.destroy()
    this.doc.destroy()
    await this.load()
    assert.deepEqual(this.content, before, `${this.name}'s page has what it had`)
    assert.equal(this.open.unsaved.current, true, 'and knows that the server may not')
  }

  /** One key, or now and then a word that goes, or something about the list. */
  type(): void {
    const { text, next } = this
    const chance = next()
    if (chance < 0.01) this.#cursor = Math.floor(next() * (text.length + 1))
    this.#cursor = Math.min(this.#cursor, text.length)
    if (chance > 0.995) this.#list()
    else if (chance > 0.94 && this.#cursor > 0) text.delete(--this.#cursor, 1)
    else if (chance > 0.938) text.delete(this.#cursor, Math.min(5, text.length - this.#cursor))
    else text.insert(this.#cursor++, chance < 0.17 ? ' ' : String.fromCharCode(97 + Math.floor(next() * 26)))
  }

  #list(): void {
    const chance = this.next()
    const mine = [...this.own.keys()]
    const one = mine[Math.floor(this.next() * mine.length)]
    // What all of them write: one of them wins, the same everywhere.
    if (chance < 0.2) this.todos.set('next', `${this.name} ${this.#made++}`)
    else if (chance < 0.6 || one === undefined) {
      const id = `${this.name} ${this.#made++}`
      this.todos.set(id, new Y.Map<unknown>([['text', `what ${id} is about`], ['done', false]]))
      this.own.set(id, false)
    } else if (chance < 0.9) {
      (this.todos.get(one) as Y.Map<unknown>).set('done', true)
      this.own.set(one, true)
    } else {
      this.todos.delete(one)
      this.own.delete(one)
    }
  }

  /** So many minutes of it. The page gets its breath now and then, so that its database does, too. */
  async writes(minutes: number): Promise<void> {
    for (let key = 0; key < minutes * KEYS_PER_MINUTE; key++) {
      this.type()
      if (key % 100 === 99) await new Promise(done => setImmediate(done))
    }
  }

  saved(): Promise<void> {
    return until(() => this.open.synced.current && !this.open.unsaved.current,
      () => `${this.name}: ${JSON.stringify([this.open.status.current, this.open.unsaved.current])}`, 30_000)
  }
}

/** What Yjs by itself makes of all that they have. */
function merged(writers: readonly Writer[]): Writer['content'] {
  const doc = new Y.Doc()
  for (const one of writers) Y.applyUpdate(doc, Y.encodeStateAsUpdate(one.doc))
  return { text: doc.getText('text').toString(), todos: doc.getMap('todos').toJSON() }
}

story('an hour without a connection of each of three, on pages that are loaded again: all of it is everywhere', async told => {
  const { server, t, line, transport } = told
  const next = seeded(SEED + TRANSPORTS.indexOf(transport))
  t.diagnostic(`seed ${SEED}`)
  const writers: Writer[] = []
  for (const name of ['ada', 'bob', 'cid']) writers.push(new Writer(name, await line(), next, told))
  const [ada] = writers as [Writer]
  for (const one of writers) {
    await one.load()
    await connected(one.client)
  }
  ada.text.insert(0, 'What we plan for the summer: ')
  await ada.saved()
  await until(() => writers.every(one => one.text.length === ada.text.length), 'all have read it')
  for (const one of writers) {
    await one.saved()
    await leave(one)
  }

  for (let minute = 0; minute < MINUTES; minute += RELOAD_MINUTES) {
    for (const one of writers) {
      await one.writes(RELOAD_MINUTES)
      await one.reload()
    }
  }
  const wanted = merged(writers)
  t.diagnostic(`${wanted.text.length} letters, ${Object.keys(wanted.todos as object).length} entries`)

  await Promise.all(writers.map(one => comeBack(one)))
  for (const one of writers) await one.saved()
  await until(() => writers.every(one => one.text.length === wanted.text.length), 'all have read all', 30_000)
  for (const one of writers) {
    assert.deepEqual(one.content, wanted, one.name)
    assert.equal(one.open.unsaved.current, false)
    for (const [id, done] of one.own) assert.deepEqual((wanted.todos as any)[id], { text: `what ${id} is about`, done })
  }
  const all = writers.flatMap(one => [...one.own.keys()])
  assert.deepEqual(Object.keys(wanted.todos as object).filter(id => id !== 'next').sort(), all.sort(), 'what was removed is gone')
  const { data } = await server.api('/documents/doc:plan?as=json')
  assert.deepEqual(data, wanted, 'at the server')

  // The server itself, not only its memory; and the pages as they are loaded next.
  await server.stop()
  await server.start()
  assert.deepEqual((await server.api('/documents/doc:plan?as=json')).data, wanted, 'on its disk')
  for (const one of writers) {
    await one.reload()
    await one.saved()
    assert.deepEqual(one.content, wanted)
  }
  for (const one of writers) one.open.destroy()
}, CONFIG)
