// One editor as the stock Hocuspocus provider behaves on the wire: a document of its own that it writes into. What others
// write is counted and timed, not applied: five hundred documents would measure the loader.
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { concat, prefixed, Reader, stamp } from './lib0.mjs'

const [SYNC, AUTH, SYNC_STATUS, PING, PONG] = [0, 2, 8, 9, 10]
const [STEP1, STEP2, UPDATE] = [0, 1, 2]

export class Editor {
  #doc = new Y.Doc()
  #name
  #socket
  #stats
  /** How many of its updates the server has acknowledged, the answer to its first step included. */
  stored = 0
  sent = 0

  constructor(url, name, stats) {
    this.#name = prefixed(Buffer.from(name))
    this.#stats = stats
    this.#socket = new WebSocket(url, { perMessageDeflate: false })
    this.#doc.on('update', update => {
      stats.born(stamp(update))
      this.sent++
      this.#say(SYNC, UPDATE, prefixed(update))
    })
    this.ready = new Promise((ready, failed) => {
      this.#socket.on('open', () => {
        this.#say(AUTH, 0, prefixed(Buffer.from('')), prefixed(Buffer.from('4.8.0')))
        this.#say(SYNC, STEP1, prefixed(Y.encodeStateVector(this.#doc)))
      })
      this.#socket.on('message', bytes => this.#hear(bytes, ready))
      this.#socket.on('error', failed)
      this.#socket.on('close', code => (stats.ending ? undefined : failed(new Error(`closed with ${code}`))))
    })
  }

  #say(...parts) {
    this.#socket.send(concat(this.#name, ...parts))
  }

  #hear(bytes, ready) {
    if (bytes.length === 1 && bytes[0] === PING) return this.#socket.send(Uint8Array.of(PONG))
    const reader = new Reader(bytes)
    reader.piece()
    const type = reader.number()
    if (type === SYNC_STATUS) {
      if (reader.number() !== 1) this.#stats.refused++
      return void this.stored++
    }
    if (type !== SYNC) return
    const step = reader.number()
    const body = reader.piece()
    if (step === STEP1) this.#say(SYNC, STEP2, prefixed(Y.encodeStateAsUpdate(this.#doc, body)))
    else if (step === STEP2) ready()
    else {
      const from = stamp(body)
      if (from && from.client !== this.#doc.clientID) this.#stats.heard(from)
    }
  }

  /** Types one character at the end of what it has written. */
  type() {
    const text = this.#doc.getText('text')
    text.insert(text.length, 'x')
  }

  end() {
    this.#socket.terminate()
    this.#doc.destroy()
  }
}
