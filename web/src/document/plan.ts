// The documents of this page, which the browser keeps too.
import { IndexeddbPersistence } from 'y-indexeddb'
import { Doc, type Map as YMap, type Text } from 'yjs'

export interface Plan { readonly name: string; readonly doc: Doc; readonly text: Text; readonly todos: YMap<unknown> }

const open = new Map<string, { plan: Plan; kept: IndexeddbPersistence | null }>()

/** The same until it is thrown away. */
export function planOf(name: string): Plan {
  let found = open.get(name)
  if (!found) {
    const doc = new Doc()
    const plan = { name, doc, text: doc.getText('text'), todos: doc.getMap('todos') }
    // Private windows may have none: then what is not stored ends with the page.
    found = { plan, kept: globalThis.indexedDB ? new IndexeddbPersistence(`tidings doc:${name}`, doc) : null }
    open.set(name, found)
  }
  return found.plan
}

/** After a reset: what is kept belongs to a document that is no more. */
export async function throwAway(name: string): Promise<void> {
  const found = open.get(name)
  open.delete(name)
  await found?.kept?.clearData()
  found?.plan.doc.destroy()
}
