// The public types. Durations are in milliseconds, sizes in bytes, moments in milliseconds since 1970.
export type * from './types/channel.js'
export type * from './types/client.js'
export type * from './types/connection.js'
export type * from './types/presence.js'
export type * from './types/runtime.js'
