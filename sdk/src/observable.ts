import type { Observable, Unsubscribe } from './types.js'

/** Says it as an uncaught exception would: nobody here can handle it. */
export function report(error: unknown): void {
  if (globalThis.reportError) globalThis.reportError(error)
  else queueMicrotask(() => { throw error })
}

/** Listeners that cannot hurt: what one throws is reported, and the others are called all the same. */
export class Listeners<T> {
  readonly #all = new Set<{ call: (value: T) => void }>()

  get size(): number { return this.#all.size }

  add(call: (value: T) => void): Unsubscribe {
    // An object of its own: the same function may listen twice.
    const listener = { call }
    this.#all.add(listener)
    return () => void this.#all.delete(listener)
  }

  tell(value: T): void {
    for (const { call } of [...this.#all]) {
      try {
        call(value)
      } catch (error) {
        report(error)
      }
    }
  }
}

/** The client's own end of an {@link Observable}. */
export class Value<T> extends Listeners<T> implements Observable<T> {
  declare current: T
  readonly #watched: () => void

  /** `watched` is called when somebody begins to listen. */
  constructor(initial: T, watched = () => {}) {
    super()
    this.current = initial
    this.#watched = watched
  }

  set(value: T): void {
    if (value === this.current) return
    this.current = value
    this.tell(value)
  }

  // Bound, because it is handed around alone.
  readonly subscribe = (listener: (value: T) => void): Unsubscribe => {
    const end = this.add(listener)
    this.#watched()
    return end
  }
}
