// Where in the console one is: `#/channels/chat:lobby?before=44`. What is in it can be shared, so
// neither key nor token ever is.
import { useMemo } from 'react'
import { useHash } from '../browser.ts'

export const SECTIONS = ['overview', 'channels', 'users', 'trace', 'requests'] as const
export type Section = (typeof SECTIONS)[number]

export interface Route {
  readonly section: Section
  /** The channel or user, if it is about one. */
  readonly name: string | undefined
  readonly query: URLSearchParams
}

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = split(hash.replace(/^#\/?/, ''), '?')
  const [section = '', name = ''] = split(path, '/')
  return {
    section: SECTIONS.find(known => known === section) ?? 'overview',
    name: name === '' ? undefined : decoded(name),
    query: new URLSearchParams(query),
  }
}

function split(text: string, at: string): [string, string] {
  const index = text.indexOf(at)
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)]
}

function decoded(text: string): string {
  // Somebody may have typed a `%` that encodes nothing.
  try { return decodeURIComponent(text) } catch { return text }
}

export function href(section: Section, name?: string, query?: Record<string, string>): string {
  // A channel reads better with its colon.
  const path = name === undefined ? '' : `/${encodeURIComponent(name).replaceAll('%3A', ':')}`
  const search = new URLSearchParams(query).toString()
  return `#/${section}${path}${search && `?${search}`}`
}

export const goTo = (address: string) => { location.hash = address }

/** Another address for the same page: nothing to go back to. */
export function replaceAddress(address: string) {
  if (location.hash === address) return
  history.replaceState(history.state, '', address)
}

export function useRoute(): Route {
  const hash = useHash()
  return useMemo(() => parseRoute(hash), [hash])
}
