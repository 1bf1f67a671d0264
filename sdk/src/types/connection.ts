import type { TidingsError } from '../error.js'

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
 * - `not_found`: no such namespace; of `history`, that the channel has another epoch by now; of a change, that
 *   the event has left the history or was deleted
 * - `already_subscribed`, `not_subscribed`: the client deals with them by itself
 * - `invalid_data`: `data` is not JSON, does not fit the namespace's schema (`path`), or is nested
 *   too deep (`limit`)
 * - `too_large`: over a limit on bytes; `limit` names it
 * - `limit_exceeded`: over a limit on a number of things; `limit` names it
 * - `document_reset`: the document was begun anew; `tidings/yjs` says so with its status
 * - `conflict`: the value has changed since `ifVersion`; `version` is that of now
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
  | 'conflict' | 'document_reset' | 'rate_limited' | 'unavailable' | 'server' | 'replaced' | 'revoked' | 'unsupported_version'
  | 'network' | 'timeout' | 'protocol' | 'closed' | 'outbox_full' | 'expired' | 'unconfirmed'

/** Why a token is asked for: there is none yet, it ends soon, or the server refused the last one. */
export type TokenReason = 'connect' | 'expiring' | 'rejected'

/**
 * A JWT of at most 8,192 bytes (the server's `limits.token`), or what fetches one. Throw
 * `new TidingsError('unauthorized', …)` to stop for good; any other error is taken for a fault of the
 * network and tried again.
 */
export type TokenSource = string | ((context: { reason: TokenReason }) => string | Promise<string>)

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
