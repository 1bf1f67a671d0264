// What the server counts, asked for each second, and what follows from the differences.
import { useSyncExternalStore } from 'react'
import { problemOf, type Api, type Problem } from './api.ts'

type Counts = Readonly<Record<string, number>>

export interface Histogram {
  readonly count: number
  readonly sum_seconds: number
  /** Up to so many seconds: so many in all. */
  readonly buckets: readonly (readonly [number, number])[]
}

/** `GET /api/v1/stats`: counters since the start, and what is now. */
export interface Stats {
  readonly version: string
  readonly started_at: number
  readonly now: number
  readonly shards: number
  readonly ready: boolean
  readonly dev: boolean
  readonly connections: Counts
  readonly sessions: number
  readonly lost_sessions: number
  readonly users?: number
  readonly channels: number
  readonly subscriptions: number
  readonly memory_bytes: number
  readonly cpu_seconds: number
  readonly open_fds: number
  readonly commands: {
    readonly ok: number
    readonly refused: number
    readonly by_type: Readonly<Record<string, { readonly ok: number; readonly refused: number }>>
  }
  readonly refusals: Counts
  readonly published: Counts
  readonly duplicates: number
  readonly deliveries: Counts
  readonly sent_bytes: number
  readonly recoveries: Counts
  readonly sessions_opened: number
  readonly sessions_closed: Counts
  readonly publish_latency: Histogram
  readonly store_commit: Histogram
}

const EVERY_MS = 1000
/** Two minutes, and the sample that the first difference is taken from. */
export const SAMPLES_MAX = 121

export interface StatsState {
  readonly samples: readonly Stats[]
  /** Why the last question had no answer. */
  readonly problem: Problem | undefined
}

/** Asks while it runs and somebody looks; a page in the background costs the server nothing. */
export class StatsFeed {
  #state: StatsState = { samples: [], problem: undefined }
  readonly #listeners = new Set<() => void>()
  readonly #api: Api

  constructor(api: Api) { this.#api = api }

  readonly current = () => this.#state
  readonly subscribe = (listener: () => void) => {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** Returns what ends it. */
  run(): () => void {
    const gone = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const ask = async () => {
      const began = performance.now()
      if (!document.hidden) await this.#ask(gone.signal)
      if (gone.signal.aborted) return
      timer = setTimeout(ask, Math.max(100, EVERY_MS - (performance.now() - began)))
    }
    void ask()
    return () => {
      gone.abort()
      clearTimeout(timer)
    }
  }

  async #ask(signal: AbortSignal) {
    try {
      const sample = await this.#api.get<Stats>('/stats', {}, signal)
      const before = this.#state.samples
      // Another process counts from zero: what was before says nothing about it.
      const same = before.at(-1)?.started_at === sample.started_at
      const samples = same ? [...before, sample].slice(-SAMPLES_MAX) : [sample]
      this.#set({ samples, problem: undefined })
    } catch (error) {
      if (!signal.aborted) this.#set({ ...this.#state, problem: problemOf(error) })
    }
  }

  #set(state: StatsState) {
    this.#state = state
    for (const listener of this.#listeners) listener()
  }
}

export const useStats = (feed: StatsFeed) => useSyncExternalStore(feed.subscribe, feed.current)

export const sum = (counts: Counts) => Object.values(counts).reduce((a, b) => a + b, 0)

/** How fast `read` grew from sample to sample; `null` where nothing can be said. */
export function rates(
  samples: readonly Stats[], read: (stats: Stats) => number,
): (number | null)[] {
  return samples.slice(1).map((after, index) => {
    const before = samples[index]!
    const seconds = (after.now - before.now) / 1000
    return seconds > 0 ? Math.max(0, read(after) - read(before)) / seconds : null
  })
}

export const levels = (samples: readonly Stats[], read: (stats: Stats) => number) =>
  samples.slice(1).map(read)

/** Over which time quantiles are taken: one second of a quiet server is too little to say anything. */
const WINDOW = 10

/** The quantile of what happened in the ten seconds up to each sample; `null`: nothing did. */
export function quantiles(
  samples: readonly Stats[], read: (stats: Stats) => Histogram, q: number,
): (number | null)[] {
  return samples.slice(1).map((after, index) =>
    quantile(read(samples[Math.max(0, index + 1 - WINDOW)]!), read(after), q))
}

export function quantile(before: Histogram, after: Histogram, q: number): number | null {
  const total = after.count - before.count
  if (total <= 0) return null
  const rank = q * total
  let below = 0
  let least = 0
  for (const [index, [bound, upTo]] of after.buckets.entries()) {
    const grown = upTo - (before.buckets[index]?.[1] ?? 0)
    if (grown >= rank) {
      const inside = grown - below
      return least + (inside > 0 ? (rank - below) / inside : 1) * (bound - least)
    }
    below = grown
    least = bound
  }
  // Above the last bound: that is all that is known.
  return least
}
