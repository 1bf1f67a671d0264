import type { Link } from './connection/link.js'
import type { Outbox } from './outbox.js'
import type { Runtime } from './types.js'

/** What channels need of the client they belong to. */
export interface Host {
  readonly runtime: Runtime
  readonly link: Link
  readonly outbox: Outbox
}
