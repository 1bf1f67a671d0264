import type { TidingsError } from '../error.js'
import type { Observable, Unsubscribe } from './connection.js'
import type { Presence } from './presence.js'

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
  /** When it was last edited, by the server's clock; `data` is the newest version. */
  readonly edited?: number | undefined
  /** It was deleted: `data` is `null`. */
  readonly deleted?: boolean | undefined
  /** What was said to it, by the reaction. */
  readonly reactions?: Readonly<Record<string, Reaction>> | undefined
}

/** One reaction to a message, as 👍. */
export interface Reaction {
  /** How many users. */
  readonly count: number
  /** The first of them, at most 50. */
  readonly users: readonly string[]
}

/** What became of a message that was published before; an event of its own, with an offset of its own. */
export type Change<M = unknown> = {
  /** The offset of the message that has changed. */
  readonly target: number
  /** The place of the change itself. */
  readonly position: Position
  /** When, by the server's clock, in milliseconds since 1970. */
  readonly at: number
  /** Who did it. */
  readonly user: string
} & (
  | { readonly kind: 'edited'; readonly data: M }
  | { readonly kind: 'deleted' }
  | {
    readonly kind: 'reacted'
    readonly reaction: string
    /** It was taken back. */
    readonly removed: boolean
    /** How many users have this reaction now. */
    readonly count: number
  }
)

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
  /** A message was edited, deleted or reacted to; in one order with the messages. */
  change: Change<M>
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
   * Gives the event at this offset other data: history then has the newest. Only its author may, unless the
   * namespace or the token says otherwise. Waits in the outbox as `publish` does and is rejected as that is, with
   * `not_found` if the event has left the history or is deleted.
   */
  edit(offset: number, data: M, options?: ChangeOptions): Promise<Ack>
  /** Deletes the event at this offset: its data is given to nobody again. As `edit`. */
  delete(offset: number, options?: ChangeOptions): Promise<Ack>
  /** Reacts to the event at this offset, with at most 64 bytes, as 👍; once per user and reaction. As `edit`. */
  react(offset: number, reaction: string, options?: ReactOptions): Promise<Ack>
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

/** How to edit or delete. */
export type ChangeOptions = Pick<PublishOptions, 'key' | 'maxAgeMs' | 'signal'>

/** How to react. */
export interface ReactOptions extends ChangeOptions {
  /** Takes our own reaction back. */
  readonly remove?: boolean | undefined
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
