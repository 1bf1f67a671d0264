// A TCP proxy between a page and the server: it notes every request for a connection, and can cut, and
// can swallow what comes, as a network does that is gone without saying so.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/**
 * Ends with RST. A socket that is ending already cannot: `uv_tcp_close_reset` refuses it, and Node, which
 * takes it for closing from then on, never closes it, and spins at its own exit until somebody kills it.
 */
const reset = socket => socket.writableEnded ? socket.destroy() : socket.resetAndDestroy()

export class Proxy {
  #target
  #server
  #pairs = new Set()
  #dead = false
  /** The first line of each TCP connection, and when it came. */
  attempts = []

  /** To the server that is at this port, whenever there is one. */
  constructor(target) {
    this.#target = target
    this.#server = createServer(near => this.#accept(near))
  }

  static async start(target) {
    const proxy = new Proxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get url() { return `http://localhost:${this.#server.address().port}` }

  /** Resets what there is. */
  cut() {
    for (const { near, far } of this.#pairs) {
      reset(near)
      reset(far)
    }
  }

  /** From now on nothing passes and nobody is told, on connections that stand and on new ones. */
  swallow() {
    this.#dead = true
    for (const { near, far } of this.#pairs) {
      for (const socket of [near, far]) socket.removeAllListeners('data').resume()
    }
  }

  /** New connections pass again; what was swallowed is lost. */
  pass() { this.#dead = false }

  close() {
    this.cut()
    this.#server.close()
  }

  #accept(near) {
    const at = Date.now()
    near.on('error', () => {})
    if (this.#dead) near.resume()
    near.once('data', bytes => {
      this.attempts.push({ at, line: bytes.toString('latin1').split('\r\n')[0] })
      if (!this.#dead) this.#forward(near, bytes)
    })
  }

  #forward(near, first) {
    const far = connect(this.#target, '127.0.0.1')
    far.on('error', () => {})
    const pair = { near, far }
    this.#pairs.add(pair)
    const end = () => {
      this.#pairs.delete(pair)
      // A machine that is there, but not its server: the port refuses.
      reset(near)
      far.destroy()
    }
    near.on('close', end)
    far.on('close', end)
    far.write(first)
    near.on('data', bytes => far.write(bytes))
    far.on('data', bytes => near.write(bytes))
  }
}
