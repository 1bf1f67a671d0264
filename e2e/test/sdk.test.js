// The SDK in a real browser: what a page goes through, and that nothing is lost or doubled by it.
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { sdkStory } from '../lib/sdk.js'
import { numbered, untilSame } from '../lib/story.js'
import { SIGNED_IN, token } from '../lib/tokens.js'
import { until } from '../lib/until.js'

const states = async tab => (await tab.ask('log')).map(({ state }) => state)
/** What timers, sockets and two processes on a busy machine may be late by. */
const LATE = 700
/** After so many failures other transports are tried too: with jitter, that comes within 40 s at times. */
const DOUBTED = 7

sdkStory('the server is down for 40 s: attempts come when they were announced, and all arrives once', async ({ server, proxy, tab }) => {
  const ways = [await proxy(), await proxy()]
  const ada = await tab('Ada', { url: ways[0].url, backoff: { jitter: 'none' } })
  const bob = await tab('Bob', { url: ways[1].url })
  for (const one of [ada, bob]) await one.live()
  await ada.write('before')
  for (const one of [ada, bob]) await one.hasHeard(['before'])
  await server.stop('SIGKILL')
  const lost = Date.now()
  for (const one of [ada, bob]) await one.is('waiting')
  const texts = { Ada: numbered('ada', 20), Bob: numbered('bob', 20) }
  for (const one of [ada, bob]) await one.write(...texts[one.name])
  await pause(40_000 - (Date.now() - lost))
  await server.start()
  const up = Date.now()

  for (const [i, one] of [ada, bob].entries()) {
    await one.is('connected')
    const log = await one.ask('log')
    const waits = log.filter(({ state }) => state === 'waiting')
    const attempts = ways[i].attempts.slice(1)   // but for the first, which was before
    assert.equal(attempts.length, waits.length, `${one.name}: each wait has one attempt behind it`)
    for (const [n, { at, attempt, retryAt }] of waits.entries()) {
      const [ms, ceiling] = [retryAt - at, Math.min(30_000, 1000 * 2 ** n)]
      if (n >= DOUBTED) break   // others are tried between two waits
      assert.equal(attempt, n + 1)
      if (one === ada) assert.ok(Math.abs(ms - ceiling) <= 20, `wait ${attempt} is ${ms} ms, not ${ceiling}`)
      else assert.ok(ms >= -20 && ms <= ceiling, `wait ${attempt} is ${ms} ms, from 0 to ${ceiling}`)
      const late = attempts[n].at - retryAt
      assert.ok(late > -50 && late < LATE, `${one.name}: attempt ${attempt} comes ${late} ms after the moment that was announced`)
      assert.match(attempts[n].line, /^GET \/socket /, 'a server that is down is no reason for another transport')
    }
    assert.equal((await one.status()).transport, 'websocket', 'nor are many failures, when no other transport passes')
    assert.ok(attempts.filter(({ at }) => at < up).length >= 5, `${one.name} keeps on trying`)
  }
  const moments = ways[0].attempts.slice(1).map(({ at }) => Math.round((at - lost) / 1000))
  assert.deepEqual(moments, [1, 3, 7, 15, 31, 61], 'seconds after the loss')

  for (const one of [ada, bob]) await one.sent()
  const stored = await until('all is stored', () => ada.ask('history'), all => all.length >= 41)
  for (const one of [ada, bob]) {
    await one.hasHeard(stored)
    assert.deepEqual(stored.filter(text => texts[one.name].includes(text)), texts[one.name], 'once, and in the order in which it was written')
    assert.deepEqual(await one.ask('failed'), [])
  }
  assert.equal(stored.length, 41)
})

sdkStory('offline and online: it notices, does not wait any longer than it must, and nobody sees it leave', async ({ proxy, tab }) => {
  const way = await proxy()
  const ada = await tab('Ada', { url: way.url })
  const bob = await tab('Bob')
  for (const one of [ada, bob]) await one.live()
  await ada.ask('enter', { name: 'Ada' })
  const { user } = await ada.status()
  await until('Ada is here', () => bob.ask('people'), people => people.length === 1)

  // The network is gone: the browser says so, and what stands is dead without a word.
  way.swallow()
  await ada.page.context().setOffline(true)
  await ada.is('waiting')
  const { attempts } = way
  const before = attempts.length
  await ada.write(...numbered('ada', 10))
  await bob.write(...numbered('bob', 10))
  await bob.sent()
  await until('a longer wait', () => ada.status(), ({ attempt }) => attempt >= 4)
  assert.equal(attempts.length, before, 'nothing reaches the network')

  way.pass()
  const back = Date.now()
  await ada.page.context().setOffline(false)
  await ada.is('connected')
  const { at } = (await ada.ask('log')).at(-1)
  assert.ok(at - back < 2000, `connected ${at - back} ms after the network`)
  assert.deepEqual([(await ada.status()).user, (await ada.status()).resumed], [user, true])
  const all = [...numbered('bob', 10), ...numbered('ada', 10)]
  for (const one of [ada, bob]) await one.hasHeard(all)
  await ada.sent()
  assert.deepEqual(await bob.ask('people'), [`enter ${user}`])
})

sdkStory('offline for a moment: what stands is asked whether it does, and stays', async ({ proxy, tab }) => {
  const way = await proxy()
  const ada = await tab('Ada', { url: way.url })
  await ada.is('connected')
  for (let i = 0; i < 3; i++) {
    await ada.page.evaluate(() => { for (const event of ['offline', 'online']) dispatchEvent(new Event(event)) })
    await pause(300)
  }
  await pause(5500)   // longer than the answer to a ping may take
  assert.deepEqual(await states(ada), ['idle', 'connecting', 'connected'])
  assert.equal(way.attempts.length, 1)
})

for (const transport of ['websocket', 'sse', 'poll']) {
  sdkStory(`sleep, by ${transport}: who wakes up hears all that was said, once and in order`, async ({ server, proxy, tab }) => {
    const way = await proxy()
    const ada = await tab('Ada', { url: way.url, transports: [transport], phone: true })
    const bob = await tab('Bob')
    for (const one of [ada, bob]) await one.live()
    const all = []
    const say = async (who, ...texts) => {
      all.push(...texts)
      await who.write(...texts)
      await who.sent()
    }
    await say(ada, 'good night')
    await bob.hasHeard(all)

    // A nap: the line stands.
    await ada.freeze()
    await say(bob, ...numbered('nap', 50))
    await pause(2000)
    await ada.wake()
    await ada.hasHeard(all)

    // A night: the router has forgotten the line and tells nobody.
    await ada.freeze()
    way.swallow()
    await say(bob, ...numbered('night', 50))
    way.pass()
    await ada.wake()
    const woken = Date.now()
    await ada.hasHeard(all)
    assert.ok(Date.now() - woken < 12_000, `within ${Date.now() - woken} ms`)

    // Another one, in which the server is updated; what was written before is still on its way.
    await say(bob, 'and again')
    await ada.freeze()
    await server.stop('SIGTERM')
    await server.start()
    await bob.ask('retryNow')
    await say(bob, ...numbered('update', 50))
    await ada.wake()
    await ada.is('connected')
    await ada.hasHeard(all)
    await say(ada, 'good morning')
    for (const one of [ada, bob]) await one.hasHeard(all)
  })
}

sdkStory('a reload with a full outbox: each is sent once and in order', async ({ server, tab }) => {
  const ada = await tab('Ada', { store: 'ada', room: 'chat:full' })
  const texts = numbered('ada', 1000)
  await ada.is('connected')
  await server.stop('SIGKILL')
  await ada.is('waiting')
  await ada.write(...texts, 'one too many')
  await until('it says that it is full', () => ada.ask('failed'), failed => failed.length === 1)
  assert.deepEqual(await ada.ask('failed'), [['one too many', 'outbox_full']])
  await pause(1000)   // a person's reload is no quicker; the store has all by then
  await ada.reload()
  await until('the outbox is back', () => ada.ask('waiting'), waiting => waiting.length === 1000)
  await ada.reload()
  await until('and again', () => ada.ask('waiting'), waiting => waiting.length === 1000)
  await server.start()
  await ada.ask('retryNow')
  await ada.sent()
  assert.deepEqual(await ada.ask('history'), texts)
  await ada.reload()
  await ada.is('connected')
  await pause(500)
  assert.deepEqual(await ada.ask('waiting'), [])
  assert.deepEqual(await ada.ask('history'), texts)
})

sdkStory('reloads in the middle of sending: each is stored once and in order', async ({ tab }) => {
  const ada = await tab('Ada', { store: 'ada', room: 'chat:full' })
  const texts = []
  for (let round = 0; round < 8; round++) {
    const more = numbered('ada', 60, round * 60 + 1)
    texts.push(...more)
    await ada.is('connected')
    await ada.write(...more)
    // What is written in one turn is in the store before anything of it is sent; then, at whatever moment.
    await until('the first are stored', () => ada.ask('acked'), acked => acked > 0)
    await pause(round * 3)
    await ada.reload()
  }
  await ada.is('connected')
  await until('all are stored', () => ada.ask('history'), all => all.length >= texts.length)
  await pause(500)
  assert.deepEqual(await ada.ask('history'), texts)
  assert.deepEqual(await ada.ask('waiting'), [])
})

sdkStory('two tabs with one store: what one has written, the other does not send while it lives', async ({ server, tab }) => {
  const ada = await tab('Ada', { store: 'shared' })
  await ada.is('connected')
  await server.stop('SIGKILL')
  await ada.is('waiting')
  const texts = numbered('ada', 30)
  await ada.write(...texts)
  await pause(500)
  const second = await tab('Ada, second tab', { store: 'shared', beside: ada })
  await pause(500)
  assert.deepEqual(await second.ask('waiting'), [], 'they have an owner')
  await server.start()
  for (const one of [ada, second]) await one.ask('retryNow')
  for (const one of [ada, second]) await one.is('connected')
  await ada.sent()
  assert.deepEqual(await second.ask('history'), texts)

  // The first is closed before it could send; of two that come after it, one takes over.
  await server.stop('SIGKILL')
  await ada.is('waiting')
  const later = numbered('later', 30)
  await ada.write(...later)
  await pause(500)
  await ada.page.close()
  const next = await Promise.all([3, 4].map(n => tab(`Ada, tab ${n}`, { store: 'shared', beside: second })))
  const taken = await until('one has them', () => Promise.all(next.map(one => one.ask('waiting'))), all => all.flat().length > 0)
  assert.deepEqual(taken.map(({ length }) => length).sort((a, b) => a - b), [0, 30])
  await server.start()
  for (const one of [second, ...next]) await one.ask('retryNow')
  for (const one of [second, ...next]) await one.is('connected')
  for (const one of next) await one.sent()
  assert.deepEqual(await second.ask('history'), [...texts, ...later])
})

sdkStory('a token that ends is renewed by its provider: on the line, after a sleep, and until it says no', async ({ server, origin, proxy, tab }) => {
  origin.mint = () => token('ada', 3)
  const way = await proxy()
  const ada = await tab('Ada', { url: way.url, tokens: true, phone: true })
  await ada.is('connected')
  await until('three more tokens', () => origin.asked, asked => asked.length >= 4)
  assert.deepEqual(origin.asked.slice(0, 4), ['connect', 'expiring', 'expiring', 'expiring'])
  assert.deepEqual(await states(ada), ['idle', 'connecting', 'connected'], 'the line stood all the time')
  assert.equal(way.attempts.length, 1)
  await ada.write('still here')
  await ada.hasHeard(['still here'])

  // The lid is closed for longer than a token lives; the server ends the session meanwhile.
  await ada.freeze()
  const slept = origin.asked.length
  await pause(5000)
  assert.equal(origin.asked.length, slept, 'asleep')
  origin.mint = () => token('ada', 3600)
  await ada.wake()
  await until('asked again', () => origin.asked.length, count => count > slept)
  await ada.is('connected')
  await ada.write('awake')
  await ada.hasHeard(['still here', 'awake'])

  // Signed out elsewhere: the provider has no more tokens, and that is the end.
  origin.mint = () => null
  await ada.page.evaluate(() => dispatchEvent(new Event('offline')))
  await server.stop('SIGKILL')
  await ada.is('waiting')
  await ada.reload()
  await ada.is('closed')
  const { cause } = await ada.status()
  assert.deepEqual([cause.code, cause.message], ['unauthorized', 'signed out'])
  const [asked, { length }] = [origin.asked.length, way.attempts]
  await pause(3000)
  assert.deepEqual([origin.asked.length, way.attempts.length], [asked, length], 'and it does not ask again')
}, { config: SIGNED_IN })

for (const transport of ['websocket', 'sse', 'poll']) {
  sdkStory(`by ${transport}: a server that lets nobody in without a token (4403): it stops, and says why`, async ({ proxy, tab }) => {
    const way = await proxy()
    const ada = await tab('Ada', { url: way.url, transports: [transport] })
    await ada.is('closed')
    const { cause } = await ada.status()
    assert.deepEqual([cause.code, cause.closeCode, cause.retryable], ['forbidden', 4403, false])
    await ada.page.evaluate(() => { for (const event of ['online', 'pageshow']) dispatchEvent(new Event(event)) })
    await pause(500)
    const { length } = way.attempts
    await pause(3000)
    assert.equal(way.attempts.length, length, 'nothing more is tried')
    assert.equal((await ada.status()).state, 'closed')
    await ada.write('not sent')   // it waits, for somebody may sign in
    await untilSame('the outbox', () => ada.ask('waiting'), ['not sent'])
  }, { config: SIGNED_IN })
}
