// A server of one document, which is a real Y.Doc, for clients in virtual time.
import * as Y from 'yjs'
import type { ClientOptions } from '../../src/index.js'
import { fromBase64, joined as join, toBase64 } from '../../src/yjs/bytes.js'
import { fake, settle, type Clock, type Line, type Sent } from './fake.js'
import { Versions } from './versions.js'

export const PLAN = 'doc:plan'

interface Session { user: string; joined: boolean; hears: boolean; parts: Uint8Array[]; write: boolean; awareness: boolean }

export class Server {
  doc = new Y.Doc()
  epoch = 'd1'
  offset = 0
  /** What was stored, as it came. */
  readonly log: Uint8Array[] = []
  /** Answers to these commands wait until `go()`. */
  readonly hold = new Set<string>()
  /** A `sync` that waits is answered with what there was when it was asked. */
  early = false
  /** The next of this command are refused with these. */
  readonly refusals: { type: string; frame: Sent }[] = []
  /** `synced` and `document` come in so many parts. */
  pages = 1
  rights = { write: true, awareness: true }
  readonly versions = new Versions(this)
  readonly #sessions = new Map<Line, Session>()
  /** With those who are gone, for good: the server forgets them 30 s later, but here are several clocks. */
  readonly #where = new Map<number, Sent & { line: Line }>()
  #held: (() => void)[] = []

  get text(): string { return this.doc.getText('text').toString() }

  /** A client of this server, connected. */
  async join(user: string, options: Partial<ClientOptions> = {}, clock?: Clock) {
    let who = user
    const world = fake(options, (line, frame) => this.#hear(line, who, frame), clock)
    const up = async (more: Sent = {}): Promise<Line> => {
      who = more.user ?? user
      const line = await world.up({ user, ...more })
      await settle()
      return line
    }
    const drop = (): void => {
      this.#sessions.delete(world.line)
      this.#quit(world.line)
      world.line.drop()
    }
    /** The connection is lost, and another made. */
    const again = async (): Promise<Line> => {
      drop()
      world.client.retryNow()
      return up()
    }
    world.client.connect()
    await up()
    return { ...world, get line() { return world.line }, up, drop, again }
  }

  go(): void {
    this.hold.clear()
    this.#held.splice(0).forEach(answer => answer())
  }

  /** Changes rights while documents are open. */
  allow(rights: Partial<Server['rights']>): void {
    Object.assign(this.rights, rights)
    for (const [line, session] of this.#sessions) {
      Object.assign(session, rights)
      if (session.joined) this.#access(line, session)
    }
  }

  /** Another one of the same name, from now on. */
  reset(): void {
    this.doc = new Y.Doc()
    this.epoch = `${this.epoch}'`
    for (const [line, { joined }] of this.#sessions) if (joined) line.tell({ type: 'reset', channel: PLAN, epoch: this.epoch })
  }

  /** Somebody who is not a client of ours edits. */
  edit(change: (doc: Y.Doc) => void, user = 'zoe'): void {
    const before = Y.encodeStateVector(this.doc)
    const copy = new Y.Doc()
    Y.applyUpdate(copy, Y.encodeStateAsUpdate(this.doc))
    change(copy)
    this.#store(Y.encodeStateAsUpdate(copy, before), user)
  }

  #hear(line: Line, user: string, frame: Sent): void {
    const session = this.#sessions.get(line) ?? { user, joined: false, hears: false, parts: [], ...this.rights }
    if (frame.type === 'hello') this.#sessions.set(line, session)
    const answer = (): void => {
      if (this.#sessions.get(line) !== session) return
      const at = this.refusals.findIndex(({ type }) => type === frame.type)
      if (at < 0) return this.#answer(line, session, frame)
      const [refusal] = this.refusals.splice(at, 1)
      session.parts = []
      line.tell({ type: 'error', id: frame.id, message: 'no', retryable: false, ...refusal!.frame })
    }
    if (this.hold.has(frame.type) && this.early && frame.type === 'sync') {
      // What it answers is of now; others tell of theirs before it is there.
      const parts = this.#synced(frame)
      this.#held.push(() => parts.forEach(part => line.tell(part)))
    } else if (this.hold.has(frame.type)) this.#held.push(answer)
    else queueMicrotask(answer)
  }

  #answer(line: Line, session: Session, frame: Sent): void {
    const { id, type, channel } = frame
    const refuse = (code: string): void => line.tell({ type: 'error', id, code, message: code, retryable: false })
    if (type === 'hello') return
    if (frame.since) return refuse('bad_request')
    if (type === 'subscribe') {
      session.joined = true
      session.hears = !!frame.presence
      line.tell({ type: 'subscribed', id, channel, epoch: 'e', offset: this.offset, recovered: false })
      this.#access(line, session)
    } else if (type === 'unsubscribe') {
      session.joined = false
      line.tell({ type: 'unsubscribed', id, channel })
    } else if (!session.joined) refuse('not_subscribed')
    else if (frame.epoch && frame.epoch !== this.epoch) refuse('document_reset')
    else if (type === 'sync' && frame.version) {
      const found = this.versions.find(frame.version)
      if (!found) return refuse('not_found')
      const { update, vector, epoch } = found
      for (const part of this.#parts(update)) line.tell({ type: 'synced', id, channel, epoch, vector, ...part })
    } else if (type === 'sync') this.#synced(frame).forEach(part => line.tell(part))
    else if (/version/.test(type)) {
      // Restoring is a change of somebody, and told before it is answered.
      if (type !== 'versions' && !session.write) return refuse('forbidden')
      line.tell(this.versions.answer(frame, session.user))
    } else if (type === 'merge') this.#merge(line, session, frame, refuse)
    else if (type === 'awareness') this.#aware(line, session, frame, refuse)
  }

  #synced({ id, channel, vector }: Sent): Sent[] {
    const parts = this.#parts(Y.encodeStateAsUpdate(this.doc, fromBase64(vector)))
    const stored = toBase64(Y.encodeStateVector(this.doc))
    return parts.map(part => ({ type: 'synced', id, channel, epoch: this.epoch, vector: stored, ...part }))
  }

  #parts(update: Uint8Array): Sent[] {
    const size = Math.ceil(update.length / this.pages)
    return Array.from({ length: this.pages }, (_, at) => ({
      update: toBase64(update.subarray(at * size, (at + 1) * size)), more: at < this.pages - 1 || undefined,
    }))
  }

  #merge(line: Line, session: Session, { id, channel, update, more }: Sent, refuse: (code: string) => void): void {
    if (!session.write) return refuse('forbidden')
    session.parts.push(fromBase64(update))
    if (more) return line.tell({ type: 'merged', id, channel, more: true })
    const whole = join(session.parts.splice(0))
    this.#store(whole, session.user, line)
    line.tell({ type: 'merged', id, channel, offset: this.offset })
  }

  #store(update: Uint8Array, user: string, from?: Line): void {
    this.log.push(update)
    this.offset++
    Y.applyUpdate(this.doc, update)
    for (const [line, { joined }] of this.#sessions) {
      if (!joined || line === from) continue
      for (const part of this.#parts(update)) line.tell({ type: 'document', channel: PLAN, offset: this.offset, user, ...part })
    }
  }

  #aware(line: Line, session: Session, { id, client, clock, state }: Sent, refuse: (code: string) => void): void {
    if (!session.awareness) return refuse('forbidden')
    line.tell({ type: 'noted', id })
    // No news, as for the real one: it tells nobody.
    if (clock <= (this.#where.get(client)?.clock ?? (state ? -1 : Infinity))) return
    this.#place({ client, clock, user: session.user, state, line })
  }

  /** Whoever was on this connection is gone. */
  #quit(line: Line): void {
    for (const one of this.#where.values()) if (one.line === line && one.state) this.#place({ ...one, state: null })
  }

  #place(one: Sent & { line: Line }): void {
    const { line, ...told } = one
    this.#where.set(told.client, one)
    for (const [other, { joined, hears, awareness }] of this.#sessions) {
      if (joined && hears && awareness && other !== line) other.tell({ type: 'awareness', channel: PLAN, states: [told] })
    }
  }

  #access(line: Line, { write, awareness, hears }: Session): void {
    line.tell({ type: 'access', channel: PLAN, write, awareness })
    const states = [...this.#where.values()].filter(({ state }) => state).map(({ line: _, ...told }) => told)
    if (awareness && hears && states.length) line.tell({ type: 'awareness', channel: PLAN, states })
  }
}
