import { useMemo } from 'react'
import { live, type LiveState } from '../live/index.js'
import type { ChannelStatus } from '../types.js'
import { UNJOINED } from './channel.js'
import { createStore, endAll, useObservable } from './observe.js'
import { useClient } from './provider.js'

/** What `useLive` returns. */
export interface LiveView<T extends object> {
  /** All values, with our own writes that are on their way; `undefined` until the first snapshot is here. */
  readonly value: Readonly<Partial<T>> | undefined
  /** How the subscription is; `idle` while there is no name. */
  readonly status: ChannelStatus
  /** To write with: `set`, `patch`, `remove`. `null` while there is no name. */
  readonly live: LiveState<T> | null
}

/** The live data of a channel of kind `state`, joined while mounted; `null` is none. Changes of one turn are one render. */
export function useLive<T extends object = Record<string, unknown>>(name: string | null): LiveView<T> {
  const client = useClient()
  const store = useMemo(() => name === null ? undefined : follow(live<T>(client, name)), [client, name])
  return useObservable<LiveView<T>>(store, NOTHING)
}

const NOTHING: LiveView<any> = { value: undefined, status: UNJOINED, live: null }

function follow<T extends object>(state: LiveState<T>) {
  return createStore<LiveView<T>>(
    () => ({ value: state.value.current, status: state.status.current, live: state }),
    changed => {
      const ends = [state.value.subscribe(changed), state.status.subscribe(changed), state.subscribe()]
      changed()
      return endAll(ends)
    },
  )
}
