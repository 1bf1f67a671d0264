// The hook of `tidings/live`, and what `useMessages` has to do with it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { act, StrictMode } from 'react'
import { live } from '../src/live/index.js'
import { TidingsProvider, useLive, useMessages } from '../src/react/index.js'
import type { Client } from '../src/types.js'
import { installDocument, turn } from './react-support.js'
import { fake, settle } from './support/fake.js'

installDocument()
const { createRoot } = await import('react-dom/client')

/** Mounts one hook, in StrictMode, and remembers what it returned last. */
async function watch<T>(client: unknown, use: () => T) {
  const seen: T[] = []
  const root = createRoot(document.createElement('div'))
  const Look = () => { seen.push(use()); return null }
  await act(async () => root.render(
    <StrictMode><TidingsProvider client={client as Client}><Look /></TidingsProvider></StrictMode>))
  return { seen, get now() { return seen.at(-1)! }, unmount: () => act(async () => { root.unmount(); await turn() }) }
}
const does = (work: () => unknown) => act(async () => { work(); await settle(); await turn() })

test('useLive: the values as they change, many changes in one render, and a write at once', async () => {
  const { client, up } = fake()
  const hook = await watch(client, () => useLive<{ a: number; b: number }>('board:x'))
  const none = await watch(client, () => useLive(null))
  assert.deepEqual([none.now.value, none.now.live, none.now.status.state], [undefined, null, 'idle'])
  client.connect()
  const line = await up()
  await does(() => {
    line.subscribed('board:x', 1)
    line.tell({ type: 'snapshot', channel: 'board:x', offset: 1, first: true, entries: [{ key: 'a', value: 1, version: 1 }] })
  })
  assert.deepEqual([hook.now.value, hook.now.status.state], [{ a: 1 }, 'live'])
  const renders = hook.seen.length
  await does(() => {
    for (let offset = 2; offset <= 51; offset++) line.tell({ type: 'state', channel: 'board:x', offset, key: 'a', value: offset, version: offset })
  })
  assert.equal(hook.now.value!.a, 51)
  assert.ok(hook.seen.length - renders <= 2, `${hook.seen.length - renders} renders, StrictMode's included`)
  await does(() => void hook.now.live!.set('b', 7))
  assert.deepEqual(hook.now.value, { a: 51, b: 7 })
  await hook.unmount()
  client.disconnect()
})

test('a write that waits is no message that waits', async () => {
  const { client } = fake()
  const hook = await watch(client, () => useMessages<string>('chat:a'))
  await does(() => {
    void client.channel('chat:a').publish('a message')
    void live(client, 'chat:a').set('key', 'a value')
  })
  assert.deepEqual(hook.now.pending.map(({ data }) => data), ['a message'])
  await hook.unmount()
})
