// Stories about the SDK in a browser, on a page that is nothing but the SDK.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { launch, launchBare } from './browser.js'
import { Proxy } from './proxy.js'
import { Server } from './server.js'
import { token } from './tokens.js'
import { PATIENCE_MS, until } from './until.js'

const file = path => fileURLToPath(new URL(path, import.meta.url))
const SCRIPTS = {
  '/page.js': file('page.js'),
  ...Object.fromEntries(['tidings', 'outbox-indexeddb', 'observable'].map(name => [`/${name}.js`, file(`../../sdk/dist/${name}.js`)])),
}
const HTML = '<!doctype html><title>a page with the SDK</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>'

let browser
after(() => browser?.close())

/** Where the page comes from, also while the server is down; and who hands out tokens. */
class Origin {
  /** Asked for a token: `null` is 401. */
  mint = () => token('ada')
  /** The reasons that were given for each token. */
  asked = []
  #server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost')
    if (pathname === '/') return response.setHeader('content-type', 'text/html').end(HTML)
    if (pathname in SCRIPTS) return response.setHeader('content-type', 'text/javascript').end(readFileSync(SCRIPTS[pathname]))
    if (pathname !== '/token') return response.writeHead(404).end()
    this.asked.push(searchParams.get('reason'))
    const minted = this.mint()
    response.writeHead(minted ? 200 : 401).end(minted)
  })

  async start() {
    for (const path of Object.values(SCRIPTS)) {
      if (!existsSync(path)) throw new Error(`${path} is missing; build it with: cd sdk && npm ci && npm run build`)
    }
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get url() { return `http://localhost:${this.#server.address().port}/` }

  close() {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

/** Declares a test; `run` gets `{ server, proxy, origin, tab }`. */
export function sdkStory(name, run, { config } = {}) {
  test(`sdk: ${name}`, { timeout: 240_000 }, async () => {
    const server = new Server(config)
    const origin = new Origin()
    const tabs = []
    const proxies = []
    let bare
    try {
      await Promise.all([server.start(), origin.start()])
      browser ??= await launch()
      const proxy = async () => {
        proxies.push(await Proxy.start(server.port))
        return proxies.at(-1)
      }
      await run({
        server, origin, proxy,
        /**
         * `url`: of the server, or of a proxy in front of it. `beside`: in the same browser profile.
         * `phone`: in a browser of its own, where it can be put to sleep.
         */
        async tab(name, { url = server.origin, beside, phone, ...options } = {}) {
          if (phone) bare ??= await launchBare()
          const context = phone ? bare.context : beside?.page.context() ?? await browser.newContext()
          const tab = new Tab(name, await context.newPage(), { url, ...options })
          tabs.push(tab)
          await tab.load(origin.url)
          return tab
        },
      })
      for (const tab of tabs) assert.deepEqual(tab.faults, [], `${tab.name}'s console`)
    } catch (error) {
      for (const tab of tabs) console.log(tab.name, tab.faults, JSON.stringify(await tab.ask('log').catch(String)))
      for (const { url, attempts } of proxies) console.log(url, JSON.stringify(attempts))
      throw error
    } finally {
      for (const context of new Set(tabs.map(tab => tab.page.context()))) {
        if (context !== bare?.context) await context.close()
      }
      await bare?.close()
      for (const proxy of proxies) proxy.close()
      origin.close()
      await server.dispose()
    }
  })
}

export class Tab {
  faults = []
  #options
  #cdp

  constructor(name, page, options) {
    this.name = name
    this.page = page
    this.#options = options
    page.on('pageerror', error => this.faults.push(String(error)))
    page.setDefaultTimeout(PATIENCE_MS)
  }

  async load(url) {
    await this.page.goto(url)
    await this.#begin()
  }

  async reload() {
    await this.page.reload()
    await this.#begin()
  }

  #begin() {
    return this.page.waitForFunction(() => window.begin).then(() => this.page.evaluate(options => window.begin(options), this.#options))
  }

  /** As a phone does with a page that is not looked at: no script runs until it is. */
  async freeze() {
    this.#cdp ??= await this.page.context().newCDPSession(this.page)
    const [blank] = this.page.context().pages()
    await blank.bringToFront()
    await until('it is hidden', () => this.page.evaluate(() => document.visibilityState), state => state === 'hidden')
    await this.#cdp.send('Page.setWebLifecycleState', { state: 'frozen' })
  }

  async wake() {
    await this.#cdp.send('Page.setWebLifecycleState', { state: 'active' })
    await this.page.bringToFront()
  }

  ask(what, argument) { return this.page.evaluate(([what, argument]) => window.app[what](argument), [what, argument]) }
  status() { return this.ask('status') }
  heard() { return this.ask('heard') }
  write(...texts) { return this.ask('write', texts) }
  is(state, patience) {
    return until(`${this.name} is ${state}`, () => this.status(), status => status.state === state, patience)
  }
  /** Subscribed: from now on it hears all. */
  live() { return until(`${this.name} is live`, () => this.ask('room'), state => state === 'live') }
  hasHeard(texts) {
    const expected = JSON.stringify(texts)
    return until(`${this.name} has heard ${texts.length}`, async () => (await this.heard()).map(one => one[1]), got => JSON.stringify(got) === expected)
  }
  /** Nothing of ours is on its way. */
  sent() { return until(`${this.name} has sent all`, () => this.ask('waiting'), waiting => waiting.length === 0) }
}
