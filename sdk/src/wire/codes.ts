import type { ErrorCode } from '../types.js'

/** After three of these in a row, one end does not speak WebSocket as the other understands it. */
const PROTOCOL_FAULTS = [1002, 1003, 1007, 1009, 1010]
export const isFault = (code: number): boolean => PROTOCOL_FAULTS.includes(code)

const MEANINGS: Record<number, ErrorCode> = {
  4400: 'bad_request', 4401: 'unauthorized', 4403: 'forbidden', 4404: 'not_found', 4408: 'timeout',
  4409: 'replaced', 4410: 'revoked', 4413: 'too_large', 4426: 'unsupported_version',
  4500: 'server', 4501: 'unauthorized', 4503: 'unavailable', 4504: 'unavailable', 4508: 'timeout',
  4513: 'rate_limited', 4529: 'rate_limited',
}

/** One sentence to remember: 44xx stops, everything else comes back. */
export const isTerminal = (code: number): boolean => (code / 100 | 0) === 44

/** What a close code says in words of errors. */
export const meaning = (code: number): ErrorCode =>
  MEANINGS[code] ?? (isTerminal(code) ? 'closed' : isFault(code) ? 'protocol' : 'network')
