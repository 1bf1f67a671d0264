// The console: what a channel of kind `state` holds.
import assert from 'node:assert/strict'
import { isAccessible } from '../lib/axe.js'
import { consoleStory } from '../lib/console.js'
import { until } from '../lib/story.js'

const HELLO = { type: 'hello' }
const BOARD = 'ticker:board'
const subscribe = channel => ({ type: 'subscribe', channel })

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

const SIZES = [375, 1280]
for (const colorScheme of ['light', 'dark']) {
  for (const width of SIZES) {
    consoleStory(`a state, ${colorScheme}, ${width} wide: fits, can be used by everybody`, async ({ open, api }) => {
      for (const key of ['door', `a-long-key-${'x'.repeat(60)}`]) {
        await api('/state/set', { channel: BOARD, key, value: { open: true, text: 'long '.repeat(30) }, ttl: 600_000 })
      }
      const operator = await open(`#/channels/${BOARD}`, { colorScheme, viewport: { width, height: 900 } })
      await until('two keys', () => keys(operator), all => all.length === 2)
      await operator.panel('State').locator('summary').first().click()
      await looksGood(operator, `state-${colorScheme}-${width}`)
    })
  }
}

async function looksGood(operator, name) {
  const out = await operator.page.evaluate(() => [...document.querySelectorAll('#app *:not(.unseen, .skip)')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('pre, .one-line')).map(e => e.outerHTML.slice(0, 100)))
  assert.deepEqual(out, [], name)
  await operator.shot(name)
  await isAccessible(operator.page, name)
}
