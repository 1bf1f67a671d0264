// The example of docs/documents.md for React, which sdk/test/e2e/docs.test.tsx shows.
import { useAwareness, useDocument } from 'tidings/yjs/react'

// region plan
export function Plan({ name, me }: { name: string; me: string }) {
  const { document, synced, unsaved } = useDocument(name)
  const people = useAwareness<{ name: string }>(document, { name: me })
  return (
    <section>
      <p>{synced ? (unsaved ? 'Saving…' : 'Saved') : 'Offline: what you write is kept'}</p>
      <ul>{people.map(({ client, user, state }) => <li key={client} title={user}>{String(state.name)}</li>)}</ul>
      {document && <button onClick={() => document.doc.getText('text').insert(0, '!')}>Write</button>}
    </section>
  )
}
// endregion
