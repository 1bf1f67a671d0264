import { useCallback, useEffect, useRef } from 'react'
import type { Ack, Channel, ChannelStatus, Message, PublishOptions } from '../types.js'
import { join, useObservable } from './observe.js'
import { useClient } from './provider.js'

export const UNJOINED: ChannelStatus = { state: 'idle' }

/** What `useChannel` returns. */
export interface ChannelView<M> {
  /** `null` while there is no name. */
  readonly channel: Channel<M> | null
  /** How the subscription is; `idle` while there is no name. */
  readonly status: ChannelStatus
  /** As `channel.publish`; rejected while there is no name. The same function for the same channel. */
  readonly publish: (data: M, options?: PublishOptions) => Promise<Ack>
}

export function useNamed<M, P>(name: string | null): Channel<M, P> | null {
  const client = useClient()
  return name === null ? null : client.channel(name) as unknown as Channel<M, P>
}

/**
 * Joins a channel while mounted; `null` joins none. `onMessage` is called with each message, ephemeral ones
 * too, and may be another function at each render.
 */
export function useChannel<M = unknown>(
  name: string | null,
  onMessage?: (message: Message<M>) => void,
): ChannelView<M> {
  const channel = useNamed<M, unknown>(name)
  const status = useObservable(channel?.status, UNJOINED)
  const latest = useRef(onMessage)
  useEffect(() => { latest.current = onMessage })
  useEffect(() => channel?.on('message', message => latest.current?.(message)), [channel])
  useEffect(() => channel ? join(channel) : undefined, [channel])
  const publish = useCallback(async (data: M, options?: PublishOptions) => {
    if (!channel) throw new Error('There is no channel to publish to: its name is null.')
    return channel.publish(data, options)
  }, [channel])
  return { channel, status, publish }
}
