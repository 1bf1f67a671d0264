// What the server keeps of a document, as a list that is asked for anew when something has happened.
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import { TidingsError } from 'tidings'
import type { DocumentProvider, DocumentVersion, DocumentVersionsPage } from 'tidings/yjs'
import type { Doc } from 'yjs'

/** After a change, before the next question: changes come in crowds. */
const CALM_MS = 700
const PAGE = 30

export interface Kept {
  /** The newest first; `null` before they are there. */
  readonly versions: readonly DocumentVersion[] | null
  readonly more: boolean
  readonly changed: boolean
  readonly authors: readonly string[]
  readonly error: string | null
  reload(): void
  /** Older ones, too. */
  loadMore(): void
}

const NOTHING = { versions: null, more: false, changed: false, authors: [], error: null }

export function useVersions(open: DocumentProvider): Kept {
  const [page, setPage] = useState<Omit<Kept, 'reload' | 'loadMore'>>(NOTHING)
  const [count, setCount] = useState(PAGE)
  // An answer to an older question is dropped.
  const turn = useRef(0)
  const reload = useCallback(() => {
    const mine = ++turn.current
    void newest(open, count).then(
      page => { if (mine === turn.current) setPage({ ...page, error: null }) },
      (error: unknown) => { if (mine === turn.current) setPage(before => ({ ...before, error: said(error) })) },
    )
  }, [open, count])
  const times = useTimes(open.doc, CALM_MS)
  useEffect(reload, [reload, times])
  useEffect(() => () => { turn.current++ }, [])
  return { ...page, reload, loadMore: () => setCount(count + PAGE) }
}

/** As many as have been asked for, in pages that the server gives. */
async function newest({ versions }: DocumentProvider, count: number): Promise<DocumentVersionsPage> {
  const first = await versions.list({ limit: PAGE })
  const all = [...first.versions]
  let { more } = first
  while (more && all.length < count) {
    const next = await versions.list({ limit: PAGE, before: all.at(-1)!.version })
    all.push(...next.versions)
    more = next.more && next.versions.length > 0
  }
  return { ...first, versions: all, more }
}

/** Counts changes of a document, at most one in so many milliseconds. */
export function useTimes(doc: Doc, everyMs: number): number {
  const [subscribe, read] = useMemo(() => {
    let times = 0
    return [(changed: () => void) => {
      let timer: ReturnType<typeof setTimeout> | undefined
      const take = () => {
        timer ??= setTimeout(() => {
          timer = undefined
          times++
          changed()
        }, everyMs)
      }
      doc.on('update', take)
      return () => {
        clearTimeout(timer)
        doc.off('update', take)
      }
    }, () => times] as const
  }, [doc, everyMs])
  return useSyncExternalStore(subscribe, read)
}

/** A sentence for who has asked. */
export function said(error: unknown): string {
  const { code, message } = error instanceof TidingsError ? error : { code: '', message: String(error) }
  switch (code) {
    case 'limit_exceeded': return 'No more versions with a name can be kept.'
    case 'forbidden': return 'You may not do this.'
    case 'not_found': return 'This version is not kept any more.'
    case 'network': return 'The connection was lost. Look at the list before you try it again.'
    case 'closed': return 'There is no connection.'
    case 'document_reset': return 'The document was begun anew.'
    default: return `${message}.`
  }
}
