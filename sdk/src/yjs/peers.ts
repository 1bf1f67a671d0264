import { applyAwarenessUpdate, type Awareness, encodeAwarenessUpdate, removeAwarenessStates } from 'y-protocols/awareness'
import type { TidingsError } from '../error.js'
import type { Host } from '../host.js'
import { json, type Frame } from '../wire/frames.js'

/** From one answer to the next command. */
const PAUSE = 50
const RETRY = 1000

interface State { client: number; clock: number; user: string; state: object | null }

/** Where everybody is: tells the server where we are, newest only, and the awareness what the server tells. */
export class Peers {
  readonly awareness: Awareness
  /** Who is behind a client id. */
  readonly users = new Map<number, string>()
  readonly #own: boolean
  readonly #channel: string
  readonly #host: Host
  /** We may tell and hear. */
  #open = false
  /** Logged out. */
  #left = false
  /** A command, or the pause after it, is under way. */
  #busy = false
  /** Where we are has changed since. */
  #due = false
  #timer: unknown = null
  readonly #changed = (changes: Record<string, readonly number[]>): void => {
    if (Object.values(changes).some(clients => clients.includes(this.awareness.clientID))) this.#say()
  }

  constructor(awareness: Awareness, own: boolean, channel: string, host: Host) {
    this.awareness = awareness
    this.#own = own
    this.#channel = channel
    this.#host = host
    // Of a client that is not known, state 0 is no news: whoever says nothing of themselves is there, too.
    if (own) awareness.setLocalState({})
    // Every 15 s it renews our state, which is told as a change is.
    awareness.on('update', this.#changed)
  }

  open(): void {
    if (this.#open) return
    this.#open = true
    const mine = this.awareness.getLocalState() ?? (this.#left ? {} : null)
    this.#left = false
    // With another clock: the server remembers the one of the connection before, and for it this would be no news.
    if (mine) this.awareness.setLocalState(mine)
  }

  /** What the user before said of themselves is not said for the next. */
  leave(): void {
    this.#left ||= !!this.awareness.getLocalState()
    this.awareness.setLocalState(null)
  }

  /** Nothing is known of others any more. */
  close(): void {
    const { meta, states, clientID } = this.awareness
    this.#host.runtime.clearTimeout(this.#timer)
    this.#open = this.#busy = false
    const others = [...states.keys()].filter(client => client !== clientID)
    removeAwarenessStates(this.awareness, others, this)
    // Else who comes back with the same clock would not be seen before they move.
    for (const client of [...meta.keys()]) if (client !== clientID) meta.delete(client)
    this.users.clear()
  }

  /** For good: others are told that we are gone. */
  end(): void {
    this.awareness.off('update', this.#changed)
    this.awareness.setLocalState(null)
    if (this.#open) this.#send(() => {})
    this.close()
    if (this.#own) this.awareness.destroy()
  }

  take(all: readonly State[]): void {
    const { clientID } = this.awareness
    const others = all.filter(({ client }) => client !== clientID)
    for (const { client, user, state } of others) {
      if (state) this.users.set(client, user)
      else this.users.delete(client)
    }
    const told = {
      meta: new Map(others.map(({ client, clock }) => [client, { clock, lastUpdated: 0 }])),
      states: new Map(others.map(({ client, state }) => [client, state])),
    } as unknown as Awareness
    applyAwarenessUpdate(this.awareness, encodeAwarenessUpdate(told, [...told.meta.keys()]), this)
  }

  #say(): void {
    this.#due = true
    if (!this.#open || this.#busy) return
    this.#due = false
    this.#busy = true
    this.#send(error => {
      // At a limit it is not said again before it changes, or is renewed.
      this.#due ||= !!error?.retryable && error.code !== 'limit_exceeded'
      if (error?.code === 'network') return // `close` comes, or has come.
      this.#timer = this.#host.runtime.setTimeout(() => {
        this.#busy = false
        if (this.#due) this.#say()
      }, error ? error.retryAfterMs ?? RETRY : PAUSE)
    })
  }

  #send(answered: (error?: TidingsError) => void): void {
    const { clientID: client, meta } = this.awareness
    const frame: Partial<Frame> = {
      type: 'awareness', channel: this.#channel, client, clock: meta.get(client)!.clock, state: this.awareness.getLocalState(),
    }
    this.#host.link.commands.push({ body: json(frame), done: () => answered(), failed: answered })
  }
}
