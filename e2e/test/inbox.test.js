// The demo's bell: what one is told while one is elsewhere, the same on all one's devices.
import assert from 'node:assert/strict'
import { isAccessible } from '../lib/axe.js'
import { api } from '../lib/console.js'
import { demo } from '../lib/demo.js'
import { numbered, until } from '../lib/story.js'
import { OPEN, token } from '../lib/tokens.js'

const bellOf = guest => guest.page.getByRole('button', { name: /^Notifications/ })
const dialogOf = guest => guest.page.getByRole('dialog', { name: 'Notifications' })
const entriesOf = guest => dialogOf(guest).locator('.note-entry')
const textsOf = guest => dialogOf(guest).locator('.note-text').allTextContents()

const shows = (guest, unread) => until(`${guest.name}'s bell shows ${unread}`,
  () => bellOf(guest).getAttribute('aria-label'),
  label => label === (unread ? `Notifications, ${unread} unread` : 'Notifications'))

/** Whether the bell says that something has not even been seen. */
const isFresh = (guest, fresh) => until(`fresh: ${fresh}`,
  () => bellOf(guest).evaluate(bell => bell.classList.contains('has-unseen')), is => is === fresh)

async function open(guest) {
  await bellOf(guest).click()
  await dialogOf(guest).waitFor()
}

async function close(guest) {
  await guest.page.keyboard.press('Escape')
  await dialogOf(guest).waitFor({ state: 'detached' })
}

/** Tells `user` each of the texts, in order. */
async function tell(server, user, texts, more = {}) {
  for (const text of texts) await api(server, '/notify', { user, topic: 'news', data: { text }, ...more })
}

demo('who is named in a message finds it in the inbox, and goes where it was said', async ({ guest }) => {
  const bob = await guest('Bob')
  const ada = await guest('Ada')
  await until('Ada sees Bob', () => ada.here(), here => here.includes('Bob'))
  await bob.room('random').click()
  await bob.page.getByRole('heading', { level: 1, name: 'random' }).waitFor()
  await ada.write('no @Bobby, no me@Bob.org')
  await bob.room('lobby').click()
  await bob.reads('no @Bobby')
  await until('Ada sees Bob', () => ada.here(), here => here.includes('Bob'))
  await ada.write('Is there tea, @bob?')
  await shows(bob, 1)
  await shows(ada, 0)

  await bob.room('random').click()
  await open(bob)
  await isFresh(bob, false)
  assert.deepEqual(await textsOf(bob), ['Is there tea, @bob?'])
  assert.match(await entriesOf(bob).first().innerText(), /^Ada/m)
  await dialogOf(bob).getByRole('button', { name: 'Go to #lobby' }).click()
  await bob.page.getByRole('heading', { level: 1, name: 'lobby' }).waitFor()
  await shows(bob, 0)
})

demo('the bell counts on both tabs, also what is said where one looks; what is opened on one is read on both', async ({ guest }) => {
  const ada = await guest('Ada', { token: token('ada') })
  const again = await guest('Ada', { token: token('ada'), beside: ada, room: 'random' })
  const bob = await guest('Bob', { token: token('bob') })
  const tabs = [ada, again]
  await until('Bob sees Ada', () => bob.here(), here => here.includes('Ada'))
  await bob.write('@Ada, can you look at this?')
  await ada.reads('can you look')
  for (const tab of tabs) {
    await shows(tab, 1)
    await isFresh(tab, true)
  }
  await again.page.bringToFront()
  await open(again)
  for (const tab of tabs) await isFresh(tab, false)
  await dialogOf(again).getByRole('button', { name: 'Go to #lobby' }).click()
  await again.page.getByRole('heading', { level: 1, name: 'lobby' }).waitFor()
  for (const tab of tabs) await shows(tab, 0)

  // The message that is edited names her no second time.
  await bob.page.bringToFront()
  await bob.page.keyboard.press('ArrowUp')
  await bob.field('Edit the message').fill('@Ada, can you look at this today?')
  await bob.button('Save').click()
  await ada.reads('today?')
  await again.page.reload()
  await again.connected()
  await again.reads('today?')
  for (const tab of tabs) await shows(tab, 0)
}, { config: OPEN })

demo('an empty inbox says how something comes into it', async ({ guest }) => {
  const ada = await guest('Ada')
  await open(ada)
  await dialogOf(ada).getByText('Nothing for you yet').waitFor()
  const link = dialogOf(ada).getByRole('link', { name: 'tell yourself something' })
  const [console] = await Promise.all([ada.page.context().waitForEvent('page'), link.click()])
  await console.getByLabel('Data').fill('{"text": "from the console"}')
  await console.getByRole('button', { name: 'Notify', exact: true }).click()
  await console.getByText('Stored', { exact: true }).waitFor()
  await until('it is here', () => textsOf(ada), texts => texts.join() === 'from the console')
})

demo('two tabs have the same inbox: seen, read, unread, archived, all', async ({ server, guest }) => {
  const one = await guest('Bob', { token: token('bob') })
  const two = await guest('Bob', { token: token('bob'), beside: one })
  const both = [one, two]
  await tell(server, 'bob', ['first', 'second', 'third'])
  for (const tab of both) {
    await shows(tab, 3)
    await isFresh(tab, true)
  }
  // A tab that is behind another draws once a second.
  await one.page.bringToFront()
  await open(one)
  assert.deepEqual(await textsOf(one), ['third', 'second', 'first'])
  for (const tab of both) await isFresh(tab, false)
  await shows(two, 3)

  await dialogOf(one).getByRole('button', { name: 'Mark as read: news: second' }).click()
  for (const tab of both) await shows(tab, 2)
  await dialogOf(one).getByRole('button', { name: 'Mark as unread: news: second' }).click()
  for (const tab of both) await shows(tab, 3)
  await dialogOf(one).getByRole('button', { name: 'Archive: news: third' }).click()
  for (const tab of both) await shows(tab, 2)
  await until('it is gone', () => textsOf(one), texts => texts.join() === 'second,first')

  await two.page.bringToFront()
  await open(two)
  await dialogOf(two).getByRole('button', { name: 'Mark all as read' }).click()
  for (const tab of both) await shows(tab, 0)
  await until('nothing is unread', () => dialogOf(one).locator('.is-unread').count(), count => count === 0)
  assert.equal(await dialogOf(two).getByRole('button', { name: 'Mark all as read' }).isDisabled(), true)

  // What comes while one looks on is seen, and not read.
  await tell(server, 'bob', ['fourth'])
  for (const tab of both) {
    await shows(tab, 1)
    await isFresh(tab, false)
  }
}, { config: OPEN })

demo('what came while one was away is there, also after a kill -9', async ({ server, guest }) => {
  await tell(server, 'bob', numbered('away', 30))
  await server.stop('SIGKILL')
  await server.start()
  const bob = await guest('Bob', { token: token('bob') })
  await shows(bob, 30)
  await open(bob)
  await until('the newest page', () => textsOf(bob), texts => texts.length > 0 && texts.length < 30)
  for (;;) {
    const shown = (await textsOf(bob)).length
    if (shown === 30) break
    await dialogOf(bob).getByRole('button', { name: 'Show older' }).click()
    await until('older ones', () => textsOf(bob), texts => texts.length > shown)
  }
  assert.deepEqual(await textsOf(bob), numbered('away', 30).reverse())
  assert.equal(await dialogOf(bob).getByRole('button', { name: 'Show older' }).count(), 0)

  // A mark that is made without a connection is not lost.
  await server.stop('SIGKILL')
  await until('the line is gone', () => bob.page.locator('.pill').getAttribute('data-state'), state => state !== 'connected')
  await dialogOf(bob).getByRole('button', { name: 'Mark as read: news: away 30' }).click()
  await close(bob)
  await server.start()
  await bob.connected()
  await shows(bob, 29)
  await until('the server has it', () => api(server, '/inbox?user=bob&limit=1'), ({ unread }) => unread === 29)
}, { config: OPEN })

demo('a long text is shown whole to who asks, and the focus stays in the list', async ({ server, guest }) => {
  const long = 'There is much to say about this. '.repeat(12).trim()
  await tell(server, 'bob', ['short', long, 'newest'])
  const bob = await guest('Bob', { token: token('bob') })
  const { page } = bob
  await shows(bob, 3)
  await open(bob)
  const cut = () => dialogOf(bob).locator('.note-text').nth(1).evaluate(p => p.scrollHeight > p.clientHeight)
  assert.equal(await cut(), true)
  assert.equal(await dialogOf(bob).getByRole('button', { name: 'Show all' }).count(), 1)
  await dialogOf(bob).getByRole('button', { name: 'Show all' }).click()
  assert.equal(await cut(), false)
  await dialogOf(bob).getByRole('button', { name: 'Show less' }).click()
  assert.equal(await cut(), true)

  const focused = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent)
  await dialogOf(bob).getByRole('button', { name: 'Archive: news: newest' }).press('Enter')
  await until('it is gone', () => entriesOf(bob).count(), count => count === 2)
  assert.match(await focused(), /^Archive: news: There is/)
  await dialogOf(bob).getByRole('button', { name: 'Archive: news: short' }).press('Enter')
  await until('it is gone', () => entriesOf(bob).count(), count => count === 1)
  assert.match(await focused(), /^Archive: news: There is/)
  await dialogOf(bob).getByRole('button', { name: 'Mark all as read' }).press('Enter')
  await shows(bob, 0)
  assert.equal(await focused(), 'Mark all as read')
  await dialogOf(bob).getByRole('button', { name: /^Archive/ }).press('Enter')
  await dialogOf(bob).getByText('Nothing for you yet').waitFor()
  assert.equal(await focused(), 'Close')
}, { config: OPEN })

demo('who has no inbox is told so, and who signs in as somebody else sees what is theirs', async ({ server, guest }) => {
  await tell(server, 'bob', ['for bob', 'again for bob'])
  await tell(server, 'carla', ['for carla'])
  const bob = await guest('Bob')
  const { page } = bob
  await open(bob)
  await dialogOf(bob).getByRole('alert').getByText('You have no inbox here').waitFor()
  await isAccessible(page, 'no inbox')
  await close(bob)
  const signIn = async (button, name) => {
    await bob.button(button).click()
    await bob.field('Token').fill(token(name))
    await page.getByRole('dialog').getByRole('button', { name: 'Sign in' }).click()
  }
  await signIn('Sign in', 'bob')
  await shows(bob, 2)
  await signIn('Token', 'carla')
  await shows(bob, 1)
  await open(bob)
  assert.deepEqual(await textsOf(bob), ['for carla'])
}, { config: OPEN })

demo('what is about one thing stands together', async ({ server, guest }) => {
  await tell(server, 'bob', ['a 1', 'a 2'], { subject: 'Order 7' })
  await tell(server, 'bob', ['alone'])
  await tell(server, 'bob', ['b 1'], { subject: 'Order 8' })
  await tell(server, 'bob', ['a 3'], { subject: 'Order 7' })
  const bob = await guest('Bob', { token: token('bob') })
  await shows(bob, 5)
  await open(bob)
  assert.deepEqual(await textsOf(bob), ['a 3', 'b 1', 'alone', 'a 2', 'a 1'])
  await dialogOf(bob).getByLabel('By subject').check()
  await until('in groups', () => textsOf(bob), texts => texts.join() === 'a 3,a 2,a 1,b 1,alone')
  const [group] = await dialogOf(bob).locator('.inbox-group h3').allInnerTexts()
  assert.match(group, /Order 7\s*3 items, 3 unread/)
}, { config: OPEN })

async function fitsIn(guest) {
  const wider = await guest.page.evaluate(() => [...document.querySelectorAll('dialog *:not(.unseen), .bell .badge')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80)))
  assert.deepEqual(wider, [])
}

for (const colorScheme of ['light', 'dark']) {
  for (const width of [320, 1440]) {
    demo(`the inbox, ${colorScheme}, ${width} wide: fits, can be used by everybody`, async ({ server, guest }) => {
      const bob = await guest('Bob', { token: token('bob'), colorScheme, viewport: { width, height: 800 } })
      const { page } = bob
      await open(bob)
      await dialogOf(bob).getByText('Nothing for you yet').waitFor()
      await isAccessible(page, 'empty')
      await bob.screenshot(`inbox-${colorScheme}-${width}-empty`)
      await tell(server, 'bob', ['Your order has left the house', `https://example.com/${'long'.repeat(30)}`],
        { subject: 'Order 7', user_from: 'ada' })
      await tell(server, 'bob', ['The whole text of a longer piece of news. '.repeat(6)])
      const room = 'a room with a rather long name, as people give them'
      await tell(server, 'bob', [''], {
        topic: 'mentions', subject: `#${room}`, data: { room, text: 'Hello @Bob '.repeat(18), name: 'Ada with a very long name indeed' },
      })
      await until('four', () => textsOf(bob), texts => texts.length === 4)
      await dialogOf(bob).getByRole('button', { name: /^Mark as read: Order 7: https/ }).click()
      await shows(bob, 3)
      await isAccessible(page, 'items')
      await fitsIn(bob)
      await bob.screenshot(`inbox-${colorScheme}-${width}`)
      await dialogOf(bob).getByLabel('By subject').check()
      await dialogOf(bob).locator('.inbox-group').waitFor()
      await isAccessible(page, 'groups')
      await fitsIn(bob)
      await bob.screenshot(`inbox-${colorScheme}-${width}-groups`)

      // By keyboard: Esc leads back to the bell.
      await close(bob)
      assert.match(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), /^Notifications/)
      await page.keyboard.press('Enter')
      await dialogOf(bob).waitFor()
      await page.keyboard.press('Tab')
      assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Mark all as read')
      await page.keyboard.press('Enter')
      await shows(bob, 0)
    }, { config: OPEN })
  }
}
