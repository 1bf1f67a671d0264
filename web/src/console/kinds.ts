// What channels are, by their namespaces: the server says it with its name and version.
import { useApi } from './api.ts'
import { useLoad } from './load.ts'

export type Kind = 'document' | 'events' | 'state' | 'inbox'
type Kinds = Readonly<Record<string, Kind>>

interface Info { readonly kinds?: Kinds }

/** `undefined` while it is not known. A key that may not ask sees all channels as events. */
export function useKinds(): Kinds | undefined {
  const api = useApi()
  const { value, problem } = useLoad('info', signal => api.get<Info>('/info', {}, signal))
  return value ? value.kinds ?? {} : problem && {}
}

export const kindOf = (kinds: Kinds | undefined, channel: string): Kind | undefined =>
  kinds && (kinds[channel.slice(0, channel.indexOf(':'))] ?? 'events')

/** Whose inbox it is: `inbox:ada` is ada's. */
export const userOf = (channel: string) => channel.slice(channel.indexOf(':') + 1)
