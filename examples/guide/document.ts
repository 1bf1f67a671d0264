// Examples of docs/documents.md, which sdk/test/e2e/docs.test.tsx runs.
import type { Client } from 'tidings'
import { openDocument, type DocumentProvider } from 'tidings/yjs'

export function open(client: Client, show: (text: string) => void) {
  // region open
  const plan = openDocument(client, 'doc:plan')
  const text = plan.doc.getText('text')
  text.observe(() => show(text.toString()))
  plan.synced.subscribe(synced => {
    if (synced && text.length === 0) text.insert(0, 'Buy milk. ')
  })
  // endregion
  return plan
}

export function follow(plan: DocumentProvider, show: (text: string) => void) {
  // region follow
  plan.unsaved.subscribe(unsaved => show(unsaved ? 'Saving…' : 'Saved'))
  plan.awareness?.setLocalStateField('name', 'Ada')
  plan.on('reset', () => show('The document was begun anew'))
  // endregion
}
