// The page /document: two who write at once, one who is away, and one who looks at it on a phone.
import assert from 'node:assert/strict'
import { isAccessible } from '../lib/axe.js'
import { demo } from '../lib/demo.js'
import { until } from '../lib/story.js'

const SHOTS = process.env.SHOTS
const shot = (guest, name) => SHOTS && guest.page.screenshot({ path: `${SHOTS}/${name}.png` })

/** Ada's or bob's page with a document. */
async function writer(guest, name, options = {}) {
  const one = await guest(name, { connects: false, path: '/document', ...options })
  const { page } = one
  return Object.assign(one, {
    editor: page.getByRole('textbox', { name: 'Text of the document' }),
    todo: page.getByRole('textbox', { name: 'What is to do' }),
    state: page.locator('.pill'),
    /** Without the names of those who write in it. */
    text: () => page.getByRole('textbox', { name: 'Text of the document' }).evaluate(content => {
      const copy = content.cloneNode(true)
      copy.querySelectorAll('.cm-caret').forEach(caret => caret.remove())
      return [...copy.querySelectorAll('.cm-line')].map(line => line.textContent).join('\n')
    }),
    todos: () => page.locator('.todos li').allInnerTexts(),
    carets: () => page.locator('.cm-caret-name').allTextContents(),
    async add(what) {
      await this.todo.fill(what)
      await this.todo.press('Enter')
    },
    /** The other pane: Tiptap, and the text over Hocuspocus. */
    tiptap: page.getByRole('textbox', { name: 'Notes in Tiptap' }),
    mirror: page.getByRole('textbox', { name: 'Text over Hocuspocus' }),
    read: () => page.locator('.read .prose').innerText().then(text => text.replace(/\n+/g, '\n')),
    items: () => page.locator('.rich-text li').evaluateAll(all => all.map(item => {
      const copy = item.cloneNode(true)
      copy.querySelectorAll('.caret').forEach(caret => caret.remove())
      return copy.textContent.replaceAll('\u2060', '')
    })),
    async opensTiptap() {
      await page.getByRole('button', { name: 'Tiptap', exact: true }).click()
      await page.locator('[data-line=synced]').waitFor()
    },
    saved: () => page.getByText('Saved', { exact: true }).waitFor(),
  })
}
const has = (who, what, read, wanted) => until(`${who.name} has ${what}`, read, got => JSON.stringify(got) === JSON.stringify(wanted))

demo('two write a document at once, and see each other', async ({ guest }) => {
  const ada = await writer(guest, 'Ada')
  await ada.saved()
  await isAccessible(ada.page, 'empty')
  await ada.editor.click()
  await ada.page.keyboard.type('Plan for Monday\nFirst coffee.')
  const bob = await writer(guest, 'Bob')
  await bob.saved()
  assert.equal(await bob.text(), 'Plan for Monday\nFirst coffee.')
  await bob.editor.click()
  await bob.page.keyboard.press('Control+End')
  await Promise.all([bob.page.keyboard.type(' Then the rest.', { delay: 5 }), (async () => {
    await ada.page.keyboard.press('Control+Home')
    await ada.page.keyboard.type('Our ', { delay: 5 })
  })()])
  await ada.page.keyboard.press('Shift+End')
  const text = 'Our Plan for Monday\nFirst coffee. Then the rest.'
  await has(bob, 'the cursor of ada', bob.carets, ['Ada'])
  await has(ada, 'the cursor of bob', ada.carets, ['Bob'])
  for (const one of [ada, bob]) await has(one, 'the text', one.text, text)
  await shot(ada, 'cursor-light')
  await bob.page.emulateMedia({ colorScheme: 'dark' })
  await shot(bob, 'cursor-dark')
  await bob.page.emulateMedia({ colorScheme: 'light' })
  assert.equal(await bob.page.locator('.cm-theirs').first().textContent(), 'Plan for Monday')

  await ada.add('buy milk')
  await ada.add('call Cid')
  await bob.page.getByRole('checkbox', { name: 'buy milk' }).check()
  await bob.add('<b>water</b> the plants')
  await has(ada, 'three', ada.todos, ['buy milk', 'call Cid', '<b>water</b> the plants'])
  assert.equal(await ada.page.getByRole('checkbox', { name: 'buy milk' }).isChecked(), true)
  await ada.saved()
  await isAccessible(ada.page, 'with another')
  await shot(ada, 'wide-light')
  await bob.page.emulateMedia({ colorScheme: 'dark' })
  await shot(bob, 'wide-dark')
  await isAccessible(bob.page, 'dark')

  // The focus stays where one works.
  await ada.page.getByRole('button', { name: 'Remove “buy milk”' }).click()
  assert.equal(await ada.page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Remove “call Cid”')
  await ada.page.keyboard.press('Enter')
  await ada.page.keyboard.press('Enter')
  assert.equal(await ada.page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'What is to do')
  await has(bob, 'nothing to do', bob.todos, [])

  // Also when it is somebody else who removes.
  await ada.add('one')
  await ada.add('two')
  await ada.page.getByRole('button', { name: 'Remove “one”' }).focus()
  await bob.page.getByRole('button', { name: 'Remove “one”' }).click()
  await has(ada, 'one less', ada.todos, ['two'])
  assert.equal(await ada.page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Remove “two”')
  await bob.page.getByRole('button', { name: 'Remove “two”' }).click()
  await has(ada, 'none', ada.todos, [])
  assert.equal(await ada.page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'What is to do')

  await bob.page.close()
  await has(ada, 'nobody beside', ada.carets, [])
  await until('one', () => ada.page.locator('#here-title').textContent(), found => found === 'Here now: 1')
})

demo('what is written without a server is kept, also by a page that is loaded again, and saved later', async ({ guest, server }) => {
  const ada = await writer(guest, 'Ada', { transport: 'websocket' })
  const bob = await writer(guest, 'Bob')
  await ada.editor.click()
  await ada.page.keyboard.type('Before. ')
  await has(bob, 'it', bob.text, 'Before. ')
  await ada.saved()
  const said = await ada.page.evaluateHandle(() => {
    const all = []
    const region = document.querySelector('[role=status].unseen')
    new MutationObserver(() => all.push(region.textContent)).observe(region, { childList: true, characterData: true, subtree: true })
    return all
  })
  // No way to the server, but to the page, which comes from the same place.
  const context = ada.page.context()
  await context.routeWebSocket(/\/socket$/, socket => void socket.close())
  await server.stop()
  await ada.page.locator('.pill[data-kind=offline]').waitFor()
  await ada.editor.click()
  await ada.page.keyboard.type('While away, I write many letters.')
  await ada.add('tell Bob')
  assert.match(await ada.state.textContent(), /kept here/)
  const once = ['Offline. What you write is kept here, and saved when the connection is back.']
  await has(ada, 'heard it once', () => said.jsonValue(), once)
  await shot(ada, 'offline')
  await isAccessible(ada.page, 'offline')
  // What is not loaded yet cannot be: the rest goes on.
  const versions = ada.page.getByRole('button', { name: 'Versions', exact: true })
  await versions.click()
  await ada.page.getByRole('dialog').getByText('It cannot be loaded now.').waitFor()
  await isAccessible(ada.page, 'versions without a connection')
  await ada.page.keyboard.press('Escape')
  await ada.page.getByRole('button', { name: 'Tiptap', exact: true }).click()
  await ada.page.getByText('It cannot be loaded now.').waitFor()
  await ada.page.getByRole('button', { name: 'Tiptap', exact: true }).click()
  assert.ok(ada.faults.every(fault => /ERR_CONNECTION_REFUSED/.test(fault)), ada.faults.join())
  ada.faults.length = 0
  await server.start()
  await bob.page.locator('.pill[data-kind=online]').waitFor()
  await ada.page.reload()
  await has(ada, 'what it kept', ada.text, 'Before. While away, I write many letters.')
  assert.equal(await ada.state.getAttribute('data-unsaved'), 'true')
  await ada.page.close()
  const back = await writer(guest, 'Ada', { storageState: await context.storageState({ indexedDB: true }) })
  await back.saved()
  await has(bob, 'all of it', bob.text, 'Before. While away, I write many letters.')
  await has(bob, 'what is to do', bob.todos, ['tell Bob'])
})

demo('a document is begun anew under two windows of one browser: both go on with the new one, and keep it', async ({ guest, server }) => {
  const ada = await writer(guest, 'Ada')
  const bob = await writer(guest, 'Bob', { beside: ada })
  await ada.editor.click()
  await ada.page.keyboard.type('Old')
  await has(bob, 'it', bob.text, 'Old')
  await ada.opensTiptap()
  await ada.tiptap.click()
  await ada.page.keyboard.type('Old notes')
  await has(bob, 'the notes', bob.read, 'Old notes')
  await ada.saved()
  const { status } = await fetch(`${server.origin}/api/v1/documents/doc:plan`, {
    method: 'DELETE', headers: { authorization: `Bearer ${server.apiKey}` },
  })
  assert.equal(status, 200)
  // What is not theirs any more is not changed by undoing, either.
  await ada.page.locator('.pill[data-kind=reset]').waitFor()
  await ada.editor.press('Control+z')
  assert.equal(await ada.text(), 'Old')
  await bob.page.getByRole('button', { name: 'Open the new one' }).click()
  await bob.saved()
  await bob.editor.click()
  await bob.page.keyboard.type('New')
  await bob.saved()
  await ada.page.getByRole('button', { name: 'Open the new one' }).click()
  await has(ada, 'the new one', ada.text, 'New')
  // Tiptap has not brought its own back.
  await ada.page.locator('[data-line=synced]').waitFor()
  assert.equal(await ada.tiptap.innerText().then(text => text.trim()), '')
  assert.equal(await bob.page.locator('.read').count(), 0)
  await bob.editor.press('Control+End')
  await bob.page.keyboard.type(' and more')
  await bob.saved()
  await has(ada, 'it', ada.text, 'New and more')
  const kept = () => bob.page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name).filter(name => /doc:plan/.test(name)))
  await has(bob, 'one database', kept, ['tidings doc:plan 1'])
})

demo('Tiptap over Hocuspocus beside CodeMirror over the SDK: it is one document', async ({ guest, server }) => {
  const ada = await writer(guest, 'Ada')
  await ada.saved()
  const loaded = () => ada.page.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => /pane/.test(name)).length)
  assert.equal(await loaded(), 0, 'it is not loaded before somebody asks for it')
  await ada.opensTiptap()
  assert.equal(await loaded(), 1)
  await isAccessible(ada.page, 'empty, with Tiptap')
  const bob = await writer(guest, 'Bob')
  await bob.saved()
  await ada.tiptap.click()
  await ada.page.keyboard.type('Bring ')
  await ada.page.getByRole('button', { name: 'Bold' }).click()
  await ada.page.keyboard.type('warm')
  await ada.page.getByRole('button', { name: 'Bold' }).click()
  await ada.page.keyboard.type(' socks\n')
  await ada.page.getByRole('button', { name: 'List' }).click()
  await ada.page.keyboard.type('red\nblue')
  // Bob has no Tiptap: his page has it from the SDK.
  await has(bob, 'the notes', bob.read, 'Bring warm socks\nred\nblue')
  assert.equal(await bob.page.locator('.read strong').textContent(), 'warm')
  assert.deepEqual(await bob.page.locator('.read li').allTextContents(), ['red', 'blue'])
  await has(ada, 'the notes beside it', ada.read, 'Bring warm socks\nred\nblue')

  // The text, of two who type in it over two protocols.
  await bob.editor.click()
  await bob.page.keyboard.type('Over the SDK. ')
  const mirror = () => ada.mirror.evaluate(content => {
    const copy = content.cloneNode(true)
    copy.querySelectorAll('.cm-caret').forEach(caret => caret.remove())
    return copy.textContent
  })
  await has(ada, 'what bob types, over Hocuspocus', mirror, 'Over the SDK. ')
  await ada.mirror.click()
  await ada.page.keyboard.press('Control+End')
  await ada.page.keyboard.type('And over Hocuspocus.')
  for (const one of [ada, bob]) await has(one, 'all of it, over the SDK', one.text, 'Over the SDK. And over Hocuspocus.')
  await has(bob, 'the cursor of ada, who is at Hocuspocus', bob.carets, ['Ada'])
  await has(bob, 'all who are here', () => bob.page.locator('.here small').allTextContents().then(all => all.sort()), ['', 'in Tiptap', 'you'])

  await bob.opensTiptap()
  await bob.tiptap.getByText('blue').click()
  await bob.page.keyboard.press('End')
  await bob.page.keyboard.type(' and green')
  await has(ada, 'it', ada.items, ['red', 'blue and green'])
  await has(ada, 'where bob is', () => ada.page.locator('.caret-name').allTextContents(), ['Bob'])
  // What bob types in one editor takes ada's caret in the other from nobody.
  await ada.tiptap.click()
  await has(bob, 'where ada is', () => bob.page.locator('.caret-name').allTextContents(), ['Ada'])
  await bob.editor.click()
  await bob.page.keyboard.type('!')
  await has(ada, 'it', ada.text, (await bob.text()))
  assert.deepEqual(await bob.page.locator('.caret-name').allTextContents(), ['Ada'])
  await isAccessible(ada.page, 'with Tiptap')
  await shot(ada, 'tiptap-wide-light')
  await bob.page.emulateMedia({ colorScheme: 'dark' })
  await isAccessible(bob.page, 'with Tiptap, dark')
  await shot(bob, 'tiptap-wide-dark')
  for (const [width, height, name] of [[900, 800, 'middle'], [390, 780, 'narrow']]) {
    await ada.page.setViewportSize({ width, height })
    assert.ok(await ada.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), name)
    await isAccessible(ada.page, name)
    await shot(ada, `tiptap-${name}`)
  }
  await ada.tiptap.scrollIntoViewIfNeeded()
  await ada.page.emulateMedia({ colorScheme: 'dark' })
  await shot(ada, 'tiptap-narrow-dark')

  // What a version has of the notes is seen in Tiptap when it is restored.
  await ada.page.setViewportSize({ width: 1440, height: 900 })
  await ada.page.getByRole('button', { name: 'Versions', exact: true }).click()
  await ada.page.getByRole('textbox', { name: 'Name of the version' }).fill('With socks')
  await ada.page.keyboard.press('Enter')
  await ada.page.getByRole('listitem').getByText('With socks').click()
  await ada.page.getByText('The document is now as it was then.').waitFor()
  await bob.tiptap.click()
  await bob.page.keyboard.press('Control+A')
  await bob.page.keyboard.type('Shoes')
  const went = ada.page.locator('.then section[aria-label=Notes] del')
  await until('the socks went', () => went.allTextContents(), all => all.join(' ').includes('socks'))
  await ada.page.getByRole('button', { name: 'Restore…' }).click()
  await ada.page.getByRole('button', { name: 'Restore', exact: true }).click()
  await ada.page.getByText('The document is now as it was then.').waitFor()
  await ada.page.keyboard.press('Escape')
  for (const one of [ada, bob]) {
    await has(one, 'the list in Tiptap again', one.items, ['red', 'blue and green'])
    await has(one, 'all notes', one.read, 'Bring warm socks\nred\nblue and green')
  }

  // The server alone has it all, and Tiptap comes back by itself.
  await ada.page.locator('[data-line=synced]').waitFor()
  await server.stop('SIGKILL')
  await ada.page.locator('[data-line=offline]').waitFor()
  await server.start()
  await ada.page.locator('[data-line=synced]').waitFor()
  const answer = await fetch(`${server.origin}/api/v1/documents/doc:plan?as=json`, { headers: { authorization: `Bearer ${server.apiKey}` } })
  const { data } = await answer.json()
  assert.equal(data.text, await ada.text())
  assert.match(data.notes, /<strong>warm<\/strong>|<bold>warm<\/bold>/)
})

demo('ada saves a version, bob ruins the text, ada restores it: both see it, and nothing is lost', async ({ guest }) => {
  const ada = await writer(guest, 'Ada')
  const bob = await writer(guest, 'Bob')
  await ada.editor.click()
  await ada.page.keyboard.type('Plan for Monday\nFirst coffee, then the rest.')
  await ada.add('buy milk')
  await ada.saved()
  await has(bob, 'it', bob.text, 'Plan for Monday\nFirst coffee, then the rest.')

  // By the keyboard alone.
  const dialog = ada.page.getByRole('dialog', { name: 'Versions of plan' })
  const opens = async () => {
    await ada.page.getByRole('button', { name: 'Versions', exact: true }).focus()
    await ada.page.keyboard.press('Enter')
    await dialog.waitFor()
  }
  const rows = () => dialog.getByRole('listitem').getByRole('button')
  await opens()
  await dialog.getByText('No versions yet').or(dialog.getByText('Changed since the newest version')).waitFor()
  await dialog.getByRole('textbox', { name: 'Name of the version' }).fill('Draft')
  await ada.page.keyboard.press('Enter')
  await rows().getByText('Draft').waitFor()
  assert.match(await rows().first().innerText(), /saved by Ada, written by Ada/)
  await dialog.getByText('Saved as version 1').waitFor()
  await dialog.getByText('Nothing has changed since').waitFor()
  await isAccessible(ada.page, 'with a version')
  await ada.page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  assert.equal(await ada.page.evaluate(() => document.activeElement.textContent), 'Versions', 'the focus is where it was')

  await bob.editor.click()
  await bob.page.keyboard.press('Control+A')
  await bob.page.keyboard.type('Plan for nobody\nNo coffee, then the rest.')
  await bob.page.getByRole('checkbox', { name: 'buy milk' }).check()
  await bob.saved()
  await has(ada, 'what bob did', ada.text, 'Plan for nobody\nNo coffee, then the rest.')
  await opens()
  await dialog.getByText('Changed since the newest version, by Bob.').waitFor()
  await rows().first().focus()
  await ada.page.keyboard.press('Enter')
  await dialog.getByText('came', { exact: true }).waitFor()
  const changes = kind => dialog.locator(`.then ${kind}`).allTextContents()
  await has(ada, 'what went', () => changes('del'), ['Monday', 'First', '☐'])
  await has(ada, 'what came', () => changes('ins'), ['nobody', 'No', '☑'])
  await isAccessible(ada.page, 'what has changed')
  await shot(ada, 'versions-wide-light')
  // What is typed meanwhile is part of now.
  await bob.editor.click()
  await bob.page.keyboard.press('Control+End')
  await bob.page.keyboard.type(' Ha!')
  await has(ada, 'it, too', () => changes('ins'), ['nobody', 'No', ' Ha!', '☑'])
  await dialog.getByRole('button', { name: 'Changes since' }).click()
  assert.deepEqual(await changes('ins'), [])
  assert.match(await dialog.locator('.then').innerText(), /Plan for Monday\nFirst coffee, then the rest\./)

  await dialog.getByRole('button', { name: 'Restore…' }).focus()
  await ada.page.keyboard.press('Enter')
  await dialog.getByText('Everybody has this version then.').waitFor()
  await shot(ada, 'versions-sure')
  await isAccessible(ada.page, 'asked once more')
  await ada.page.keyboard.press('Enter')
  await dialog.getByText('Version 1 is restored').waitFor()
  await dialog.getByText('The document is now as it was then.').waitFor()
  assert.equal(await ada.page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Version 1')
  for (const one of [ada, bob]) {
    await has(one, 'it again', one.text, 'Plan for Monday\nFirst coffee, then the rest.')
    assert.equal(await one.page.getByRole('checkbox', { name: 'buy milk', includeHidden: true }).isChecked(), false)
  }
  await until('a version of what bob did', () => rows().count(), count => count >= 2)

  // What bob wrote is in a version, and has a name now.
  const kept = dialog.getByRole('listitem').filter({ hasText: 'written by Bob' }).getByRole('button')
  await kept.click()
  await dialog.locator('.then del').filter({ hasText: 'nobody' }).waitFor()
  await dialog.getByRole('textbox', { name: /^Name of version/ }).fill('What Bob did')
  await ada.page.keyboard.press('Enter')
  await rows().getByText('What Bob did').waitFor()
  await bob.page.emulateMedia({ colorScheme: 'dark' })
  await bob.page.setViewportSize({ width: 390, height: 780 })
  await bob.page.getByRole('button', { name: 'Versions', exact: true }).click()
  const small = bob.page.getByRole('dialog')
  await small.getByText('Draft').waitFor()
  await isAccessible(bob.page, 'on a phone')
  await shot(bob, 'versions-narrow-dark')
  await small.getByText('What Bob did').click()
  assert.equal(await bob.page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Version 2')
  await small.locator('.then del').filter({ hasText: 'nobody' }).waitFor()
  assert.ok(await bob.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth))
  await isAccessible(bob.page, 'a version on a phone')
  await shot(bob, 'versions-narrow-one')
  await small.getByRole('button', { name: 'All versions' }).click()
  await until('the focus is where it was', () => bob.page.evaluate(() => document.activeElement.dataset.version), at => at === '2')
  await small.getByRole('button', { name: 'Close' }).click()
  await shot(bob, 'versions-narrow-page')
  await ada.page.emulateMedia({ colorScheme: 'dark' })
  await isAccessible(ada.page, 'dark')
  await shot(ada, 'versions-wide-dark')
})

demo('on a phone', async ({ guest }) => {
  const ada = await writer(guest, 'Ada', { viewport: { width: 390, height: 780 } })
  await ada.saved()
  await ada.editor.click()
  await ada.page.keyboard.type('Small screens have room for a plan, too: lines are wrapped, and nothing is cut off at their end.')
  await ada.add('buy milk')
  await ada.saved()
  assert.ok(await ada.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth))
  await isAccessible(ada.page, 'narrow')
  await shot(ada, 'narrow-light')
  await ada.page.emulateMedia({ colorScheme: 'dark' })
  await shot(ada, 'narrow-dark')
})
