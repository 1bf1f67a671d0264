// A trace as it comes: the newest rows, batched so that a busy channel does not stop the page.
import { ProblemError, problemOf, readProblem, type Api, type Problem } from './api.ts'
import { eventsOf } from './event-stream.ts'

export const ROWS_MAX = 2000
const FLUSH_MS = 100
const AGAIN_MS = 2000

export interface Target { readonly kind: 'channel' | 'user' | 'session'; readonly name: string }

interface TraceLine {
  readonly at: number
  readonly kind: string
  readonly session?: string
  readonly user?: string
  readonly transport?: string
  readonly frame?: Readonly<Record<string, unknown>>
  readonly code?: string | number
  readonly reason?: string
  readonly command?: string
  readonly channel?: string
  readonly count?: number
}

export interface Row {
  /** Counts from the first row of the page. */
  readonly n: number
  readonly line: TraceLine
  readonly type: string
  readonly channel: string | undefined
  /** Why it was refused or ended. */
  readonly reason: string | undefined
  readonly refused: boolean
  /** What the filter looks at. */
  readonly text: string
}

export interface TraceState {
  readonly status: 'starting' | 'live' | 'waiting' | 'stopped'
  readonly rows: readonly Row[]
  readonly problem: Problem | undefined
}

export function rowOf(n: number, line: TraceLine): Row {
  const { kind, frame } = line
  const type = text(frame?.type) ?? line.command ?? kind
  const refused = kind === 'refused' || (kind === 'out' && (type === 'error' || type === 'bye'))
  return {
    n, line, type, refused, reason: reasonOf(line),
    channel: text(frame?.channel) ?? line.channel,
    text: JSON.stringify(line).toLowerCase(),
  }
}

const text = (value: unknown) => typeof value === 'string' ? value : undefined

function reasonOf({ kind, code, reason, frame, count }: TraceLine): string | undefined {
  if (kind === 'dropped') return `${count ?? 'Some'} lines are missing: this page was too slow`
  const parts = kind === 'out' ? [frame?.code, frame?.message ?? frame?.reason] : [code, reason]
  return parts.filter(part => part !== undefined && part !== null && part !== '').join(': ') || undefined
}

export class TraceFeed {
  #state: TraceState = { status: 'starting', rows: [], problem: undefined }
  #waiting: Row[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #next = 0
  readonly #listeners = new Set<() => void>()

  readonly current = () => this.#state
  readonly subscribe = (listener: () => void) => {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  clear() {
    this.#waiting = []
    this.#set({ ...this.#state, rows: [] })
  }

  /** Goes on until what it returns is called, or the server refuses. */
  run(api: Api, { kind, name }: Target): () => void {
    const gone = new AbortController()
    const path = `/api/v1/trace?${new URLSearchParams({ [kind]: name })}`
    const follow = async () => {
      this.#set({ ...this.#state, status: 'starting' })
      try {
        const answer = await api.fetch(path, { signal: gone.signal })
        if (!answer.ok) throw new ProblemError(await readProblem(answer))
        for await (const data of eventsOf(answer)) this.#take(JSON.parse(data) as TraceLine)
        this.#lost(undefined)
      } catch (error) {
        if (!gone.signal.aborted) this.#lost(problemOf(error))
      }
      if (gone.signal.aborted || this.#state.status === 'stopped') return
      setTimeout(() => { if (!gone.signal.aborted) void follow() }, AGAIN_MS)
    }
    void follow()
    return () => {
      gone.abort()
      clearTimeout(this.#timer)
      this.#timer = undefined
    }
  }

  #take(line: TraceLine) {
    if (line.kind === 'start') return this.#set({ ...this.#state, status: 'live', problem: undefined })
    this.#waiting.push(rowOf(this.#next++, line))
    // More than is kept is never wanted.
    if (this.#waiting.length > ROWS_MAX) this.#waiting.shift()
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS)
  }

  #flush() {
    this.#timer = undefined
    const rows = [...this.#state.rows, ...this.#waiting].slice(-ROWS_MAX)
    this.#waiting = []
    this.#set({ ...this.#state, rows })
  }

  /** The line is lost, or was never there: what the server refuses, it refuses again. */
  #lost(problem: Problem | undefined) {
    const refused = problem !== undefined && problem.status >= 400 && problem.status < 500
    if (this.#state.status === 'live') this.#take({ at: Date.now(), kind: 'interrupted' })
    this.#set({ ...this.#state, problem, status: refused ? 'stopped' : 'waiting' })
  }

  #set(state: TraceState) {
    this.#state = state
    for (const listener of this.#listeners) listener()
  }
}
