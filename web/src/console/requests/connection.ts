// The connection that requests are sent on: it stays, with all its frames, until it is closed.
import { createContext, useContext, useSyncExternalStore } from 'react'
import type { JsonObject } from './schema.ts'
import { openWire, OVERS, type Over, type Wire } from './wire.ts'

export const FRAMES_MAX = 500

export interface Frame {
  readonly n: number
  readonly at: number
  readonly direction: 'in' | 'out' | 'note'
  /** What it says, or the text if it is not JSON. */
  readonly value: unknown
  readonly type: string
}

export interface Exchange {
  readonly sent: JsonObject
  readonly at: number
  readonly answer: Frame | undefined
  /** Why there will be none. */
  readonly lost: string | undefined
}

export interface ConnectionState {
  readonly status: 'closed' | 'connecting' | 'open'
  readonly over: Over | undefined
  readonly frames: readonly Frame[]
  /** The last request, and what became of it. */
  readonly exchange: Exchange | undefined
}

/** The number of our own `hello`; requests are numbered from 1. */
const HELLO = 0

/** Who looks over one's shoulder, or gets the frames as a file, does not get the token. */
const shown = (frame: JsonObject): JsonObject => frame.token === undefined ? frame : { ...frame, token: '…' }

export class RequestConnection {
  #state: ConnectionState = { status: 'closed', over: undefined, frames: [], exchange: undefined }
  #wire: Wire | undefined
  #waiting: string[] = []
  #number = 0
  #next = 1
  readonly #listeners = new Set<() => void>()

  readonly current = () => this.#state
  readonly subscribe = (listener: () => void) => {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** `hello`: whether we say it, or the first request is one. */
  open(over: Over, token: string, hello = true) {
    this.close()
    this.#next = 1
    const greeting = { type: 'hello', id: HELLO, client: 'tidings-console', ...token && { token } }
    this.#set({ status: 'connecting', over, frames: [], exchange: undefined })
    if (hello) this.#add('out', shown(greeting))
    // A wire that was closed is not listened to any more, also if it says something late.
    const wire: Wire = openWire(over, hello ? [JSON.stringify(greeting)] : [], {
      onOpen: () => { if (this.#wire === wire) this.#opened() },
      onFrame: text => { if (this.#wire === wire) this.#take(text) },
      onClosed: why => { if (this.#wire === wire) this.#closed(why) },
    })
    this.#wire = wire
  }

  close() {
    const wire = this.#wire
    if (!wire) return
    this.#closed('closed here')
    wire.close()
  }

  /** The frame as it is sent: with the next number, unless it has one. */
  send(request: JsonObject) {
    const given = request.id
    const id = given ?? this.#next
    if (typeof id === 'number') this.#next = Math.max(this.#next, id + 1)
    const { type, id: _, ...rest } = request
    const frame = { type: type ?? null, id, ...rest }
    const sent = this.#add('out', shown(frame))
    this.#set({ ...this.#state, exchange: { sent: frame, at: sent.at, answer: undefined, lost: undefined } })
    const text = JSON.stringify(frame)
    if (this.#state.status === 'open') this.#wire?.send(text)
    else this.#waiting.push(text)
  }

  clear() { this.#set({ ...this.#state, frames: [] }) }

  #opened() {
    this.#set({ ...this.#state, status: 'open' })
    for (const text of this.#waiting.splice(0)) this.#wire?.send(text)
  }

  #take(text: string) {
    let value: unknown = text
    try { value = JSON.parse(text) } catch { /* then it is shown as it is */ }
    const frame = this.#add('in', value)
    const { exchange } = this.#state
    if (!exchange || exchange.answer) return
    const id = (value as { id?: unknown } | null)?.id
    // A frame that could not be read is answered without its number.
    if (id === exchange.sent.id || (id === undefined && frame.type === 'error')) {
      this.#set({ ...this.#state, exchange: { ...exchange, answer: frame } })
    }
  }

  #closed(why: string) {
    this.#wire = undefined
    this.#waiting = []
    const over = this.#state.over
    this.#add('note', `${over ? OVERS[over] : ''} ${why}`.trim())
    const { exchange } = this.#state
    const lost = exchange && !exchange.answer ? { ...exchange, lost: why } : exchange
    this.#set({ ...this.#state, status: 'closed', exchange: lost })
  }

  #add(direction: Frame['direction'], value: unknown): Frame {
    const said = (value as { type?: unknown } | null)?.type
    const type = typeof said === 'string' ? said : direction === 'note' ? 'closed' : 'text'
    const frame = { n: this.#number++, at: Date.now(), direction, value, type }
    this.#set({ ...this.#state, frames: [...this.#state.frames, frame].slice(-FRAMES_MAX) })
    return frame
  }

  #set(state: ConnectionState) {
    this.#state = state
    for (const listener of this.#listeners) listener()
  }
}

const Context = createContext<RequestConnection | null>(null)
export const ConnectionProvider = Context.Provider

export function useRequestConnection(): readonly [RequestConnection, ConnectionState] {
  const connection = useContext(Context)
  if (!connection) throw new Error('used outside of a page that is signed in')
  return [connection, useSyncExternalStore(connection.subscribe, connection.current)]
}
