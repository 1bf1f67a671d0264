// Hooks for React 18 and newer. They follow a client; they never make, connect or end one.
export { TidingsProvider, useClient, useConnection, useOutbox } from './provider.js'
export { useChannel } from './channel.js'
export type { ChannelView } from './channel.js'
export { useMessages } from './messages.js'
export type { FailedMessage, MessagesOptions, MessagesView } from './timeline.js'
export { usePresence } from './presence.js'
export type { PresenceView } from './presence.js'
