// What the server of one document keeps of its versions, and what it answers.
import * as Y from 'yjs'
import { toBase64 } from '../../src/yjs/bytes.js'
import type { Sent } from './fake.js'

/** The document of now, and how it is changed. */
interface Now {
  readonly doc: Y.Doc
  readonly epoch: string
  readonly offset: number
  edit(change: (doc: Y.Doc) => void, user: string): void
}

export class Versions {
  readonly all: Sent[] = []
  /** How many with a name are kept. */
  named = 3
  readonly #now: Now

  constructor(now: Now) {
    this.#now = now
  }

  find(version: number): Sent | undefined { return this.all.find(one => one.version === version) }

  /** As the server by itself does, without a name and a user. */
  take(more: Sent = {}): Sent {
    const { doc, epoch, offset } = this.#now
    const update = Y.encodeStateAsUpdate(doc)
    const version = {
      version: this.all.length + 1, timestamp: `2026-05-01T12:00:0${this.all.length}.000Z`, authors: ['zoe'], bytes: update.length,
      offset, epoch, update, vector: toBase64(Y.encodeStateVector(doc)), ...more,
    }
    this.all.push(version)
    return version
  }

  answer({ id, type, channel, version, name, before = Infinity, limit = 50 }: Sent, user: string): Sent {
    const refuse = (code: string, more: Sent = {}): Sent => ({ type: 'error', id, code, message: code, retryable: false, ...more })
    const plain = ({ update: _, vector: __, ...told }: Sent): Sent => told
    const full = this.all.filter(one => one.name).length >= this.named
    if (type === 'versions') {
      const found = this.all.filter(one => one.version < before).reverse()
      const changed = (this.all.at(-1)?.offset ?? 0) < this.#now.offset
      return {
        type, id, channel, versions: found.slice(0, limit).map(plain), more: found.length > limit, changed, authors: changed ? ['zoe'] : [],
      }
    }
    if (type === 'save_version') {
      return name && full ? refuse('limit_exceeded', { limit: 'versions' }) : { type: 'version', id, channel, ...plain(this.take({ name, user })) }
    }
    const found = this.find(version)
    if (!found) return refuse('not_found')
    if (type === 'name_version') {
      found.name = name ?? undefined
      return { type: 'version', id, channel, ...plain(found) }
    }
    const old = new Y.Doc()
    Y.applyUpdate(old, found.update)
    this.take()
    this.#now.edit(doc => {
      doc.getText('text').delete(0, doc.getText('text').length)
      doc.getText('text').insert(0, old.getText('text').toString())
    }, user)
    return { type: 'merged', id, channel, offset: this.#now.offset }
  }
}
