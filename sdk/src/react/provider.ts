import { createContext, createElement, useContext, useMemo, type ReactNode } from 'react'
import type { Client, ConnectionStatus, OutboxEntry, Schema, SchemaOf } from '../types.js'
import { EMPTY, useObservable } from './observe.js'

const Context = createContext<Client | null>(null)
const IDLE: ConnectionStatus = { state: 'idle' }

/**
 * Hands the client to the hooks below it. Make the client once, outside of components, and call its
 * `connect()` yourself: neither mounting nor unmounting touches the connection.
 */
export function TidingsProvider(props: { client: Client<any>; children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: props.client }, props.children)
}

/** The client of the `<TidingsProvider>` above. Throws an `Error` if there is none, as all hooks do. */
export function useClient<S extends SchemaOf<S> = Schema>(): Client<S> {
  const client = useContext(Context)
  if (!client) throw new Error('There is no <TidingsProvider> above this component.')
  return client as unknown as Client<S>
}

/** How the line is: `client.status`. While a server renders it is `idle`. */
export function useConnection(): ConnectionStatus {
  return useObservable(useClient().status, IDLE)
}

/** What is not known to be stored, oldest first: of one channel, or of all. */
export function useOutbox(channel?: string): readonly OutboxEntry[] {
  const all = useObservable(useClient().outbox, EMPTY)
  return useMemo(
    () => channel === undefined ? all : all.filter(entry => entry.channel === channel),
    [all, channel],
  )
}
