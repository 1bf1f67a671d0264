// Documents in editors of others: `y-websocket` and `@hocuspocus/provider`, unchanged.
import assert from 'node:assert/strict'
import { HOCUSPOCUS, editors, same, token, until } from '../lib/editors.js'

const VERSIONS = Object.keys(HOCUSPOCUS)
const WRITER = () => token('ada', 3600, { 'club:*': ['subscribe', 'publish', 'presence'] })

editors('two write at the same time, and who comes later has it all', async ({ y }) => {
  const ada = y('Ada', 'doc:plan')
  const bob = y('Bob', 'doc:plan')
  await Promise.all([ada.synced(), bob.synced()])
  for (let line = 1; line <= 50; line++) {
    ada.write(`ada ${line}\n`)
    bob.write(`bob ${line}\n`, 0)
    ada.map.set('ada', line)
    bob.map.set('bob', { line, done: line % 2 === 0 })
    if (line % 10 === 0) await new Promise(resolve => { setTimeout(resolve, 5) })
  }
  const { text, map } = await same(ada, bob)
  assert.equal(text.split('\n').length, 101)
  assert.deepEqual(map, { ada: 50, bob: { line: 50, done: true } })
  ada.text.delete(0, 10)
  bob.map.delete('ada')
  const both = await same(ada, bob)
  assert.deepEqual(both.map, { bob: { line: 50, done: true } })

  const cy = y('Cy', 'doc:plan')
  await cy.synced()
  assert.deepEqual(cy.content, both)
  const dan = y('Dan', 'doc:other')
  await dan.synced()
  assert.equal(dan.text.toString(), '')
})

editors('who is here is seen, and seen to leave', async ({ y }) => {
  const ada = y('Ada', 'doc:plan')
  ada.says({ cursor: 1 })
  const bob = y('Bob', 'doc:plan')
  bob.says({ cursor: 2 })
  await ada.sees('Bob')
  await bob.sees('Ada')
  const cy = y('Cy', 'doc:plan')
  await cy.sees('Ada', 'Bob')
  bob.provider.destroy()
  await ada.sees()
  ada.provider.ws.terminate()   // the line is cut
  await until('Ada is back', () => ada.isConnected, Boolean)
  await cy.sees('Ada')
})

editors('kill -9 while they write, again and again: nothing that was acknowledged is lost',
  async ({ server, y, hocuspocus }) => {
    const ada = hocuspocus(4, 'Ada', 'doc:plan')
    const bob = y('Bob', 'doc:plan')
    await Promise.all([ada.synced(), bob.synced()])
    for (let round = 1; round <= 3; round++) {
      let known
      for (let line = 1; line <= 30; line++) {
        ada.write(`ada ${round}.${line}\n`)
        bob.map.set(`${round}.${line}`, line)
        if (line % 5 === 0) await new Promise(resolve => { setTimeout(resolve, 3) })
        if (line === 15) {
          await ada.stored()
          known = ada.text.toString().split('\n')
        }
      }
      await server.stop('SIGKILL')
      // They have it all, too, and would give it back: the server alone is asked.
      for (const one of [ada, bob]) one.away()
      await server.start()
      const cy = y('Cy', 'doc:plan')
      await cy.synced()
      const there = new Set(cy.text.toString().split('\n'))
      assert.deepEqual(known.filter(line => !there.has(line)), [], 'what was acknowledged is there')
      for (const one of [ada, bob]) one.back()
      await Promise.all([ada, bob].map(one => until('is back', () => one.isConnected, Boolean)))
      await same(ada, bob, cy)
      cy.destroy()
    }
    await ada.stored()
    const content = await same(ada, bob)
    ada.destroy()
    bob.destroy()
    await server.stop('SIGKILL')
    await server.start()
    const dan = y('Dan', 'doc:plan')
    await dan.synced()
    assert.deepEqual(dan.content, content, 'the server alone has it all')
  })

editors('ten large updates arrive, and a reader who comes later gets them in pieces', async ({ y }) => {
  const ada = y('Ada', 'doc:large')
  await ada.synced()
  const block = letter => letter.repeat(500_000)
  for (const letter of 'abcdefghij') ada.write(block(letter))
  const bob = y('Bob', 'doc:large')
  await until('Bob has all', () => bob.text.length, length => length === 5_000_000)
  assert.equal(ada.isConnected, true)
  assert.deepEqual(ada.closed, [])
  await same(ada, bob)
})

editors('rights: who may only read changes nothing, and a bad token is told once', async ({ y }) => {
  const ada = y('Ada', 'club:plan', { token: WRITER() })
  await ada.synced()
  ada.write('by Ada')
  const bob = y('Bob', 'club:plan', { token: token('bob') })
  await bob.reads('by Ada')
  bob.write(' and Bob')
  const cy = y('Cy', 'club:plan', { protocols: ['yjs', `bearer.${WRITER()}`] })
  await cy.reads('by Ada')
  cy.write(' and Cy')
  await ada.reads('and Cy')
  assert.ok(!ada.text.toString().includes('Bob') && !cy.text.toString().includes('Bob'), ada.text.toString())

  const eve = y('Eve', 'club:plan', { token: 'ey.not.one' })
  await eve.isClosedFor(4401)
  const nobody = y('nobody', 'club:plan')
  await nobody.isClosedFor(4403)
  const lost = y('lost', 'nowhere:plan')
  await lost.isClosedFor(4404)
})

for (const version of VERSIONS) {
  editors(`Hocuspocus ${version}: two documents on one connection, stored before it is said so`,
    async ({ server, y, hocuspocus }) => {
      const ada = hocuspocus(version, 'Ada', 'doc:plan')
      const notes = hocuspocus(version, 'Ada', 'doc:notes', { beside: ada })
      await Promise.all([ada.synced(), notes.synced()])
      ada.says({ cursor: 1 })
      ada.write('the plan')
      notes.write('the notes')
      const bob = y('Bob', 'doc:plan')
      await bob.reads('the plan')
      bob.says({ cursor: 2 })
      bob.map.set('by', 'Bob')
      await ada.sees('Bob')
      await bob.sees('Ada')
      await Promise.all([ada.stored(), notes.stored()])
      const content = await same(ada, bob)
      const noted = notes.content
      for (const one of [ada, bob, notes]) one.destroy()

      await server.stop('SIGKILL')
      await server.start()
      const cy = hocuspocus(version, 'Cy', 'doc:plan')
      const dan = hocuspocus(version, 'Dan', 'doc:notes', { beside: cy })
      await Promise.all([cy.synced(), dan.synced()])
      assert.deepEqual([cy.content, dan.content], [content, noted])
    })

  editors(`Hocuspocus ${version}: rights are told`, async ({ hocuspocus }) => {
    const ada = hocuspocus(version, 'Ada', 'club:plan', { token: WRITER() })
    await ada.synced()
    ada.write('by Ada')
    await ada.stored()
    const bob = hocuspocus(version, 'Bob', 'club:plan', { token: token('bob') })
    await bob.reads('by Ada')
    assert.equal(bob.isReadOnly, true)
    bob.write(' and Bob')
    const eve = hocuspocus(version, 'Eve', 'club:plan', { token: 'ey.not.one' })
    await until('Eve is refused', () => eve.refusals, refusals => refusals.length > 0)
    ada.write(' again')
    await bob.reads('again')
    assert.ok(!ada.text.toString().includes('Bob'), ada.text.toString())
  })
}

editors('Hocuspocus 4: several providers of one document on one connection, each with a session of its own',
  async ({ server, y, hocuspocus }) => {
    const sessionAwareness = true
    const left = hocuspocus(4, 'left', 'doc:plan', { sessionAwareness })
    const right = hocuspocus(4, 'right', 'doc:plan', { sessionAwareness, beside: left })
    const plain = hocuspocus(4, 'plain', 'doc:plan', { beside: left })
    const bob = y('Bob', 'doc:plan')
    const all = [left, right, plain, bob]
    await Promise.all(all.map(one => one.synced()))
    for (const one of all) one.says({})
    for (const one of all) await one.sees(...all.map(({ name }) => name).filter(name => name !== one.name))
    for (let line = 1; line <= 30; line++) {
      for (const one of all) one.write(`${one.name} ${line}\n`, line % 2 ? 0 : one.text.length)
      if (line % 10 === 0) await new Promise(resolve => { setTimeout(resolve, 5) })
    }
    await Promise.all([left, right, plain].map(one => one.stored()))
    const { text } = await same(...all)
    assert.equal(text.split('\n').length, 121)

    right.destroy()
    await left.sees('Bob', 'plain')
    bob.write('and on')
    await left.reads('and on')
    await server.stop('SIGKILL')
    left.write('offline')
    await server.start()
    await bob.reads('offline')
    await left.stored()
    await same(left, plain, bob)
    assert.deepEqual([left, plain].flatMap(one => one.refusals), [])
  })

editors('all of them write in one document', async ({ y, hocuspocus }) => {
  const all = [y('y', 'doc:one'), ...VERSIONS.map(version => hocuspocus(version, `h${version}`, 'doc:one'))]
  await Promise.all(all.map(one => one.synced()))
  for (let line = 1; line <= 20; line++) {
    for (const one of all) {
      one.write(`${one.name} ${line}\n`, line % 2 ? 0 : one.text.length)
      one.map.set(one.name, line)
    }
  }
  const { text, map } = await same(...all)
  assert.equal(text.split('\n').length, all.length * 20 + 1)
  assert.deepEqual(map, Object.fromEntries(all.map(one => [one.name, 20])))
})
