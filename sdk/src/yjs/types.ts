// What `tidings/yjs` gives and takes.
import type { Awareness } from 'y-protocols/awareness'
import type { Doc } from 'yjs'
import type { TidingsError } from '../error.js'
import type { Observable, Position, Unsubscribe } from '../types.js'

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

/**
 * What a document held at one moment. One that somebody has saved or named stays until it is deleted; of those that the server
 * has taken by itself, the oldest go when there are too many.
 */
export interface DocumentVersion {
  /** Its number: 1, 2, 3 ..., never used twice. */
  readonly version: number
  /** When it was taken, by the server's clock, in milliseconds since 1970. */
  readonly at: number
  /** What somebody has called it. */
  readonly name?: string | undefined
  /** Who saved it; left out: the server, because the document was quiet, or busy for long, or before another was restored. */
  readonly user?: string | undefined
  /** Who changed the document between the version before and this one; at most 32. */
  readonly authors: readonly string[]
  /** Of its content. */
  readonly bytes: number
  /** Of the newest change that is in it. */
  readonly position: Position
}

/** Which versions. Without any of these: the newest. */
export interface DocumentVersionsQuery {
  /** Those with a smaller number. */
  readonly before?: number | undefined
  /** 1 to 100. Default 50. */
  readonly limit?: number | undefined
}

/** What `versions.list()` resolves with. */
export interface DocumentVersionsPage {
  /** The newest first. */
  readonly versions: readonly DocumentVersion[]
  /** There are older ones. */
  readonly more: boolean
  /** The document has changed since the newest version. */
  readonly changed: boolean
  /** Who has changed it since; at most 32. */
  readonly authors: readonly string[]
}

/**
 * The versions of a document. All of these wait for the document to be joined, also while there is no connection, and reject
 * with the `cause` if it fails, `document_reset` after a reset, `closed` when the client has stopped or this one is destroyed.
 * `network`: the connection was lost under way, so it may have been done. `not_found`: there is no such version; `forbidden`: this
 * user may not; `limit_exceeded`: no more can be saved or named (`limit` is `versions`).
 */
export interface DocumentVersions {
  /** Some of them. Needs the right to read history, as does `read`. Reading goes on when a connection is lost. */
  list(query?: DocumentVersionsQuery): Promise<DocumentVersionsPage>
  /**
   * Saves one, with a name of 1 to 255 bytes or with none, as the document is at the server when all that is unsaved here is
   * stored; rejects with what `status` says in `refused` if that will not be. Needs the right to write, as does `rename`.
   */
  save(name?: string): Promise<DocumentVersion>
  /** Calls it something else; `null`: nothing any more. */
  rename(version: number, name: string | null): Promise<DocumentVersion>
  /** All of it, in a document of its own: to look at, or to bind a read-only editor to. Destroy it afterwards. */
  read(version: number): Promise<Doc>
  /**
   * Makes the document hold what this version holds, for all who have it open. What it held before is kept as a version without
   * a name. Waits as `save` does, and resolves when the change is stored; it arrives as one of somebody else does. Needs both rights.
   */
  restore(version: number): Promise<void>
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
  /** What it held before, as often as it was kept. */
  readonly versions: DocumentVersions
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
