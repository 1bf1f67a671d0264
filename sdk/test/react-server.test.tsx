// The hooks where there is no window; and a page that takes over what a server rendered.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { act } from 'react'
import { renderToString } from 'react-dom/server'
import { TidingsProvider, useChannel, useConnection, useMessages, useOutbox, usePresence }
  from '../src/react/index.js'
import { FakeClient, installDocument, message } from './react-support.js'

function View() {
  const { state } = useConnection()
  const { messages, pending, status } = useMessages('chat:a')
  const { count } = usePresence('chat:a', { name: 'Ada' })
  useChannel('chat:a', () => {})
  const texts = messages.map(({ data }) => data).join(' ')
  return <p>{`${state} ${status.state} ${count} ${pending.length} ${useOutbox().length} ${texts}`}</p>
}
const page = (client: FakeClient) => <TidingsProvider client={client.asClient}><View /></TidingsProvider>

test('a server renders the empty state, touches no window, and joins nothing', () => {
  assert.equal(typeof window, 'undefined')
  const client = new FakeClient()
  client.status.set({ state: 'connecting', attempt: 0 })
  assert.equal(renderToString(page(client)), '<p>idle idle 0 0 0 </p>')
  assert.deepEqual(client.channel('chat:a').log, [])
  assert.equal(client.status.listeners, 0)
})

test('the page takes it over without a mismatch, and goes on from there', async () => {
  const html = renderToString(page(new FakeClient()))
  installDocument()
  const { hydrateRoot } = await import('react-dom/client')
  const element = document.createElement('div')
  element.innerHTML = html
  const client = new FakeClient()
  client.status.set({ state: 'connecting', attempt: 3 })
  const errors: unknown[] = []
  const onRecoverableError = (error: unknown) => errors.push(error)
  await act(async () => hydrateRoot(element, page(client), { onRecoverableError }))
  const channel = client.channel('chat:a')
  await act(async () => { channel.live(1); channel.deliver(message(1)) })
  assert.deepEqual(errors, [])
  assert.equal(element.textContent, 'connecting live 0 0 0 m1')
})
