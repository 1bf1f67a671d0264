// Editors as others ship them: the providers of npm, unchanged, on the real server. No browser.
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import * as hocuspocus2 from 'hocuspocus-2'
import * as hocuspocus3 from 'hocuspocus-3'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { Server } from './server.js'
import { KEY, token } from './tokens.js'
import { until as patiently } from './until.js'

/**
 * A browser says nothing when a socket is closed before it is open; Node.js ends the process. What the server shows
 * with `tls` is signed by nobody.
 */
class Line extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { rejectUnauthorized: false })
    this.on('error', () => {})
  }
}

/** There is no page to wait for here. */
export const until = (what, ask, right) => patiently(what, ask, right, 15_000)

/** Of a backend. */
const API_KEY = 'an-api-key-of-tests-with-32-bytes-and-more'

/** Documents that whoever has a token may write in, or read, and some that are open to anyone. */
export const DOCUMENTS = `
[[api.key]]
name = "backend"
secret = "${API_KEY}"
[auth]
anonymous = true
${KEY}
[namespace.doc]
kind = "document"
subscribe = "anyone"
publish = "anyone"
presence = { access = "anyone" }
[namespace.club]
kind = "document"
subscribe = "signed-in"
publish = "token"
presence = { access = "signed-in" }
`

/** Providers of Hocuspocus that connect to one server, by version. */
export const HOCUSPOCUS = {
  2: hocuspocus2,
  3: hocuspocus3,
  4: { HocuspocusProvider, HocuspocusProviderWebsocket },
}

/** Declares a test; `run` gets `{ server, y, hocuspocus }`. `compression` and `tls`: on the way to the server. */
export function editors(name, run, { compression = false, tls = false } = {}) {
  test(`editors: ${name}`, { timeout: 120_000 }, async () => {
    const server = new Server(`[server]\ncompression = ${compression}\n${DOCUMENTS}`, { tls })
    const all = []
    const add = one => { all.push(one); return one }
    try {
      await server.start()
      await run({
        server,
        y: (name, room, options) => add(new YEditor(name, server, room, options)),
        hocuspocus: (version, name, room, options) =>
          add(new HocuspocusEditor(version, name, server, room, options)),
      })
    } finally {
      for (const one of all) one.destroy()
      await server.dispose()
    }
  })
}

/** Somebody with a document open. */
class Editor {
  constructor(name, room) {
    this.name = name
    this.room = room
    this.doc = new Y.Doc()
  }

  get text() { return this.doc.getText('text') }
  get map() { return this.doc.getMap('map') }
  /** What the document holds, to be compared. */
  get content() { return { text: this.text.toString(), map: this.map.toJSON() } }
  /** What others say of themselves, by name. */
  get others() {
    const { awareness, doc } = this.provider
    return [...awareness.getStates()].filter(([id]) => id !== (doc ?? this.doc).clientID)
      .map(([, state]) => state.name).filter(Boolean).sort()
  }

  write(text, at = this.text.length) { this.text.insert(at, text) }
  says(state) { this.provider.awareness.setLocalState({ name: this.name, ...state }) }

  reads(text) {
    return until(`${this.name} reads ${text.slice(0, 60)}`, () => this.text.toString(), got => got.includes(text))
  }
  sees(...names) {
    return until(`${this.name} sees ${names}`, () => this.others, got => got.join() === names.sort().join())
  }
  /** Bytes that came over its line, as they came. */
  get bytesRead() { return this.line._socket.bytesRead }
  synced() { return until(`${this.name} is synced`, () => this.isSynced, Boolean) }

  destroy() {
    this.provider.destroy()
    this.doc.destroy()   // and with it awareness, which has an interval
  }
}

class YEditor extends Editor {
  closed = []

  constructor(name, server, room, { token, protocols = [], ...options } = {}) {
    super(name, room)
    this.provider = new WebsocketProvider(`${server.origin.replace('http', 'ws')}/yjs`, room, this.doc, {
      WebSocketPolyfill: Line, disableBc: true, protocols, params: token ? { token } : {}, maxBackoffTime: 200, ...options,
    })
    this.provider.on('closed', ({ code }) => this.closed.push(code))
  }

  /** Without a connection, until it is back. */
  away() { this.provider.disconnect() }
  back() { this.provider.connect() }
  get isSynced() { return this.provider.synced }
  get isConnected() { return this.provider.wsconnected }
  get line() { return this.provider.ws }
  isClosedFor(code) {
    return until(`${this.name} is closed with ${code}`, () => this.closed, got => got.includes(code))
  }
}

class HocuspocusEditor extends Editor {
  refusals = []

  constructor(version, name, server, room, { token = '', beside, ...options } = {}) {
    super(name, room)
    const { HocuspocusProvider, HocuspocusProviderWebsocket } = HOCUSPOCUS[version]
    this.own = !beside
    this.socket = beside?.socket ?? new HocuspocusProviderWebsocket({
      url: `${server.origin.replace('http', 'ws')}/hocuspocus`, WebSocketPolyfill: Line, delay: 100, minDelay: 100, maxDelay: 300, quiet: true,
    })
    this.provider = new HocuspocusProvider({
      websocketProvider: this.socket, name: room, document: this.doc, token, quiet: true,
      onAuthenticationFailed: ({ reason }) => this.refusals.push(reason), ...options,
    })
    this.provider.attach?.()
  }

  away() { this.socket.disconnect() }
  back() { void this.socket.connect() }
  get isSynced() { return this.provider.isSynced }
  get isConnected() { return this.socket.status === 'connected' }
  get line() { return this.socket.webSocket }
  get isReadOnly() { return this.provider.authorizedScope === 'readonly' }

  /** The server has stored all that was written. Version 2 counts below 0 what it sends twice when it comes back. */
  stored() {
    return until(`${this.name}'s changes are stored`, () => this.provider.unsyncedChanges, count => count <= 0)
  }

  destroy() {
    super.destroy()
    if (this.own) this.socket.destroy()
  }
}

/** What the HTTP API says; with a `body` to a POST. */
export async function api(server, path, body) {
  const answer = await fetch(`${server.origin}/api/v1${path}`, {
    headers: { authorization: `Bearer ${API_KEY}` }, ...body && { method: 'POST', body: JSON.stringify(body) },
  })
  return { status: answer.status, ...await answer.json() }
}

/** All of them have the same, which is returned. */
export async function same(...all) {
  await until('all have the same', () => all.map(one => one.content),
    contents => contents.every(content => isDeepStrictEqual(content, contents[0])))
  return all[0].content
}

export { token }
