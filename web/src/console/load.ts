// What a page asks the server for: while it waits, when it came, and when it failed.
import { useCallback, useEffect, useRef, useState } from 'react'
import { useVisible } from '../browser.ts'
import { problemOf, type Problem } from './api.ts'

export interface Loaded<T> {
  /** The last that came; it stays while newer is asked for. */
  readonly value: T | undefined
  /** Why the last request failed. */
  readonly problem: Problem | undefined
  readonly loading: boolean
  readonly reload: () => void
}

/**
 * Asks when `what` changes, and every `everyMs` while somebody looks. `what` names what is asked for:
 * answers to an older question are dropped.
 */
export function useLoad<T>(
  what: string, ask: (signal: AbortSignal) => Promise<T>, everyMs?: number,
): Loaded<T> {
  const [state, setState] = useState<{ what: string; value?: T; problem?: Problem }>({ what })
  const [loading, setLoading] = useState(true)
  const [turn, setTurn] = useState(0)
  const visible = useVisible()
  const latest = useRef(ask)
  latest.current = ask

  useEffect(() => {
    if (!visible) return
    const gone = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const run = async () => {
      setLoading(true)
      try {
        const value = await latest.current(gone.signal)
        if (!gone.signal.aborted) setState({ what, value })
      } catch (error) {
        if (gone.signal.aborted) return
        setState(before => before.what === what && before.value !== undefined
          ? { ...before, problem: problemOf(error) } : { what, problem: problemOf(error) })
      }
      if (gone.signal.aborted) return
      setLoading(false)
      if (everyMs !== undefined) timer = setTimeout(run, everyMs)
    }
    void run()
    return () => {
      gone.abort()
      clearTimeout(timer)
    }
  }, [what, turn, everyMs, visible])

  const reload = useCallback(() => setTurn(turn => turn + 1), [])
  const current = state.what === what ? state : undefined
  return { value: current?.value, problem: current?.problem, loading, reload }
}
