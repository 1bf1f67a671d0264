// The chat demo: people talk, the server dies and comes back, and everybody can use it.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { demo, Guest } from '../lib/demo.js'
import { numbered, until, untilSame } from '../lib/story.js'
import { SIGNED_IN, token } from '../lib/tokens.js'

demo('they talk, see who is here and who is typing', async ({ guest }) => {
  const ada = await guest('Ada')
  const bob = await guest('Bob')
  await untilSame('who is here', () => ada.here(), ['Ada', 'Bob'])
  await untilSame('who is here', () => bob.here(), ['Ada', 'Bob'])

  await bob.field('Message').pressSequentially('Hel')
  await ada.sees('#typing', 'Bob is typing…')
  assert.equal(await bob.typing(), '', 'not shown to himself')
  await until('typing is forgotten', () => ada.typing(), text => text === '')

  await bob.write('Hello Ada')
  await ada.write('Hello Bob')
  for (const one of [ada, bob]) {
    await untilSame('both texts', () => one.texts(), ['Hello Ada', 'Hello Bob'])
    assert.equal(await one.page.locator('#log .own').count(), 1, 'one is marked as own')
  }

  await bob.field('Your name').fill('Robert')
  await bob.field('Your name').press('Enter')
  await untilSame('who is here', () => ada.here(), ['Ada', 'Robert'])
  await bob.page.reload()
  await bob.connected()
  assert.equal(await bob.field('Your name').inputValue(), 'Robert')
})

for (const transport of ['websocket', 'sse', 'poll']) {
  demo(`they talk by ${transport}`, async ({ guest }) => {
    const ada = await guest('Ada', { transport })
    const bob = await guest('Bob')
    const texts = numbered('ada', 5)
    for (const text of texts) await ada.write(text)
    for (const one of [ada, bob]) await one.hasTexts(texts)
    await bob.write('I see')
    await ada.reads('I see')
    const names = { websocket: 'By WebSocket', sse: 'By Server-Sent Events', poll: 'By long-polling' }
    assert.equal(await ada.page.locator('.pill').getAttribute('title'), names[transport])
  })
}

demo('rooms are apart, and what is unread elsewhere is counted and marked', async ({ guest }) => {
  const ada = await guest('Ada')
  const bob = await guest('Bob', { room: 'tea' })
  await ada.field('Join a room').fill('tea')
  await ada.field('Join a room').press('Enter')
  await untilSame('who is in tea', () => bob.here(), ['Ada', 'Bob'])
  await ada.write('I was here')
  await bob.reads('I was here')

  await ada.page.goBack()
  await untilSame('who is in tea', () => bob.here(), ['Bob'])
  await bob.write('one for later')
  await bob.write('two for later')
  await ada.sees('.rooms .badge', '2')
  assert.equal(await ada.page.title(), '(2) lobby · Tidings')
  assert.deepEqual(await ada.texts(), [])

  await ada.room('tea').click()
  await ada.hasTexts(['I was here', 'one for later', 'two for later'])
  const marked = ada.page.locator('.rule.new + .message').first()
  assert.match(await marked.innerText(), /one for later/)
  await until('all is read', () => ada.page.title(), title => title === 'tea · Tidings')

  await ada.button('Leave tea').click()
  await untilSame('who is in tea', () => bob.here(), ['Bob'])
  assert.equal(await ada.room('tea').count(), 0)
})

demo('while the server is down, what is written waits; after it, all is there once', async ({ server, guest }) => {
  const ada = await guest('Ada')
  const bob = await guest('Bob')
  await ada.write('before')
  await bob.reads('before')
  await server.stop('SIGKILL')
  await Promise.all([ada.disconnected(), bob.disconnected()])
  await ada.sees('.bar', /Connection lost\. Trying again in \d+ s\./)
  await ada.write('while it is down')
  await ada.write('and again')
  await ada.waitsWith('and again')
  assert.deepEqual(await ada.pending(), ['while it is down', 'and again'])
  await ada.sees('#log .waiting .state', 'Waits for the connection')

  await server.start()
  await until('connected', async () => {          // the waits get longer; this does not wait
    await ada.button('Try now').click({ timeout: 200 }).catch(() => {})
    return ada.status.textContent()
  }, status => status === 'Connected')
  const all = ['before', 'while it is down', 'and again']
  for (const one of [ada, bob]) await one.hasTexts(all)
  assert.deepEqual(await ada.pending(), [])
  assert.equal(await ada.page.locator('.bar').count(), 0)
  await untilSame('who is here', () => ada.here(), ['Ada', 'Bob'])
})

demo('a reload keeps what waits, and what was begun', async ({ server, guest }) => {
  const ada = await guest('Ada')
  await ada.write('before')
  await ada.reads('before')
  await ada.page.waitForLoadState('networkidle')
  await server.stop('SIGKILL')
  await ada.disconnected()
  await ada.write('kept over the reload')
  await ada.waitsWith('kept over the reload')
  await ada.field('Message').fill('half a sen')
  await serveFromDisk(ada.page)
  await ada.page.reload()
  await ada.waitsWith('kept over the reload')
  assert.equal(await ada.field('Message').inputValue(), 'half a sen')
  await server.start()
  await ada.connected()
  await ada.hasTexts(['before', 'kept over the reload'])
  const bob = await guest('Bob')
  await bob.hasTexts(['before', 'kept over the reload'])
})

demo('after a reload, who is anonymous is the same user; a tab that is duplicated is another one', async ({ guest }) => {
  const ada = await guest('Ada')
  const bob = await guest('Bob')
  await ada.write('this is mine')
  await bob.reads('this is mine')
  for (let i = 0; i < 3; i++) {
    await ada.page.reload()
    await ada.connected()
    await ada.hasTexts(['this is mine'])
    await until('it is still her own', () => ada.page.locator('#log .own').count(), count => count === 1)
    await untilSame('who is here', () => bob.here(), ['Ada', 'Bob'])
  }
  const opened = ada.page.context().waitForEvent('page')
  await ada.page.evaluate(() => { window.open(location.href) })
  const twin = new Guest('Ada, again', await opened)
  await twin.connected()
  await twin.hasTexts(['this is mine'])
  assert.equal(await twin.page.locator('#log .own').count(), 0)
  await twin.write('and who am I?')
  for (const one of [ada, bob, twin]) await one.hasTexts(['this is mine', 'and who am I?'])
  await ada.connected()
})

/** The page comes from `web/dist`, as the server that is down would serve it. */
async function serveFromDisk(page) {
  const types = { 'index.html': 'text/html', 'chat.js': 'text/javascript', 'chat.css': 'text/css' }
  const origin = new URL(page.url()).origin
  for (const [file, contentType] of Object.entries(types)) {
    const body = readFileSync(new URL(`../../web/dist/${file}`, import.meta.url))
    await page.route(url => url.origin === origin && url.pathname.slice(1) === file.replace('index.html', ''),
      route => route.fulfill({ body, contentType: `${contentType}; charset=utf-8` }))
  }
}

demo('a message that is too long says so, and can be changed or given up', async ({ guest }) => {
  const ada = await guest('Ada')
  const bob = await guest('Bob')
  await ada.write('x'.repeat(33 * 1024))
  await ada.write('behind it')
  await bob.reads('behind it')
  const [refused] = await until('one is refused', () => ada.refused(), all => all.length === 1)
  assert.match(refused, /Not sent: it is too long\./)

  await ada.button('Retry').click()
  await until('refused again', () => ada.refused(), all => all.length === 1)
  await ada.button('Edit').click()
  assert.equal((await ada.field('Message').inputValue()).length, 33 * 1024)
  await ada.write('short')
  await bob.hasTexts(['behind it', 'short'])

  await ada.write('y'.repeat(33 * 1024))
  await ada.button('Delete').click()
  await until('nothing is refused', () => ada.refused(), all => all.length === 0)
  assert.deepEqual(await bob.texts(), ['behind it', 'short'])
})

demo('what was before comes by scrolling up, and what one reads stays in place', async ({ guest }) => {
  const ada = await guest('Ada')
  const all = numbered('ada', 120)
  for (const text of all) await ada.write(text)
  await until('all are sent', () => ada.pending(), pending => pending.length === 0)

  const bob = await guest('Bob')
  await bob.hasTexts(all.slice(-50))
  const place = text => bob.page.locator('#log .row .text').filter({ hasText: new RegExp(`^${text}$`) })
    .evaluate(row => Math.round(row.getBoundingClientRect().top))
  await bob.page.locator('#log').evaluate(log => { log.scrollTop -= 70 })
  await bob.button('Newest').waitFor()
  const before = await place('ada 100')
  await bob.page.locator('#log').evaluate(log => { log.scrollTop = 100 })
  const row = await bob.page.locator('#log .row .text').filter({ hasText: 'ada 100' }).elementHandle()
  const moved = await place('ada 100')
  assert.notEqual(moved, before)
  await until('a page more', () => bob.texts(), texts => texts.length >= 100)
  assert.ok(Math.abs(await place('ada 100') - moved) <= 2, 'it did not jump')
  assert.ok(await row.evaluate(element => element.isConnected), 'nor was it made anew')

  await ada.write('news')
  await bob.button('1 new message').click()
  await bob.reads('news')
  await bob.button('1 new message').waitFor({ state: 'detached' })
  await bob.page.locator('#log').evaluate(log => { log.scrollTop = 0 })
  await until('all', async () => {
    await bob.page.locator('#log').evaluate(log => { log.scrollTop = 0 })
    return bob.texts()
  }, texts => texts.length === 121)
  assert.deepEqual(await bob.texts(), [...all, 'news'])
  await bob.sees('#log .start', 'This is where #lobby begins.')
})

demo('a lost history is told, and they talk on', async ({ server, guest }) => {
  const ada = await guest('Ada')
  await ada.write('of the old world')
  await ada.reads('of the old world')
  await server.stop('SIGKILL')
  server.wipe()
  await ada.disconnected()
  await server.start()
  await ada.connected()
  await ada.write('to the new world')
  await ada.reads('to the new world')
  await ada.notices('The server has lost this room’s history. What follows is new.')
  assert.deepEqual(await ada.texts(), ['of the old world', 'to the new world'])
})

demo('a refused token stops the page, which says why and what to do', async ({ guest }) => {
  const ada = await guest('Ada')
  await ada.button('Sign in').click()
  const dialog = ada.page.getByRole('dialog', { name: 'Sign in' })
  await ada.page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })

  await ada.button('Sign in').click()
  await ada.field('Token').fill('not-a-token')
  await dialog.getByRole('button', { name: 'Sign in' }).click()
  await ada.status.getByText('Disconnected', { exact: true }).waitFor()
  await ada.sees('[role=alert]', 'Disconnected: the token was refused. (4401)')
  await ada.button('Reconnect').click()
  await ada.sees('[role=alert]', 'the token was refused')

  await ada.button('Token').click()
  await ada.button('Sign out').click()
  await ada.connected()
  await ada.write('here again')
  await ada.reads('here again')
})

for (const [colorScheme, width] of [['light', 1440], ['dark', 1440], ['light', 360], ['dark', 360]]) {
  demo(`a server that wants a token (4403): the page stops and asks for one; ${colorScheme}, ${width} wide`, async ({ guest }) => {
    const ada = await guest('Ada', { connects: false, viewport: { width, height: 740 }, colorScheme })
    await ada.status.getByText('Disconnected', { exact: true }).waitFor()
    await ada.sees('[role=alert]', 'Disconnected: this server lets nobody in without a token. (4403)')
    await ada.write('written before')
    await ada.waitsWith('written before')
    assert.equal(await ada.page.locator('#log .start').count(), 0, 'what is in the room, nobody knows')
    await fits(ada)
    await ada.screenshot(`demo-${colorScheme}-${width}-4403`)
    await ada.page.getByRole('alert').getByRole('button', { name: 'Sign in' }).click()
    const dialog = ada.page.getByRole('dialog', { name: 'Sign in' })
    await ada.field('Token').fill(token('ada'))
    await ada.screenshot(`demo-${colorScheme}-${width}-sign-in`)
    await dialog.getByRole('button', { name: 'Sign in' }).click()
    await ada.connected()
    await ada.write('and here I am')
    await ada.reads('and here I am')
    assert.equal(await ada.page.getByRole('alert').count(), 0)
  }, { config: SIGNED_IN })
}

demo('what people write is text, never HTML', async ({ guest }) => {
  const html = '<img src=x onerror="document.title=\'hacked\'"><b>bold</b>'
  const ada = await guest('<b>Ada</b>', { room: encodeURIComponent('<i>tea</i>') })
  await ada.write(html)
  await ada.write('see https://example.com/a?b=c. And javascript:alert(1)')
  await ada.hasTexts([html, 'see https://example.com/a?b=c. And javascript:alert(1)'])
  assert.equal(await ada.page.locator('#log img, #log .text b, #people b, h1 i').count(), 0)
  const links = await ada.page.locator('#log .text a').evaluateAll(all => all.map(a => [a.href, a.rel]))
  assert.deepEqual(links, [['https://example.com/a?b=c', 'noopener noreferrer nofollow']])
})

// 720 × 450 is a window of 1440 × 900 at 200 %; 320 is the narrowest that WCAG asks for.
for (const colorScheme of ['light', 'dark']) {
  for (const [width, height] of [[320, 640], [360, 740], [720, 450], [1440, 900]]) {
    demo(`${colorScheme}, ${width} wide: all fits`, async ({ server, guest }) => {
      const bob = await guest('Bob')
      const ada = await guest('Ada, whose name is long, as some are',
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
      await ada.screenshot(`demo-${colorScheme}-${width}`)

      await ada.write('z'.repeat(33 * 1024))
      await until('it is refused', () => ada.refused(), all => all.length === 1)
      await server.stop()
      await ada.disconnected()
      await ada.write('Are you there?')
      await ada.waitsWith('Are you there?')
      await ada.page.locator('.bar').waitFor()
      await fits(ada)
      await ada.screenshot(`demo-${colorScheme}-${width}-down`)
    })
  }
}

async function fits(guest) {
  const wider = await guest.page.evaluate(() => {
    const page = document.documentElement, log = document.getElementById('log')
    const out = [...document.querySelectorAll('#app *:not(.unseen, .skip)')]
      .filter(e => e.getBoundingClientRect().right > page.clientWidth + 1)
    return { x: page.scrollWidth - page.clientWidth, y: page.scrollHeight - page.clientHeight,
      log: log.scrollWidth - log.clientWidth, out: out.map(e => e.outerHTML.slice(0, 80)) }
  })
  assert.deepEqual(wider, { x: 0, y: 0, log: 0, out: [] })
}

demo('it can be used without a mouse and with a screen reader', async ({ guest }) => {
  const ada = await guest('Ada')
  const { page } = ada
  await until('the field for a message has the focus', () => focused(page), id => id === 'text')
  assert.equal(await ada.log.count(), 1)
  assert.equal(await page.getByRole('main').count(), 1)
  assert.equal(await page.getByRole('navigation', { name: 'Rooms' }).count(), 1)
  assert.equal(await page.getByRole('heading', { level: 1, name: 'lobby' }).count(), 1)
  const nameless = await page.locator('button, input, textarea, a').evaluateAll(all => all
    .filter(e => !(e.getAttribute('aria-label') ?? e.labels?.[0]?.textContent ?? e.textContent).trim())
    .map(e => e.outerHTML))
  assert.deepEqual(nameless, [])

  await page.locator('.brand').click()            // from the top: what Tab comes to first
  await page.keyboard.press('Shift+Tab')
  assert.equal(await focused(page), 'Skip to writing a message')
  await page.keyboard.press('Enter')
  assert.equal(await focused(page), 'text')
  assert.equal(new URL(page.url()).hash, '', 'the room is the same')

  await page.keyboard.type('one')
  await page.keyboard.press('Shift+Enter')
  await page.keyboard.type('two')
  await page.keyboard.press('Enter')
  await ada.reads('one\ntwo')
  assert.equal(await ada.field('Message').inputValue(), '')
  assert.equal(await focused(page), 'text')

  await page.keyboard.press('Alt+ArrowDown')
  await page.getByRole('heading', { level: 1, name: 'random' }).waitFor()
  await page.keyboard.press('Alt+ArrowUp')
  await ada.reads('one\ntwo')
})

const focused = page => page.evaluate(() =>
  document.activeElement.id || document.activeElement.textContent)

demo('on a phone the rooms and the people are in drawers, which Esc closes', async ({ guest }) => {
  const ada = await guest('Ada', { viewport: { width: 360, height: 740 } })
  const { page } = ada
  await page.getByRole('button', { name: 'Rooms' }).click()
  const rooms = page.getByRole('dialog', { name: 'Rooms and you' })
  await rooms.waitFor()
  await page.keyboard.press('Escape')
  await rooms.waitFor({ state: 'detached' })
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Rooms',
    'the focus goes back')

  await page.getByRole('button', { name: 'Rooms' }).click()
  await ada.room('random').click()
  await rooms.waitFor({ state: 'detached' })
  await page.getByRole('heading', { level: 1, name: 'random' }).waitFor()

  await page.getByRole('button', { name: /here now/ }).click()
  await page.getByRole('dialog', { name: 'People' }).waitFor()
  await until('Ada is here', () => ada.here(), here => here.includes('Ada'))
})

demo('the page asks nobody but its own server, under a strict policy', async ({ server, guest }) => {
  const ada = await guest('Ada')
  const own = [new URL(ada.page.url()).host, new URL(server.url).host]
  const asked = []
  ada.page.on('request', request => asked.push(request.url()))
  const [response] = await Promise.all([
    ada.page.waitForResponse(response => response.url().includes('/chat.js')
      || response.request().isNavigationRequest()),
    ada.page.reload(),
  ])
  await ada.connected()
  assert.deepEqual(asked.filter(url => !own.includes(new URL(url).host) && !url.startsWith('data:')), [])
  assert.match(response.headers()['content-security-policy'], /default-src 'none'/)
})
