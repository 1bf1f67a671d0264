export { createClient } from './client.js'
export { TidingsError } from './error.js'
export type { ErrorDetails } from './error.js'
export type * from './types.js'
