// The public types. Durations are in milliseconds, sizes in bytes, moments in milliseconds since 1970.

import type { TidingsError } from './error.js'

/** Ends what it came from: a listener, a subscription. Calling it again does nothing. */
export type Unsubscribe = () => void

/**
 * A value that changes. `current` is immutable, and the same object until it changes, so that both
 * members can be handed to React's `useSyncExternalStore` as they are.
 */
export interface Observable<T> {
  /** The value of now. */
  readonly current: T
  /** Calls `listener` at each later change, not with the value of now. */
  subscribe(listener: (value: T) => void): Unsubscribe
}

/** A way to connect: WebSocket, Server-Sent Events (by `fetch`), or long-polling. */
export type TransportName = 'websocket' | 'sse' | 'poll'

/**
 * Codes of the server (`docs/protocol.md`, "Errors" and "Close codes"):
 * - `bad_request`: a name, an option or a frame is not what it must be
 * - `unauthorized`: the token is missing, expired or refused
 * - `forbidden`: this user may not do this here
 * - `not_found`: no such namespace; of `history`, that the channel has another epoch by now
 * - `already_subscribed`, `not_subscribed`: the client deals with them by itself
 * - `invalid_data`: `data` is not JSON, does not fit the namespace's schema (`path`), or is nested
 *   too deep (`limit`)
 * - `too_large`: over a limit on bytes; `limit` names it
 * - `limit_exceeded`: over a limit on a number of things; `limit` names it
 * - `out_of_sequence`: the client deals with it by itself
 * - `rate_limited`: too much at once; also a connection that read too slowly (close code 4513)
 * - `unavailable`: the server is being stopped, or its store cannot write now
 * - `server`: a fault of the server
 * - `replaced`: a newer connection took over this session
 * - `revoked`: the session was ended by the server's side
 * - `unsupported_version`: the server does not speak this client's protocol
 *
 * and of the client itself:
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
 * A JWT of at most 8,192 bytes (the server's `limits.token`), or what fetches one. Throw
 * `new TidingsError('unauthorized', …)` to stop for good; any other error is taken for a fault of the
 * network and tried again.
 */
export type TokenSource = string | ((context: { reason: TokenReason }) => string | Promise<string>)

/** What `createClient` takes. Only `url` is needed. */
export interface ClientOptions {
  /**
   * The server, as `https://example.com`, or with a path if a proxy puts it there; must begin with
   * `http://` or `https://`. The paths of all transports are derived from it.
   */
  readonly url: string
  /** Without one, the user is anonymous. */
  readonly token?: TokenSource | undefined
  /** Names this program to the server, as `my-app/1.4`. Default `tidings-js`. */
  readonly name?: string | undefined
  /** What to try, in this order. Default `['websocket', 'sse', 'poll']`. */
  readonly transports?: readonly TransportName[] | undefined
  /** How long to wait between attempts to connect. */
  readonly backoff?: {
    /** Before the first new attempt, at most; doubled with each one after it. Default 1,000 ms. */
    readonly baseMs?: number | undefined
    /** No wait is longer. Default 30,000 ms. */
    readonly maxMs?: number | undefined
    /**
     * `full`: the wait is multiplied with a random number from 0 to 1. `none` is for tests: clients
     * then come back all at once. Default `full`.
     */
    readonly jitter?: 'none' | 'full' | undefined
  } | undefined
  /** What waits to be stored, and for how long. */
  readonly outbox?: {
    /** One more is rejected with `outbox_full`. Default 1,000. */
    readonly maxEntries?: number | undefined
    /** Of all entries together, as they are sent; over it: `outbox_full`. Default 1,048,576 (1 MiB). */
    readonly maxBytes?: number | undefined
    /**
     * What waits for longer is rejected with `expired`. Default 600,000 ms (10 minutes); in any case at
     * most 90 % of the server's shortest `dedup_window` (15 minutes by default).
     */
    readonly maxAgeMs?: number | undefined
    /** Keeps entries over a reload, as `indexedDbOutbox()` does. Default: memory only. */
    readonly store?: OutboxStore | undefined
  } | undefined
  /** Replaces parts of the surroundings: for tests, for Node (`WebSocket`), for workers. */
  readonly runtime?: Partial<Runtime> | undefined
}

/** Keeps the outbox over a reload. Calls are made in order; one that fails is reported, not repeated. */
export interface OutboxStore {
  /**
   * What earlier clients left, oldest first. Must not return what a client that still runs has; when that
   * one has ended, its records may be handed to `more`.
   */
  load(more: (records: readonly OutboxRecord[]) => void): Promise<readonly OutboxRecord[]>
  /** Adds a record, or replaces the one with this key. Nothing is sent before it is done. */
  put(record: OutboxRecord): Promise<void>
  /** Forgets the record with this key, if there is one. */
  remove(key: string): Promise<void>
}

/** An entry of the outbox as an `OutboxStore` keeps it. */
export interface OutboxRecord {
  /** Unique. It is not the publisher's own `key`. */
  readonly key: string
  /** The channel's name. */
  readonly channel: string
  /** JSON; its content is the client's own affair. */
  readonly body: string
  /** When it was published, by this machine's clock, in milliseconds since 1970. */
  readonly createdAt: number
}

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

/**
 * How the line is:
 * - `idle`: `connect()` was not called, or `disconnect()` or `logout()` was; or the page is in the
 *   browser's cache
 * - `connecting`: an attempt is made, for at most 10 s
 * - `connected`: the server has welcomed us
 * - `waiting`: the last attempt or connection failed; the next attempt is at `retryAt`
 * - `closed`: the client has stopped for good, and `cause` says why
 *
 * `attempt` counts the attempts that failed in a row, from 0.
 */
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
    /** When the next attempt is made, in milliseconds since 1970. */
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
/** What one channel carries: the `data` of its messages, and of its members. */
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

/** One app's connection to one server, made by `createClient`. */
export interface Client<S extends SchemaOf<S> = Schema> {
  /** How the line is. */
  readonly status: Observable<ConnectionStatus>
  /** What is not known to be stored, oldest first. Listeners are told once per turn. */
  readonly outbox: ClientOutbox
  /**
   * The channel of this name, as `chat:lobby`; the same object each time. Does nothing by itself, so a
   * name that is none is refused (`bad_request`, `not_found`) only when the channel is used. Names are
   * `namespace:name`, at most 255 bytes.
   */
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
   * signs in. A token that was given as a string is not used again: a later `connect()` is anonymous.
   * Resolves when the outbox's store has forgotten, too.
   */
  logout(): Promise<void>
}

/** What was published and is not known to be stored. */
export interface OutboxEntry {
  /** The caller's `key`, or one made up for this entry; `Ack.key` is the same. */
  readonly key: string
  /** The channel's name. */
  readonly channel: string
  /** What was published. */
  readonly data: unknown
  /** The event's name, if it was given one. */
  readonly event?: string | undefined
  /** `sent`: to the server, which has not answered. */
  readonly state: 'queued' | 'sent'
  /** When `publish` was called, by this machine's clock, in milliseconds since 1970. */
  readonly createdAt: number
}

/** `client.outbox`: what is not known to be stored, oldest first. */
export interface ClientOutbox extends Observable<readonly OutboxEntry[]> {
  /**
   * What an earlier page wrote and an `OutboxStore` kept, and what will not be stored now: it is too old,
   * or refused, or of another user. For what this page writes, `publish` is rejected instead. Without a
   * listener it is reported as an uncaught error, so listen before `connect()`.
   */
  on(event: 'failed', listener: (failure: OutboxFailure) => void): Unsubscribe
}

/** What an earlier page wrote and will not be stored, and why. */
export interface OutboxFailure { readonly entry: OutboxEntry; readonly error: TidingsError }

/**
 * A place in a channel's history. `offset` counts up by one per event, from 1, while `epoch` is the same;
 * the epoch changes only when history was lost.
 */
export interface Position { readonly epoch: string; readonly offset: number }

/** An event of a channel. */
export interface Message<M = unknown> {
  /** What its publisher gave: any JSON. */
  readonly data: M
  /** The event's name inside the channel, if its publisher gave one. */
  readonly event?: string | undefined
  /** `null`: ephemeral, so it is in no history. */
  readonly position: Position | null
  /** When the server took it, by the server's clock, in milliseconds since 1970. */
  readonly at: number
  /** Who published it: the `sub` of the token, or a name that starts with `anon-`. */
  readonly user: string
  /** The public id of the session that published it. */
  readonly session: string
  /** The publisher's own key, if there is one. */
  readonly key?: string | undefined
  /** It is older than the subscription: it was missed, or asked for by `rewind`. */
  readonly replayed: boolean
  /** It was only sent to whoever was subscribed; it is not stored. */
  readonly ephemeral: boolean
}

/**
 * How a subscription is:
 * - `idle`: nobody wants it
 * - `joining`: wanted, and not there yet: also while there is no connection
 * - `live`: events arrive as they happen, behind what was missed
 * - `failed`: the server refused it or ended it, and trying again would not help. It is asked for again
 *   with the next connection, and by the next `subscribe()`
 */
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
  /** The last event that was received, or `since`. */
  readonly from: Position
  /** The last event that is missing. */
  readonly to: Position
  /**
   * `expired`: history no longer reaches back to `from`. `new_epoch`: history was lost. `too_far`: `from`
   * is ahead of what the server knows.
   */
  readonly reason: 'expired' | 'new_epoch' | 'too_far'
}

/** What a channel tells, by the name that `on` takes. */
export interface ChannelEvents<M = unknown> {
  /** An event, in the order of offsets, each once. */
  message: Message<M>
  /** Events are missing. */
  gap: Gap
}

/** Where a subscription starts. Without any: with what is published from now on. */
export interface SubscribeOptions {
  /** Go on behind this position: what was missed comes first, or a `gap`. Needs the right to read history. */
  readonly since?: Position | undefined
  /**
   * Start with this many of the newest events, at most what the namespace keeps (also if `since` cannot be
   * recovered). Needs the right to read history. Default 0.
   */
  readonly rewind?: number | undefined
}

/** Which page of history; `before` or `after`, not both (`bad_request`). */
export interface HistoryQuery {
  /** The events just below this position. Without `before` and `after`: the newest. */
  readonly before?: Position | undefined
  /** The events just above this position. */
  readonly after?: Position | undefined
  /** How many at most: 1 to 100, default 50. A page is also cut at 256 KiB. */
  readonly limit?: number | undefined
}

/** A page of history. */
export interface Page<M = unknown> {
  /** Oldest first, whichever way was asked. */
  readonly messages: readonly Message<M>[]
  /** There is more in the direction of the query. */
  readonly more: boolean
}

/** One channel, as `client.channel(name)` gives it. */
export interface Channel<M = unknown, P = unknown> {
  /** As `chat:lobby`. */
  readonly name: string
  /** How the subscription is. */
  readonly status: Observable<ChannelStatus>
  /** Who is here. */
  readonly presence: Presence<P>
  /**
   * Counts: the channel is joined with the first call, whose options are the ones that count, and
   * left 1 s after the last release. It is joined again after each reconnect, behind the last event.
   * Refusals are in `status`. At most 128 channels at once (the server's `limits.channels_per_session`).
   */
  subscribe(options?: SubscribeOptions): Unsubscribe
  /** Calls `listener` at each message or gap. Does not subscribe. */
  on<E extends keyof ChannelEvents<M>>(event: E, listener: (value: ChannelEvents<M>[E]) => void): Unsubscribe
  /**
   * Resolves when the server has stored the event. Without a connection it waits in the outbox.
   * In order and once, per channel and client. Needs no subscription.
   *
   * Rejected with `forbidden`, `not_found` and `bad_request` (the channel), `invalid_data` and `too_large`
   * (the data: at most 32 KiB of JSON by default), `outbox_full`, `expired`, `unconfirmed`, `unauthorized`
   * (another user has signed in meanwhile), `closed` (`logout()`), or with the reason of `signal`. With
   * `ephemeral` or `offline: 'fail'` also with `network`, `closed` (not connecting), `limit_exceeded`,
   * `unavailable` and `server`, which the outbox tries again.
   */
  publish(data: M, options?: PublishOptions): Promise<Ack>
  /**
   * A page of what is stored. Waits for a connection if there is none yet. Needs no subscription.
   *
   * Rejected with `closed` (not connecting), `forbidden`, `not_found` (no such namespace; or the position of
   * the query is of another epoch), `bad_request` (both `before` and `after`), `unavailable`.
   */
  history(query?: HistoryQuery): Promise<Page<M>>
}

/** How to publish. */
export interface PublishOptions {
  /** A name inside the channel, at most 64 bytes. */
  readonly event?: string | undefined
  /**
   * Your own name for it, at most 128 bytes: a second publish of this user with the same key to this channel
   * is not stored within the namespace's `dedup_window` (15 minutes by default).
   */
  readonly key?: string | undefined
  /**
   * To whoever is subscribed now; never stored, never queued: it fails without a connection (`network`).
   * Default `false`.
   */
  readonly ephemeral?: boolean | undefined
  /** `false`: not to this client itself. Default `true`. */
  readonly echo?: boolean | undefined
  /**
   * `fail`: rejected with `network` when there is no connection or it is lost before the answer
   * (then it may have been stored); it takes no turn in the outbox. Default `queue`.
   */
  readonly offline?: 'queue' | 'fail' | undefined
  /** How long it may wait, in milliseconds; at most the outbox's `maxAgeMs`, which is the default. */
  readonly maxAgeMs?: number | undefined
  /** Takes it back, as long as it has not been sent: rejected with the signal's reason. Only in the outbox. */
  readonly signal?: AbortSignal | undefined
}

/** The server's word that an event is stored (or, if ephemeral, sent). */
export interface Ack {
  /** The caller's `key`, or the one that was made up. */
  readonly key: string
  /** `null`: ephemeral, or a duplicate of an event that has left the history. */
  readonly position: Position | null
  /** It had been stored before. */
  readonly duplicate: boolean
}

/** A user who has entered the channel, by however many sessions. */
export interface Member<P = unknown> {
  /** The user's name, as on messages. */
  readonly user: string
  /** How many sessions of this user have entered. */
  readonly sessions: number
  /** What was last entered or updated. */
  readonly data: P
  /** When the user entered, by the server's clock, in milliseconds since 1970. */
  readonly since: number
  /** When a session of theirs last entered, updated or ended, by the server's clock. */
  readonly lastSeen: number
}

/** A user who has left, and when they were last seen, by the server's clock, in milliseconds since 1970. */
export interface Departed { readonly user: string; readonly lastSeen: number }

/** Who is in a channel at one moment. */
export interface PresenceSnapshot<P = unknown> {
  /** In the order in which they entered; empty above the namespace's `members_max` (200). */
  readonly members: readonly Member<P>[]
  /** How many there are. */
  readonly count: number
  /** Who left lately: at most the namespace's `departed` (50). */
  readonly departed: readonly Departed[]
}

/** Listening to `members`, `count` or events needs a subscription of the channel to tell anything. */
export interface Presence<P = unknown> {
  /** In the order in which they entered. Empty above the namespace's `members_max` (200): see `count`. */
  readonly members: Observable<readonly Member<P>[]>
  /** How many members there are. In large channels told at most once a second. */
  readonly count: Observable<number>
  /**
   * Makes this user a member; repeated by itself after a reconnect. `data` is at most 4 KiB of JSON. Waits for
   * a connection. Rejected with `forbidden`, `not_found`, `bad_request`, `too_large`, or `closed` (`leave()` or
   * `logout()` came first); what passes by itself is tried again.
   */
  enter(data: P): Promise<void>
  /** Changes our data; enters, if we have not. Rejected as `enter` is. */
  update(data: P): Promise<void>
  /** We are no member any more. Without a connection, the server is told when there is one. */
  leave(): Promise<void>
  /**
   * Asks now, also without a subscription; waits for a connection. Rejected with `closed` (not connecting),
   * `forbidden` or `not_found`.
   */
  get(): Promise<PresenceSnapshot<P>>
  /** Calls `listener` for each member that enters, changes (data or number of sessions) or leaves. */
  on(event: 'enter' | 'update' | 'leave', listener: (member: Member<P>) => void): Unsubscribe
}
