import { HOST, type Host } from '../host.js'
import type { ChannelImpl } from '../channel.js'
import type { Client } from '../types.js'
import { LiveImpl } from './live.js'
import type { LiveState } from './types.js'

export type { LiveEntry, LiveState, WriteOptions, Written } from './types.js'

const states = new WeakMap<object, LiveImpl<any>>()

/** The live data of a channel of kind `state`; the same object each time. Does nothing until it is subscribed to. */
export function live<T extends object = Record<string, unknown>>(client: Client<any>, name: string): LiveState<T> {
  const channel = client.channel(name) as unknown as ChannelImpl<any, any>
  const found = states.get(channel) ?? new LiveImpl<any>(channel, (client as unknown as { [HOST]: Host })[HOST])
  states.set(channel, found)
  return found as LiveState<T>
}
