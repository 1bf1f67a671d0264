import type { ChannelImpl } from '../channel.js'
import type { Host } from '../host.js'
import type { Client, Observable, Unsubscribe } from '../types.js'
import { json } from '../wire/frames.js'
import type { Unread } from './types.js'
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
  readonly #open: () => Unsubscribe
  readonly #counts = new Map<string, UnreadCount>()
  readonly #moving = new Map<string, Moving>()

  constructor(client: Client<any>, host: Host, open: () => Unsubscribe) {
    this.#client = client
    this.#host = host
    this.#open = open
  }

  unread(name: string): Observable<Unread> {
    const user = (): string => (this.#client.status.current as { user?: string }).user ?? ''
    const channel = this.#client.channel(name) as unknown as ChannelImpl<any, any>
    const count = this.#counts.get(name) ?? new UnreadCount(channel, this.#host, user, this.#open)
    this.#counts.set(name, count)
    return count
  }

  readUpto(channel: string, offset: number): Promise<void> {
    const count = this.#counts.get(channel)
    count?.readUpto(offset)
    return new Promise((done, failed) => {
      const before = this.#moving.get(channel)
      const waiting = [{ done, failed }]
      // One that waits goes no further back than the next, and is settled with it.
      if (before?.withdraw()) waiting.unshift(...before.waiting)
      const moving: Moving = { offset: Math.max(offset, before?.offset ?? 0), waiting, withdraw: () => false }
      this.#moving.set(channel, moving)
      const settled = (): void => {
        if (this.#moving.get(channel) === moving) this.#moving.delete(channel)
      }
      const body = json({ type: 'read', channel, offset: moving.offset })
      moving.withdraw = this.#host.outbox.add(LANE, body, undefined, {}, () => {
        settled()
        waiting.forEach(one => one.done())
        count?.ask()
      }, error => {
        settled()
        waiting.forEach(one => one.failed(error))
        count?.ask(true)
      })
    })
  }

  /** A cursor has moved, here or on another device. */
  moved(channel: string): void { this.#counts.get(channel)?.ask() }
}
