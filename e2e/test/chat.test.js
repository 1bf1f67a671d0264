// People talk: presence, typing, history, reloads.
import assert from 'node:assert/strict'
import { numbered, story, until, untilSame } from '../lib/story.js'

story('ada and bob talk, see who is here and who is typing', async ({ person }) => {
  const ada = await person('Ada')
  const bob = await person('Bob')
  await untilSame('who is here', () => ada.here(), ['Ada', 'Bob'])
  await untilSame('who is here', () => bob.here(), ['Ada', 'Bob'])

  await bob.field('Message').pressSequentially('Hel')
  await ada.sees('#typing', 'Bob is typing…')
  assert.equal(await bob.page.locator('#typing').textContent(), '', 'not shown to himself')

  await bob.write('Hello Ada')
  await ada.reads('Hello Ada')
  await until('typing has ended', () => ada.page.locator('#typing').textContent(), t => t === '')

  await ada.write('Hello Bob')
  await bob.reads('Hello Bob')
  for (const page of [ada, bob]) {
    // Who writes may hear of it later than who reads.
    await untilSame('what was said', () => page.texts(), ['Hello Ada', 'Hello Bob'])
    assert.equal(await page.page.locator('#messages .own').count(), 1, 'one is marked as own')
  }
})

story('a reload is not a leave, and the name and the numbering go on', async ({ person }) => {
  const bob = await person('Bob')
  const ada = await person('Ada')
  const cy = await person('Cy')
  await ada.write('before')
  await bob.reads('before')
  await untilSame('who is here', () => bob.here(), ['Ada', 'Bob', 'Cy'])
  const user = await facts(ada)
  const notes = await bob.notes()

  await ada.page.reload()
  await ada.connected()
  await ada.write('after')
  await bob.reads('after')
  assert.equal(await facts(ada), user, 'the same user')
  assert.equal(await ada.field('Your name').inputValue(), 'Ada')
  assert.deepEqual(await ada.texts(), ['before', 'after'])
  assert.equal(await ada.page.locator('#messages .own').count(), 2, 'both are her own')

  // Cy leaves for good. When that shows, a leave of Ada's, who went first, would have shown.
  await cy.page.context().close()
  await bob.notices('Cy left')
  assert.deepEqual(await bob.notes(), [...notes, 'Cy left'])
  await untilSame('who is here', () => bob.here(), ['Ada', 'Bob'])
})

const facts = async person => {
  await person.page.getByText('Connection', { exact: true }).click()
  const text = await until('a user', () => person.page.locator('#facts').textContent(),
    text => text.startsWith('anon-'))
  await person.page.getByText('Connection', { exact: true }).click()
  return text.split('\n')[0]
}

story('who joins late sees the newest and loads what was before', async ({ person }) => {
  const ada = await person('Ada')
  const all = numbered('ada', 70)
  for (const text of all) await ada.write(text)
  await until('all are sent', () => ada.texts(), texts => texts.length === all.length)

  const cy = await person('Cy')
  await until('the newest 50', () => cy.texts(), texts => texts.length === 50)
  assert.deepEqual(await cy.texts(), all.slice(-50))
  await cy.button('Load earlier').click()
  await until('all of them', () => cy.texts(), texts => texts.length === all.length)
  assert.deepEqual(await cy.texts(), all)
  await cy.button('Load earlier').waitFor({ state: 'hidden' })

  await ada.write('and on')
  await cy.reads('and on')
})

story('rooms are apart', async ({ person }) => {
  const ada = await person('Ada', { room: 'tea' })
  const bob = await person('Bob')
  await ada.write('only for tea')
  await ada.reads('only for tea')
  await bob.field('Room').fill('tea')
  await bob.button('Go').click()
  await bob.reads('only for tea')
  await untilSame('who is in tea', () => ada.here(), ['Ada', 'Bob'])
  await bob.page.goBack()
  await ada.notices('Bob left')
  await bob.write('only for the lobby')
  await bob.reads('only for the lobby')
  assert.deepEqual(await bob.texts(), ['only for the lobby'])
  assert.deepEqual(await ada.texts(), ['only for tea'])
})

story('a duplicated tab is someone else, and loses nothing', async ({ person, duplicateOf }) => {
  const ada = await person('Ada')
  await ada.write('from the first tab')
  await ada.reads('from the first tab')
  await ada.page.reload()   // so that the tab's storage has been in use
  await ada.reads('from the first tab')
  const again = await duplicateOf(ada)
  await again.write('from the second tab')
  await ada.reads('from the second tab')
  await ada.write('from the first again')
  await again.reads('from the first again')
  assert.deepEqual(await ada.texts(), await again.texts())
  assert.equal((await ada.texts()).length, 3)
  await until('two people', () => ada.here(), here => here.length === 2)
})
