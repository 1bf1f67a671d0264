// The browser's own state, as hooks.
import { useEffect, useState, useSyncExternalStore } from 'react'

function listen(target: EventTarget, types: readonly string[]) {
  return (changed: () => void) => {
    for (const type of types) target.addEventListener(type, changed)
    return () => {
      for (const type of types) target.removeEventListener(type, changed)
    }
  }
}

const onHash = listen(window, ['hashchange'])
const onLine = listen(window, ['online', 'offline'])
const onVisible = listen(document, ['visibilitychange'])

export const useHash = () => useSyncExternalStore(onHash, () => location.hash)
export const useOnline = () => useSyncExternalStore(onLine, () => navigator.onLine)
export const useVisible = () => useSyncExternalStore(onVisible, () => !document.hidden)

const queries = new Map<string, { list: MediaQueryList; subscribe: ReturnType<typeof listen> }>()

export function useMedia(query: string): boolean {
  let found = queries.get(query)
  if (!found) {
    const list = matchMedia(query)
    queries.set(query, found = { list, subscribe: listen(list, ['change']) })
  }
  const { list, subscribe } = found
  return useSyncExternalStore(subscribe, () => list.matches)
}

/** The time, again and again while `on`. */
export function useNow(on: boolean, everyMs: number): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    if (!on) return
    setNow(Date.now())
    const timer = setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [on, everyMs])
  return now
}
