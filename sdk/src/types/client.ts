import type { TidingsError } from '../error.js'
import type { Channel } from './channel.js'
import type { ConnectionStatus, Observable, TokenSource, TransportName, Unsubscribe } from './connection.js'
import type { Runtime } from './runtime.js'

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

/** What was published or written and is not known to be stored. */
export interface OutboxEntry {
  /**
   * The command: `publish`; `edit`, `delete` or `react`; `set`, `patch` or `remove` of `tidings/live`; `mark` or
   * `read` of `tidings/inbox`.
   */
  readonly type: string
  /** The caller's `key`, or one made up for this entry; `Ack.key` is the same. */
  readonly key: string
  /** The channel's name; `inbox:` for what is said to one's own inbox. */
  readonly channel: string
  /** What was published, the text of an edit, the value of a write; `undefined` where there is none. */
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
