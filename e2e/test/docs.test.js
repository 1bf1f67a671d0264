// The pages of docs/without-a-bundler.md and docs/event-source.md, served by another server than Tidings.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { Server } from '../lib/server.js'
import { until } from '../lib/story.js'

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']

let browser
after(() => browser?.close())

/** Runs with a server, and with what opens a page of `examples/` that uses it. */
function page(name, run) {
  test(`docs: ${name}`, { timeout: 120_000 }, async () => {
    const tidings = new Server()
    await tidings.start()
    const site = createServer((request, response) => {
      if (!request.url.endsWith('.html')) return response.writeHead(404).end()   // a favicon
      const file = fileURLToPath(new URL(`../../examples${request.url}`, import.meta.url))
      response.setHeader('content-type', 'text/html; charset=utf-8')
      response.end(readFileSync(file, 'utf8').replaceAll('http://localhost:8000', tidings.origin))
    }).listen(0, '127.0.0.1')
    await once(site, 'listening')
    browser ??= await chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS })
    const context = await browser.newContext()
    const faults = []
    const open = async path => {
      const page = await context.newPage()
      page.on('pageerror', error => faults.push(String(error)))
      await page.goto(`http://localhost:${site.address().port}${path}`)
      const texts = () => page.locator('#log li').allTextContents()
      return { page, shows: list => until(`shows ${list}`, async () => (await texts()).map(text => text.replace(/anon-\w+/, 'anon')), got => got.join('\n') === list.join('\n')) }
    }
    try {
      await run({ tidings, open })
      assert.deepEqual(faults, [])
    } finally {
      await context.close()
      site.close()
      site.closeAllConnections()
      await tidings.dispose()
    }
  })
}

page('without a bundler: two pages talk, through a crash of the server', async ({ tidings, open }) => {
  const write = async ({ page }, text) => {
    await page.locator('input').fill(text)
    await page.locator('button').click()
  }
  const [ada, bob] = [await open('/without-a-bundler/index.html'), await open('/without-a-bundler/index.html')]
  await write(ada, 'Hello')
  for (const one of [ada, bob]) await one.shows(['anon: Hello'])
  await tidings.stop()
  await write(bob, 'Hello Ada')
  await tidings.start()
  for (const one of [ada, bob]) await one.shows(['anon: Hello', 'anon: Hello Ada'])
})

page('a plain EventSource: what is there, what comes, what was missed', async ({ tidings, open }) => {
  const writer = await open('/without-a-bundler/index.html')
  const reader = await open('/event-source/index.html')
  const write = async text => {
    await writer.page.locator('input').fill(text)
    await writer.page.locator('button').click()
  }
  await write('one')
  await reader.shows(['1 anon: one'])
  await tidings.stop()
  await write('two')
  await tidings.start()
  await reader.shows(['1 anon: one', '2 anon: two'])
  const late = await open('/event-source/index.html')
  await late.shows(['1 anon: one', '2 anon: two'])
})
