import type { TidingsError } from '../error.js'
import type { Host } from '../host.js'

/** Calls later for what was refused, if that can help; says whether. */
export function again({ runtime }: Host, { retryable, retryAfterMs = 1000 }: TidingsError, call: () => void): boolean {
  if (retryable) runtime.setTimeout(call, retryAfterMs)
  return retryable
}
