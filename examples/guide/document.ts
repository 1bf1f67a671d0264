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

export async function saveVersion(plan: DocumentProvider, show: (text: string) => void) {
  // region version-save
  const { version, at } = await plan.versions.save('Sent to the printer')
  show(`Version ${version} of ${new Date(at).toLocaleTimeString()}`)
  // endregion
}

export async function listVersions(plan: DocumentProvider, show: (text: string) => void) {
  // region version-list
  const { versions, changed, authors } = await plan.versions.list({ limit: 20 })
  if (changed) show(`Changed since, by ${authors.join(', ')}`)
  for (const { version, name, user } of versions) show(`${version}: ${name ?? 'kept by the server'}, ${user ?? ''}`)
  // endregion
}

export async function backTo(plan: DocumentProvider, version: number, show: (text: string) => void) {
  // region version-restore
  const old = await plan.versions.read(version)
  show(old.getText('text').toString())
  old.destroy()
  await plan.versions.restore(version)
  // endregion
}
