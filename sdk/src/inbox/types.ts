// What `tidings/inbox` gives and takes. Durations and moments as everywhere: milliseconds.
import type { ChannelStatus, Observable, Unsubscribe } from '../types.js'

/** One item of a user's inbox. */
export interface Notification<P = unknown> {
  /** Grows with time, and is never given twice. */
  readonly id: number
  /** What kind of thing it is, as `comments`. */
  readonly topic: string
  /** What it is about, for grouping, as `doc:42`. */
  readonly subject?: string | undefined
  /** What whoever notified gave: any JSON. */
  readonly data: P
  /** When, by the server's clock, in milliseconds since 1970. */
  readonly at: number
  /** Who caused it, if that was said. */
  readonly user?: string | undefined
  /** It was on a screen. */
  readonly seen: boolean
  /** It was dealt with; then it is seen, too. */
  readonly read: boolean
  /** When the server drops it, by the server's clock, if it was given a `ttl`. */
  readonly expiresAt?: number | undefined
}

/** What a bell and its list show. */
export interface InboxView<P = unknown> {
  /** Newest first, without what is archived. */
  readonly items: readonly Notification<P>[]
  /** How many are neither read nor archived, in the whole inbox. */
  readonly unread: number
  /** How many are neither seen nor archived: the number for a badge. */
  readonly unseen: number
  /** There are older ones: see `loadMore`. */
  readonly more: boolean
  /** A page is on its way. */
  readonly loading: boolean
  /** How the subscription is; `failed` also if the first page was refused. */
  readonly status: ChannelStatus
}

/** What `inbox` takes. */
export interface InboxOptions {
  /** How many items a page has, 1 to 100. Counts with the first call for a client. Default 50. */
  readonly pageSize?: number | undefined
}

/** Which groups. */
export interface GroupsQuery {
  /** Those whose newest item is older than the one with this id. */
  readonly before?: number | undefined
  /** How many at most: 1 to 100. Default 50. */
  readonly limit?: number | undefined
  /** Only of this topic. */
  readonly topic?: string | undefined
}

/** All items about one subject. An item without subject is a group of its own. */
export interface Group<P = unknown> {
  /** What the items are about. */
  readonly subject?: string | undefined
  /** The topic of the newest item. */
  readonly topic: string
  /** How many there are. */
  readonly count: number
  /** How many of them are unread. */
  readonly unread: number
  /** The newest item. */
  readonly latest: Notification<P>
}

/** A page of groups. */
export interface GroupsPage<P = unknown> {
  /** The one with the newest item first. */
  readonly groups: readonly Group<P>[]
  /** There are older ones. */
  readonly more: boolean
}

/** What one user has not read of a channel. */
export interface Unread {
  /** How many messages of others are behind the read cursor, of those that history still has. */
  readonly count: number
  /** The read cursor: the offset up to which all is read; 0 at first. */
  readonly read: number
  /** The offset of the first that is not read, when it was last asked for. */
  readonly first?: number | undefined
}

/** Web Push, for a user who has no page open. */
export interface InboxPush {
  /**
   * Asks the browser, which asks the user, and tells the server. Call it in answer to a click. Needs a service
   * worker. Rejected with the browser's error if the user says no, or if there is a subscription with another key
   * (`InvalidStateError`: `unsubscribe()` first); with `not_found` if the server has no key for it.
   */
  subscribe(registration?: PushRegistration): Promise<void>
  /** Tells the server, then the browser. Call it before `logout()`: what is pushed is for this user's eyes. */
  unsubscribe(registration?: PushRegistration): Promise<void>
}

/** What is used of a `ServiceWorkerRegistration`. Default: the one that is `ready`. */
export interface PushRegistration {
  /** The browser's. */
  readonly pushManager: Pick<PushManager, 'getSubscription' | 'subscribe'>
}

/** The signed-in user's notifications and read cursors, the same on all their devices. */
export interface Inbox<P = unknown> {
  /** What is there, with our own marks that are on their way. Listeners are told once per turn. */
  readonly view: Observable<InboxView<P>>
  /**
   * Counts: the inbox is loaded and followed with the first call, and left 1 s after the last release. It
   * follows the user: after `logout()` it is empty, and filled again when somebody else is there.
   */
  open(): Unsubscribe
  /** Puts a page of older items behind the last. Calls during a call are that call. Waits for a connection. */
  loadMore(): Promise<void>
  /**
   * Marks items as seen: at once here, on all devices when the server has it. Waits in the outbox, so it may
   * be said offline. Resolves when it is stored; refused, it is undone here and rejected.
   */
  markSeen(ids: readonly number[]): Promise<void>
  /** Marks items as read, and seen. As `markSeen`. */
  markRead(ids: readonly number[]): Promise<void>
  /** Marks items as not read; they stay seen. As `markSeen`. */
  markUnread(ids: readonly number[]): Promise<void>
  /** Takes items off the list. As `markSeen`. */
  archive(ids: readonly number[]): Promise<void>
  /** Marks all up to the newest that is here as seen: what arrives meanwhile is not. As `markSeen`. */
  markAllSeen(): Promise<void>
  /** Marks all up to the newest that is here as read: what arrives meanwhile is not. As `markSeen`. */
  markAllRead(): Promise<void>
  /** Calls `listener` at each notification that arrives while open, also those that were missed. */
  on(event: 'received', listener: (notification: Notification<P>) => void): Unsubscribe
  /** The inbox by subject, as it is at the server. Waits for a connection. Does not need `open()`. */
  groups(query?: GroupsQuery): Promise<GroupsPage<P>>
  /**
   * Moves this user's read cursor in a channel up to an offset, forwards only. As `markSeen`; of those that
   * wait, the furthest is sent.
   */
  readUpto(channel: string, offset: number): Promise<void>
  /**
   * What this user has not read of a channel; the same object each time. While somebody listens, the inbox is
   * open and the channel joined, and it is kept up to date: by messages, and by what is read on other devices.
   */
  unread(channel: string): Observable<Unread>
  /** From now on, this user gets what is said to the followers of `topic`. Waits for a connection. */
  follow(topic: string): Promise<void>
  /** The end of `follow`. */
  unfollow(topic: string): Promise<void>
  /** Web Push. */
  readonly push: InboxPush
}
