import type { ChannelImpl } from '../channel.js'
import type { Host } from '../host.js'
import { Value } from '../observable.js'
import type { Observable, Unsubscribe } from '../types.js'
import { json } from '../wire/frames.js'
import type { Unread } from './types.js'

const NOTHING: Unread = { count: 0, read: 0 }

/** How many messages of a channel its user has not read: asked for once, then counted along. */
export class UnreadCount implements Observable<Unread> {
  readonly #value = new Value(NOTHING)
  readonly #channel: ChannelImpl<any, any>
  readonly #host: Host
  readonly #user: () => string
  /** Follows the user's cursors. */
  readonly #open: () => Unsubscribe
  /** Up to here, messages are counted. */
  #counted = 0
  /** While an answer is on its way: what has arrived since the question. */
  #arrived: number[] | null = null
  #again = false
  /** What we have said that the user has read. */
  #said = 0
  #ends: Unsubscribe[] = []

  constructor(channel: ChannelImpl<any, any>, host: Host, user: () => string, open: () => Unsubscribe) {
    this.#channel = channel
    this.#host = host
    this.#user = user
    this.#open = open
  }

  get current(): Unread { return this.#value.current }

  // Bound, because it is handed around alone.
  readonly subscribe = (listener: (value: Unread) => void): Unsubscribe => {
    const end = this.#value.subscribe(listener)
    if (this.#value.size === 1) this.#start()
    return () => {
      end()
      if (!this.#value.size) for (const one of this.#ends.splice(0)) one()
    }
  }

  /** The user has read up to there; the server is being told. */
  readUpto(offset: number): void {
    this.#said = Math.max(this.#said, offset)
    const { read, count } = this.current
    if (offset > read) this.#set({ count: offset >= this.#counted ? 0 : count, read: offset })
  }

  /** Asks the server, if somebody listens; `forget`: what we have said was not taken. */
  ask(forget = false): void {
    if (forget) this.#said = 0
    if (!this.#ends.length) return
    if (this.#arrived) {
      this.#again = true
      return
    }
    this.#arrived = []
    const answered = (): void => {
      const arrived = this.#arrived!
      this.#arrived = null
      this.#count(arrived)
      if (!this.#again) return
      this.#again = false
      this.ask()
    }
    this.#host.link.read({ type: 'unread', channel: this.#channel.name }).then(({ read, offset, count, first }) => {
      // An answer that does not know of what we have said is too old.
      if (read >= this.#said) {
        this.#counted = offset
        this.#set({ count, read, first })
      }
      answered()
    }, answered) // Refused, or over: the next connection asks again.
  }

  #start(): void {
    const channel = this.#channel
    const { status } = channel
    this.#ends = [
      this.#open(),
      channel.on('message', ({ position, user }) => {
        if (!position || user === this.#user()) return
        if (this.#arrived) this.#arrived.push(position.offset)
        else this.#count([position.offset])
      }),
      channel.on('change', ({ kind, target }) => { if (kind === 'deleted' && target > this.current.read) this.ask() }),
      channel.on('gap', () => this.ask()),
      status.subscribe(({ state }) => {
        if (state === 'live') this.ask()
        else if (state === 'idle') this.#forget()
      }),
    ]
    // Behind all who subscribe in this turn: the first says where to start.
    const ends = this.#ends
    queueMicrotask(() => { if (ends.length) ends.push(channel.subscribe()) })
    if (status.current.state === 'live') this.ask()
  }

  #forget(): void {
    this.#said = this.#counted = 0
    this.#set(NOTHING)
  }

  #count(offsets: readonly number[]): void {
    const { current } = this
    const more = offsets.filter(offset => offset > this.#counted).length
    this.#counted = Math.max(this.#counted, offsets.at(-1) ?? 0)
    if (more) this.#set({ ...current, count: current.count + more })
  }

  #set(next: Unread): void {
    if (json(next) !== json(this.current)) this.#value.set(next)
  }
}
