// Hooks for React 18 and newer. An entry of their own, so that `tidings/react` does not ask for Yjs.
import { useEffect, useMemo } from 'react'
import { createStore, EMPTY, endAll, useObservable } from '../react/observe.js'
import { useClient } from '../react/provider.js'
import type { Client } from '../types.js'
import { openDocument } from './index.js'
import type { DocumentAccess, DocumentOptions, DocumentProvider, DocumentStatus } from './types.js'

/** What `useDocument` returns. */
export interface DocumentView {
  /** To bind editors to: its `doc` and `awareness`. `null` before the component is mounted, and while there is no name. */
  readonly document: DocumentProvider | null
  /** How it is. */
  readonly status: DocumentStatus
  /** What the server has is here. */
  readonly synced: boolean
  /** The server may lack something that is here. */
  readonly unsaved: boolean
  /** What this user may do; `null` until the server has told. */
  readonly access: DocumentAccess | null
}

/** Somebody who has the same document open. */
export interface Peer<S> {
  /** Of Yjs: another for each document that is open. */
  readonly client: number
  /** Who it is, by their token; `undefined` for ourselves. */
  readonly user: string | undefined
  /** What they say of themselves. Check it before use: it is whatever a client of theirs has sent. */
  readonly state: S
  /** It is this one. */
  readonly me: boolean
}

const NOTHING: DocumentView = {
  document: null, status: { state: 'connecting' }, synced: false, unsaved: false, access: null,
}

/**
 * A document, open while mounted; `null` is none. All components with the same name share one `doc`. `options` count
 * when the name or their `doc` does, so keep a `doc` of your own outside of the component or in a ref. After a reset
 * give it another `doc`, or mount another component (by another `key`).
 */
export function useDocument(name: string | null, options: DocumentOptions = {}): DocumentView {
  const client = useClient()
  const store = useMemo(
    () => name === null ? undefined : follow(client, name, options),
    [client, name, options.doc],
  )
  return useObservable(store, NOTHING)
}

function follow(client: Client<any>, name: string, options: DocumentOptions) {
  let open: DocumentProvider | null = null
  const read = (): DocumentView => open === null ? NOTHING : {
    document: open, status: open.status.current, synced: open.synced.current, unsaved: open.unsaved.current,
    access: open.access.current,
  }
  return createStore<DocumentView>(read, changed => {
    const mine = open = openDocument(client, name, options)
    const ends = [open.status, open.synced, open.unsaved, open.access].map(one => one.subscribe(changed))
    changed()
    return endAll([...ends, () => {
      open = null
      mine.destroy()
    }])
  })
}

/**
 * Who has the document open, this user first. With `me`, its fields are set among what this user says of themselves;
 * another `me` (by its JSON) sets them again. Only changes are renders.
 */
export function useAwareness<S extends object = Record<string, unknown>>(
  document: DocumentProvider | null, me?: Partial<S>,
): readonly Peer<S>[] {
  const awareness = document?.awareness
  const store = useMemo(() => document?.awareness ? peersOf<S>(document) : undefined, [document])
  const peers = useObservable<readonly Peer<S>[]>(store, EMPTY)
  const data = JSON.stringify(me)
  // After a logout nobody is there until somebody is signed in.
  const here = !!awareness?.getLocalState()
  useEffect(() => {
    if (here && data) awareness!.setLocalState({ ...awareness!.getLocalState(), ...JSON.parse(data) })
  }, [awareness, data, here])
  return peers
}

function peersOf<S>(document: DocumentProvider) {
  const awareness = document.awareness!
  const read = (): Peer<S>[] => [...awareness.getStates()].map(([client, state]) => ({
    client, user: document.userOf(client), state: state as S, me: client === awareness.clientID,
  })).sort((a, b) => Number(b.me) - Number(a.me))
  return createStore<readonly Peer<S>[]>(read, changed => {
    awareness.on('change', changed)
    changed()
    return () => awareness.off('change', changed)
  })
}
