// Stories about the chat demo, which the server has at /.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { launch } from './browser.js'
import { Server } from './server.js'
import { Person, until } from './story.js'

const WIDE = { width: 1440, height: 900 }

let browser
after(() => browser?.close())

/**
 * Where the demo is: at the server's own address, or, while one works on it, at that of
 * `web/serve.mjs` (in `DEMO`), which is told of the server.
 */
function addressOf(server, room, transport, path) {
  const url = new URL(path, process.env.DEMO ?? server.origin)
  if (process.env.DEMO) url.searchParams.set('server', new URL(server.url).origin)
  if (transport) url.searchParams.set('transport', transport)
  url.hash = room
  return url.href
}

/** Declares a test; `run` gets `{ server, guest }`. */
export function demo(name, run, { config } = {}) {
  test(`demo: ${name}`, { timeout: 240_000 }, async () => {
    const server = new Server(config)
    const guests = []
    try {
      await server.start()
      browser ??= await launch()
      await run({
        server,
        /** `path`: of another page than the chat. `token`: whose page it is, else an anonymous user's. `beside`: in the same browser profile. */
        async guest(name, { room = '', path = '/', transport, connects = true, token = null, beside, ...options } = {}) {
          const context = beside?.page.context() ?? await browser.newContext({ viewport: WIDE, ...options })
          await context.addInitScript(([name, token]) => {
            if (location.href === 'about:blank') return   // has no storage
            if (localStorage.getItem('tidings.name') === null) localStorage.setItem('tidings.name', name)
            if (token) sessionStorage.setItem('tidings.token', token)
          }, [name, token])
          const guest = new Guest(name, await context.newPage())
          guests.push(guest)
          await guest.page.goto(addressOf(server, room, transport, path))
          if (connects) await guest.connected()
          return guest
        },
      })
      for (const guest of guests) assert.deepEqual(guest.faults, [], `${guest.name}'s console`)
    } finally {
      for (const guest of guests) await guest.page.context().close()
      await server.dispose()
    }
  })
}

export class Guest extends Person {
  #rows(kind) { return this.page.locator(`#log .row${kind} .text`) }

  disconnected() { return this.status.getByText(/^(Reconnecting|Connecting…|Offline)$/).waitFor() }

  texts() { return this.#rows(':not(.waiting):not(.failed)').allTextContents() }
  pending() { return this.#rows('.waiting').allTextContents() }
  refused() { return this.page.locator('#log .failed').allInnerTexts() }
  notes() { return this.page.locator('#log .rule.gap').allTextContents() }
  here() { return this.page.locator('#people .label').allTextContents() }

  reads(text) { return this.#rows(':not(.waiting):not(.failed)').filter({ hasText: text }).first().waitFor() }
  waitsWith(text) { return this.#rows('.waiting').filter({ hasText: text }).first().waitFor() }
  notices(text) { return this.sees('#log .rule.gap', text) }
  room(name) { return this.page.getByRole('link', { name: new RegExp(`^${name}`) }) }
  typing() { return this.page.locator('#typing').textContent() }
  hasTexts(texts) {
    return until(`${this.name} has ${texts.length} texts`, () => this.texts(),
      got => JSON.stringify(got) === JSON.stringify(texts))
  }
}
