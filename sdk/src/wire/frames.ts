// The frames of docs/protocol.md as the client reads them.

import { TidingsError } from '../error.js'
import type { Ack, ErrorCode, Member, Message } from '../types.js'

/** A frame from the server: `type` says which of the other fields are there. */
export interface Frame {
  readonly type: string
  readonly id?: number
  readonly channel: string
  readonly [field: string]: any
}

/** A command without its `id`. */
export interface Command { readonly type: string; readonly [field: string]: unknown }

export interface WireMember {
  readonly user: string
  readonly sessions: number
  readonly data: unknown
  readonly since: string
  readonly last_seen: string
}

const encoder = new TextEncoder()
/** In UTF-8, as limits are counted. */
export const byteLength = (text: string): number => encoder.encode(text).length

/** The frame in `text`, if there is one. */
export function parse(text: string): Frame | undefined {
  try {
    const frame = JSON.parse(text)
    if (frame.type) return frame
  } catch { /* The caller knows what to do without one. */ }
}

export const errorOf = (frame: Frame): TidingsError =>
  new TidingsError(frame.code as ErrorCode, frame.message, {
    retryable: frame.retryable, retryAfterMs: frame.retry_after, path: frame.path, limit: frame.limit,
  })

/** What a `published` says. */
export const ackOf = ({ epoch, offset, duplicate }: Frame, key: string): Ack =>
  ({ key, position: offset === undefined ? null : { epoch, offset }, duplicate: !!duplicate })

export function messageOf<M>(frame: Frame, epoch: string, replayed: boolean): Message<M> {
  const { data, event, key, offset, timestamp, user, session, ephemeral } = frame
  return {
    data, event, key, position: ephemeral ? null : { epoch, offset }, at: Date.parse(timestamp), user, session,
    replayed, ephemeral: !!ephemeral,
  }
}

export const memberOf = <P>({ user, sessions, data, since, last_seen }: WireMember): Member<P> =>
  ({ user, sessions, data: data as P, since: Date.parse(since), lastSeen: Date.parse(last_seen) })
