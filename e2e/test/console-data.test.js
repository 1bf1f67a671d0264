// The console: a user's inbox, a channel's state, and what became of messages.
import assert from 'node:assert/strict'
import { isAccessible } from '../lib/axe.js'
import { consoleStory } from '../lib/console.js'
import { until } from '../lib/story.js'

const HELLO = { type: 'hello' }
const BOARD = 'ticker:board'
const subscribe = channel => ({ type: 'subscribe', channel })

const inboxOf = operator => operator.page.getByRole('region', { name: /^Inbox/ })
const titleOf = operator => inboxOf(operator).getByRole('heading', { level: 2 }).textContent()
const countsAre = (operator, unread, unseen) => until(`${unread} unread, ${unseen} unseen`,
  () => titleOf(operator), title => title === `Inbox: ${unread} unread, ${unseen} unseen`)
const rows = operator => inboxOf(operator).locator('.events summary').allInnerTexts()

/** Somebody whose client follows their inbox. */
async function somebody(client) {
  const ada = await client(HELLO)
  await ada.send(subscribe(`inbox:${ada.user}`))
  await ada.hears('subscribed')
  return ada
}

consoleStory('a user is told something; what they and the operator mark is one', async ({ open, client, api }) => {
  const ada = await somebody(client)
  const operator = await open(`#/users/${ada.user}`)
  await countsAre(operator, 0, 0)
  await operator.page.getByText('Nothing was sent to this user').waitFor()
  await operator.label('Topic *').fill('orders')
  await operator.label('Subject').fill('Order 7')
  await operator.label('Data').fill('{"text": "it has left"')
  await operator.page.getByText(/^Not JSON:/).waitFor()
  await operator.label('Data').fill('{"text": "it has left"}')
  await operator.page.getByText('Key, from whom, for how long').click()
  await operator.label('Key').fill('order 7 left')
  await operator.button('Notify').click()
  await operator.page.getByText('Stored', { exact: true }).waitFor()
  const [first] = await ada.hears('notification')
  assert.deepEqual([first.item.topic, first.item.subject, first.item.data], ['orders', 'Order 7', { text: 'it has left' }])
  await countsAre(operator, 1, 1)
  await operator.button('Notify').click()
  await operator.page.getByText('Was there already').waitFor()
  await countsAre(operator, 1, 1)

  // What the user marks shows here; what is marked here, the user is told.
  await ada.send({ type: 'mark', ids: [first.item.id], as: 'seen' })
  await countsAre(operator, 1, 0)
  await inboxOf(operator).locator('.events summary').click()
  await operator.button(`read (item ${first.item.id})`).click()
  await countsAre(operator, 0, 0)
  await until('read', () => ada.of('mark').map(({ as }) => as), all => all.join() === 'seen,read')
  await operator.button(`archived (item ${first.item.id})`).click()
  await operator.button('Archived').click()
  await until('it is archived', () => rows(operator), all => all.length === 1 && /archived/.test(all[0]))

  await operator.button('All').click()
  for (let n = 1; n <= 25; n++) await api('/notify', { user: ada.user, topic: 'news', subject: `s ${n % 2}`, data: n })
  await countsAre(operator, 25, 25)
  await until('a page', () => rows(operator), all => all.length === 20)
  await operator.button('Older').click()
  await until('the rest', () => rows(operator), all => all.length >= 5 && all.length < 20)
  await operator.button('Newer').click()
  await operator.button('By subject').click()
  await until('two subjects', () => rows(operator), all => all.length >= 2 && /^13\b/.test(all[0]) && /13 unread/.test(all[0]))
  await operator.button('Unread').click()
  await until('a page', () => rows(operator), all => all.length === 20)
  await operator.button('Mark all read').click()
  await countsAre(operator, 0, 0)
  await until('none', () => rows(operator), all => all.length === 0)
})

const written = operator => operator.panel('Change a key').getByRole('status').textContent()
const keys = operator => operator.panel('State').locator('.state-key').allTextContents()

consoleStory('a state shows its keys as they change, and can be changed', async ({ open, client }) => {
  const ada = await client(HELLO, subscribe(BOARD))
  const operator = await open(`#/channels/${BOARD}`)
  await operator.panel('State').getByText('No keys.').waitFor()
  await operator.label('Key *').fill('door')
  await operator.label('Value').fill('{"open": true, "by": "bob"}')
  await operator.button('Set it').click()
  await until('it is set', () => written(operator), text => /^Set: version \d+/.test(text))
  const [set] = await ada.hears('state')
  assert.deepEqual([set.key, set.value], ['door', { open: true, by: 'bob' }])
  await until('it is shown', () => keys(operator), all => all.join() === 'door')

  // A client's own change shows; who would overwrite it unseen is refused.
  await operator.panel('State').locator('summary').click()
  await operator.button('Change door').click()
  await ada.send({ type: 'set', channel: BOARD, key: 'door', value: { open: false } })
  await operator.panel('State').locator('summary').getByText('false').waitFor()
  await operator.button('Set it').click()
  await operator.page.getByRole('alert').getByText('conflict').waitFor()
  await operator.page.getByText('Only if unchanged, for a time').click()
  await operator.label('If version').fill('')
  await operator.page.getByRole('radio', { name: 'Patch' }).check()
  await operator.field('Patch').fill('{"by": "ada"}')
  await operator.button('Patch it').click()
  await until('it is patched', () => written(operator), text => /^Patched: version/.test(text))
  const value = async () => JSON.parse(await operator.page.getByRole('region', { name: 'Value of door' }).textContent())
  await until('both', async () => JSON.stringify(await value()), text => text === '{"open":false,"by":"ada"}')
  await operator.page.getByRole('radio', { name: 'Remove' }).check()
  await operator.button('Remove it').click()
  await operator.panel('State').getByText('No keys.').waitFor()

  await operator.page.getByRole('radio', { name: 'Set' }).check()
  await operator.label('Key *').fill('for a moment')
  await operator.label('Seconds').fill('2')
  await operator.button('Set it').click()
  await operator.panel('State').locator('.tag').getByText(/^until /).waitFor()
  await operator.panel('State').getByText('No keys.').waitFor()

  for (let n = 100; n < 160; n++) await ada.send({ type: 'set', channel: BOARD, key: `k${n}`, value: n })
  await until('a page of keys', () => keys(operator), all => all.length === 50 && all[0] === 'k100')
  await operator.button('Next').click()
  await until('the others', () => keys(operator), all => all.length === 10 && all[0] === 'k150')
  await operator.button('Previous').click()
  await operator.label('One key').fill('k155')
  await until('one', () => keys(operator), all => all.join() === 'k155')
})

const TEXT = 'Text of the document'
const PLAN = 'doc:plan'
const edit = (api, name, insert, at = 0) => api(`/documents/${name}/text`, { root: 'text', edits: [{ at, insert }] })
const contentOf = (operator, name = TEXT) => operator.page.getByRole('region', { name, exact: true })

consoleStory('a document shows what is in it as it changes, and who has it open', async ({ open, client, api }) => {
  const operator = await open(`#/channels/${PLAN}`)
  const panel = operator.panel('Document')
  await panel.getByText('Nobody has written in it, or all was deleted.').waitFor()
  await operator.page.getByText('Nobody has it open.').waitFor()
  await edit(api, PLAN, 'Buy milk.')
  await contentOf(operator).getByText('Buy milk.').waitFor()
  const ada = await client(HELLO, subscribe(PLAN))
  await client(HELLO, subscribe('doc:other'))
  await operator.panel('Open by: 1').getByRole('link', { name: ada.user }).waitFor()
  await edit(api, PLAN, 'And bread.', 9)
  await contentOf(operator).getByText('Buy milk.And bread.').waitFor()
  await api(`/documents/${PLAN}/patch`, { root: 'todos', patch: [{ op: 'add', path: '/milk', value: { done: false } }] })
  await operator.button('JSON').click()
  const json = () => contentOf(operator, 'JSON of the document').textContent()
  await until('both roots', async () => JSON.parse(await json()).todos, todos => todos?.milk?.done === false)
  assert.equal(JSON.parse(await json()).text, 'Buy milk.And bread.')
  const { epoch, bytes, clients } = await api(`/documents/${PLAN}`)
  for (const [name, value] of [['Offset', '3'], ['Clients that wrote', `${clients}`], ['Epoch', epoch], ['Bytes', `${bytes} B`]]) {
    await until(`${name} ${value}`, () => operator.fact(name).textContent(), text => text === value)
  }

  // A long one is cut, and read again when somebody asks.
  await operator.button('Text').click()
  await edit(api, PLAN, 'long '.repeat(40_000))
  await operator.page.getByText(/^The first 20,000 characters of 200,0\d\d\./).waitFor()
  assert.equal((await contentOf(operator).textContent()).length, 20_000)
  await edit(api, PLAN, 'news: ')
  await operator.page.getByText(/^As of offset 4\./).waitFor()
  await operator.button('Read again').click()
  await contentOf(operator).getByText(/^news: long/).waitFor()
})

consoleStory('the history says what was edited, deleted and reacted to', async ({ open, client, api }) => {
  const ada = await client(HELLO, subscribe('chat:lobby'))
  for (const data of ['one', 'two']) await api('/publish', { channel: 'chat:lobby', data, user: 'ada' })
  const operator = await open('#/channels/chat:lobby')
  await until('two', () => operator.events(), offsets => offsets.join() === '2,1')
  await api('/edit', { channel: 'chat:lobby', offset: 1, data: 'uno', user: 'ada' })
  await api('/delete', { channel: 'chat:lobby', offset: 2, user: 'ada' })
  await ada.send({ type: 'react', channel: 'chat:lobby', offset: 1, reaction: '👍' })
  const texts = () => operator.page.locator('.events summary').allInnerTexts()
  await until('all of it', texts, ([two, one]) => /deleted/.test(two) && /edited/.test(one) && /👍 1/.test(one) && /"uno"/.test(one))
  assert.equal(await operator.page.getByText('two').count(), 0)
})

consoleStory('the builder has forms for all of it, that are good as they are', async ({ open, client }) => {
  const ada = await somebody(client)
  const operator = await open('#/requests?e=api:notify')
  await operator.label('user').fill(ada.user)
  await operator.label('topic *').fill('news')
  await operator.label('data *').fill('{"text": "by hand"}')
  await operator.button('Send').click()
  const [told] = await ada.hears('notification')
  assert.deepEqual(told.item.data, { text: 'by hand' })
})

const SIZES = [320, 1440]
for (const colorScheme of ['light', 'dark']) {
  for (const width of SIZES) {
    consoleStory(`inbox, state and document, ${colorScheme}, ${width} wide: fit, can be used by everybody`, async ({ open, client, api }) => {
      const ada = await somebody(client)
      for (let n = 1; n <= 3; n++) {
        await api('/notify', { user: ada.user, topic: 'orders', subject: 'Order 7', data: { text: 'long '.repeat(20 * n) } })
      }
      await ada.send({ type: 'mark', ids: [1], as: 'read' })
      for (const key of ['door', `a-long-key-${'x'.repeat(60)}`]) {
        await api('/state/set', { channel: BOARD, key, value: { open: true, text: 'long '.repeat(30) }, ttl: 600_000 })
      }
      const operator = await open(`#/users/${ada.user}`, { colorScheme, viewport: { width, height: 900 } })
      await until('three', () => rows(operator), all => all.length === 3)
      await inboxOf(operator).locator('summary').first().click()
      await looksGood(operator, `inbox-${colorScheme}-${width}`)
      await operator.page.goto(`${operator.page.url().split('#')[0]}#/channels/${BOARD}`)
      await until('two keys', () => keys(operator), all => all.length === 2)
      await operator.panel('State').locator('summary').first().click()
      await looksGood(operator, `state-${colorScheme}-${width}`)
      await edit(api, PLAN, `A plan.\n${'word '.repeat(60)}\n${'x'.repeat(200)}\n`)
      await api(`/documents/${PLAN}/patch`, { root: 'todos', patch: [{ op: 'add', path: '/milk', value: { done: false, text: 'long '.repeat(30) } }] })
      for (let n = 0; n < 2; n++) await client(HELLO, subscribe(PLAN))
      await operator.page.goto(`${operator.page.url().split('#')[0]}#/channels/${PLAN}`)
      await contentOf(operator).getByText('A plan.').waitFor()
      await operator.panel('Open by: 2').waitFor()
      await looksGood(operator, `document-${colorScheme}-${width}`)
      await operator.button('JSON').click()
      await contentOf(operator, 'JSON of the document').waitFor()
      await looksGood(operator, `document-json-${colorScheme}-${width}`)
    })
  }
}

// With the server's address in its place, the head was wider than the page until figures came.
consoleStory('before the first figures come, the head fits a narrow page', async ({ open }) => {
  const operator = await open('#/users', {
    viewport: { width: 320, height: 700 }, before: page => page.route('**/api/v1/stats**', () => {}),
  })
  await operator.page.locator('.server[data-state=idle]').waitFor()
  await looksGood(operator, 'waiting-light-320')
})

async function looksGood(operator, name) {
  const out = await operator.page.evaluate(() => [...document.querySelectorAll('#app *:not(.unseen, .skip)')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('pre, .one-line')).map(e => e.outerHTML.slice(0, 100)))
  assert.deepEqual(out, [], name)
  await operator.shot(name)
  await isAccessible(operator.page, name)
}
