import type { TidingsError } from '../error.js'
import type { Host } from '../host.js'
import { Value } from '../observable.js'
import type { Channel, Client, Observable, Unsubscribe } from '../types.js'
import { json } from '../wire/frames.js'
import { again } from './again.js'
import type { Inbox, Unread } from './types.js'

const NOTHING: Unread = { count: 0, read: 0 }

/** How many messages of a channel its user has not read: asked for once, then counted along. */
export class UnreadCount implements Observable<Unread> {
  readonly #value = new Value(NOTHING)
  readonly #channel: Channel<any>
  readonly #host: Host
  readonly #client: Client<any>
  /** Follows the user's cursors. */
  readonly #own: Inbox
  /** Up to here, messages are counted; -1: nothing is known yet. */
  #counted = -1
  /** While an answer is on its way: what has arrived since the question. */
  #arrived: number[] | null = null
  #again = false
  /** What we have said that the user has read, and the server may not know yet. */
  #said = 0
  /** It does: an answer to the next question is right. */
  #known = false
  #ends: Unsubscribe[] = []

  constructor(client: Client<any>, name: string, host: Host, own: Inbox) {
    this.#client = client
    this.#channel = client.channel(name)
    this.#host = host
    this.#own = own
  }

  get current(): Unread { return this.#value.current }

  // Bound, because it is handed around alone.
  readonly subscribe = (listener: (value: Unread) => void): Unsubscribe => {
    const end = this.#value.add(listener)
    if (this.#value.size === 1) this.#start()
    return () => {
      end()
      if (!this.#value.size) for (const one of this.#ends.splice(0)) one()
    }
  }

  /** The user has read up to there; the server is being told. */
  readUpto(offset: number): void {
    this.#said = Math.max(this.#said, offset)
    this.#known = false
    const { read, count } = this.current
    if (offset > read) this.#set({ count: offset >= this.#counted ? 0 : count, read: offset })
  }

  /**
   * Asks the server, if somebody listens and nothing can be missed from here on. `known`: it has taken what we
   * have said, as far as it does.
   */
  async ask(known = this.#known): Promise<void> {
    this.#known = known
    const both = [this.#channel.status.current, this.#own.view.current.status]
    if (!this.#ends.length || both.some(({ state }) => state !== 'live')) return
    this.#again = !!this.#arrived
    if (this.#again) return
    if (known) this.#said = 0
    const arrived: number[] = this.#arrived = []
    try {
      const { read, offset, count, first } = await this.#host.link.read({ type: 'unread', channel: this.#channel.name })
      // An answer that does not know of what we have said is too old.
      if (read >= this.#said) {
        this.#counted = offset
        this.#set({ count, read, first })
      }
    } catch (error) {
      // What is refused for good is asked again with the next connection.
      again(this.#host, error as TidingsError, () => this.ask())
    }
    this.#arrived = null
    this.#count(arrived)
    if (this.#again) this.ask()
  }

  #start(): void {
    const channel = this.#channel
    this.#ends = [
      this.#own.open(),
      channel.on('message', ({ position, user }) => {
        if (!position || user === (this.#client.status.current as { user?: string }).user) return
        if (this.#arrived) this.#arrived.push(position.offset)
        else this.#count([position.offset])
      }),
      channel.on('change', ({ kind, target }) => { if (kind === 'deleted' && target > this.current.read) this.ask() }),
      channel.on('gap', () => this.ask()),
      channel.status.subscribe(({ state }) => {
        if (state !== 'idle') return void this.ask()
        this.#said = 0
        this.#counted = -1
        this.#set(NOTHING)
      }),
    ]
    // Behind all who subscribe in this turn: the first says where to start.
    const ends = this.#ends
    queueMicrotask(() => { if (ends.length) ends.push(channel.subscribe()) })
    this.ask()
  }

  #count(offsets: readonly number[]): void {
    // The first answer will know of them, and of what was read on other devices.
    if (this.#counted < 0) return
    const more = offsets.filter(offset => offset > this.#counted).length
    this.#counted = Math.max(this.#counted, ...offsets)
    this.#set({ ...this.current, count: this.current.count + more })
  }

  #set(next: Unread): void {
    if (json(next) !== json(this.current)) this.#value.set(next)
  }
}
