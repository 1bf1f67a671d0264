// The one file for pages without a bundler is minified harder than the rest: it must chat all the same.
import assert from 'node:assert/strict'
import { pathToFileURL } from 'node:url'
import { fromSdk } from '../support/paths.js'
import { Proxy } from '../support/proxy.js'
import { runtime, sleep, story, until } from '../support/story.js'

story('dist/tidings.js publishes, recovers, is present and reads history', async ({ server, transport }) => {
  const { createClient, TidingsError } = await import(pathToFileURL(fromSdk('dist/tidings.js')).href) as typeof import('../../src/index.js')
  const proxy = await Proxy.start(server.port)
  const make = () => createClient<any>({ url: proxy.url, transports: [transport], backoff: { baseMs: 30, maxMs: 200 }, runtime })
  const [ada, bob] = [make(), make()]
  const heard: unknown[] = []
  const room = bob.channel('chat:x')
  room.on('message', message => heard.push([message.data, message.event, message.user]))
  room.presence.members.subscribe(() => {})
  room.subscribe()
  for (const client of [ada, bob]) client.connect()
  await until(() => room.status.current.state === 'live', 'live')
  await ada.channel('chat:x').presence.enter({ name: 'Ada' })
  const { user } = ada.status.current as any
  for (let i = 0; i < 5; i++) {
    const acks = [1, 2, 3].map(n => ada.channel('chat:x').publish({ n }, { event: 'text', key: `${i}-${n}` }))
    proxy.cut()
    assert.deepEqual((await Promise.all(acks)).map(ack => ack.position!.offset), [1, 2, 3].map(n => i * 3 + n))
  }
  await until(() => heard.length === 15, () => `15 messages, not ${heard.length}`)
  await sleep(50)
  assert.equal(heard.length, 15)
  assert.deepEqual(heard[14], [{ n: 3 }, 'text', user])
  await until(() => (room.presence.members.current[0]?.data as any)?.name === 'Ada', 'ada is here')
  assert.equal((await room.history({ limit: 4 })).messages.length, 4)
  await assert.rejects(ada.channel('no:x').publish(1), error => error instanceof TidingsError && error.code === 'not_found')
  await ada.logout()
  assert.equal(ada.status.current.state, 'idle')
  bob.disconnect()
  proxy.close()
})

story('dist/tidings-live.js and dist/tidings-inbox.js work with the client of dist/tidings.js', async ({ server, transport }) => {
  const load = (name: string) => import(pathToFileURL(fromSdk(`dist/${name}`)).href)
  const { createClient, TidingsError } = await load('tidings.js') as typeof import('../../src/index.js')
  const { live } = await load('tidings-live.js') as typeof import('../../src/live/index.js')
  const { inbox } = await load('tidings-inbox.js') as typeof import('../../src/inbox/index.js')
  const client = createClient<any>({ url: server.url, transports: [transport], runtime })
  const board = live<Record<string, unknown>>(client, 'board:main')
  board.subscribe()
  client.connect()
  const { version } = await board.set('title', 'Plan')
  await board.patch('card', { x: 1 })
  await until(() => board.entry('card'), 'both keys')
  assert.deepEqual(board.value.current, { title: 'Plan', card: { x: 1 } })
  const late = await board.set('title', 'Late', { ifVersion: version - 1 }).catch(error => error)
  assert.ok(late instanceof TidingsError)
  assert.deepEqual([late.code, late.version], ['conflict', version])
  assert.equal(board.value.current!.title, 'Plan')
  const loop: any = {}
  loop.loop = loop
  assert.ok(await board.set('title', loop).catch(error => error) instanceof TidingsError)
  const own = inbox(client)
  const close = own.open()
  assert.notEqual(own.view.current.status.state, 'idle')
  close()
  client.disconnect()
}, `
[auth]
anonymous = true
[namespace.board]
kind = "state"
subscribe = "anyone"
publish = "anyone"
`)
