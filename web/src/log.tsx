// The log: stays at its end, or where one reads; and loads what was before.
import { useCallback, useEffect, useLayoutEffect, useRef, useState, type ReactNode } from 'react'
import { plural } from './format.ts'
import { Down } from './icons.tsx'

/** Nearer to its end than this, the log follows it. */
const NEAR_END = 60
/** Nearer to its beginning than this, it loads what was before. */
const NEAR_START = 400
/** A page that is still arriving looks short, too. */
const SETTLE_MS = 150

export interface LogProps {
  /** The first and the last thing in it: how one tells what grew where. */
  first: string | undefined
  /** Grows when something of ours is written: then one wants to see it. */
  written: number
  /** How many messages of others stand behind the one that was last in sight. */
  fresh: number
  onEnd: (atEnd: boolean) => void
  hasEarlier: boolean
  loadEarlier: () => Promise<void>
  busy: boolean
  children: ReactNode
}

export function Log({ first, written, fresh, onEnd, hasEarlier, loadEarlier, busy, children }: LogProps) {
  const box = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const follows = useRef(true)
  const before = useRef({ first, height: 0 })
  const [atEnd, setAtEnd] = useState(true)
  const earlier = useEarlier(hasEarlier && !busy, loadEarlier)
  const settling = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(settling.current), [])

  const toEnd = useCallback(() => {
    const log = box.current
    if (log) log.scrollTop = log.scrollHeight
    follows.current = true
    setAtEnd(true)
  }, [])

  const look = useCallback(() => {
    const log = box.current
    if (!log) return
    follows.current = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END
    setAtEnd(follows.current)
    if (log.scrollTop >= NEAR_START) return
    settling.current ??= setTimeout(() => {
      settling.current = undefined
      if (log.scrollTop < NEAR_START) earlier.load()
    }, SETTLE_MS)
  }, [earlier.load])

  // What is being read stays where it is, whatever comes above or below.
  useLayoutEffect(() => {
    const log = box.current
    if (!log) return
    const was = before.current
    if (follows.current) log.scrollTop = log.scrollHeight
    else if (was.first !== first) log.scrollTop += log.scrollHeight - was.height
    before.current = { first, height: log.scrollHeight }
  })
  useLayoutEffect(() => { if (written) toEnd() }, [written, toEnd])
  useEffect(() => onEnd(atEnd), [onEnd, atEnd])
  // The window, the composer or the font can change size, too. And a short page asks for another.
  useEffect(() => {
    const watch = new ResizeObserver(() => {
      clearTimeout(settling.current)
      settling.current = undefined
      if (follows.current) toEnd()
      look()
    })
    if (box.current) watch.observe(box.current)
    if (content.current) watch.observe(content.current)
    return () => watch.disconnect()
  }, [look, toEnd])

  return (
    <div className="log-frame">
      <div ref={box} id="log" className="log" role="log" aria-label="Messages" tabIndex={0}
        aria-busy={busy || earlier.state === 'loading'} onScroll={look}>
        <div ref={content} className="log-content">
          {hasEarlier && (
            <div className="earlier">
              {earlier.state === 'loading' && 'Loading earlier messages…'}
              {earlier.state === 'failed' && (
                <button className="button small" onClick={() => earlier.load(true)}>
                  Load earlier messages
                </button>
              )}
            </div>
          )}
          {children}
        </div>
      </div>
      {!atEnd && (
        <button className={fresh ? 'to-end fresh' : 'to-end'} onClick={toEnd}>
          <Down size={15} />
          {fresh ? plural(fresh, 'new message', 'new messages') : 'Newest'}
        </button>
      )}
    </div>
  )
}

/** One page at a time; after a failure only when somebody asks. */
function useEarlier(hasEarlier: boolean, loadEarlier: () => Promise<void>) {
  const [state, setState] = useState<'idle' | 'loading' | 'failed'>('idle')
  const now = useRef(state)
  const load = useCallback((again = false) => {
    const change = (next: typeof state) => { setState(now.current = next) }
    if (!hasEarlier || now.current === 'loading' || (now.current === 'failed' && !again)) return
    change('loading')
    loadEarlier().then(() => change('idle'), () => change('failed'))
  }, [hasEarlier, loadEarlier])
  return { state, load }
}
