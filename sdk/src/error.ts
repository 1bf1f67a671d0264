import type { ErrorCode } from './types.js'

/** What an error can say besides its code and message. */
export interface ErrorDetails {
  /** Default: true for what passes by itself. */
  retryable?: boolean | undefined
  retryAfterMs?: number | undefined
  closeCode?: number | undefined
  path?: string | undefined
  limit?: string | undefined
  cause?: unknown
}

const PASSING = /network|timeout|limit|unavailable|sequence|server|full/

/** The one class of errors that this library rejects, throws and puts into a status. */
export class TidingsError extends Error {
  override readonly name = 'TidingsError'
  readonly code: ErrorCode
  /** The same may succeed later. */
  readonly retryable: boolean
  /** When the server said how long to wait. */
  declare readonly retryAfterMs: number | undefined
  /** When a close code was the cause. */
  declare readonly closeCode: number | undefined
  /** `invalid_data`: where in the data, as a JSON Pointer. */
  declare readonly path: string | undefined
  /** `too_large`, `limit_exceeded`: which limit. */
  declare readonly limit: string | undefined

  constructor(code: ErrorCode, message: string = code, { cause, ...details }: ErrorDetails = {}) {
    super(message, cause === undefined ? {} : { cause })
    Object.assign(this, details)
    this.code = code
    this.retryable = details.retryable ?? PASSING.test(code)
  }
}
