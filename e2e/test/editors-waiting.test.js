// Updates that wait for what nobody has: whoever opens the document holds them too, and says them again.
import assert from 'node:assert/strict'
import * as Y from 'yjs'
import { HOCUSPOCUS, api, editors, same, until } from '../lib/editors.js'

const VERSIONS = Object.keys(HOCUSPOCUS)
const PLAN = '/documents/doc:plan'

/** The second of two updates of somebody; the first is nowhere. */
function orphan() {
  const doc = new Y.Doc()
  doc.getText('text').insert(0, 'lost ')
  let second
  doc.on('update', update => { second = update })
  doc.getText('text').insert(0, 'waits ')
  doc.destroy()
  return Buffer.from(second).toString('base64')
}

/** They are away for a moment, and do something meanwhile. */
async function again(all, act = () => {}) {
  for (const one of all) {
    one.away()
    act(one)
  }
  for (const one of all) await until(`${one.name} is away`, () => one.isConnected, is => !is)
  for (const one of all) one.back()
  await Promise.all(all.map(one => until(`${one.name} is back`, () => one.isConnected && one.isSynced, Boolean)))
}

for (const many of [0, 3, 300]) {
  editors(`${many} updates wait for others that never come: nobody is kept from writing`, async ({ server, y, hocuspocus }) => {
    const answers = []
    for (let n = 0; n < many; n++) answers.push(await api(server, `${PLAN}/update`, { update: orphan() }))
    const stored = answers.filter(({ status }) => status === 200).length
    assert.equal(stored, Math.min(many, 256))
    const all = [y('Ada', 'doc:plan'), ...VERSIONS.map(version => hocuspocus(version, `h${version}`, 'doc:plan'))]
    let closed = 0
    for (const { provider } of all) {
      provider.on('connection-close', () => closed++)
      provider.on('close', () => closed++)
    }
    await Promise.all(all.map(one => one.synced()))
    for (let round = 1; round <= 3; round++) {
      await again(all, one => one.write(`${one.name} ${round}\n`))
      await Promise.all(all.slice(1).map(one => one.stored()))
      await same(...all)
    }
    for (const one of all) one.write(`${one.name}\n`)
    await same(...all)
    const before = closed
    await new Promise(resolve => { setTimeout(resolve, 1000) })
    assert.equal(closed, before, 'nobody is closed again and again')
    const { text, offset } = await api(server, `${PLAN}?as=text`)
    assert.equal(text.split('\n').filter(Boolean).length, 16)
    for (let round = 0; round < 3; round++) await again(all)
    await same(...all)
    assert.equal((await api(server, PLAN)).offset, offset, 'what they say again is not stored again')
  })
}
