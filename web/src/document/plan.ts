// The documents of this page, which the browser keeps too.
import { IndexeddbPersistence } from 'y-indexeddb'
import { Doc, type Map as YMap, type Text, type XmlFragment } from 'yjs'
import { recall, remember } from '../settings.ts'

/** `notes` is what Tiptap writes in: to it a document is a tree, not a text. */
export interface Plan {
  readonly name: string
  readonly doc: Doc
  readonly text: Text
  readonly notes: XmlFragment
  readonly todos: YMap<unknown>
}

/** Its root in the document. */
export const NOTES = 'notes'

const open = new Map<string, { plan: Plan; kept: IndexeddbPersistence | null; times: number }>()

/** How often this browser has begun anew. Each time has a database of its own: another window may still use the one before. */
const timesOf = (name: string): number => Number(recall('local', `anew.${name}`)) || 0

/** The same until it is thrown away. */
export function planOf(name: string): Plan {
  let found = open.get(name)
  if (!found) {
    const doc = new Doc()
    const plan = { name, doc, text: doc.getText('text'), notes: doc.getXmlFragment(NOTES), todos: doc.getMap('todos') }
    const times = timesOf(name)
    const database = `tidings doc:${name}${times ? ` ${times}` : ''}`
    // Private windows may have none: then what is not stored ends with the page.
    found = { plan, kept: globalThis.indexedDB ? new IndexeddbPersistence(database, doc) : null, times }
    open.set(name, found)
  }
  return found.plan
}

/** After a reset: what is kept belongs to a document that is no more. */
export async function throwAway(name: string): Promise<void> {
  const found = open.get(name)
  if (!found) return
  open.delete(name)
  // Unless another window was first: then this one goes to where that one is.
  if (timesOf(name) === found.times) remember('local', `anew.${name}`, String(found.times + 1))
  await found.kept?.clearData().catch(() => {})
  found.plan.doc.destroy()
}
