// What `tidings/yjs` gives and takes.
import type { Awareness } from 'y-protocols/awareness'
import type { Doc } from 'yjs'
import type { TidingsError } from '../error.js'
import type { Observable, Unsubscribe } from '../types.js'

/** What `openDocument` takes. */
export interface DocumentOptions {
  /**
   * Your own document, as one that `y-indexeddb` keeps; it is not destroyed. Left out: a new one, which is
   * destroyed when nobody needs it any more.
   */
  readonly doc?: Doc | undefined
  /** Your own; `null`: none, then nobody sees where this user is. Left out: a new one. */
  readonly awareness?: Awareness | null | undefined
}

/**
 * How a document is:
 * - `connecting`: there is no connection, or it is not joined yet. What is edited is kept in the document, and sent later
 * - `syncing`: what the server and this document lack of each other is being found out
 * - `synced`: what the server has is here. With `refused`, it did not take what was edited: `forbidden`, `too_large`,
 *   `limit_exceeded`, `invalid_data`, `rate_limited`, `unavailable`. With `retryable` it is tried again by itself, else with
 *   the next edit. Until then `unsaved` is true
 * - `failed`: it cannot be joined: `forbidden`, `not_found`, `bad_request`, `limit_exceeded`. It is tried again with the next
 *   connection, and when it is opened again
 * - `reset`: the document was begun anew at the server. This one is not sent any more: destroy it, throw away what is
 *   kept of it (as `y-indexeddb` does), and open it again with another `doc`
 */
export type DocumentStatus =
  | { readonly state: 'connecting' }
  | { readonly state: 'syncing' }
  | { readonly state: 'synced'; readonly refused?: TidingsError | undefined }
  | { readonly state: 'failed'; readonly cause: TidingsError }
  | { readonly state: 'reset' }

/** What this user may do with a document that they may read. */
export interface DocumentAccess {
  /** Change it. What is edited without stays here, and is sent should the right come. */
  readonly write: boolean
  /** See where others are, and be seen. */
  readonly awareness: boolean
}

/** A document that is open. All who open the same share one `doc`, and each destroys their own. */
export interface DocumentProvider {
  /** As `doc:plan`. */
  readonly name: string
  /** What editors bind to. */
  readonly doc: Doc
  /** Where everybody is: cursors, names, colours. At most 4 KiB of JSON each. */
  readonly awareness: Awareness | null
  /** How it is. */
  readonly status: Observable<DocumentStatus>
  /** What the server has is here: `status` is `synced`. */
  readonly synced: Observable<boolean>
  /**
   * The server may lack something that is here, deletions too: what it has not answered that it stored. True as well for
   * a document with content that has not been compared with the server's, as one that was just read from a disk.
   */
  readonly unsaved: Observable<boolean>
  /** The rights of now, which may change while it is open; `null` until the server has told them. */
  readonly access: Observable<DocumentAccess | null>
  /** Who is behind a client id of `awareness`, by their token: `state` says what its author likes. */
  userOf(client: number): string | undefined
  /** Calls `listener` when the document was begun anew at the server: see `DocumentStatus`. */
  on(event: 'reset', listener: () => void): Unsubscribe
  /**
   * Ends the use of this one. After the last, this user is taken out of `awareness` at once; what is not stored yet still
   * is, also when a connection comes later while the page lives, unless the server refuses it for good, or `client.logout()`
   * is called before or after. A document that stays open over a logout goes on as whoever signs in next.
   */
  destroy(): void
}
