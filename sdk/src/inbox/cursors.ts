import type { Host } from '../host.js'
import type { Client, Observable } from '../types.js'
import { json } from '../wire/frames.js'
import type { Inbox, Unread } from './types.js'
import { UnreadCount } from './unread.js'

/** The lane of the outbox for all that is said to one's own inbox. */
export const LANE = 'inbox:'

/** A cursor that waits in the outbox, or is on its way. */
interface Moving {
  readonly offset: number
  readonly waiting: readonly { done(): void; failed(error: unknown): void }[]
  withdraw(): boolean
}

/** How far the user has read, channel by channel. */
export class Cursors {
  readonly #client: Client<any>
  readonly #host: Host
  readonly #own: Inbox
  readonly #counts = new Map<string, UnreadCount>()
  readonly #moving = new Map<string, Moving>()

  constructor(client: Client<any>, host: Host, own: Inbox) {
    this.#client = client
    this.#host = host
    this.#own = own
  }

  unread(name: string): Observable<Unread> {
    const found = this.#counts.get(name) ?? new UnreadCount(this.#client, name, this.#host, this.#own)
    this.#counts.set(name, found)
    return found
  }

  readUpto(channel: string, offset: number): Promise<void> {
    const count = this.#counts.get(channel)
    count?.readUpto(offset)
    return new Promise((done, failed) => {
      const before = this.#moving.get(channel)
      // One that waits goes no further back than the next, and is settled with it.
      const waiting = [...before?.withdraw() ? before.waiting : [], { done, failed }]
      const moving: Moving = { offset: Math.max(offset, before?.offset ?? 0), waiting, withdraw: () => false }
      this.#moving.set(channel, moving)
      const settled = (): void => {
        const last = this.#moving.get(channel) === moving && this.#moving.delete(channel)
        count?.ask(last)
      }
      const body = json({ type: 'read', channel, offset: moving.offset })
      moving.withdraw = this.#host.outbox.add(LANE, body, undefined, {}, () => {
        waiting.forEach(one => one.done())
        settled()
      }, error => {
        waiting.forEach(one => one.failed(error))
        settled()
      })
    })
  }

  /** A cursor has moved, here or on another device; without a name any may have. */
  moved(channel?: string): void {
    for (const [name, count] of this.#counts) if (!channel || name === channel) count.ask()
  }
}
