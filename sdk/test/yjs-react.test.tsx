// The hooks of `tidings/yjs/react`, in StrictMode, against a server with a real Y.Doc.
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { act, StrictMode, type ReactNode } from 'react'
import { TidingsProvider } from '../src/react/index.js'
import type { Client } from '../src/types.js'
import { openDocument } from '../src/yjs/index.js'
import { useAwareness, useDocument } from '../src/yjs/react.js'
import { installDocument, turn } from './react-support.js'
import { PLAN, Server } from './support/documents.js'
import { settle } from './support/fake.js'

installDocument()
const { createRoot } = await import('react-dom/client')

const ends: (() => unknown)[] = []
afterEach(async () => { for (const end of ends.splice(0)) await end() })

async function mount(client: unknown, children: ReactNode) {
  const root = createRoot(document.createElement('div'))
  await does(() => root.render(<StrictMode><TidingsProvider client={client as Client}>{children}</TidingsProvider></StrictMode>))
  ends.push(() => does(() => root.unmount()))
  // React renders when the work is done; what that begins is another.
  await does(() => {})
  return { unmount: () => does(() => root.unmount()) }
}
const does = (work: () => unknown) => act(async () => {
  work()
  for (let hop = 0; hop < 4; hop++) { await settle(); await turn() }
})

test('useDocument: two components share one document, and leave it as they found it', async () => {
  const server = new Server()
  server.edit(doc => doc.getText('text').insert(0, 'Plan'))
  const world = await server.join('ada')
  const seen: ReturnType<typeof useDocument>[] = []
  const Look = ({ name }: { name: string | null }) => { seen.push(useDocument(name)); return null }
  const first = await mount(world.client, <><Look name={PLAN} /><Look name={null} /><Look name={PLAN} /></>)
  const views = seen.slice(-3)
  const open = views.filter(view => view.document)
  assert.ok(seen.some(view => view.document === null && view.status.state === 'connecting'))
  assert.ok(open.length > 0 && open.every(view => view.document!.doc === open[0]!.document!.doc))
  const { document: mine, synced, unsaved, access } = open.at(-1)!
  assert.deepEqual([synced, unsaved, access], [true, false, { write: true, awareness: true }])
  assert.equal(mine!.doc.getText('text').toString(), 'Plan')
  assert.equal(world.line.of('subscribe').length, 1, 'StrictMode does not leave and join')
  assert.equal(world.line.of('sync').length, 1)
  await does(() => mine!.doc.getText('text').insert(4, ' B'))
  assert.equal(server.text, 'Plan B')
  assert.equal(seen.at(-1)!.unsaved, false)
  await first.unmount()
  assert.equal(mine!.doc.isDestroyed, true)
  await world.clock.pass(2000)
  assert.equal(world.line.of('unsubscribe').length, 1)
})

test('useAwareness: who is here, this user first, with what they say of themselves', async () => {
  const server = new Server()
  const [a, b] = [await server.join('ada'), await server.join('bob')]
  const bob = openDocument(b.client, PLAN)
  ends.push(bob.destroy)
  const seen: ReturnType<typeof useAwareness<{ name: string }>>[] = []
  const Look = () => {
    const { document: plan } = useDocument(PLAN)
    seen.push(useAwareness<{ name: string }>(plan, { name: 'Ada' }))
    return null
  }
  const page = await mount(a.client, <Look />)
  const now = () => seen.at(-1)!.map(({ user, state, me }) => [user, state.name, me])
  assert.deepEqual(now(), [[undefined, 'Ada', true], ['bob', undefined, false]])
  await does(() => b.clock.pass(50))
  await does(() => bob.awareness!.setLocalStateField('name', 'Bob'))
  assert.deepEqual(now(), [[undefined, 'Ada', true], ['bob', 'Bob', false]])
  await does(() => a.clock.pass(50))
  assert.equal(bob.awareness!.getStates().size, 2)
  // Ada leaves, and eve signs in on the same page.
  await does(() => a.client.logout())
  await does(() => a.drop())
  assert.equal(bob.awareness!.getStates().size, 1)
  a.client.connect()
  await does(() => a.up({ user: 'eve' }))
  await does(() => a.clock.pass(50))
  assert.deepEqual(now(), [[undefined, 'Ada', true], ['bob', 'Bob', false]], 'what the page says of its user is said again')
  assert.deepEqual([...bob.awareness!.getStates().values()].map(({ name }) => name), ['Bob', 'Ada'])
  assert.equal(bob.userOf([...bob.awareness!.getStates().keys()].at(-1)!), 'eve')
  await page.unmount()
  assert.equal(bob.awareness!.getStates().size, 1)
})
