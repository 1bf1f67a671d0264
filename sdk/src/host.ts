import type { Link } from './connection/link.js'
import type { Outbox } from './outbox.js'
import type { Runtime } from './types.js'

/** Where a client has its {@link Host}: for entries of their own, which are not part of the core. */
export const HOST = Symbol.for('tidings')

/** What channels need of the client they belong to. */
export interface Host {
  readonly runtime: Runtime
  readonly link: Link
  readonly outbox: Outbox
}
