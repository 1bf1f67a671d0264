// The console: what an operator sees, does and finds out.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { consoleStory } from '../lib/console.js'
import { until } from '../lib/story.js'

const HELLO = { type: 'hello' }
const subscribe = channel => ({ type: 'subscribe', channel })

/** A namespace whose data has a schema, and one where nobody but the backend publishes. */
const RULES = `
[auth]
anonymous = true
[namespace.chat]
subscribe = "anyone"
publish = "anyone"
history = { size = 1000, durable = true }
presence = { access = "anyone" }
[namespace.news]
subscribe = "anyone"
publish = "token"
history = { size = 10 }
`

consoleStory('on this machine it signs in by itself, and shows what the server does', async ({ open, client, api }) => {
  const bob = await client(HELLO, subscribe('chat:lobby'))
  await client(HELLO, subscribe('chat:lobby'))
  const operator = await open()
  await operator.heading('Overview')
  for (const [name, value] of [['Connections', '2'], ['Sessions', '2'], ['Channels', '1'], ['Subscriptions', '2']]) {
    await until(`${name} ${value}`, () => operator.fact(name).textContent(), text => text === value)
  }
  const published = operator.page.getByRole('slider', { name: 'Published, the last two minutes' })
  const rate = async () => Number((await published.getAttribute('aria-valuetext')).match(/to disk ([\d.]+)\/s/)?.[1] ?? 0)
  const send = setInterval(() => void api('/publish', { channel: 'chat:lobby', data: 1 }).catch(() => {}), 200)
  try {
    await until('a rate of publishes', rate, rate => rate > 1 && rate < 10)
  } finally {
    clearInterval(send)
  }
  await bob.send({ type: 'publish', channel: 'nope:x', data: 1 })
  await operator.panel('Refusals').getByRole('row', { name: 'not_found 1' }).waitFor()
  await operator.panel('Commands since the start').getByRole('row', { name: /^publish \d+ 1$/ }).waitFor()

  // Each second of a plot can be read without a mouse, and all of them as a table.
  await published.focus()
  await operator.page.keyboard.press('ArrowLeft')
  await operator.page.keyboard.press('ArrowLeft')
  await until('a rate of then', () => published.getAttribute('aria-valuetext'), text => /^2 s ago: to disk [\d.]+\/s, in memory 0\/s, /.test(text))
  await operator.page.keyboard.press('Escape')
  assert.match(await published.getAttribute('aria-valuetext'), /^now: /)
  await operator.button('Table').click()
  const table = operator.page.getByRole('table', { name: /^The last two minutes/ })
  await until('a time', () => table.getByRole('rowheader').first().textContent(), text => /^\d\d:\d\d:\d\d$/.test(text))
})

consoleStory('a publish of the console arrives, and is history', async ({ open, client, api }) => {
  const bob = await client(HELLO, subscribe('chat:lobby'))
  await client(HELLO, subscribe('chat:red'))
  const operator = await open('#/channels')
  await operator.link('chat:red').waitFor()
  await operator.page.keyboard.press('/')
  await operator.page.keyboard.type('chat:lo')
  await operator.link('chat:red').waitFor({ state: 'hidden' })
  assert.match(operator.page.url(), /#\/channels\?prefix=chat%3Alo$/)
  await operator.link('chat:lobby').click()
  await operator.heading('chat:lobby')
  await until('a subscriber', () => operator.fact('Subscribers').textContent(), text => text === '1')
  await operator.page.getByText('No events.').waitFor()

  await operator.label('Data').fill('{"text": "from the console"')
  await operator.page.getByText(/^Not JSON:/).waitFor()
  assert.equal(await operator.button('Publish').isDisabled(), true)
  await operator.label('Data').fill('{"text": "from the console"}')
  await operator.page.getByText('Name, key, user').click()
  await operator.label('User').fill('ada')
  await operator.button('Publish').click()
  await operator.page.getByText('Stored at offset 1').waitFor()
  const [event] = await bob.hears('event')
  assert.deepEqual(event.data, { text: 'from the console' })
  assert.equal(event.user, 'ada')
  await until('it is history', () => operator.events(), offsets => offsets.join() === '1')

  // What others publish shows, too; older events are pages away.
  for (let n = 0; n < 44; n++) await api('/publish', { channel: 'chat:lobby', data: { n } })
  const page = (from, to) => Array.from({ length: from - to + 1 }, (_, i) => String(from - i)).join()
  const shows = (from, to) => until(`${from} to ${to}`, () => operator.events(), all => all.join() === page(from, to))
  await shows(45, 26)
  await operator.button('Older').click()
  await shows(25, 6)
  await operator.button('Older').click()
  await shows(5, 1)
  assert.equal(await operator.button('Older').isDisabled(), true)
  await operator.button('Newer').click()
  await shows(25, 6)
  await operator.button('Newest').click()
  await shows(45, 26)
  await operator.page.locator('.events summary').first().click()
  const whole = JSON.parse(await operator.page.getByRole('region', { name: 'Event 45' }).textContent())
  assert.deepEqual([whole.offset, whole.data], [45, { n: 43 }])
})

consoleStory('members are shown, and a refusal in the server’s own words', async ({ open, client }) => {
  await client(HELLO, subscribe('chat:lobby'), { type: 'enter', channel: 'chat:lobby', data: { name: 'Ada L.' } })
  const operator = await open('#/channels/chat:lobby')
  await operator.panel('Members: 1').getByText('"Ada L."').waitFor()
  await operator.label('Data').fill(`"${'x'.repeat(40_000)}"`)
  await operator.button('Publish').click()
  const alert = operator.page.getByRole('alert')
  await alert.getByText('Something is too large').waitFor()
  await alert.getByText('413').waitFor()
  await operator.page.goto(operator.page.url().replace('chat:lobby', 'nope:lobby'))
  await operator.heading('nope:lobby')
  await operator.panel('History').getByText('there is no namespace "nope"').waitFor()
})

consoleStory('who is connected can be looked at, and sent away', async ({ open, client }) => {
  const bob = await client(HELLO, subscribe('chat:lobby'), subscribe('chat:tea'))
  const ada = await client(HELLO)
  const operator = await open('#/users')
  await operator.link(bob.user).waitFor()
  await operator.label('Search users').fill(ada.user)
  await operator.link(bob.user).waitFor({ state: 'hidden' })
  await operator.label('Search users').fill(bob.user)
  await operator.link(bob.user).click()
  await operator.heading(bob.user)
  await operator.page.getByText('Subscribed to 2 channels').waitFor()
  assert.equal(await operator.fact('Transport').textContent(), 'sse')

  await operator.button('Unsubscribe chat:tea').click()
  await operator.page.keyboard.press('Escape')
  assert.equal(await operator.page.getByRole('dialog').count(), 0)
  await operator.button('Unsubscribe chat:tea').click()
  await operator.button('Unsubscribe').click()
  await operator.page.getByText('Ended: 1 subscription.').waitFor()
  const [ended] = await bob.hears('error')
  assert.deepEqual([ended.channel, ended.code], ['chat:tea', 'forbidden'])
  await operator.page.getByText('Subscribed to 1 channel').waitFor()

  await operator.button(`Disconnect session ${bob.session}`).click()
  await operator.page.getByRole('dialog').getByRole('button', { name: 'Disconnect', exact: true }).click()
  await operator.page.getByText('Ended: 1 session.').waitFor()
  const [bye] = await bob.hears('bye')
  assert.deepEqual([bye.code, bye.reconnect], [4410, false])
  await operator.page.getByText(`${bob.user} has no session here.`).waitFor()
  assert.deepEqual(ada.of('bye'), [], 'nobody else')

  await operator.page.goto(operator.page.url().replace(bob.user, ada.user))
  await operator.button('Revoke tokens').click()
  await operator.button('Revoke').click()
  await operator.page.getByText('Revoked. Ended: 1 session.').waitFor()
  assert.equal((await ada.hears('bye'))[0].code, 4410)
})

consoleStory('a trace shows what goes through, and why something was refused', async ({ open, client }) => {
  const bob = await client(HELLO, subscribe('news:all'))
  const ada = await client(HELLO)
  const operator = await open('#/channels/news:all')
  await operator.link('Trace this channel').click()
  await operator.heading('Trace')
  await operator.status.getByText('Live').waitFor()
  await ada.send({ type: 'publish', channel: 'news:all', data: { text: 'let me' } })
  const [refused] = await ada.hears('error')
  assert.equal(refused.code, 'forbidden')
  const row = operator.page.locator('.row[data-kind=refused]')
  await row.getByText('refused publish').waitFor()
  assert.match(await row.locator('.reason').textContent(), /^forbidden: /)
  assert.equal(await row.locator('.channel').textContent(), 'news:all')

  await operator.page.goto(operator.page.url().replace(/#.*/, '#/channels/news:all'))
  await operator.label('Data').fill('"to all"')
  await operator.button('Publish').click()
  await bob.hears('event')
  await operator.page.goto(operator.page.url().replace(/#.*/, `#/trace?session=${bob.session}`))
  await operator.status.getByText('Live').waitFor()
  await bob.send({ type: 'ping' })
  await bob.send({ type: 'publish', channel: 'chat:lobby', data: { text: 'a needle' } })
  await bob.hears('published')
  const types = () => operator.page.locator('.row .type').allTextContents()
  await until('both and their answers', types, all => ['ping', 'pong', 'publish', 'published'].every(t => all.includes(t)))
  await operator.label('Filter by text').fill('NEEDLE')
  await until('one of them', types, all => all.join() === 'publish')
  await operator.page.locator('.row > summary').click()
  const frame = JSON.parse(await operator.page.getByRole('region', { name: 'from the client: publish' }).textContent())
  assert.deepEqual(frame.data, { text: 'a needle' })
  await operator.label('Filter by text').fill('')
  await operator.label('Type').selectOption('pong')
  await until('the other', types, all => all.join() === 'pong')
  await operator.label('Type').selectOption('')

  await operator.button('Pause').click()
  const before = await types()
  await bob.send({ type: 'ping' })
  await bob.hears('pong', 2)
  await operator.button('Go on (2)').waitFor()
  assert.deepEqual(await types(), before)
  await operator.button('Go on (2)').click()
  await until('all of it', types, all => all.length === before.length + 2)

  const downloading = operator.page.waitForEvent('download')
  await operator.button('Download').click()
  const lines = (await readFile(await (await downloading).path(), 'utf8')).trim().split('\n').map(line => JSON.parse(line))
  assert.equal(lines.length, before.length + 2)
  assert.ok(lines.some(({ kind, frame }) => kind === 'in' && frame.data?.text === 'a needle'))
  await operator.button('Clear').click()
  await until('nothing', types, all => all.length === 0)
}, { config: RULES })

for (const [over, label] of [['websocket', 'WebSocket'], ['sse', 'SSE'], ['poll', 'Long-polling']]) {
  consoleStory(`a command is built and sent over ${over}, and its answer comes`, async ({ open, client }) => {
    const bob = await client(HELLO, subscribe('chat:tea'))
    const operator = await open('#/requests')
    await operator.heading('Requests')
    await operator.label('What').selectOption('command:subscribe')
    await operator.page.getByRole('radio', { name: label }).check()
    await operator.label('channel *').fill('chat:tea')
    await operator.button('Send').click()
    const answer = operator.panel('Answer')
    await answer.getByText('subscribed', { exact: true }).waitFor()
    await operator.status.getByText(`Open: ${label}`).waitFor()

    await operator.label('What').selectOption('command:publish')
    await operator.label('channel *').fill('chat:tea')
    await operator.label('data *').fill('{"over": "it"}')
    await operator.button('Send').click()
    await answer.getByText('published', { exact: true }).waitFor()
    assert.deepEqual((await bob.hears('event'))[0].data, { over: 'it' })
    // On the same connection, which is subscribed: everything that goes over it shows.
    const types = () => operator.page.locator('.row .type').allTextContents()
    await until('all frames', types, all =>
      ['hello', 'welcome', 'subscribe', 'subscribed', 'publish', 'published', 'event'].every(t => all.includes(t)))

    await operator.label('channel *').fill('nope:tea')
    await operator.button('Send').click()
    await answer.getByText('error', { exact: true }).waitFor()
    await answer.getByText('"not_found"').waitFor()
    await operator.button('Close').click()
    await operator.status.getByText('Closed').waitFor()
  })
}

consoleStory('an operation of the API is built and sent; form and JSON are one', async ({ open, client }) => {
  const bob = await client(HELLO, subscribe('chat:tea'))
  const operator = await open('#/requests')
  const answer = operator.panel('Answer')
  await operator.label('What').selectOption('api:publish')
  await operator.label('channel *').fill('chat:tea')
  await operator.button('JSON').click()
  const raw = operator.label('Raw JSON')
  const written = JSON.parse(await raw.inputValue())
  assert.equal(written.channel, 'chat:tea')
  await raw.fill(JSON.stringify({ ...written, data: { by: 'hand' }, event: 'greeting' }))
  await operator.button('Form').click()
  assert.equal(await operator.label('event').inputValue(), 'greeting')
  assert.deepEqual(JSON.parse(await operator.label('data *').inputValue()), { by: 'hand' })
  await operator.button('Send').click()
  await answer.locator('.tag').getByText('200').waitFor()
  const [event] = await bob.hears('event')
  assert.deepEqual([event.event, event.data], ['greeting', { by: 'hand' }])

  await operator.label('What').selectOption('api:getHistory')
  await operator.label('channel *').fill('chat:tea')
  await operator.label('limit').fill('1')
  await operator.page.getByText('/api/v1/channels/chat%3Atea/history?limit=1', { exact: true }).waitFor()
  await operator.button('Send').click()
  await answer.getByText('"greeting"').waitFor()
  await operator.label('limit').fill('1000')
  await operator.button('Form').click()
  await operator.button('JSON').click()
  await operator.button('Send').click()
  await answer.locator('.tag').getByText('400').waitFor()
  await raw.fill('{"channel": ')
  await operator.page.getByText(/^Not JSON:/).waitFor()
  assert.equal(await operator.button('Send').isDisabled(), true)
})

consoleStory('a user’s ticket lets one act as them', async ({ open }) => {
  const operator = await open('#/requests?e=command:hello')
  await operator.label('As').selectOption('user')
  await operator.label('User').fill('grace')
  await operator.button('Connect').click()
  await operator.page.locator('.row .type').getByText('welcome').waitFor()
  await operator.page.locator('.row > summary').filter({ hasText: 'welcome' }).click()
  await operator.page.getByRole('region', { name: 'from the server: welcome' }).getByText('"grace"').waitFor()
  const text = await operator.page.locator('#app').textContent()
  assert.ok(!text.includes('eyJ'), 'the ticket is shown nowhere')
})

consoleStory('a link opens the same request, without secrets; a name keeps it', async ({ open }) => {
  const operator = await open('#/requests')
  await operator.label('What').selectOption('command:publish')
  await operator.page.getByRole('radio', { name: 'SSE' }).check()
  await operator.label('channel *').fill('chat:päuse & mehr')
  await operator.label('data *').fill('{"a": [1, "zwei"]}')
  await until('it is in the address', () => decodeURIComponent(operator.page.url()), url => url.includes('zwei'))

  const other = await open(new URL(operator.page.url()).hash)
  await until('the same', () => other.label('channel *').inputValue(), text => text === 'chat:päuse & mehr')
  assert.deepEqual(JSON.parse(await other.label('data *').inputValue()), { a: [1, 'zwei'] })
  assert.equal(await other.page.getByRole('radio', { name: 'SSE' }).isChecked(), true)

  await operator.label('Save this request as').fill('a break')
  await operator.button('Save').click()
  await operator.label('What').selectOption('command:refresh')
  await operator.label('token *').fill('eyJ.secret.token')
  await operator.label('Save this request as').fill('with a secret')
  await operator.button('Save').click()
  await until('the address follows', () => operator.page.url(), url => url.includes('refresh'))
  assert.ok(!operator.page.url().includes('secret'))
  const kept = await operator.page.evaluate(() => JSON.stringify(localStorage))
  assert.ok(kept.includes('with a secret') && !kept.includes('eyJ'), kept)

  await operator.page.reload()
  await operator.button('a break').click()
  assert.equal(await operator.label('channel *').inputValue(), 'chat:päuse & mehr')
  await operator.button('Forget a break').click()
  assert.equal(await operator.button('a break').count(), 0)
})

consoleStory('with the keyboard alone: sign in, find a channel, publish', async ({ server, open, client }) => {
  const bob = await client(HELLO, subscribe('chat:lobby'))
  const operator = await open('', { before: page => page.route('**/console/key', route => route.fulfill({ status: 404 })) })
  const { keyboard } = operator.page
  const focused = () => operator.page.evaluate(() => {
    const at = document.activeElement
    return at.getAttribute('aria-label') ?? at.labels?.[0]?.textContent ?? at.textContent.trim()
  })
  const tabTo = async name => {
    for (let i = 0; i < 60; i++) {
      if (await focused() === name) return
      await keyboard.press('Tab')
    }
    assert.fail(`Tab does not lead to ${name}`)
  }
  await operator.label('API key').waitFor()
  await until('the field has the focus', focused, name => name === 'API key')
  await keyboard.type('this is no key of this server')
  await keyboard.press('Enter')
  await operator.page.getByRole('alert').getByText('This is not a key').waitFor()
  await keyboard.press('Control+a')
  await keyboard.type('wrong-but-well-formed-0123456789abcdef')
  await keyboard.press('Enter')
  await operator.page.getByRole('alert').getByText('401').waitFor()
  await keyboard.press('Control+a')
  await keyboard.type(server.apiKey)
  await keyboard.press('Enter')
  await operator.heading('Overview')

  await keyboard.press('Tab')
  assert.equal(await focused(), 'Skip to the page', 'the first thing that Tab meets')
  await tabTo('Channels')
  await keyboard.press('Enter')
  await operator.link('chat:lobby').waitFor()
  await keyboard.press('/')
  assert.equal(await focused(), 'Search channels')
  await keyboard.type('chat:lobby')
  await keyboard.press('Enter')
  await operator.heading('chat:lobby')
  await tabTo('Data')
  await keyboard.press('Control+a')
  await keyboard.type('"by keyboard"')
  await tabTo('Publish')
  await keyboard.press('Enter')
  assert.equal((await bob.hears('event'))[0].data, 'by keyboard')
  await tabTo('Sign out')
  await keyboard.press('Enter')
  await operator.label('API key').waitFor()
  assert.equal(await operator.page.evaluate(() => sessionStorage.getItem('tidings.console.key')), null)
})

consoleStory('a key that is withdrawn ends the console; without any, it says how to make one', async ({ open }) => {
  const operator = await open('#/users')
  await operator.heading('Users')
  const asked = () => operator.page.route('**/api/v1/**', route => route.fulfill({
    status: 401, contentType: 'application/problem+json', body: '{"title":"There is no key, or a wrong one","status":401}' }))
  await asked()
  await operator.page.getByText('The server does not take the key any more.').waitFor()

  const off = await open('', { before: async page => {
    await page.route('**/console/key', route => route.fulfill({ status: 404 }))
    await page.route('**/api/v1/info', route => route.fulfill({ status: 404 }))
  } })
  await off.page.getByText('This server has no API key').waitFor()
  await off.page.getByText('[[api.key]]').first().waitFor()
})

const PAGES = [
  ['overview', ''], ['channels', '#/channels'], ['channel', '#/channels/chat:lobby'], ['users', '#/users'],
  ['trace', '#/trace?channel=chat:lobby'], ['requests', '#/requests'],
  ['api', '#/requests?e=api:revoke'], ['json', '#/requests?e=command:subscribe'],
]

for (const colorScheme of ['light', 'dark']) {
  for (const [width, height] of [[360, 780], [1280, 900]]) {
    consoleStory(`${colorScheme}, ${width} wide: all fits and has a name`, async ({ open, client, api }) => {
      const long = `chat:${'a-very-long-name-'.repeat(6)}`
      const ada = await client(HELLO, subscribe('chat:lobby'), subscribe(long),
        { type: 'enter', channel: 'chat:lobby', data: { name: 'Ada', note: 'long '.repeat(40) } })
      const operator = await open('', { viewport: { width, height }, colorScheme })
      await operator.heading('Overview')
      const noise = setInterval(() => {
        void api('/publish', { channel: 'chat:lobby', user: 'ada', data: { text: 'Good morning!', list: [1, true, null] } }).catch(() => {})
        void ada.send({ type: 'publish', channel: 'chat:lobby', data: 1, event: 'x'.repeat(80) }).catch(() => {})
      }, 150)
      try {
        await until('some seconds of figures', () => operator.page.locator('.plot .line').first().getAttribute('d'),
          path => path.split('L').length > 4)
        for (const [name, hash] of [...PAGES, ['user', `#/users/${ada.user}`]]) {
          await operator.page.goto(operator.page.url().replace(/(#.*)?$/, hash || '#/overview'))
          await operator.page.getByRole('heading', { level: 1 }).waitFor()
          if (name === 'requests') {
            await operator.button('Send').click()
            await operator.panel('Answer').getByText('published', { exact: true }).waitFor()
          }
          if (name === 'json') await operator.button('JSON').click()
          if (name === 'trace') {
            await operator.page.locator('.row.refused').first().waitFor()
            await operator.page.locator('.row > summary').first().click()
          }
          if (name === 'user') await operator.page.getByText('Subscribed to 2 channels').waitFor()
          if (name === 'channel') await operator.page.locator('.events li').nth(3).waitFor()
          await fits(operator, name)
          await named(operator, name)
          await operator.shot(`${name}-${colorScheme}-${width}`)
        }
        await operator.button(`Disconnect session ${ada.session}`).click()
        await fits(operator, 'dialog')
        await operator.shot(`dialog-${colorScheme}-${width}`)
        await operator.button('Cancel').click()
        await operator.button('Sign out').click()
        await operator.label('API key').waitFor()
        await named(operator, 'sign-in')
        await operator.shot(`sign-in-${colorScheme}-${width}`)
      } finally {
        clearInterval(noise)
      }
    })
  }
}

async function fits({ page }, name) {
  const wider = await page.evaluate(() => {
    const root = document.documentElement
    const out = [...document.querySelectorAll('body *')]
      .filter(e => !e.closest('.unseen, pre, .one-line, .scroll-x, .sections, .rows, svg') && getComputedStyle(e).position !== 'absolute')
      .filter(e => e.getBoundingClientRect().right > root.clientWidth + 1)
    const main = document.querySelector('main')
    return { root: root.scrollWidth - root.clientWidth, main: main.scrollWidth - main.clientWidth,
      out: out.map(e => e.outerHTML.slice(0, 100)) }
  })
  assert.deepEqual(wider, { root: 0, main: 0, out: [] }, name)
}

/** Everything that can be used says what it is, and one heading what the page is. */
async function named({ page }, name) {
  const { nameless, headings, twice } = await page.evaluate(() => {
    const textOf = e => e.getAttribute('aria-label') ?? (e.labels?.length ? e.labels[0].textContent : null) ?? e.textContent
    const ids = [...document.querySelectorAll('[id]')].map(e => e.id)
    return {
      nameless: [...document.querySelectorAll('input, select, textarea, button, a, summary, [role=slider], [role=log]')]
        .filter(e => textOf(e).trim() === '').map(e => e.outerHTML.slice(0, 100)),
      headings: document.querySelectorAll('h1').length,
      twice: ids.filter((id, index) => ids.indexOf(id) !== index),
    }
  })
  assert.deepEqual({ nameless, headings, twice }, { nameless: [], headings: 1, twice: [] }, name)
}
