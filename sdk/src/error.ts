import type { ErrorCode } from './types.js'

/** What an error can say besides its code and message. */
export interface ErrorDetails {
  /** Default: true for what passes by itself. */
  retryable?: boolean | undefined
  /** How long the server said to wait, in milliseconds. */
  retryAfterMs?: number | undefined
  /** The close code that was the cause. */
  closeCode?: number | undefined
  /** Where in the data, as a JSON Pointer. */
  path?: string | undefined
  /** The name of the limit that was met. */
  limit?: string | undefined
  /** The version of the key now. */
  version?: number | undefined
  /** What was thrown, if this stands for another error. */
  cause?: unknown
}

const PASSING = /network|timeout|limit|unavailable|sequence|server|full/

/** The one class of errors that this library rejects, throws and puts into a status. */
export class TidingsError extends Error {
  /** Always `TidingsError`. */
  override readonly name = 'TidingsError'
  /** What happened, for programs; `message` is for their developers. */
  declare readonly code: ErrorCode
  /** The same may succeed later. */
  declare readonly retryable: boolean
  /** In milliseconds, when the server said how long to wait. */
  declare readonly retryAfterMs: number | undefined
  /** When a close code was the cause: 44xx stops the client, everything else comes back. */
  declare readonly closeCode: number | undefined
  /** `invalid_data`: where in the data, as a JSON Pointer. */
  declare readonly path: string | undefined
  /** `too_large`, `limit_exceeded`, `invalid_data` (`depth`): which limit. */
  declare readonly limit: string | undefined
  /** `conflict`: the version of now; 0 where there is no value. */
  declare readonly version: number | undefined

  /** `message` is the code if it is left out. */
  constructor(code: ErrorCode, message: string = code, { cause, ...details }: ErrorDetails = {}) {
    super(message, cause ? { cause } : {})
    Object.assign(this, details)
    this.code = code
    this.retryable = details.retryable ?? PASSING.test(code)
  }
}
