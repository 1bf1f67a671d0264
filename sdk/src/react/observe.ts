import { useCallback, useSyncExternalStore } from 'react'
import type { Channel, Observable, Unsubscribe } from '../types.js'

export const EMPTY: readonly never[] = []
export const noop = (): void => {}

export const endAll = (ends: readonly Unsubscribe[]): Unsubscribe => () => ends.forEach(end => end())

/** The value of now. While a server renders, and while its page is taken over, it is `initial`. */
export function useObservable<T>(source: Observable<T> | undefined, initial: T): T {
  return useSyncExternalStore(
    useCallback(changed => source ? source.subscribe(changed) : noop, [source]),
    () => source ? source.current : initial,
    () => initial,
  )
}

/**
 * Subscribes after all that mount in this turn: the first to subscribe says where to start, and only
 * `useMessages` knows.
 */
export function join(channel: Channel<any, any>): Unsubscribe {
  let release: Unsubscribe | undefined
  let gone = false
  queueMicrotask(() => { if (!gone) release = channel.subscribe() })
  return () => {
    gone = true
    release?.()
  }
}

/** An observable that is read again after `changed()`, and that works only while somebody listens. */
export interface Store<T> extends Observable<T> { changed(): void }

/**
 * Many changes in one turn are one: React stops a component whose effects set state at each of 50
 * changes that come at once, as the events of a burst do.
 *
 * `start` is called for the first listener; what it returns, after the last has gone and did not
 * come back within the same turn, as StrictMode's do.
 */
export function createStore<T>(read: () => T, start: (changed: () => void) => Unsubscribe): Store<T> {
  const listeners = new Set<(value: T) => void>()
  let current = read()
  let stop: Unsubscribe | undefined
  let telling: Timer
  let stopping: Timer
  const changed = () => {
    telling ??= setTimeout(() => {
      telling = undefined
      current = read()
      for (const listener of [...listeners]) listener(current)
    })
  }
  return {
    get current() { return current },
    changed,
    subscribe(listener) {
      listeners.add(listener)
      clearTimeout(stopping)
      stop ??= start(changed)
      return () => {
        listeners.delete(listener)
        if (!listeners.size) {
          stopping = setTimeout(() => {
            stop?.()
            stop = undefined
          })
        }
      }
    },
  }
}

type Timer = ReturnType<typeof setTimeout> | undefined
