import { useEffect, useMemo } from 'react'
import type { Channel, Member, Presence } from '../types.js'
import { useNamed } from './channel.js'
import { createStore, endAll, EMPTY, join, noop, useObservable } from './observe.js'

/** What `usePresence` returns. */
export interface PresenceView<P> {
  /** In the order in which they entered. Empty in channels so large that only `count` is told. */
  readonly members: readonly Member<P>[]
  /** How many members there are. */
  readonly count: number
}

const NOBODY: PresenceView<never> = { members: EMPTY, count: 0 }

/** How many mounted hooks have entered. */
const inside = new WeakMap<Presence<any>, number>()

/**
 * Who is in a channel; `null` is none. With `me` (at most 4 KiB of JSON), this user enters it while mounted;
 * another `me` (by its JSON) updates it. A refusal is told nowhere: this user is then not among `members`.
 */
export function usePresence<P = unknown>(name: string | null, me?: P): PresenceView<P> {
  const channel = useNamed<unknown, P>(name)
  const store = useMemo(() => channel ? follow(channel) : undefined, [channel])
  const view = useObservable<PresenceView<P>>(store, NOBODY)

  const presence = me === undefined ? undefined : channel?.presence
  const data = JSON.stringify(me)
  useEffect(() => {
    // Behind the subscription above, which waits as long. A refusal shows in `members`.
    if (presence) Promise.resolve().then(() => presence.update(JSON.parse(data))).catch(noop)
  }, [presence, data])
  useEffect(() => presence && stay(presence), [presence])
  return view
}

function follow<P>(channel: Channel<unknown, P>) {
  const { members, count } = channel.presence
  return createStore<PresenceView<P>>(
    () => ({ members: members.current, count: count.current }),
    changed => {
      const ends = [join(channel), members.subscribe(changed), count.subscribe(changed)]
      changed()
      return endAll(ends)
    },
  )
}

function stay(presence: Presence<any>) {
  const add = (n: number) => {
    const sum = (inside.get(presence) ?? 0) + n
    inside.set(presence, sum)
    return sum
  }
  add(1)
  return () => {
    add(-1)
    // Not at once: StrictMode, or a component that takes this one's place, comes back in this turn.
    setTimeout(() => { if (!inside.get(presence)) presence.leave().catch(noop) })
  }
}
