// The page itself: what it refuses, what it shows, who can use it.
import assert from 'node:assert/strict'
import { story, until } from '../lib/story.js'

story('a message with HTML is shown as text', async ({ person }) => {
  const html = '<img src=x onerror="document.title=\'hacked\'"><b>bold</b><script>alert(1)</script>'
  const ada = await person('<b>Ada</b>')
  const bob = await person('Bob')
  await ada.write(html)
  await bob.reads(html)
  for (const one of [ada, bob]) {
    assert.deepEqual(await one.texts(), [html])
    assert.equal(await one.page.locator('#messages .text *').count(), 0, 'no element inside')
    assert.equal(await one.page.locator('#people b, #messages b b').count(), 0)
    assert.equal(await one.page.title(), 'lobby · Tidings')
  }
  assert.ok((await bob.here()).includes('<b>Ada</b>'))
})

story('a message over the limit is refused, and the next goes through', async ({ person }) => {
  const ada = await person('Ada')
  const bob = await person('Bob')
  await ada.write('x'.repeat(33 * 1024))           // the server refuses it, and its number is used
  await ada.write('behind it')
  await bob.reads('behind it')
  const [first] = await until('one is refused', () => ada.refused(), all => all.length === 1)
  assert.match(first, /Not sent: /)

  await ada.write('y'.repeat(80 * 1024))           // over the frame: would end the connection
  await until('two are refused', () => ada.refused(), all => all.length === 2)
  await ada.write('and on')
  await bob.reads('and on')
  assert.deepEqual(await bob.texts(), ['behind it', 'and on'])
  assert.deepEqual(await ada.texts(), ['behind it', 'and on'])

  await ada.button('Edit').first().click()         // nothing that was written is lost
  assert.equal((await ada.field('Message').inputValue()).length, 33 * 1024)
  assert.equal((await ada.refused()).length, 1)
})

story('a refused token stops the page until the user acts', async ({ person }) => {
  const ada = await person('Ada')
  await ada.page.getByText('Connection', { exact: true }).click()
  await ada.field('Token (JWT, if you have one)').fill('not-a-token')
  await ada.button('Use').click()
  await ada.status.getByText('Disconnected: the token was refused.').waitFor()
  assert.equal(await ada.page.locator('#countdown').textContent(), '', 'it does not try again')
  await ada.field('Token (JWT, if you have one)').fill('')
  await ada.button('Use').click()
  await ada.connected()
  await ada.write('here again')
  await ada.reads('here again')
})

for (const colorScheme of ['light', 'dark']) {
  for (const [width, height] of [[360, 740], [1200, 760]]) {
    story(`${colorScheme}, ${width} wide: all fits`, async ({ server, person }) => {
      const bob = await person('Bob')
      const ada = await person('Ada, whose name is long, as some are',
        { viewport: { width, height }, colorScheme })
      await bob.write('Good morning! Did the restart last night go well?')
      await ada.reads('Good morning!')
      await ada.write('Yes. Everybody was back after four seconds, and nobody lost a word of it.')
      await bob.reads('nobody lost')
      await bob.write(`Here is the log: https://example.com/${'long'.repeat(40)}`)
      await bob.write('مرحبا')
      await ada.reads('مرحبا')
      await bob.field('Message').pressSequentially('I am')
      await ada.sees('#typing', 'Bob is typing…')
      await fits(ada)
      await ada.screenshot(`${colorScheme}-${width}`)

      await ada.write('z'.repeat(33 * 1024))
      await until('it is refused', () => ada.refused(), all => all.length === 1)
      await ada.page.getByText('Connection', { exact: true }).click()
      await server.stop()
      await ada.disconnected()
      await ada.write('Are you there?')
      await ada.sees('#pending .pending', 'Are you there?')
      await fits(ada)
      await ada.screenshot(`${colorScheme}-${width}-down`)
    })
  }
}

async function fits(person) {
  const wider = await person.page.evaluate(() => {
    const page = document.documentElement
    const out = [...document.querySelectorAll('body :not(.unseen)')]
      .filter(e => !e.closest('#people, .same .who'))   // one scrolls by itself, one is unseen
      .filter(e => e.getBoundingClientRect().right > page.clientWidth + 1)
    return { x: page.scrollWidth - page.clientWidth, y: page.scrollHeight - page.clientHeight,
      log: document.getElementById('log').scrollWidth - document.getElementById('log').clientWidth,
      out: out.map(e => e.outerHTML.slice(0, 80)) }
  })
  assert.deepEqual(wider, { x: 0, y: 0, log: 0, out: [] })
}

story('it can be used without a mouse and with a screen reader', async ({ person }) => {
  const ada = await person('Ada')
  await ada.page.getByText('Connection', { exact: true }).click()
  const names = await ada.page.locator('input, textarea, button:visible').evaluateAll(all =>
    all.map(e => (e.labels?.[0] ?? e).textContent.trim()))
  assert.deepEqual(names, ['Your name', 'Room', 'Go', 'Token (JWT, if you have one)', 'Use',
    'Message', 'Send'])
  await ada.log.waitFor()
  await ada.status.waitFor()
  assert.equal(await ada.page.getByRole('list', { name: /^Here now: 1$/ }).count(), 1)

  // Tab walks through all of it, in the order in which it stands.
  await ada.field('Your name').focus()
  const walk = []
  for (let i = 0; i < 8; i++) {
    await ada.page.keyboard.press('Tab')
    walk.push(await ada.page.evaluate(() => document.activeElement.id
      || document.activeElement.textContent))
  }
  assert.deepEqual(walk, ['room', 'Go', 'Connection', 'token', 'Use', 'log', 'text', 'Send'])

  await ada.field('Message').focus()
  await ada.page.keyboard.type('one')
  await ada.page.keyboard.press('Shift+Enter')
  await ada.page.keyboard.type('two')
  await ada.page.keyboard.press('Enter')
  await ada.reads('one\ntwo')
  assert.equal(await ada.field('Message').inputValue(), '')
})

story('the page asks nobody but its own server', async ({ server, person }) => {
  const ada = await person('Ada')
  const asked = []
  ada.page.on('request', request => asked.push(request.url()))
  const [response] = await Promise.all([ada.page.waitForResponse(server.url), ada.page.reload()])
  await ada.connected()
  assert.deepEqual(asked, [server.url])
  assert.match(response.headers()['content-security-policy'], /default-src 'none'/)
})
