// What `tidings/live` gives and takes. Durations and moments as everywhere: milliseconds.
import type { ChannelStatus, Observable, Unsubscribe } from '../types.js'

/** How to write. */
export interface WriteOptions {
  /**
   * Only if the key has not changed since this version; 0: only if there is none. Otherwise the write is refused
   * with `conflict`, whose `version` is the one of now.
   */
  readonly ifVersion?: number | undefined
  /** After this many milliseconds the server removes the key, unless it is written again. */
  readonly ttl?: number | undefined
}

/** The server's word that a write is stored. */
export interface Written {
  /** The version of the key behind this write. */
  readonly version: number
  /** It had been stored before. */
  readonly duplicate: boolean
}

/** What the server has of a key. */
export interface LiveEntry<V = unknown> {
  /** The value, without writes that are on their way. */
  readonly value: V
  /** For `ifVersion`. It only grows, also when the key is removed and set again. */
  readonly version: number
  /** When the server removes it, by the server's clock, if it was set with `ttl`. */
  readonly expiresAt?: number | undefined
}

/** The keys and values of one channel of kind `state`. */
export interface LiveState<T extends object = Record<string, unknown>> {
  /** As `board:main`. */
  readonly name: string
  /** How the subscription is. */
  readonly status: Observable<ChannelStatus>
  /**
   * All values, with our own writes that are on their way; `undefined` until the first snapshot is here. What
   * is not here after a reconnect is replaced as a whole. Listeners are told once per turn.
   */
  readonly value: Observable<Readonly<Partial<T>> | undefined>
  /** Joins the channel, and leaves it after the last release, as `channel.subscribe()`. */
  subscribe(): Unsubscribe
  /**
   * Sets a key, at once here, and at the server when there is a connection: writes wait in the outbox, in order
   * and each stored once. One that still waits is replaced by the next to its key (unless it has `ifVersion`) and
   * settled with it. Refused, it is undone here, and rejected with `conflict`, `forbidden`, `not_found`, `bad_request`,
   * `invalid_data`, `too_large` or `limit_exceeded`, or as `channel.publish` is.
   */
  set<K extends keyof T & string>(key: K, value: T[K], options?: WriteOptions): Promise<Written>
  /**
   * Changes a part of a value, by a JSON Merge Patch (RFC 7396): members of `patch` replace those of the value,
   * `null` removes them. As `set`.
   */
  patch<K extends keyof T & string>(key: K, patch: unknown, options?: WriteOptions): Promise<Written>
  /** Removes a key. As `set`. */
  remove(key: keyof T & string, options?: Pick<WriteOptions, 'ifVersion'>): Promise<Written>
  /** What the server has, as far as we know; its version is for `ifVersion`. */
  entry<K extends keyof T & string>(key: K): LiveEntry<T[K]> | undefined
}
