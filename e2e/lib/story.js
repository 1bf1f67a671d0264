// A story: a server, and people with a page each. All of it is gone when it ends.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { launch } from './browser.js'
import { Server } from './server.js'
import { PATIENCE_MS, until } from './until.js'

export { until }

const SCREENSHOTS = process.env.SCREENSHOTS
  ?? fileURLToPath(new URL('../screenshots', import.meta.url))
const WIDE = { width: 1100, height: 720 }

let browser   // one for a file; each person has a context, which is a browser profile of their own
after(() => browser?.close())

/** Declares a test; `run` gets `{ server, person, duplicateOf }`. */
export function story(name, run) {
  test(name, { timeout: 240_000 }, async () => {
    const server = new Server()
    const people = []
    try {
      await server.start()
      browser ??= await launch()
      await run({
        server,
        async person(name, { room = '', ...options } = {}) {
          const context = await browser.newContext({ viewport: WIDE, ...options })
          const person = new Person(name, await context.newPage())
          people.push(person)
          await person.page.goto(`${server.url}#${room}`)
          await person.connected()
          await person.rename(name)
          return person
        },
        async duplicateOf(original) {
          const opened = original.page.context().waitForEvent('page')
          await original.page.evaluate(() => { window.open(location.href) })
          const person = new Person(`${original.name}, again`, await opened)
          people.push(person)
          await person.connected()
          return person
        },
      })
      for (const person of people) assert.deepEqual(person.faults, [], `${person.name}'s console`)
    } finally {
      for (const person of people) await person.page.context().close()
      await server.dispose()
    }
  })
}

export class Person {
  constructor(name, page) {
    this.name = name
    this.page = page
    this.faults = []
    page.setDefaultTimeout(PATIENCE_MS)
    page.on('pageerror', error => this.faults.push(String(error)))
    page.on('console', message => {
      // A refused connection is part of some stories; anything else that is red is a fault.
      const text = message.text()
      if (message.type() === 'error' && !/^WebSocket connection to /.test(text)) {
        this.faults.push(text)
      }
    })
  }

  field(name) { return this.page.getByRole('textbox', { name, exact: true }) }
  button(name) { return this.page.getByRole('button', { name, exact: true }) }
  get log() { return this.page.getByRole('log', { name: 'Messages' }) }
  get status() { return this.page.getByRole('status') }

  connected() { return this.status.getByText('Connected', { exact: true }).waitFor() }
  disconnected() { return this.status.getByText(/^(Reconnecting|Connecting…)$/).waitFor() }

  async rename(name) {
    await this.field('Your name').fill(name)
    await this.field('Your name').press('Enter')
    await this.sees('#people li:has-text("you")', name)
  }

  async write(text) {
    await this.field('Message').fill(text)
    await this.field('Message').press('Enter')
  }

  /** The texts in the log, top to bottom, without those that were refused or wait. */
  texts() { return this.page.locator('#messages .message:not(.failed) .text').allTextContents() }
  pending() { return this.page.locator('#pending .text').allTextContents() }
  refused() { return this.page.locator('#messages .failed').allInnerTexts() }
  notes() { return this.page.locator('#messages .note').allTextContents() }
  here() { return this.page.locator('#people li span').allTextContents() }

  /** Waits until an element that matches holds the text. */
  sees(selector, text) {
    return this.page.locator(selector).filter({ hasText: text }).first().waitFor()
  }
  reads(text) { return this.sees('#messages .message:not(.failed) .text', text) }
  notices(text) { return this.sees('#messages .note', text) }

  async screenshot(name) {
    mkdirSync(SCREENSHOTS, { recursive: true })
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) })
  }
}

/** Waits until the list has these, in any order. */
export const untilSame = (what, ask, expected) => until(`${what} = ${JSON.stringify(expected)}`,
  ask, got => JSON.stringify([...got].sort()) === JSON.stringify([...expected].sort()))

/** `count` texts that are easy to find in a failure: "ada 1", "ada 2" … */
export const numbered = (name, count, from = 1) =>
  Array.from({ length: count }, (_, i) => `${name} ${from + i}`)
