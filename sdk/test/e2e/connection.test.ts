// Who connects how, comes back when, and stops why.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient, TidingsError, type ConnectionStatus, type TokenReason } from '../../src/index.js'
import { Proxy } from '../support/proxy.js'
import { Server, signedIn, token } from '../support/server.js'
import { connected, live, record, runtime, sleep, story, until } from '../support/story.js'

story('idle, connecting, connected, idle; and the facts of the connection', async ({ client, transport }) => {
  const ada = client()
  const seen: string[] = []
  ada.status.subscribe(status => seen.push(status.state))
  assert.deepEqual(ada.status.current, { state: 'idle' })
  ada.connect()
  ada.connect()
  await connected(ada)
  const status = ada.status.current as ConnectionStatus & { state: 'connected' }
  assert.equal(ada.status.current, status, 'the same object until it changes')
  assert.deepEqual([status.transport, status.user, status.resumed], [transport, `anon-${status.session}`, false])
  ada.disconnect()
  assert.deepEqual(seen, ['connecting', 'connected', 'idle'])
})

story('no token where one is needed: closed, with the reason, and no more attempts', async ({ client, server }) => {
  const proxy = await Proxy.start(server.port)
  const ada = client({ url: proxy.url })
  ada.connect()
  await until(() => ada.status.current.state === 'closed', 'closed')
  const { cause } = ada.status.current as ConnectionStatus & { state: 'closed' }
  assert.ok(cause instanceof TidingsError)
  assert.equal(Math.floor(cause.closeCode! / 100), 44)
  assert.equal(cause.retryable, false)
  // The good-bye may still be on its way.
  await sleep(300)
  const { accepted } = proxy
  await sleep(1500)
  assert.equal(proxy.accepted, accepted)
  proxy.close()
}, signedIn())

story('a token that ends is replaced on the connection, which stands', async ({ client }) => {
  const reasons: TokenReason[] = []
  const ada = client({
    token: async ({ reason }) => {
      reasons.push(reason)
      return token('ada', reasons.length === 1 ? 3 : 3600)
    },
  })
  const seen: string[] = []
  ada.status.subscribe(status => seen.push(status.state))
  ada.connect()
  await until(() => reasons.length === 2, 'asked again', 8000)
  await sleep(2500)
  assert.equal((await ada.channel('chat:x').publish('still here')).position!.offset, 1)
  assert.deepEqual([reasons, seen], [['connect', 'expiring'], ['connecting', 'connected']])
}, signedIn('[limits]\nexpiry_warning = "1s"'))

story('a token that has ended is asked for again, once, at once', async ({ client }) => {
  const reasons: TokenReason[] = []
  const ada = client({
    backoff: { baseMs: 60_000, maxMs: 60_000 },
    token: ({ reason }) => {
      reasons.push(reason)
      return token('ada', reasons.length === 1 ? -5 : 3600)
    },
  })
  ada.connect()
  await connected(ada)
  assert.deepEqual(reasons, ['connect', 'rejected'])
}, signedIn())

story('a token source that only gives old tokens is asked twice', async ({ client }) => {
  let asked = 0
  const ada = client({ token: () => { asked++; return token('ada', -5) } })
  ada.connect()
  await until(() => ada.status.current.state === 'closed', 'closed')
  const { cause } = ada.status.current as ConnectionStatus & { state: 'closed' }
  assert.deepEqual([asked, cause.code, cause.closeCode], [2, 'unauthorized', 4401])
}, signedIn())

story('a token source that fails is tried again; one that says unauthorized is not', async ({ client }) => {
  let asked = 0
  const ada = client({
    token: () => {
      if (asked++ === 0) throw new Error('the login is being deployed')
      return token('ada')
    },
  })
  ada.connect()
  await until(() => ada.status.current.state === 'waiting', 'waits')
  const { cause } = ada.status.current as ConnectionStatus & { state: 'waiting' }
  assert.match(String((cause.cause as Error).message), /being deployed/)
  await connected(ada)
  const bob = client({ token: () => { throw new TidingsError('unauthorized', 'signed out') } })
  bob.connect()
  await until(() => bob.status.current.state === 'closed', 'closed')
  assert.equal((bob.status.current as any).cause.code, 'unauthorized')
}, signedIn())

story('the same session goes on: presence neither leaves nor enters, and the user stays', async ({ client, server }) => {
  const proxy = await Proxy.start(server.port)
  const [ada, bob] = [client({ url: proxy.url }), client()]
  for (const one of [ada, bob]) one.connect()
  await connected(ada)
  const before = ada.status.current as any
  const seen: string[] = []
  for (const event of ['enter', 'leave'] as const) {
    bob.channel('chat:x').presence.on(event, member => seen.push(`${event} ${member.user}`))
  }
  bob.channel('chat:x').subscribe()
  await live(bob, 'chat:x')
  ada.channel('chat:x').subscribe()
  await ada.channel('chat:x').presence.enter({ name: 'Ada' })
  // Long-polling would not even notice one cut.
  proxy.refuse(true)
  proxy.cut()
  await until(() => ada.status.current.state !== 'connected', 'lost')
  proxy.refuse(false)
  await connected(ada)
  await ada.channel('chat:x').publish('back')
  const after = ada.status.current as any
  assert.deepEqual([after.user, after.resumed], [before.user, true])
  await sleep(300)
  assert.deepEqual(seen, [`enter ${before.user}`])
  await ada.channel('chat:x').presence.leave()
  await until(() => seen.length === 2, 'left')
  proxy.close()
})

story('presence: sessions are counted, data changes, and after a restart all are there again', async ({ client, server }) => {
  const [ada, laptop, bob] = [client({ token: token('ada') }), client({ token: token('ada') }), client({ token: token('bob') })]
  for (const one of [ada, laptop, bob]) one.connect()
  const { presence } = bob.channel('chat:x')
  const names = (): [string, number, string][] => presence.members.current.map(({ user, sessions, data }: any) => [user, sessions, data.name])
  presence.members.subscribe(() => {})
  bob.channel('chat:x').subscribe()
  await ada.channel('chat:x').presence.enter({ name: 'Ada' })
  await laptop.channel('chat:x').presence.enter({ name: 'Ada L.' })
  await bob.channel('chat:x').presence.enter({ name: 'Bob' })
  await until(() => presence.count.current === 2, 'two')
  assert.deepEqual(names(), [['ada', 2, 'Ada L.'], ['bob', 1, 'Bob']])
  await ada.channel('chat:x').presence.update({ name: 'Countess' })
  await until(() => presence.members.current[0]!.data.name === 'Countess', 'updated')
  const same = presence.members.current
  assert.equal(presence.members.current, same)
  await assert.rejects(ada.channel('chat:x').presence.update({ name: 'x'.repeat(5000) }), { code: 'too_large' })
  await server.stop()
  await until(() => bob.status.current.state === 'waiting', 'bob waits')
  const later = bob.channel('chat:x').presence.update({ name: 'Bobby' })
  await server.start()
  await later
  // Which of Ada's two came back last decides what she is seen with.
  const back = (): string => names().map(([user, sessions]) => `${user} ${sessions}`).sort().join()
  await until(() => back() === 'ada 2,bob 1', back)
  assert.ok(names().some(([user, , name]) => user === 'bob' && name === 'Bobby'))
  await laptop.channel('chat:x').presence.leave()
  await ada.channel('chat:x').presence.leave()
  await until(() => presence.count.current === 1, 'one')
  const { departed, count } = await presence.get()
  assert.deepEqual([departed.map(({ user }: any) => user), count], [['ada'], 1])
}, signedIn('[namespace.chat.presence]\naccess = "signed-in"'))

story('logout forgets the user and what they had not sent', async ({ client, server }) => {
  const ada = client()
  ada.connect()
  await connected(ada)
  const { user } = ada.status.current as any
  const heard = record(ada, 'chat:x')
  ada.channel('chat:x').subscribe()
  await live(ada, 'chat:x')
  await server.stop()
  const lost = ada.channel('chat:x').publish('secret')
  const refused = assert.rejects(lost, { code: 'closed' })
  await ada.logout()
  await refused
  assert.equal(ada.outbox.current.length, 0)
  await server.start()
  ada.connect()
  await connected(ada)
  assert.notEqual((ada.status.current as any).user, user)
  await ada.channel('chat:x').publish('new')
  await sleep(100)
  assert.equal(ada.channel('chat:x').status.current.state, 'idle')
  assert.deepEqual(heard.data, [])
})

story('a channel is joined once and left a second after the last release', async ({ client }) => {
  const [ada, bob] = [client(), client()]
  const heard = record(bob, 'chat:x')
  for (const one of [ada, bob]) one.connect()
  const [first, second] = [bob.channel('chat:x').subscribe(), bob.channel('chat:x').subscribe()]
  await live(bob, 'chat:x')
  first()
  first()
  second()
  const again = bob.channel('chat:x').subscribe()
  await sleep(1200)
  await ada.channel('chat:x').publish('still')
  await until(() => heard.data.length === 1, 'heard')
  again()
  await until(() => bob.channel('chat:x').status.current.state === 'idle', 'left', 1500)
  await ada.channel('chat:x').publish('gone')
  bob.channel('chat:x').subscribe({ rewind: 1 })
  await until(() => heard.data.length === 2, 'and joined again')
  assert.deepEqual(heard.log, ['joining', 'live', 'event "still"', 'idle', 'joining', 'live', 'replay "gone"'])
})

story('a subscription that is refused says why', async ({ client }) => {
  const ada = client()
  ada.connect()
  ada.channel('nowhere:x').subscribe()
  await until(() => ada.channel('nowhere:x').status.current.state === 'failed', 'refused')
  assert.equal((ada.channel('nowhere:x').status.current as any).cause.code, 'not_found')
})

test('a proxy that refuses upgrades: the next transport chats', async () => {
  const server = await Server.start()
  const proxy = await Proxy.start(server.port)
  proxy.blockUpgrade = true
  const store = new Map<string, string>()
  const storage = { getItem: (key: string) => store.get(key) ?? null, setItem: (key: string, value: string) => void store.set(key, value) }
  const options = { url: proxy.url, backoff: { baseMs: 20 }, runtime: { ...runtime, storage } }
  const [ada, next] = [createClient(options), createClient(options)]
  ada.connect()
  await connected(ada)
  assert.equal((ada.status.current as any).transport, 'sse')
  await ada.channel('chat:x').publish('through')
  // The next page of this tab does not try in vain again.
  const recalled = createClient(options)
  recalled.connect()
  const attempts: unknown[] = []
  recalled.status.subscribe(status => attempts.push(status.state))
  await connected(recalled)
  assert.deepEqual(attempts, ['connected'])
  for (const client of [ada, next, recalled]) client.disconnect()
  proxy.close()
  await server.dispose()
})

test('without a WebSocket, the others are taken; without anything, it is said', async () => {
  const server = await Server.start()
  const ada = createClient({ url: server.url, runtime: { WebSocket: null } })
  ada.connect()
  await connected(ada)
  assert.equal((ada.status.current as any).transport, 'sse')
  ada.disconnect()
  assert.throws(() => createClient({ url: server.url, runtime: { WebSocket: null, fetch: null } }), { code: 'bad_request' })
  assert.throws(() => createClient({ url: 'localhost:8000' }), { code: 'bad_request' })
  await server.dispose()
})
