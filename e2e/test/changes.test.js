// The demo's messages after they were sent: edited, deleted, reacted to; and how far one has read them.
import assert from 'node:assert/strict'
import { isAccessible } from '../lib/axe.js'
import { api } from '../lib/console.js'
import { demo } from '../lib/demo.js'
import { until } from '../lib/story.js'
import { OPEN, token } from '../lib/tokens.js'

const rowOf = (guest, text) => guest.page.locator('#log .row').filter({ hasText: text }).first()
const reactionsOf = guest => guest.page.locator('#log .reaction').evaluateAll(all =>
  all.map(one => `${one.getAttribute('aria-label')}${one.getAttribute('aria-pressed') === 'true' ? ' mine' : ''}`))
const hasReactions = (guest, expected) => until(`${guest.name} sees ${expected}`,
  () => reactionsOf(guest), got => got.join() === expected.join())
const tool = (guest, name) => guest.page.getByRole('toolbar', { name: 'This message' })
  .getByRole('button', { name, exact: true })

/** By pointing at the message. */
async function use(guest, text, name) {
  await rowOf(guest, text).hover()
  await tool(guest, name).click()
}

const shows = (guest, texts) => until(`${guest.name} has ${texts}`,
  () => guest.page.locator('#log .row .text').allInnerTexts(),
  got => JSON.stringify(got.map(text => text.trim())) === JSON.stringify(texts))

demo('a message is edited and deleted for everybody, also for who comes later', async ({ server, guest }) => {
  const ada = await guest('Ada')
  const bob = await guest('Bob')
  await ada.write('I will be there at fiev')
  await ada.write('my password is swordfish')
  await bob.write('fine')
  await bob.reads('fine')
  await shows(ada, ['I will be there at fiev', 'my password is swordfish', 'fine'])

  // Others can neither edit nor delete it.
  await rowOf(bob, 'fiev').hover()
  await tool(bob, 'React with 👍').waitFor()
  assert.equal(await tool(bob, 'Edit').count() + await tool(bob, 'Delete').count(), 0)

  await use(ada, 'fiev', 'Edit')
  await ada.field('Edit the message').fill('I will be there at five')
  await ada.button('Save').click()
  await use(ada, 'swordfish', 'Delete')
  await ada.button('Keep').click()
  await use(ada, 'swordfish', 'Delete')
  await ada.button('Delete').click()
  const after = ['I will be there at five (edited)', 'This message was deleted.', 'fine']
  for (const one of [ada, bob]) await shows(one, after)
  assert.equal(await rowOf(ada, 'was deleted').getByRole('button').count(), 0)

  await server.stop('SIGKILL')
  await server.start()
  const carla = await guest('Carla')
  await shows(carla, after)
  assert.equal(await carla.page.getByText('swordfish').count(), 0)
})

demo('reactions are counted, and taken back', async ({ guest }) => {
  const ada = await guest('Ada')
  const bob = await guest('Bob')
  await ada.write('We have a release')
  await bob.reads('We have a release')
  await use(bob, 'release', 'React with 🎉')
  await hasReactions(bob, ['🎉 1 mine'])
  await hasReactions(ada, ['🎉 1'])
  await ada.button('🎉 1').click()
  await use(ada, 'release', 'React with 👍')
  await hasReactions(bob, ['🎉 2 mine', '👍 1'])
  await bob.button('🎉 2').click()
  await hasReactions(ada, ['🎉 1 mine', '👍 1 mine'])
  await ada.button('🎉 1').click()
  await hasReactions(bob, ['👍 1'])
  await bob.page.reload()
  await bob.connected()
  await hasReactions(bob, ['👍 1'])
})

demo('with the keyboard: edit what was last said, go to a message, react, delete', async ({ guest }) => {
  const ada = await guest('Ada')
  const { page } = ada
  await ada.write('first')
  await ada.write('secnod')
  await shows(ada, ['first', 'secnod'])
  await until('it is stored', () => ada.pending(), pending => pending.length === 0)
  await page.keyboard.press('ArrowUp')
  await until('it can be edited', () => ada.field('Edit the message').inputValue(), text => text === 'secnod')
  await page.keyboard.press('Escape')
  await until('back', () => page.evaluate(() => document.activeElement.id), id => id === 'text')
  await page.keyboard.press('ArrowUp')
  await ada.field('Edit the message').fill('second')
  await page.keyboard.press('Enter')
  await shows(ada, ['first', 'second (edited)'])
  assert.equal(await page.evaluate(() => document.activeElement.id), 'text')

  // Tab comes to the newest message only; arrows go on from there.
  await page.keyboard.press('Shift+Tab')
  const focused = () => page.evaluate(() => document.activeElement.closest('[data-row]')?.querySelector('.text').textContent)
  assert.match(await focused(), /second/)
  await page.keyboard.press('ArrowUp')
  assert.equal(await focused(), 'first')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await hasReactions(ada, ['👍 1 mine'])
  for (let n = 0; n < 6; n++) await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Delete')
  await page.keyboard.press('Enter')
  await ada.button('Keep').waitFor()
  await page.keyboard.press('Enter')
  await shows(ada, ['This message was deleted.', 'second (edited)'])
  assert.equal(await focused(), 'This message was deleted.', 'the focus stays')
  await page.keyboard.press('Escape')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'text')
})

demo('what is changed while the server is down waits, and what is refused says why', async ({ server, guest }) => {
  const ada = await guest('Ada')
  const bob = await guest('Bob')
  await ada.write('before')
  await bob.reads('before')
  await server.stop('SIGKILL')
  await ada.disconnected()
  await use(ada, 'before', 'Edit')
  await ada.field('Edit the message').fill('after')
  await ada.button('Save').click()
  await ada.sees('#log .state', 'Saving…')
  await server.start()
  for (const one of [ada, bob]) await shows(one, ['after (edited)'])
  await use(ada, 'after', 'Edit')
  await ada.field('Edit the message').fill('x'.repeat(33 * 1024))
  await ada.button('Save').click()
  await ada.sees('#log .state', 'Not changed: it is too long.')
  await shows(bob, ['after (edited)'])
})

demo('what one has read on one device is read on the other, and "New" stands where one was', async ({ guest }) => {
  const phone = await guest('Bob, phone', { token: token('bob'), room: 'tea' })
  await phone.room('lobby').click()
  const desk = await guest('Bob, desk', { token: token('bob'), room: 'tea' })
  await desk.room('lobby').click()
  const ada = await guest('Ada', { token: token('ada'), room: 'tea' })
  const badge = (one, count) => until(`${one.name}: ${count}`,
    () => one.room('tea').locator('.badge').allTextContents(), all => all.join() === count)
  await ada.write('one')
  await ada.write('two')
  for (const one of [phone, desk]) await badge(one, '2 unread')

  await phone.room('tea').click()
  await phone.reads('two')
  for (const one of [phone, desk]) await badge(one, '')
  await phone.room('lobby').click()
  await ada.write('three')
  for (const one of [phone, desk]) await badge(one, '1 unread')
  await desk.room('tea').click()
  await desk.reads('three')
  assert.match(await desk.page.locator('.rule.new + .message').innerText(), /three/)
  for (const one of [phone, desk]) await badge(one, '')

  // A device that knows nothing yet begins where the others are.
  await ada.write('four')
  const fresh = await guest('Bob, anew', { token: token('bob'), room: 'tea' })
  await fresh.reads('four')
}, { config: OPEN })

demo('what comes to a room that nobody reads stays unread when another device is switched on', async ({ guest }) => {
  const desk = await guest('Bob, desk', { token: token('bob') })
  const ada = await guest('Ada', { token: token('ada'), room: 'random' })
  const badge = (one, text) => until(`${one.name}: ${text}`,
    () => one.room('random').locator('.badge').allTextContents(), all => all.join() === text)
  await ada.write('one')
  await ada.write('two')
  await badge(desk, '2 unread')
  // It was not there for these two, so they are no news to it; nor has anybody read them.
  const phone = await guest('Bob, phone', { token: token('bob') })
  await badge(phone, '')
  await ada.write('three')
  await badge(phone, '1 unread')
  await badge(desk, '3 unread')
  await desk.room('random').click()
  await desk.reads('three')
  for (const one of [desk, phone]) await badge(one, '')
}, { config: OPEN })

/** What somebody sees is read a moment later: who leaves the room before that has not read it. */
const hasRead = (server, user, offset) => until(`${user} has read up to ${offset}`,
  () => api(server, `/cursors?user=${user}`), ({ cursors }) => cursors.some(cursor => cursor.offset >= offset))

demo('"New" stands behind what was read before a reload, wherever that was', async ({ guest, server }) => {
  const desk = await guest('Bob, desk', { token: token('bob') })
  const ada = await guest('Ada', { token: token('ada') })
  const newRule = one => one.page.locator('.rule.new + .message').allInnerTexts()
  await ada.write('one')
  await desk.reads('one')
  await hasRead(server, 'bob', 1)
  // He looks away; what comes is new when he is back, and only until he is back again.
  await desk.room('random').click()
  await desk.page.getByRole('heading', { level: 1, name: 'random' }).waitFor()
  await ada.write('two')
  await until('it is counted', () => desk.room('lobby').locator('.badge').allTextContents(), all => all.join() === '1 unread')
  await desk.page.goto('about:blank')
  await ada.write('three')
  await until('it is stored', () => ada.pending(), pending => pending.length === 0)
  await desk.page.goBack()
  await desk.connected()
  await until('both are counted', () => desk.room('lobby').locator('.badge').allTextContents(), all => all.join() === '2 unread')
  await desk.room('lobby').click()
  await desk.reads('three')
  const [first] = await newRule(desk)
  assert.match(first, /two/)
  await hasRead(server, 'bob', 3)
  await desk.page.reload()
  await desk.reads('three')
  assert.deepEqual(await newRule(desk), [])

  // What he reads on his phone is read at his desk, also by a page that was not there then.
  await desk.page.goto('about:blank')
  await ada.write('four')
  const phone = await guest('Bob, phone', { token: token('bob') })
  await phone.reads('four')
  await hasRead(server, 'bob', 4)
  await phone.room('random').click()
  await ada.write('five')
  await until('it is counted', () => phone.room('lobby').locator('.badge').allTextContents(), all => all.join() === '1 unread')
  await desk.page.goBack()
  await desk.reads('five')
  const [next] = await until('"New"', () => newRule(desk), all => all.length === 1)
  assert.match(next, /five/)
}, { config: OPEN })

demo('how far one has read is not how far the next one at this browser has', async ({ guest, server }) => {
  const phone = await guest('Carla, phone', { token: token('carla') })
  const ada = await guest('Ada', { token: token('ada') })
  await ada.write('one')
  await phone.reads('one')
  await hasRead(server, 'carla', 1)
  await phone.room('random').click()
  await phone.page.getByRole('heading', { level: 1, name: 'random' }).waitFor()
  const desk = await guest('Bob, then Carla', { token: token('bob') })
  await ada.write('two')
  await ada.write('three')
  await desk.reads('three')
  await desk.button('Token').click()
  await desk.field('Token').fill(token('carla'))
  await desk.page.getByRole('dialog').getByRole('button', { name: 'Sign in' }).click()
  const [first] = await until('"New"', () => desk.page.locator('.rule.new + .message').allInnerTexts(), all => all.length === 1)
  assert.match(first, /two/)
}, { config: OPEN })

demo('on a phone: a tap on a message offers what one can do with it', async ({ guest }) => {
  const ada = await guest('Ada', { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true })
  const bob = await guest('Bob')
  await ada.write('frist')
  await bob.reads('frist')
  await bob.write('second')
  await ada.reads('second')
  const tap = async (text, name) => {
    await rowOf(ada, text).locator('.text').tap()
    await tool(ada, name).tap()
  }
  await tap('second', 'React with 👍')
  await hasReactions(bob, ['👍 1'])
  await tap('frist', 'Edit')
  await ada.field('Edit the message').fill('first')
  await ada.button('Save').tap()
  for (const one of [ada, bob]) await shows(one, ['first (edited)', 'second'])
  await tap('first', 'Delete')
  await ada.button('Delete').tap()
  for (const one of [ada, bob]) await shows(one, ['This message was deleted.', 'second'])
})

for (const colorScheme of ['light', 'dark']) {
  for (const width of [320, 1440]) {
    demo(`changed messages, ${colorScheme}, ${width} wide: fit, can be used by everybody`, async ({ guest }) => {
      const ada = await guest('Ada', { colorScheme, viewport: { width, height: 800 } })
      const bob = await guest('Bob')
      await ada.write('Good morning @Bob! Did the restart last night go well?')
      await bob.reads('Good morning')
      await bob.write('It did, but I said too much')
      await bob.write('All were back after four seconds')
      await ada.reads('four seconds')
      await use(bob, 'too much', 'Delete')
      await bob.button('Delete').click()
      await use(bob, 'four seconds', 'Edit')
      await bob.field('Edit the message').fill('All were back after three seconds, and nobody lost a word of it')
      await bob.button('Save').click()
      for (const reaction of ['👍', '🎉']) await use(bob, 'Good morning', `React with ${reaction}`)
      await use(ada, 'three seconds', 'React with ❤️')
      await hasReactions(ada, ['👍 1', '🎉 1', '❤️ 1 mine'])
      await isAccessible(ada.page, 'messages')
      await ada.screenshot(`changes-${colorScheme}-${width}`)
      await use(ada, 'Good morning', 'Edit')
      await isAccessible(ada.page, 'edit')
      const wide = await ada.page.evaluate(() => document.getElementById('log').scrollWidth - document.getElementById('log').clientWidth)
      assert.equal(wide, 0)
      await ada.screenshot(`changes-${colorScheme}-${width}-edit`)
      await ada.page.keyboard.press('Escape')
      await use(ada, 'Good morning', 'Delete')
      await isAccessible(ada.page, 'delete')
      await ada.screenshot(`changes-${colorScheme}-${width}-delete`)
    })
  }
}
