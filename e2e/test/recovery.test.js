// The server dies and comes back.
import assert from 'node:assert/strict'
import { numbered, story, until } from '../lib/story.js'

story('kill -9 while they talk: every message once, in one order', async ({ server, person }) => {
  const ada = await person('Ada')
  const bob = await person('Bob')
  const all = []
  for (const round of [0, 1]) {
    // A burst from both; the server dies in the middle of it, with answers on their way.
    const burst = [numbered('ada', 30, round * 100 + 1), numbered('bob', 30, round * 100 + 1)]
    all.push(...burst.flat())
    const writing = Promise.all([ada, bob].map(async (one, i) => {
      for (const text of burst[i]) await one.write(text)
    }))
    await bob.reads(burst[0][4])
    await server.stop('SIGKILL')
    await writing
    await Promise.all([ada.disconnected(), bob.disconnected()])

    for (const one of [ada, bob]) {
      const text = `${one.name} while it is down, ${round}`
      await one.write(text)
      all.push(text)
      await one.sees('#pending .pending', text)
      await one.sees('#pending .why', 'Waits for the connection')
    }
    await server.start()
    for (const one of [ada, bob]) {
      await one.connected()
      await until(`${one.name} has all`, () => one.texts(), texts => texts.length >= all.length)
      await until('nothing waits', () => one.pending(), pending => pending.length === 0)
    }
  }
  const texts = await ada.texts()
  assert.deepEqual(await bob.texts(), texts, 'both pages show the same order')
  assert.deepEqual([...texts].sort(), [...all].sort(), 'each message is there exactly once')
  for (const one of ['ada', 'bob']) {
    const own = texts.filter(text => text.startsWith(`${one} `))
    assert.deepEqual(own, all.filter(text => text.startsWith(`${one} `)), `${one}'s own order`)
  }
  for (const one of [ada, bob]) {
    assert.deepEqual((await one.notes()).filter(note => /missing|lost/.test(note)), [], 'no gap')
  }

  const cy = await person('Cy')   // what is stored is what they saw
  await until('the newest 50', () => cy.texts(), texts => texts.length === 50)
  assert.deepEqual(await cy.texts(), texts.slice(-50))
})

story('a server that is stopped says so, and its people return', async ({ server, person }) => {
  const ada = await person('Ada')
  await ada.write('before')
  await ada.reads('before')
  await server.stop('SIGTERM')
  await ada.disconnected()
  await ada.write('while it is down')
  await server.start()
  await ada.reads('while it is down')
  assert.deepEqual(await ada.texts(), ['before', 'while it is down'])
})

story('“Now” does not wait for the countdown', async ({ server, person }) => {
  const ada = await person('Ada')
  await server.stop('SIGKILL')
  await ada.disconnected()
  // The waits get longer; press at each one that shows until the server is there.
  await ada.sees('#countdown', /in \d+ s/)
  await server.start()
  await until('connected', async () => {
    await ada.button('Now').click({ timeout: 200 }).catch(() => {})
    return ada.status.textContent()
  }, status => status === 'Connected')
})

story('what was sent to a server that hangs, and sent again, is there once',
  async ({ server, person }) => {
    const ada = await person('Ada')
    const bob = await person('Bob')
    await ada.write('before')
    await bob.reads('before')
    server.hang()
    await ada.write('into the silence')            // it lies in the socket that is given up below
    await ada.sees('#pending .why', 'Sending…')
    for (const one of [ada, bob]) {                // the page is told to look, and hears nothing
      await one.page.evaluate(() => dispatchEvent(new Event('offline')))
      await one.disconnected()
    }
    await ada.write('after it')
    server.goOn()
    for (const one of [ada, bob]) {
      await one.connected()
      await one.reads('after it')
      assert.deepEqual(await one.texts(), ['before', 'into the silence', 'after it'])
    }
    assert.deepEqual(await ada.pending(), [])
  })

story('a lost history is told, and they talk on', async ({ server, person }) => {
  const ada = await person('Ada')
  const bob = await person('Bob')
  await ada.write('of the old world')
  await bob.reads('of the old world')
  await server.stop('SIGKILL')
  server.wipe()
  await ada.disconnected()
  await ada.write('to the new world')
  await server.start()
  for (const one of [ada, bob]) {
    await one.notices('The server has lost the history of this room.')
    await one.reads('to the new world')
  }
  await bob.write('hello again')
  for (const one of [ada, bob]) {
    await one.reads('hello again')
    assert.deepEqual(await one.texts(), ['of the old world', 'to the new world', 'hello again'])
    assert.equal((await one.notes()).filter(note => /lost the history/.test(note)).length, 1)
  }
})
