// Stories about the console, which the server has at /console.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { launch } from './browser.js'
import { Server } from './server.js'
import { Person, until } from './story.js'

const SCREENSHOTS = process.env.SCREENSHOTS ?? fileURLToPath(new URL('../screenshots', import.meta.url))
const WIDE = { width: 1280, height: 900 }

let browser
after(() => browser?.close())

/** Declares a test; `run` gets `{ server, open, client, api }`. */
export function consoleStory(name, run, { config } = {}) {
  test(`console: ${name}`, { timeout: 240_000 }, async () => {
    const server = new Server(config)
    const operators = []
    const clients = []
    try {
      await server.start()
      browser ??= await launch()
      await run({
        server,
        /** A page at `#/...` of the console, in a browser profile of its own or `beside` another. */
        async open(hash = '', { beside, before, ...options } = {}) {
          const context = beside?.page.context() ?? await browser.newContext({ viewport: WIDE, ...options })
          const operator = new Operator('operator', await context.newPage())
          operators.push(operator)
          await before?.(operator.page)
          await operator.page.goto(`${server.origin}/console${hash}`)
          return operator
        },
        async client(...commands) {
          const client = new Client(server.origin)
          clients.push(client)
          await client.open(commands)
          return client
        },
        api: (path, body) => api(server, path, body),
      })
      // Requests that are refused are part of the stories; the page shows them.
      const faults = operators.flatMap(({ faults }) => faults).filter(text => !/status of 4\d\d/.test(text))
      assert.deepEqual(faults, [], 'the console’s console')
    } finally {
      for (const client of clients) client.close()
      for (const { page } of operators) await page.context().close()
      await server.dispose()
    }
  })
}

/** The answer of the API, which must be good. */
export async function api(server, path, body) {
  const answer = await fetch(`${server.origin}/api/v1${path}`, {
    headers: { authorization: `Bearer ${server.apiKey}` },
    ...body && { method: 'POST', body: JSON.stringify(body) },
  })
  assert.equal(answer.status, 200, `${path}: ${await answer.clone().text()}`)
  return answer.json()
}

export class Operator extends Person {
  heading(name) { return this.page.getByRole('heading', { level: 1, name, exact: true }).waitFor() }
  panel(name) { return this.page.getByRole('region', { name, exact: true }) }
  link(name) { return this.page.getByRole('link', { name, exact: true }) }
  label(name) { return this.page.getByLabel(name, { exact: true }) }
  /** The text that stands under a name in the facts of the page. */
  fact(name) { return this.page.locator('.facts > div').filter({ has: this.page.getByText(name, { exact: true }) }).locator('dd') }
  events() { return this.page.locator('.events summary .offset').allTextContents() }
  /** Rows of a trace or of the builder's connection, as text. */
  rows() { return this.page.locator('.rows .row > summary').allInnerTexts() }

  async shot(name) {
    mkdirSync(SCREENSHOTS, { recursive: true })
    await this.page.screenshot({ path: join(SCREENSHOTS, `console-${name}.png`) })
  }
}

/** Somebody with a session, by Server-Sent Events: what they are told is in `frames`. */
class Client {
  frames = []
  #origin
  #gone = new AbortController()
  #handle
  #batch = 0
  #sent = Promise.resolve()
  // Held: Node.js ends the stream of an answer that nobody has any more.
  #answer
  #broken

  constructor(origin) { this.#origin = origin }

  get session() { return this.frames.find(({ type }) => type === 'welcome').session.split('.')[0] }
  get user() { return this.frames.find(({ type }) => type === 'welcome').user }

  async open(commands) {
    const body = commands.map((command, id) => JSON.stringify({ id: id + 1, ...command })).join('\n')
    this.#answer = await fetch(`${this.#origin}/events`, { method: 'POST', body, signal: this.#gone.signal })
    void this.#read().catch(error => { this.#broken = error })
    await until('the client is let in', () => this.frames.length, count => count > commands.length)
  }

  /** One batch behind the other: that of a number that is not the next is refused. */
  send(command) {
    const sent = this.#sent.then(() => this.#send(command))
    this.#sent = sent.catch(() => {})
    return sent
  }

  async #send(command) {
    const head = JSON.stringify({ connection: this.#handle, batch: ++this.#batch })
    const body = `${head}\n${JSON.stringify({ id: 1000 + this.#batch, ...command })}`
    const { status } = await fetch(`${this.#origin}/send`, { method: 'POST', body })
    assert.equal(status, 204)
  }

  of(type) { return this.frames.filter(frame => frame.type === type) }

  hears(type, count = 1) {
    return until(`${count} ${type}`, () => {
      if (this.#broken) throw this.#broken
      return this.of(type)
    }, frames => frames.length >= count)
  }

  close() { this.#gone.abort() }

  async #read() {
    let rest = ''
    for await (const chunk of this.#answer.body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()
      for (const line of lines.filter(line => line.startsWith('data: '))) {
        const frame = JSON.parse(line.slice(6))
        if (frame.type === 'opened') this.#handle = frame.connection
        this.frames.push(frame)
      }
    }
  }
}
