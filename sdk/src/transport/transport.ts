import type { Runtime, TransportName } from '../types.js'

/** What a transport tells; nothing more once it is closed from either side. */
export interface Listener {
  /** The text of one frame. */
  frame(text: string): void
  /** Something arrived that is no frame. */
  alive(): void
  /** It has ended, or never began. `retryAfter` is in milliseconds. */
  closed(code: number, reason?: string, retryAfter?: number): void
}

export interface Opening extends Listener {
  readonly runtime: Runtime
  /** Without a slash at its end. */
  readonly url: string
  readonly token: string | null
  /** The commands that go with the opening, `hello` first; asked for once, when they can be sent. */
  flight(): string[]
}

/** One connection: ordered in both directions. Made by {@link Open}, it opens at once. */
export interface Transport {
  send(frame: string): void
  /** `goodbye`: the session shall end, too. */
  close(goodbye: boolean): void
}

export type Open = (opening: Opening) => Transport
export type Transports = readonly (readonly [TransportName, Open])[]
