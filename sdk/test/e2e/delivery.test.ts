// What is published arrives: once, in order, whatever the network and the server do meanwhile.
import assert from 'node:assert/strict'
import { TidingsError } from '../../src/index.js'
import { Proxy } from '../support/proxy.js'
import { signedIn, token } from '../support/server.js'
import { connected, live, record, sleep, story, until } from '../support/story.js'

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

story('ada publishes offline, comes back, bob sees it once and in order', async ({ client }) => {
  const [ada, bob] = [client(), client()]
  const heard = record(bob, 'chat:lobby')
  bob.connect()
  bob.channel('chat:lobby').subscribe()
  await live(bob, 'chat:lobby')
  const sent = numbers(100).map(i => ada.channel('chat:lobby').publish(i))
  assert.equal(ada.outbox.current.length, 100)
  assert.deepEqual([ada.outbox.current[0]!.data, ada.outbox.current[0]!.state], [0, 'queued'])
  ada.connect()
  const acks = await Promise.all(sent)
  assert.deepEqual(acks.map(ack => ack.position!.offset), numbers(100).map(i => i + 1))
  assert.equal(ada.outbox.current.length, 0)
  await until(() => heard.data.length >= 100, 'a hundred messages')
  assert.deepEqual(heard.data, numbers(100))
  assert.ok(heard.messages.every(message => !message.replayed && message.user.startsWith('anon-')))
})

story('the connection is cut in the middle of a thousand publishes', async ({ client, server }) => {
  const proxy = await Proxy.start(server.port)
  const [ada, bob] = [client({ url: proxy.url }), client()]
  const heard = record(bob, 'chat:lobby')
  bob.connect()
  ada.connect()
  bob.channel('chat:lobby').subscribe()
  await live(bob, 'chat:lobby')
  const cutting = setInterval(() => proxy.cut(), 70)
  const acks = await Promise.all(numbers(1000).map(i => ada.channel('chat:lobby').publish({ i, pad: 'x'.repeat(500) })))
  clearInterval(cutting)
  await until(() => heard.data.length >= 1000, () => `a thousand messages, not ${heard.data.length}`)
  await sleep(100)
  assert.deepEqual(heard.data.map((data: any) => data.i), numbers(1000))
  assert.deepEqual(acks.map(ack => ack.position!.offset), numbers(1000).map(i => i + 1))
  assert.ok(proxy.accepted > 1, 'it was cut at all')
  proxy.close()
})

story('kill -9: what is published while the server is down arrives once, and what was missed comes first', async ({ client, server }) => {
  const [ada, bob] = [client(), client()]
  const heard = record(bob, 'chat:lobby')
  for (const one of [ada, bob]) one.connect()
  bob.channel('chat:lobby').subscribe()
  await live(bob, 'chat:lobby')
  const acks = numbers(50).map(i => ada.channel('chat:lobby').publish(i))
  await acks[10]
  await server.stop()
  await until(() => ada.status.current.state === 'waiting', 'ada waits')
  acks.push(...numbers(50).map(i => ada.channel('chat:lobby').publish(50 + i)))
  await server.start()
  await Promise.all(acks)
  await until(() => heard.data.length >= 100, () => `all messages, not ${heard.data.length}`)
  await sleep(100)
  assert.deepEqual(heard.data, numbers(100))
  assert.ok(!heard.log.some(line => line.startsWith('gap')))
})

story('bob misses messages; they come as replayed ones, behind `live` and in front of new ones', async ({ client, server }) => {
  const proxy = await Proxy.start(server.port)
  const [ada, bob] = [client(), client({ url: proxy.url })]
  const heard = record(bob, 'chat:lobby')
  for (const one of [ada, bob]) one.connect()
  bob.channel('chat:lobby').subscribe()
  await live(bob, 'chat:lobby')
  await ada.channel('chat:lobby').publish('one')
  await until(() => heard.data.length === 1, 'the first')
  proxy.refuse(true)
  proxy.cut()
  await until(() => bob.channel('chat:lobby').status.current.state === 'joining', 'bob is away')
  await ada.channel('chat:lobby').publish('two')
  await ada.channel('chat:lobby').publish('three')
  proxy.refuse(false)
  await until(() => heard.data.length === 3, 'what was missed')
  await ada.channel('chat:lobby').publish('four')
  await until(() => heard.data.length === 4, 'what is new')
  assert.deepEqual(heard.log, [
    'joining', 'live', 'event "one"', 'joining', 'live', 'replay "two"', 'replay "three"', 'event "four"'])
  const status = bob.channel('chat:lobby').status.current
  assert.ok(status.state === 'live' && status.recovered && status.position.offset === 3)
  proxy.close()
})

story('history that does not reach back is a gap, never silence', async ({ client, server }) => {
  const proxy = await Proxy.start(server.port)
  const of = (user: string, url = server.url) => client({ url, token: token(user) })
  const [ada, bob] = [of('ada'), of('bob', proxy.url)]
  const heard = record(bob, 'short:x')
  const gaps: unknown[] = []
  bob.channel('short:x').on('gap', gap => gaps.push(gap))
  for (const one of [ada, bob]) one.connect()
  bob.channel('short:x').subscribe()
  await live(bob, 'short:x')
  await ada.channel('short:x').publish(1)
  await until(() => heard.data.length === 1, 'the first')
  proxy.refuse(true)
  proxy.cut()
  for (let i = 2; i <= 9; i++) await ada.channel('short:x').publish(i)
  proxy.refuse(false)
  await until(() => heard.log.at(-1) === 'gap expired', () => `a gap, not ${heard.log}`)
  const { position } = bob.channel('short:x').status.current as any
  assert.deepEqual(gaps, [{ from: { epoch: position.epoch, offset: 1 }, to: { epoch: position.epoch, offset: 9 }, reason: 'expired' }])
  await ada.channel('short:x').publish(10)
  await until(() => heard.data.at(-1) === 10, 'what follows')
  assert.deepEqual(heard.data, [1, 10])
  proxy.close()
}, signedIn('[namespace.short]\npublish = "signed-in"\nhistory = { size = 5 }'))

story('rewind, history in both directions, a key that counts once', async ({ client }) => {
  const [ada, bob] = [client(), client()]
  const room = ada.channel('chat:lobby')
  ada.connect()
  for (const i of numbers(10)) await room.publish(i)
  const first = await room.publish('paid', { key: 'order-17', event: 'order' })
  const second = await room.publish('paid again', { key: 'order-17' })
  assert.deepEqual([first.key, first.duplicate, second.duplicate], ['order-17', false, true])
  assert.deepEqual(second.position, first.position)
  const heard = record(bob, 'chat:lobby')
  bob.connect()
  bob.channel('chat:lobby').subscribe({ rewind: 3 })
  await until(() => heard.data.length === 3, 'three of them')
  assert.deepEqual(heard.log, ['joining', 'live', 'replay 8', 'replay 9', 'replay "paid"'])
  const [{ event, key, position, at }] = heard.messages.slice(-1) as [any]
  assert.deepEqual({ event, key, position }, { event: 'order', key: 'order-17', position: first.position })
  assert.ok(Math.abs(at - Date.now()) < 60_000)
  const newest = await bob.channel('chat:lobby').history({ limit: 2 })
  assert.deepEqual([newest.messages.map(m => m.data), newest.more], [[9, 'paid'], true])
  const before = await bob.channel('chat:lobby').history({ before: newest.messages[0]!.position!, limit: 50 })
  assert.deepEqual([before.messages.map(m => m.data), before.more], [numbers(9), false])
  const after = await bob.channel('chat:lobby').history({ after: before.messages[7]!.position!, limit: 1 })
  assert.deepEqual([after.messages.map(m => m.data), after.more], [[8], true])
})

story('history that is asked for while the connection is away comes when it is back', async ({ client, server }) => {
  const ada = client()
  ada.connect()
  await ada.channel('chat:lobby').publish('there')
  await server.stop()
  await until(() => ada.status.current.state === 'waiting', 'ada waits')
  const page = ada.channel('chat:lobby').history()
  await server.start()
  assert.deepEqual((await page).messages.map(m => m.data), ['there'])
  ada.disconnect()
  await assert.rejects(ada.channel('chat:lobby').history(), { code: 'closed' })
})

story('typing is told now or not at all', async ({ client, server }) => {
  const [ada, bob] = [client(), client()]
  const [typing, heard] = [ada.channel('chat:lobby'), record(bob, 'chat:lobby')]
  await assert.rejects(typing.publish({}, { ephemeral: true }), { code: 'closed' })
  for (const one of [ada, bob]) one.connect()
  bob.channel('chat:lobby').subscribe()
  await Promise.all([connected(ada), live(bob, 'chat:lobby')])
  const ack = await typing.publish({ text: 'hm' }, { ephemeral: true, event: 'typing' })
  assert.equal(ack.position, null)
  await until(() => heard.data.length === 1, 'bob sees it')
  const [message] = heard.messages as [any]
  assert.deepEqual([message.event, message.ephemeral, message.position], ['typing', true, null])
  await server.stop()
  await until(() => ada.status.current.state !== 'connected', 'ada waits')
  await assert.rejects(typing.publish({}, { ephemeral: true }), (e: TidingsError) => e.code === 'network' && e.retryable)
  await assert.rejects(typing.publish('now or never', { offline: 'fail' }), { code: 'network' })
  assert.equal(ada.outbox.current.length, 0)
})

story('echo: false spares the publisher', async ({ client }) => {
  const [ada, bob] = [client(), client()]
  const [a, b] = [record(ada, 'chat:lobby'), record(bob, 'chat:lobby')]
  for (const one of [ada, bob]) {
    one.connect()
    one.channel('chat:lobby').subscribe()
    await live(one, 'chat:lobby')
  }
  await ada.channel('chat:lobby').publish('quiet', { echo: false })
  await ada.channel('chat:lobby').publish('loud')
  await until(() => b.data.length === 2 && a.data.at(-1) === 'loud', 'both told')
  assert.deepEqual(a.data, ['loud'])
  assert.deepEqual(b.data, ['quiet', 'loud'])
})

story('too large is said at once, and the next one passes', async ({ client }) => {
  const ada = client()
  const room = ada.channel('chat:lobby')
  ada.connect()
  await connected(ada)
  await assert.rejects(room.publish('x'.repeat(70_000)), { code: 'too_large', limit: 'frame' })
  const [large, next] = [room.publish('x'.repeat(40_000)), room.publish('small')]
  await assert.rejects(large, { code: 'too_large', limit: 'data' })
  assert.equal((await next).position!.offset, 1)
  await assert.rejects(ada.channel('nowhere:x').publish(1), { code: 'not_found', retryable: false })
  await assert.rejects(room.publish(1n), { code: 'invalid_data' })
})
