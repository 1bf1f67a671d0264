import type { Observable, Unsubscribe } from './connection.js'

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
