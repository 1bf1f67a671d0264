// The hooks in a document, under a client that does what the test says.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { act, StrictMode, startTransition, useEffect, useState, type ReactNode } from 'react'
import { TidingsError } from '../src/error.js'
import { TidingsProvider, useChannel, useClient, useConnection, useMessages, useOutbox, usePresence }
  from '../src/react/index.js'
import type { Message, OutboxEntry } from '../src/types.js'
import { at, FakeClient, installDocument, message, messages, turn } from './react-support.js'

installDocument()
const { createRoot } = await import('react-dom/client')

/** Mounts what `render` returns, and mounts it anew with other props. */
async function mount<P>(client: FakeClient, View: (props: P) => ReactNode, props: P, strict = false) {
  const root = createRoot(document.createElement('div'))
  const tree = (next: P) => {
    const view = <TidingsProvider client={client.asClient}><View {...next as any} /></TidingsProvider>
    return strict ? <StrictMode>{view}</StrictMode> : view
  }
  const render = (next: P) => act(async () => root.render(tree(next)))
  await render(props)
  return { render, unmount: () => act(async () => { root.unmount(); await turn() }) }
}
const does = (work: () => void) => act(async () => { work(); await turn() })

/** Mounts one hook and remembers what it returned at each render. */
async function watch<T, P extends object>(use: (props: P) => T, props: P, strict = false,
  client = new FakeClient()) {
  const seen: T[] = []
  const mounted = await mount(client, (given: P) => { seen.push(use(given)); return null }, props, strict)
  return { client, seen, get now() { return seen.at(-1)! }, ...mounted }
}
const room = (name: string | null = 'chat:a') => ({ name })
const texts = (list: readonly Message[]) => list.map(({ data }) => data)

test('without a provider the hooks say what is missing', async () => {
  const root = createRoot(document.createElement('div'), { onUncaughtError: () => {} })
  const Lost = () => { useClient(); return null }
  await assert.rejects(async () => act(async () => root.render(<Lost />)), /no <TidingsProvider>/)
})

test('the connection is the status of now, and neither mounting nor leaving touches it', async () => {
  const hook = await watch(() => useConnection(), {})
  assert.deepEqual(hook.now, { state: 'idle' })
  await does(() => hook.client.status.set({ state: 'connecting', attempt: 0 }))
  assert.equal(hook.now, hook.client.status.current)
  await hook.unmount()
  assert.equal(hook.client.status.listeners, 0)
})

test('the outbox is that of one channel or of all, and the same list until it changes', async () => {
  const hook = await watch(({ name }: { name?: string }) => useOutbox(name), { name: 'chat:a' } as { name?: string })
  await does(() => {
    void hook.client.channel('chat:a').publish('one')
    void hook.client.channel('chat:b').publish('two')
  })
  assert.deepEqual(hook.now.map(entry => entry.data), ['one'])
  const before = hook.now
  await hook.render({ name: 'chat:a' })
  assert.equal(hook.now, before)
  await hook.render({})
  assert.equal(hook.now.length, 2)
})

test('a channel is joined while mounted, and told to the newest listener', async () => {
  const heard: string[] = []
  const hook = await watch(({ name, as }: { name: string; as: string }) =>
    useChannel(name, ({ data }) => heard.push(`${as} ${data}`)), { name: 'chat:a', as: 'first' })
  const channel = hook.client.channel('chat:a')
  assert.equal(hook.now.channel as unknown, channel)
  assert.equal(hook.now.status.state, 'joining')
  await does(() => channel.live())
  assert.equal(hook.now.status.state, 'live')
  channel.deliver(message(1))
  const { publish } = hook.now
  await hook.render({ name: 'chat:a', as: 'second' })
  channel.deliver(message(2), message(3, { position: null, ephemeral: true }))
  assert.deepEqual(heard, ['first m1', 'second m2', 'second m3'])
  assert.equal(hook.now.publish, publish)
  assert.equal(channel.log.length, 1)

  await hook.render({ name: 'chat:b', as: 'third' })
  assert.equal(channel.holders, 0)
  assert.equal(channel.listeners, 0)
  assert.equal(hook.client.channel('chat:b').holders, 1)
  await hook.unmount()
  assert.equal(hook.client.channel('chat:b').holders, 0)
})

test('a name of null does nothing', async () => {
  const hook = await watch(({ name }: { name: string | null }) =>
    ({ channel: useChannel(name), list: useMessages(name), people: usePresence(name, 'me') }), room(null))
  await turn()
  assert.deepEqual(hook.client.names, [])
  assert.equal(hook.now.channel.channel, null)
  assert.equal(hook.now.channel.status.state, 'idle')
  assert.deepEqual([hook.now.list.messages, hook.now.people.members], [[], []])
  await assert.rejects(hook.now.channel.publish('x'), /name is null/)
  await hook.now.list.loadEarlier()

  await hook.render(room())
  assert.equal(hook.client.channel('chat:a').holders, 3)
  await hook.render(room(null))
  await turn()
  assert.equal(hook.client.channel('chat:a').holders, 0)
})

test('messages are the replayed ones, then what comes, each once, without ephemeral ones', async () => {
  const hook = await watch(({ name }) => useMessages(name, { rewind: 20 }), room())
  const channel = hook.client.channel('chat:a')
  assert.deepEqual(channel.log, ['subscribe {"rewind":20}'])
  await does(() => { channel.live(2); channel.deliver(...messages(1, 2)) })
  await does(() => channel.deliver(message(2), message(3), message(0, { position: null })))
  assert.deepEqual(texts(hook.now.messages), ['m1', 'm2', 'm3'])
  assert.equal(hook.now.hasEarlier, false)
  assert.equal(channel.asked.length, 0)

  const before = hook.now
  await hook.render(room())
  assert.equal(hook.now, before, 'the same object until something changes')
  await hook.unmount()
  assert.deepEqual([channel.holders, channel.listeners, channel.status.listeners], [0, 0, 0])
})

test('StrictMode mounts twice, and joins, enters and asks once', async () => {
  const hook = await watch(({ name }) =>
    ({ list: useMessages(name), people: usePresence(name, { name: 'Ada' }), own: useChannel(name) }),
  room(), true)
  await turn()
  const channel = hook.client.channel('chat:a')
  assert.equal(channel.holders, 3)
  assert.equal(channel.log.filter(entry => entry === 'leave').length, 0)
  await does(() => { channel.live(1); channel.deliver(message(1)) })
  assert.deepEqual(texts(hook.now.list.messages), ['m1'])
  assert.equal(channel.asked.length, 0)
  await hook.unmount()
  assert.equal(channel.holders, 0)
  assert.equal(channel.log.at(-1), 'leave')
})

test('a message on its way is pending until it is here, whichever of answer and event is first', async () => {
  const hook = await watch(({ name }) => useMessages<string>(name), room())
  const channel = hook.client.channel('chat:a')
  const both = () => [hook.now.pending.map(entry => entry.data), texts(hook.now.messages)]
  await does(() => { channel.live(); hook.now.send('one'); hook.now.send('two') })
  assert.deepEqual(both(), [['one', 'two'], []])
  const [one, two] = channel.published
  assert.notEqual(one!.options.key, two!.options.key)

  await does(() => one!.resolve(1))                                    // the answer first
  assert.deepEqual(both(), [['one', 'two'], []])
  await does(() => channel.deliver(message(1, { data: 'one', key: one!.options.key! })))
  assert.deepEqual(both(), [['two'], ['one']])
  await does(() => channel.deliver(message(2, { data: 'two', key: two!.options.key! })))   // the event first
  assert.deepEqual(both(), [[], ['one', 'two']])
  await does(() => two!.resolve(2))
  assert.deepEqual(both(), [[], ['one', 'two']])
  for (const { pending, messages } of hook.seen) {
    const all = [...messages, ...pending].map(({ data }) => data)
    assert.equal(new Set(all).size, all.length, 'never shown twice')
  }
})

test('what will never arrive here is not waited for', async () => {
  const hook = await watch(({ name }) => useMessages<string>(name), room())
  const channel = hook.client.channel('chat:a')
  await does(() => { channel.live(5); channel.deliver(message(5)) })
  await does(() => {
    hook.now.send('unheard', { echo: false })
    hook.now.send('there already')
    hook.now.send('in the gap')
  })
  await does(() => { channel.published[0]!.resolve(6); channel.published[1]!.resolve(4) })
  await does(() => channel.published[2]!.resolve(9))
  assert.deepEqual(hook.now.pending.map(entry => entry.data), ['in the gap'])
  await does(() => channel.tellGap({ from: at(5), to: at(9), reason: 'expired' }))
  assert.deepEqual(hook.now.pending, [])
})

test('a message that failed stays, and can be sent again under its key or given up', async () => {
  const hook = await watch(({ name }) => useMessages<string>(name), room())
  const channel = hook.client.channel('chat:a')
  await does(() => { hook.now.send('one'); hook.now.send('two') })
  await does(() => {
    for (const { reject } of [...channel.published]) reject(new TidingsError('expired'))
  })
  assert.deepEqual(hook.now.pending, [])
  assert.deepEqual(hook.now.failed.map(({ data, error }) => [data, error.code]),
    [['one', 'expired'], ['two', 'expired']])
  const [one, two] = hook.now.failed
  await does(() => { one!.retry(); two!.discard() })
  assert.deepEqual(hook.now.failed, [])
  assert.deepEqual(hook.now.pending.map(({ key, data }) => [key, data]), [[one!.key, 'one']])
})

test('what an earlier page wrote and cannot be sent is among what failed, in its own channel', async () => {
  const hook = await watch(({ name }) => useMessages<string>(name), room())
  const { outbox } = hook.client
  const entry = (channel: string, key: string): OutboxEntry =>
    ({ type: 'publish', key, channel, data: `of ${channel}`, event: 'text', state: 'queued', createdAt: 7 })
  await does(() => {
    for (const one of [entry('chat:a', 'k1'), entry('chat:b', 'k2')]) {
      for (const tell of outbox.failing) tell({ entry: one, error: new TidingsError('forbidden') })
    }
  })
  assert.deepEqual(hook.now.failed.map(({ key, data, createdAt, error }) => [key, data, createdAt, error.code]),
    [['k1', 'of chat:a', 7, 'forbidden']])
  await does(() => hook.now.failed[0]!.retry())
  const { options } = hook.client.channel('chat:a').published[0]!
  assert.deepEqual([hook.now.failed, options.key, options.event], [[], 'k1', 'text'])
})

test('another name shows nothing of the old one, at no render', async () => {
  const hook = await watch(({ name }) => ({ name, list: useMessages(name), people: usePresence(name) }), room())
  const [a, b] = [hook.client.channel('chat:a'), hook.client.channel('chat:b')]
  await does(() => {
    a.live(1)
    a.deliver(message(1, { data: 'of a' }))
    a.members.set([{ user: 'ada', sessions: 1, data: null, since: 0, lastSeen: 0 }])
  })
  await hook.render(room('chat:b'))
  await does(() => { b.live(1); b.deliver(message(1, { data: 'of b' })) })
  for (const { name, list, people } of hook.seen.filter(({ name }) => name === 'chat:b')) {
    assert.ok(!texts(list.messages).includes('of a'), name!)
    assert.deepEqual(people.members, [])
  }
  assert.deepEqual(texts(hook.now.list.messages), ['of b'])
  await turn()
  assert.equal(a.holders, 0)
})

test('who comes when the channel is joined already asks history, and nothing is missing between', async () => {
  const client = new FakeClient()
  const channel = client.channel('chat:a')
  channel.subscribe()
  const hook = await watch(({ name }) => useMessages(name, { rewind: 3 }), room(), false, client)
  assert.equal(channel.asked.length, 0, 'not before it is joined: what came between would be lost')
  await does(() => channel.live(9))
  assert.deepEqual(channel.asked[0]!.query, { limit: 3 })
  await does(() => channel.deliver(message(10), message(11)))
  await does(() => channel.asked[0]!.answer({ messages: messages(8, 10), more: true }))
  assert.deepEqual(texts(hook.now.messages), ['m8', 'm9', 'm10', 'm11'])
  assert.equal(hook.now.hasEarlier, true)

  await does(() => channel.live(11, true))
  assert.equal(channel.asked.length, 1, 'a reconnect is the business of the channel')
})

test('of those that mount together, the messages say where to start, wherever they stand', async () => {
  const Messages = () => { useMessages('chat:a', { rewind: 9 }); return <People /> }
  const People = () => { usePresence('chat:a'); useChannel('chat:a'); return null }
  const client = new FakeClient()
  await mount(client, Messages, {}, true)
  const { log, holders } = client.channel('chat:a')
  assert.equal(log[0], 'subscribe {"rewind":9}')
  assert.equal(holders, 3)
})

test('history that was refused is asked for again at the next chance', async () => {
  const client = new FakeClient()
  const channel = client.channel('chat:a')
  channel.subscribe()
  channel.live(1)
  await watch(({ name }) => useMessages(name), room(), false, client)
  await does(() => channel.asked[0]!.refuse(new TidingsError('unavailable')))
  await does(() => channel.live(1))
  assert.equal(channel.asked.length, 2)
})

test('earlier pages go in front, one at a time, up to the beginning', async () => {
  const hook = await watch(({ name }) => useMessages(name, { rewind: 2 }), room())
  const channel = hook.client.channel('chat:a')
  await does(() => { channel.live(6); channel.deliver(...messages(5, 6)) })
  assert.equal(hook.now.hasEarlier, true)
  const first = hook.now.loadEarlier()
  assert.equal(hook.now.loadEarlier(), first, 'a second call is the first')
  assert.deepEqual(channel.asked.map(({ query }) => query), [{ before: at(5), limit: 2 }])
  await does(() => channel.asked[0]!.answer({ messages: messages(3, 4), more: true }))
  assert.deepEqual(texts(hook.now.messages), ['m3', 'm4', 'm5', 'm6'])

  const failing = assert.rejects(hook.now.loadEarlier(), { code: 'network' })
  await does(() => channel.asked[1]!.refuse(new TidingsError('network')))
  await failing
  void hook.now.loadEarlier()
  await does(() => channel.asked[2]!.answer({ messages: messages(1, 2), more: false }))
  assert.equal(hook.now.messages.length, 6)
  assert.equal(hook.now.hasEarlier, false)
})

test('at most `limit` are kept besides the pages, and no page is put before a hole', async () => {
  const hook = await watch(({ name }) => useMessages(name, { rewind: 2, limit: 3 }), room())
  const channel = hook.client.channel('chat:a')
  await does(() => { channel.live(12); channel.deliver(...messages(10, 12)) })
  void hook.now.loadEarlier()
  await does(() => channel.deliver(message(13)))
  await does(() => channel.asked[0]!.answer({ messages: messages(8, 9), more: true }))
  assert.deepEqual(texts(hook.now.messages), ['m11', 'm12', 'm13'], '10 has gone: 9 does not fit')

  void hook.now.loadEarlier()
  await does(() => channel.asked[1]!.answer({ messages: messages(9, 10), more: true }))
  await does(() => channel.deliver(message(14)))
  assert.deepEqual(texts(hook.now.messages), ['m10', 'm11', 'm12', 'm13', 'm14'])
  assert.equal(hook.now.hasEarlier, true)
})

test('a burst is one render, also where an effect sets state at each', async () => {
  const errors: unknown[] = []
  const root = createRoot(document.createElement('div'), { onUncaughtError: error => errors.push(error) })
  const client = new FakeClient()
  const channel = client.channel('chat:a')
  let renders = 0
  const View = () => {
    const { messages } = useMessages('chat:a')
    const [seen, setSeen] = useState(0)
    useEffect(() => setSeen(messages.length), [messages])
    renders++
    return seen
  }
  await act(async () => root.render(<TidingsProvider client={client.asClient}><View /></TidingsProvider>))
  await does(() => channel.live(200))
  renders = 0
  await does(() => channel.deliver(...messages(1, 200)))
  assert.deepEqual(errors, [])
  assert.ok(renders <= 3, `${renders}`)
})

test('a gap is told, and after a lost history nothing earlier is offered', async () => {
  const hook = await watch(({ name }) => useMessages(name), room())
  const channel = hook.client.channel('chat:a')
  await does(() => { channel.live(50); channel.deliver(...messages(49, 50)) })
  const gap = { from: at(50), to: at(0, 'f'), reason: 'new_epoch' } as const
  await does(() => { channel.tellGap(gap); channel.deliver(message(1, { position: at(1, 'f') })) })
  assert.deepEqual(hook.now.gaps, [gap])
  assert.deepEqual(texts(hook.now.messages), ['m49', 'm50', 'm1'])
  assert.equal(hook.now.hasEarlier, false)
})

test('two that show the same never differ, also in a transition', async () => {
  const client = new FakeClient()
  const shown: string[] = []
  const Count = () => String(useOutbox().length)
  let again: (n: number) => void
  const Both = () => {
    const [n, set] = useState(0)
    again = set
    return <p data-n={n}><Count />/<Count /></p>
  }
  const element = document.createElement('div')
  const root = createRoot(element)
  await act(async () => root.render(<TidingsProvider client={client.asClient}><Both /></TidingsProvider>))
  for (let i = 1; i <= 5; i++) {
    await does(() => {
      startTransition(() => again(i))
      void client.channel('chat:a').publish(i)
      shown.push(element.textContent!)
    })
    shown.push(element.textContent!)
  }
  for (const text of shown) assert.equal(text.split('/')[0], text.split('/')[1])
  assert.equal(element.textContent, '5/5')
})

test('presence is who is there and how many; entering follows `me`, not its identity', async () => {
  const hook = await watch(({ mood }: { mood?: string }) =>
    usePresence('chat:a', mood === undefined ? undefined : { mood }), { mood: 'busy' } as { mood?: string })
  const channel = hook.client.channel('chat:a')
  const ada = { user: 'ada', sessions: 1, data: { mood: 'busy' }, since: 0, lastSeen: 0 }
  await does(() => { channel.members.set([ada]); channel.count.set(1) })
  assert.deepEqual(hook.now, { members: [ada], count: 1 })
  await hook.render({ mood: 'busy' })
  await hook.render({ mood: 'idle' })
  assert.deepEqual(channel.log.slice(1), ['update {"mood":"busy"}', 'update {"mood":"idle"}'])

  await hook.render({})
  await turn()
  assert.equal(channel.log.at(-1), 'leave')
  assert.equal(channel.holders, 1, 'still looking')
})

test('of two that have entered, the last to go leaves', async () => {
  const hook = await watch(({ both }: { both: boolean }) => {
    usePresence('chat:a', 'me')
    return usePresence('chat:a', both ? 'me' : undefined)
  }, { both: true })
  const { log } = hook.client.channel('chat:a')
  await hook.render({ both: false })
  await turn()
  assert.ok(!log.includes('leave'))
  await hook.unmount()
  assert.equal(log.filter(entry => entry === 'leave').length, 1)
})
