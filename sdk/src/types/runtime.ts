import type { Unsubscribe } from './connection.js'

/** The only door to clock, timers, random numbers, network and page. */
export interface Runtime {
  /** Milliseconds since 1970. */
  now(): number
  /** From 0 up to, not including, 1. */
  random(): number
  /** A name that nobody else has. */
  uuid(): string
  /** Calls `call` after `ms` milliseconds; returns what `clearTimeout` takes. */
  setTimeout(call: () => void, ms: number): unknown
  /** Ends a timer; `null` and one that has run are no errors. */
  clearTimeout(timer: unknown): void
  /** `null`: the transport `websocket` is left out. */
  WebSocket: WebSocketConstructor | null
  /** `null`: the transports `sse` and `poll` are left out. */
  fetch: typeof fetch | null
  /** Whether anybody looks, and whether there is a network. */
  page: PageEvents
  /** Where the transport that worked, and the session, are kept for the next page; `null`: nowhere. */
  storage: Pick<Storage, 'getItem' | 'setItem'> | null
}

/** What the client uses of `WebSocket`; the one of the package `ws` fits, too. */
export interface WebSocketLike {
  /** Called when frames can be sent. */
  onopen: ((event: any) => void) | null
  /** Called with `data`, a string. */
  onmessage: ((event: any) => void) | null
  /** Called with `code` and `reason`, once. */
  onclose: ((event: any) => void) | null
  /** Called before `onclose` if something failed. */
  onerror: ((event: any) => void) | null
  /** Sends one text message. */
  send(data: string): void
  /** Begins to close. */
  close(code?: number): void
}
/** What makes a `WebSocketLike`. */
export type WebSocketConstructor = new (url: string, protocol: string) => WebSocketLike

/** `leave` and `return`: the page goes (perhaps for good) and comes back out of the browser's cache. */
export type PageEvent = 'visible' | 'hidden' | 'online' | 'offline' | 'resume' | 'leave' | 'return'

/** What the client wants to know of the page it runs in. Where there is none, nothing happens. */
export interface PageEvents {
  /** Somebody may look at it; `true` where there is no page. */
  readonly visible: boolean
  /** Calls `listener` at each such event. */
  on(event: PageEvent, listener: () => void): Unsubscribe
}
