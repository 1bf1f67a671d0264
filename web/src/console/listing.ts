// Names that begin so, page after page: channels and users are listed alike.
import { useEffect, useState } from 'react'
import { useApi, problemOf, type Problem } from './api.ts'
import { useLoad } from './load.ts'
import { href, replaceAddress, type Section } from './route.ts'

const PAGE = 100
const REFRESH_MS = 3000
/** A question is asked when nothing was typed for so long. */
const TYPING_MS = 150

export interface Listing<T> {
  readonly rows: readonly T[] | undefined
  readonly problem: Problem | undefined
  readonly retry: () => void
  /** There are more: this shows them. */
  readonly more: (() => void) | undefined
}

interface Page<T> { readonly rows: readonly T[]; readonly next: string | undefined }

/** The first page is kept up to date; further pages are as they were when they were asked for. */
export function useListing<T>(
  section: 'channels' | 'users', prefix: string, nameOf: (row: T) => string,
): Listing<T> {
  const api = useApi()
  const ask = async (after: string | undefined, signal?: AbortSignal): Promise<Page<T>> => {
    const answer = await api.get<Record<string, unknown>>(
      `/${section}`, { prefix, after, limit: PAGE }, signal)
    return { rows: answer[section] as T[], next: answer.next as string | undefined }
  }
  const first = useLoad(`${section} ${prefix}`, signal => ask(undefined, signal), REFRESH_MS)
  const [further, setFurther] = useState<{ prefix: string; page: Page<T> } | null>(null)
  const [problem, setProblem] = useState<Problem>()

  const behind = further?.prefix === prefix ? further.page : undefined
  const next = behind ? behind.next : first.value?.next
  const known = new Set(first.value?.rows.map(nameOf))
  const rows = first.value && [
    ...first.value.rows, ...(behind?.rows ?? []).filter(row => !known.has(nameOf(row))),
  ]
  const more = async () => {
    try {
      const page = await ask(next)
      setFurther({ prefix, page: { rows: [...behind?.rows ?? [], ...page.rows], next: page.next } })
      setProblem(undefined)
    } catch (error) {
      setProblem(problemOf(error))
    }
  }
  return {
    rows, problem: problem ?? first.problem, retry: first.reload,
    more: next === undefined ? undefined : () => void more(),
  }
}

/** What was typed, and what to ask for: also in the address, so that a link leads to the same list. */
export function usePrefix(section: Section): [string, (typed: string) => void, string] {
  const [typed, setTyped] = useState(() => new URLSearchParams(location.hash.split('?')[1]).get('prefix') ?? '')
  const [prefix, setPrefix] = useState(typed)
  useEffect(() => {
    const timer = setTimeout(() => {
      setPrefix(typed)
      replaceAddress(href(section, undefined, typed ? { prefix: typed } : {}))
    }, TYPING_MS)
    return () => clearTimeout(timer)
  }, [section, typed])
  return [typed, setTyped, prefix]
}
