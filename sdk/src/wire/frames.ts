// The frames of docs/protocol.md as the client reads them.

import { TidingsError } from '../error.js'
import type { Ack, Change, ErrorCode, Member, Message } from '../types.js'

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

export const time = Date.parse

/** What users gave, as JSON; or `invalid_data`. */
export function json(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw new TidingsError('invalid_data', 'not JSON', { cause })
  }
}

/** The frame in `text`, if there is one. */
export function parse(text: string): Frame | undefined {
  try {
    const frame = JSON.parse(text)
    if (frame.type) return frame
  } catch { /* The caller knows what to do without one. */ }
}

export const errorOf = (frame: Frame): TidingsError =>
  new TidingsError(frame.code as ErrorCode, frame.message, {
    retryable: frame.retryable, retryAfterMs: frame.retry_after, path: frame.path, limit: frame.limit, version: frame.version,
  })

/** What a `published` says. */
export const ackOf = ({ epoch, offset, duplicate }: Frame, key: string): Ack =>
  ({ key, position: offset === undefined ? null : { epoch, offset }, duplicate: !!duplicate })

export const messageOf = <M>(
  { type: _, channel: __, offset, timestamp, ephemeral, edited, ...more }: Frame, epoch: string, replayed: boolean,
): Message<M> => ({
  ...more, position: ephemeral ? null : { epoch, offset }, at: time(timestamp), replayed, ephemeral: !!ephemeral,
  edited: edited && time(edited),
}) as unknown as Message<M>

export const changeOf = <M>(
  { type: kind, channel: _, offset, timestamp, removed, ...more }: Frame, epoch: string,
): Change<M> =>
  ({ ...more, kind, removed: !!removed, position: { epoch, offset }, at: time(timestamp) }) as unknown as Change<M>

export const memberOf = <P>({ user, sessions, data, since, last_seen }: WireMember): Member<P> =>
  ({ user, sessions, data: data as P, since: time(since), lastSeen: time(last_seen) })
