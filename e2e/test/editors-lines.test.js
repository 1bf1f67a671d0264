// Editors of others over lines of all kinds: TLS, compressed, and to a server that is being replaced.
import assert from 'node:assert/strict'
import { HOCUSPOCUS, editors, same } from '../lib/editors.js'

const VERSIONS = Object.keys(HOCUSPOCUS)
const LONG = 'the same words, again and again. '.repeat(60_000)   // 2 MB

for (const tls of [false, true]) {
  for (const compression of [false, true]) {
    if (!tls && !compression) continue   // all other stories
    const how = [tls && 'TLS', compression && 'permessage-deflate'].filter(Boolean).join(' and ')
    editors(`${how}: long and short updates both ways`, async ({ server, y, hocuspocus }) => {
      const ada = y('Ada', 'doc:plan')
      const others = VERSIONS.map(version => hocuspocus(version, `h${version}`, 'doc:plan'))
      await Promise.all([ada, ...others].map(one => one.synced()))
      assert.equal(ada.line.url.startsWith('wss:'), tls)
      for (const one of [ada, ...others]) {
        assert.equal(one.line.extensions.includes('permessage-deflate'), compression, one.name)
        one.says({ at: 0 })
      }
      ada.write(LONG)
      for (const [place, one] of others.entries()) {
        for (let line = 1; line <= 10; line++) one.write(`${one.name} ${line}\n`, 0)
        one.write(`${place} `.repeat(50_000))
      }
      await Promise.all(others.map(one => one.stored()))
      const content = await same(ada, ...others)
      await ada.sees(...others.map(({ name }) => name))

      // Who comes later has it in pieces.
      const cy = y('Cy', 'doc:plan')
      const dan = hocuspocus(4, 'Dan', 'doc:plan')
      await Promise.all([cy.synced(), dan.synced()])
      assert.deepEqual([cy.content, dan.content], [content, content])
      for (const one of [cy, dan]) {
        assert.equal(one.bytesRead < 300_000, compression, `${one.name} has read ${one.bytesRead} bytes`)
      }
      await server.stop('SIGKILL')
      await server.start()
      ada.write('!')
      await cy.reads('!')
      await same(ada, cy, dan, ...others)
    }, { compression, tls })
  }
}

/** Somebody of each kind. */
function everybody({ y, hocuspocus }) {
  const others = VERSIONS.map(version => hocuspocus(version, `h${version}`, 'doc:plan'))
  const beside = others.at(-1)
  const notes = hocuspocus(4, 'notes', 'doc:notes', { beside })
  const sides = ['left', 'right'].map(name => hocuspocus(4, name, 'doc:sides', { sessionAwareness: true, beside }))
  return [y('Ada', 'doc:plan'), ...others, notes, ...sides]
}

const lines = one => one.text.toString().split('\n').filter(Boolean)
const sameAmong = all => Promise.all([...new Set(all.map(one => one.room))]
  .map(room => same(...all.filter(one => one.room === room))))

editors('SIGTERM while they write: what was told as stored, or seen by somebody else, is there', async story => {
  const { server, y } = story
  for (let round = 1; round <= 3; round++) {
    const all = everybody(story)
    await Promise.all(all.map(one => one.synced()))
    await sameAmong(all)
    const known = new Map(all.map(one => [one, []]))   // of its own, what it was told is stored
    for (const one of all.filter(one => one.stored)) {
      await one.stored()
      one.provider.on('unsyncedChanges', ({ number }) => { if (number === 0) known.set(one, lines(one)) })
    }
    let ended = false
    let stopped
    for (let line = 1; !ended; line++) {
      if (line === 10) stopped = server.stop('SIGTERM').then(() => { ended = true })
      for (const one of all) {
        if (one.isConnected) one.write(`${one.name} ${round}.${line}\n`, line % 2 ? 0 : one.text.length)
      }
      await new Promise(resolve => { setTimeout(resolve, 5) })
    }
    await stopped
    for (const one of all) one.away()   // they have it all, and would bring it back
    await server.start()
    for (const one of all) {
      const others = lines(one).filter(line => !line.startsWith(`${one.name} `))
      const late = y('late', one.room)
      await late.synced()
      const there = new Set(lines(late))
      assert.deepEqual([...known.get(one), ...others].filter(line => !there.has(line)), [], one.name)
      if (one.room !== 'doc:notes') assert.ok(others.length > 0, `${one.name} saw what others wrote`)
      // Version 2 tells numbers, and miscounts; y-websocket is told nothing.
      if (!['Ada', 'h2'].includes(one.name)) assert.ok(known.get(one).length > 0, `${one.name} was told`)
      late.destroy()
    }
    for (const one of all) one.back()
    await sameAmong(all)
    for (const one of all) one.destroy()
  }
})

editors('SIGTERM: they come back by themselves, with what they wrote meanwhile', async story => {
  const { server, y } = story
  const all = everybody(story)
  await Promise.all(all.map(one => one.synced()))
  for (const one of all) one.says({})
  await server.stop('SIGTERM')
  for (const one of all) {
    assert.equal(one.isConnected, false, one.name)
    one.write(`${one.name} meanwhile\n`)
  }
  await server.start()
  for (const one of all) await one.reads(one.room === 'doc:sides' ? 'left meanwhile' : 'meanwhile')
  await sameAmong(all)
  await Promise.all(all.filter(one => one.stored).map(one => one.stored()))
  const late = y('late', 'doc:plan')
  await late.synced()
  assert.equal(lines(late).length, 4)
  await late.sees('Ada', 'h2', 'h3', 'h4')
  assert.deepEqual(all.flatMap(one => one.refusals ?? one.closed), [])
})
