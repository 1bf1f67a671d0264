import { useMemo } from 'react'
import { inbox, type Inbox, type InboxView, type Unread } from '../inbox/index.js'
import { UNJOINED } from './channel.js'
import { createStore, endAll, EMPTY, useObservable } from './observe.js'
import { useClient } from './provider.js'

/** What `useInbox` returns: what is there, and what to mark it with. */
export interface InboxHook<P> extends InboxView<P> {
  /** `markRead`, `archive`, `loadMore` and the rest. */
  readonly inbox: Inbox<P>
}

const NONE = { items: EMPTY, unread: 0, unseen: 0, more: false, loading: false, status: UNJOINED }
const ALL_READ: Unread = { count: 0, read: 0 }

/** The signed-in user's notifications, open while mounted. */
export function useInbox<P = unknown>(): InboxHook<P> {
  const client = useClient()
  const [store, none] = useMemo(() => {
    const own = inbox<P>(client)
    const read = () => ({ ...own.view.current, inbox: own })
    return [createStore<InboxHook<P>>(read, changed => {
      const ends = [own.view.subscribe(changed), own.open()]
      changed()
      return endAll(ends)
    }), { ...NONE, inbox: own }]
  }, [client])
  return useObservable(store, none)
}

/** How many messages of a channel this user has not read, kept up to date while mounted; `null` is no channel. */
export function useUnread(channel: string | null): Unread {
  const client = useClient()
  return useObservable(channel === null ? undefined : inbox(client).unread(channel), ALL_READ)
}
