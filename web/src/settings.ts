// What the page remembers, and what its address says.
import type { TransportName } from 'tidings'

const query = new URLSearchParams(location.search)
const local = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(location.hostname)

/** The server; another than our own only while somebody works on this page. */
export const serverUrl = (local && query.get('server')) || location.origin

/** `?transport=sse` for tests and for curious people. */
export const transports: readonly TransportName[] | undefined = (() => {
  const asked = (query.get('transport') ?? '').split(',').filter(isTransport)
  return asked.length ? asked : undefined
})()

function isTransport(name: string): name is TransportName {
  return name === 'websocket' || name === 'sse' || name === 'poll'
}

// Storage can be refused (private windows, policies); the page works without.
export function recall(storage: 'local' | 'session', key: string): string | null {
  try { return store(storage).getItem(`tidings.${key}`) } catch { return null }
}

export function remember(storage: 'local' | 'session', key: string, value: string | null): void {
  try {
    if (value === null) store(storage).removeItem(`tidings.${key}`)
    else store(storage).setItem(`tidings.${key}`, value)
  } catch { /* then it is forgotten with the page */ }
}

/** All whose key begins so. */
export function forget(storage: 'local' | 'session', prefix: string): void {
  try {
    const keys = Object.keys(store(storage)).filter(key => key.startsWith(`tidings.${prefix}`))
    for (const key of keys) store(storage).removeItem(key)
  } catch { /* then there is nothing */ }
}

const store = (which: 'local' | 'session') => which === 'local' ? localStorage : sessionStorage

/** The raw page keeps the name under the same key. */
export const rememberedName = () =>
  recall('local', 'name') ?? `Guest ${100 + Math.floor(Math.random() * 900)}`
