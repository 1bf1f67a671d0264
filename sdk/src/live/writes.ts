import { joinPatches, mergePatch } from './merge.js'
import type { Written } from './types.js'

/** A write that is on its way, or whose effect has not come back yet. */
export interface Write {
  readonly type: 'set' | 'patch' | 'remove'
  readonly key: string
  /** The value, or the patch. */
  readonly value: unknown
  readonly ttl: number | undefined
  readonly ifVersion: number | undefined
  /** Who wants to know. */
  readonly waiting: readonly { done(written: Written): void; failed(error: unknown): void }[]
  /** Takes it out of the outbox, if it was not sent. */
  withdraw?: (() => boolean) | undefined
  /** Where the server has it. */
  stored?: { readonly epoch: string; readonly offset: number }
}

/** What the values are with this write. */
export function apply({ type, key, value }: Write, values: Map<string, unknown>): void {
  if (type === 'remove') values.delete(key)
  else values.set(key, type === 'set' ? value : mergePatch(values.get(key), value))
}

/** The one write that does what both do; `null` where there is none. */
export function joined(before: Write, next: Write): Write | null {
  // A condition is about the value that the server has when it is its turn.
  if ((before.ifVersion ?? next.ifVersion) !== undefined) return null
  const waiting = [...before.waiting, ...next.waiting]
  if (next.type !== 'patch') return { ...next, waiting }
  if (before.type !== 'patch') return { ...next, type: 'set', value: mergePatch(before.value, next.value), waiting }
  const value = joinPatches(before.value, next.value)
  return value === undefined ? null : { ...next, value, waiting }
}
