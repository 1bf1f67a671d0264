// The example of docs/documents.md for React, which sdk/test/e2e/docs.test.tsx shows.
import type { DocumentStatus } from 'tidings/yjs'
import { useAwareness, useDocument } from 'tidings/yjs/react'

// region plan
function stateOf({ state }: DocumentStatus, unsaved: boolean): string {
  if (state === 'failed' || state === 'reset') return 'Not saved'
  if (state !== 'synced') return 'Offline: what you write is kept'
  return unsaved ? 'Saving…' : 'Saved'
}

export function Plan({ name, me }: { name: string; me: string }) {
  const { document, status, unsaved } = useDocument(name)
  const people = useAwareness<{ name: string }>(document, { name: me })
  return (
    <section>
      <p>{stateOf(status, unsaved)}</p>
      <ul>
        {people.map(({ client, user, state }) => (
          <li key={client} title={user}>{typeof state.name === 'string' ? state.name : user}</li>
        ))}
      </ul>
      {document && <button onClick={() => document.doc.getText('text').insert(0, '!')}>Write</button>}
    </section>
  )
}
// endregion
