// What Tiptap has written, as this page has it over the SDK: to be read.
import { Fragment, useMemo, useSyncExternalStore, type ReactNode } from 'react'
import { XmlElement, XmlText, type XmlFragment } from 'yjs'
import type { Plan } from './plan.ts'

/** The elements that are shown as what they are; of others, what is inside. */
const TAGS: Record<string, 'p' | 'h4' | 'ul' | 'ol' | 'li' | 'blockquote' | 'pre' | 'hr' | 'br'> = {
  paragraph: 'p', heading: 'h4', bulletList: 'ul', orderedList: 'ol', listItem: 'li', blockquote: 'blockquote', codeBlock: 'pre',
  horizontalRule: 'hr', hardBreak: 'br',
}
const MARKS = { bold: 'strong', italic: 'em', strike: 's', underline: 'u', code: 'code' } as const
/** Others may have nested them deeper; nobody reads that. */
const DEEPEST = 20

function shownIn(parent: XmlFragment, depth = 0): ReactNode {
  if (depth > DEEPEST) return null
  return parent.toArray().map((child, at) => {
    if (child instanceof XmlText) return <Fragment key={at}>{textOf(child)}</Fragment>
    if (!(child instanceof XmlElement)) return null
    const Tag = Object.hasOwn(TAGS, child.nodeName) ? TAGS[child.nodeName]! : Fragment
    return Tag === 'hr' || Tag === 'br' ? <Tag key={at} /> : <Tag key={at}>{shownIn(child, depth + 1)}</Tag>
  })
}

function textOf(text: XmlText): ReactNode {
  return (text.toDelta() as { insert: unknown; attributes?: object }[]).map(({ insert, attributes = {} }, at) => {
    let shown: ReactNode = typeof insert === 'string' ? insert : null
    for (const [mark, Tag] of Object.entries(MARKS)) if (mark in attributes) shown = <Tag>{shown}</Tag>
    return <Fragment key={at}>{shown}</Fragment>
  })
}

/** Counts the changes of the notes. */
function useTimes(notes: XmlFragment): number {
  const [subscribe, read] = useMemo(() => {
    let times = 0
    return [(changed: () => void) => {
      const take = () => {
        times++
        changed()
      }
      notes.observeDeep(take)
      take()
      return () => notes.unobserveDeep(take)
    }, () => times] as const
  }, [notes])
  return useSyncExternalStore(subscribe, read)
}

/** Nothing, as long as nobody has written any; `always`: also then. */
export function Notes({ plan: { notes }, always }: { plan: Plan; always: boolean }) {
  const times = useTimes(notes)
  const shown = useMemo(() => shownIn(notes), [notes, times])
  const empty = notes.length === 0 || !/[^\s]/.test(notes.toString().replace(/<[^>]*>/g, ''))
  if (empty && !always) return null
  return (
    <section className="read" aria-labelledby="notes-title" tabIndex={0}>
      <h3 id="notes-title">Notes <small>from Tiptap, as the SDK has them</small></h3>
      {empty ? <p className="none">Nothing yet. Write some in Tiptap.</p> : <div className="prose">{shown}</div>}
    </section>
  )
}
