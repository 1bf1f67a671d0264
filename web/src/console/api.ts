// The server's HTTP API, as the console uses it.
import { createContext, useContext } from 'react'

/** What went wrong (RFC 9457), as the server tells it; or as we tell it when it does not answer. */
export interface Problem {
  readonly title: string
  /** 0: there was no answer. */
  readonly status: number
  readonly detail?: string
  readonly code?: string
  readonly path?: string
  readonly limit?: string
}

export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title)
  }
}

export function problemOf(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem
  return { title: 'The page failed', status: 0, detail: String(error) }
}

export type Query = Record<string, string | number | undefined>

export class Api {
  readonly #key: string
  readonly #onRefused: () => void

  /** `onRefused`: the key is not taken (any more). */
  constructor(key: string, onRefused: () => void) {
    this.#key = key
    this.#onRefused = onRefused
  }

  async get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
    return this.#json(await this.fetch(`/api/v1${path}${search(query)}`, signal ? { signal } : {}))
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return this.#json(await this.fetch(`/api/v1${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }))
  }

  /** The answer as it comes, also if it is a problem: it is signed with the key. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...init.headers, authorization: `Bearer ${this.#key}` }
    const answer = await reach(path, { ...init, headers })
    if (answer.status === 401) this.#onRefused()
    return answer
  }

  async #json<T>(answer: Response): Promise<T> {
    if (!answer.ok) throw new ProblemError(await readProblem(answer))
    return await answer.json() as T
  }
}

/** `fetch` whose failure is a problem. */
export async function reach(path: string, init: RequestInit = {}): Promise<Response> {
  try {
    return await fetch(path, { cache: 'no-store', credentials: 'omit', ...init })
  } catch (error) {
    if (init.signal?.aborted) throw error
    const title = 'The server does not answer'
    throw new ProblemError({ title, status: 0, detail: `${location.host}: ${String(error)}` })
  }
}

export async function readProblem(answer: Response): Promise<Problem> {
  const text = await answer.text().catch(() => '')
  try {
    const said = JSON.parse(text) as Problem
    if (typeof said.title === 'string') return { ...said, status: answer.status }
  } catch { /* then it is not from the API, but from something in front of it */ }
  const title = answer.statusText || 'An error'
  return { title, status: answer.status, detail: text.slice(0, 300) }
}

function search(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '')
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
  return text && `?${text}`
}

export const inPath = (name: string) => encodeURIComponent(name)

const Context = createContext<Api | null>(null)
export const ApiProvider = Context.Provider

export function useApi(): Api {
  const api = useContext(Context)
  if (!api) throw new Error('used outside of a page that is signed in')
  return api
}
