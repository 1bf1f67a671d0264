// The public types. Durations are in milliseconds, sizes in bytes, moments in milliseconds since 1970.

import type { TidingsError } from './error.js'

/** Ends what it came from: a listener, a subscription. Calling it again does nothing. */
export type Unsubscribe = () => void

/**
 * A value that changes. `current` is immutable, and the same object until it changes, so that both
 * members can be handed to React's `useSyncExternalStore` as they are.
 */
export interface Observable<T> {
  readonly current: T
  /** Calls `listener` at each later change, not with the value of now. */
  subscribe(listener: (value: T) => void): Unsubscribe
}

export type TransportName = 'websocket' | 'sse' | 'poll'

/**
 * Codes of the server (`docs/protocol.md`, "Errors" and "Close codes") and of the client itself:
 * - `network`: there is no connection, or it was lost; it is tried again
 * - `timeout`: the other side said nothing in time
 * - `protocol`: the WebSocket protocol was broken three times in a row
 * - `closed`: the client is closed, or was told to stop
 * - `outbox_full`: the outbox is at its limit
 * - `expired`: it waited in the outbox for longer than `maxAgeMs`
 * - `unconfirmed`: it was sent, and whether it was stored can no longer be found out; it is not
 *   sent again, so that nobody reads it twice
 */
export type ErrorCode =
  | 'bad_request' | 'unauthorized' | 'forbidden' | 'not_found' | 'already_subscribed'
  | 'not_subscribed' | 'invalid_data' | 'too_large' | 'limit_exceeded' | 'out_of_sequence'
  | 'rate_limited' | 'unavailable' | 'server' | 'replaced' | 'revoked' | 'unsupported_version'
  | 'network' | 'timeout' | 'protocol' | 'closed' | 'outbox_full' | 'expired' | 'unconfirmed'

/** Why a token is asked for: there is none yet, it ends soon, or the server refused the last one. */
export type TokenReason = 'connect' | 'expiring' | 'rejected'

/**
 * A JWT, or what fetches one. Throw `new TidingsError('unauthorized', …)` to stop for good; any
 * other error is taken for a fault of the network and tried again.
 */
export type TokenSource = string | ((context: { reason: TokenReason }) => string | Promise<string>)

export interface ClientOptions {
  /** The server, as `https://example.com`; the paths of all transports are derived from it. */
  readonly url: string
  /** Without one, the user is anonymous. */
  readonly token?: TokenSource | undefined
  /** Names this program to the server, as `my-app/1.4`. */
  readonly name?: string | undefined
  /** What to try, in this order. Default: all three. */
  readonly transports?: readonly TransportName[] | undefined
  /** Defaults: 1,000 ms, 30,000 ms, `full`. `none` is for tests: clients then come back all at once. */
  readonly backoff?: {
    readonly baseMs?: number | undefined
    readonly maxMs?: number | undefined
    readonly jitter?: 'none' | 'full' | undefined
  } | undefined
  /**
   * Defaults: 1,000 entries, 1 MiB, 10 minutes (at most 90 % of the server's `dedup_window`), and
   * memory.
   */
  readonly outbox?: {
    readonly maxEntries?: number | undefined
    readonly maxBytes?: number | undefined
    readonly maxAgeMs?: number | undefined
    readonly store?: OutboxStore | undefined
  } | undefined
  /** Replaces parts of the surroundings: for tests, for Node (`WebSocket`), for workers. */
  readonly runtime?: Partial<Runtime> | undefined
}

/** Keeps the outbox over a reload. Calls are made in order; one that fails is reported, not repeated. */
export interface OutboxStore {
  /** What earlier clients left, oldest first. Must not return what a client that still runs has. */
  load(): Promise<readonly OutboxRecord[]>
  /** Adds a record, or replaces the one with this key. Nothing is sent before it is done. */
  put(record: OutboxRecord): Promise<void>
  remove(key: string): Promise<void>
}

export interface OutboxRecord {
  /** Unique. */
  readonly key: string
  readonly channel: string
  /** JSON; its content is the client's own affair. */
  readonly body: string
  readonly createdAt: number
}

/** The only door to clock, timers, random numbers, network and page. */
export interface Runtime {
  now(): number
  /** From 0 up to, not including, 1. */
  random(): number
  /** A name that nobody else has. */
  uuid(): string
  setTimeout(call: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
  /** `null`: the transport `websocket` is left out. */
  WebSocket: WebSocketConstructor | null
  /** `null`: the transports `sse` and `poll` are left out. */
  fetch: typeof fetch | null
  page: PageEvents
  /** Where the transport that worked is remembered for the next page; `null`: nowhere. */
  storage: Pick<Storage, 'getItem' | 'setItem'> | null
}

/** What the client uses of `WebSocket`; the one of the package `ws` fits, too. */
export interface WebSocketLike {
  onopen: ((event: any) => void) | null
  onmessage: ((event: any) => void) | null
  onclose: ((event: any) => void) | null
  onerror: ((event: any) => void) | null
  send(data: string): void
  close(code?: number): void
}
export type WebSocketConstructor = new (url: string, protocol: string) => WebSocketLike

/** `leave` and `return`: the page goes (perhaps for good) and comes back out of the browser's cache. */
export type PageEvent = 'visible' | 'hidden' | 'online' | 'offline' | 'resume' | 'leave' | 'return'

export interface PageEvents {
  readonly visible: boolean
  on(event: PageEvent, listener: () => void): Unsubscribe
}

export type ConnectionStatus =
  | { readonly state: 'idle' }
  | { readonly state: 'connecting'; readonly attempt: number }
  | {
    readonly state: 'connected'
    readonly transport: TransportName
    /** Our name, as others see it on our events and in presence. */
    readonly user: string
    /** The public id of our session, as others see it on our events. */
    readonly session: string
    /** The server knew this session: our presence went on. */
    readonly resumed: boolean
  }
  | {
    readonly state: 'waiting'
    readonly attempt: number
    /** When the next attempt is made. */
    readonly retryAt: number
    readonly cause: TidingsError
  }
  /** For good, until `connect()` is called again. */
  | { readonly state: 'closed'; readonly cause: TidingsError }

/**
 * What channels carry, by name or by a pattern with `*` at its end; declared once per app:
 * `interface App { 'room:*': { message: Text; presence: Who } }`
 */
export type Schema = Record<string, ChannelTypes>
export interface ChannelTypes { message?: unknown; presence?: unknown }
/** What `createClient` takes as a schema: an interface, with or without `extends Schema`. */
export type SchemaOf<S> = { [K in keyof S]: ChannelTypes }

type Names<S> = keyof { [K in keyof S as string extends K ? never : K]: 1 } & string
type Pattern<K extends string> = K extends `${infer Start}*` ? `${Start}${string}` : K
type Match<S, N extends string> = { [K in Names<S>]: N extends Pattern<K> ? S[K] : never }[Names<S>]
type Part<T, F extends string> = T extends { [K in F]?: infer V } ? V : unknown
/** `unknown` where nothing is declared or the name is not known to the compiler; `never` for a name
 * that fits no pattern, so that a slip of the pen does not compile. */
export type Typed<S, N extends string, F extends 'message' | 'presence'> =
  0 extends 1 & S ? any : [Names<S>] extends [never] ? unknown : string extends N ? unknown : Part<Match<S, N>, F>

export interface Client<S extends SchemaOf<S> = Schema> {
  readonly status: Observable<ConnectionStatus>
  /** What is not known to be stored, oldest first. */
  readonly outbox: Observable<readonly OutboxEntry[]>
  /** The channel of this name; the same object each time. Does nothing by itself. */
  channel<N extends string>(name: N): Channel<Typed<S, N, 'message'>, Typed<S, N, 'presence'>>
  /** Goes on to connect until told to stop. Calling it again does nothing; it leaves `closed`. */
  connect(): void
  /** Back to `idle`. Channels, positions and the outbox stay for the next `connect()`. */
  disconnect(): void
  /** Ends the current wait. */
  retryNow(): void
  /**
   * Disconnects and forgets the user: session, token, subscriptions, presence, and the outbox with
   * all that is in it (those promises are rejected with `closed`). Call it before another user
   * signs in.
   */
  logout(): Promise<void>
}

export interface OutboxEntry {
  /** The caller's `key`, or one made up for this entry; `Ack.key` is the same. */
  readonly key: string
  readonly channel: string
  readonly data: unknown
  readonly event?: string | undefined
  /** `sent`: to the server, which has not answered. */
  readonly state: 'queued' | 'sent'
  readonly createdAt: number
}

/** A place in a channel's history: `offset` counts up by one per event while `epoch` is the same. */
export interface Position { readonly epoch: string; readonly offset: number }

export interface Message<M = unknown> {
  readonly data: M
  /** The event's name inside the channel, if its publisher gave one. */
  readonly event?: string | undefined
  /** `null`: ephemeral, so it is in no history. */
  readonly position: Position | null
  /** When the server took it. */
  readonly at: number
  readonly user: string
  /** The public id of the session that published it. */
  readonly session: string
  /** The publisher's own key, if there is one. */
  readonly key?: string | undefined
  /** It is older than the subscription: it was missed, or asked for by `rewind`. */
  readonly replayed: boolean
  readonly ephemeral: boolean
}

export type ChannelStatus =
  | { readonly state: 'idle' }
  | { readonly state: 'joining' }
  | {
    readonly state: 'live'
    /** The channel's newest position when this subscription began. */
    readonly position: Position
    /** Everything since the last subscription follows or was received; if not, a `gap` says what is missing. */
    readonly recovered: boolean
  }
  | { readonly state: 'failed'; readonly cause: TidingsError }

/** Everything after `from` up to and including `to` is missing; what follows is complete. */
export interface Gap {
  readonly from: Position
  readonly to: Position
  /** History no longer reaches back; it was lost; or `from` is ahead of what the server knows. */
  readonly reason: 'expired' | 'new_epoch' | 'too_far'
}

export interface ChannelEvents<M = unknown> {
  message: Message<M>
  gap: Gap
}

export interface SubscribeOptions {
  /** Go on behind this position: what was missed comes first, or a `gap`. */
  readonly since?: Position | undefined
  /** Start with this many of the newest events (also if `since` cannot be recovered). */
  readonly rewind?: number | undefined
}

export interface HistoryQuery {
  /** The events just below this position. Without `before` and `after`: the newest. */
  readonly before?: Position | undefined
  readonly after?: Position | undefined
  /** 1 to 100; default 50. */
  readonly limit?: number | undefined
}

export interface Page<M = unknown> {
  /** Oldest first. */
  readonly messages: readonly Message<M>[]
  /** There is more in the direction of the query. */
  readonly more: boolean
}

export interface Channel<M = unknown, P = unknown> {
  readonly name: string
  readonly status: Observable<ChannelStatus>
  readonly presence: Presence<P>
  /**
   * Counts: the channel is joined with the first call, whose options are the ones that count, and
   * left 1 s after the last release.
   */
  subscribe(options?: SubscribeOptions): Unsubscribe
  on<E extends keyof ChannelEvents<M>>(event: E, listener: (value: ChannelEvents<M>[E]) => void): Unsubscribe
  /**
   * Resolves when the server has stored the event. Without a connection it waits in the outbox.
   * In order and once, per channel and client. Needs no subscription.
   */
  publish(data: M, options?: PublishOptions): Promise<Ack>
  /** Waits for a connection if there is none yet. Needs no subscription. */
  history(query?: HistoryQuery): Promise<Page<M>>
}

export interface PublishOptions {
  /** A name inside the channel, at most 64 bytes. */
  readonly event?: string | undefined
  /** Your own name for it, at most 128 bytes: a second publish with the same key is not stored. */
  readonly key?: string | undefined
  /** To whoever is subscribed now; never stored, never queued: it fails without a connection. */
  readonly ephemeral?: boolean | undefined
  /** `false`: not to this client itself. */
  readonly echo?: boolean | undefined
  /**
   * `fail`: rejected with `network` when there is no connection or it is lost before the answer
   * (then it may have been stored); it takes no turn in the outbox. Default `queue`.
   */
  readonly offline?: 'queue' | 'fail' | undefined
  /** How long it may wait for a connection; at most the outbox's `maxAgeMs`. */
  readonly maxAgeMs?: number | undefined
  /** Takes it back, as long as it has not been sent. */
  readonly signal?: AbortSignal | undefined
}

export interface Ack {
  readonly key: string
  /** `null`: ephemeral, or a duplicate of an event that has left the history. */
  readonly position: Position | null
  /** It had been stored before. */
  readonly duplicate: boolean
}

/** A user who has entered the channel, by however many sessions. */
export interface Member<P = unknown> {
  readonly user: string
  readonly sessions: number
  /** What was last entered or updated. */
  readonly data: P
  readonly since: number
  readonly lastSeen: number
}

export interface Departed { readonly user: string; readonly lastSeen: number }

export interface PresenceSnapshot<P = unknown> {
  readonly members: readonly Member<P>[]
  readonly count: number
  /** Who left lately. */
  readonly departed: readonly Departed[]
}

/** Listening to `members`, `count` or events needs a subscription of the channel to tell anything. */
export interface Presence<P = unknown> {
  /** In the order in which they entered. Empty in channels so large that only `count` is told. */
  readonly members: Observable<readonly Member<P>[]>
  readonly count: Observable<number>
  /** Makes this user a member; repeated by itself after a reconnect. `data` is at most 4 KiB. */
  enter(data: P): Promise<void>
  /** Changes our data; enters, if we have not. */
  update(data: P): Promise<void>
  leave(): Promise<void>
  /** Asks now, also without a subscription; in channels of any size. */
  get(): Promise<PresenceSnapshot<P>>
  on(event: 'enter' | 'update' | 'leave', listener: (member: Member<P>) => void): Unsubscribe
}
