import { useMemo } from 'react'
import { useNamed } from './channel.js'
import { useObservable } from './observe.js'
import { useClient } from './provider.js'
import { createTimeline, NO_MESSAGES, type MessagesOptions, type MessagesView } from './timeline.js'

/**
 * The messages of a channel from the newest `rewind` on, what is on its way, and what failed.
 * The options count when the name does: changing them alone changes nothing.
 */
export function useMessages<M = unknown>(
  name: string | null,
  options: MessagesOptions = {},
): MessagesView<M> {
  const client = useClient()
  const channel = useNamed<M, unknown>(name)
  const store = useMemo(
    () => channel ? createTimeline(client, channel, options) : undefined,
    [client, channel],
  )
  return useObservable<MessagesView<M>>(store, NO_MESSAGES)
}
