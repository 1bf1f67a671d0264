// A TCP proxy that does to connections what networks do: cuts, stalls, delays, half-opens, refuses.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Random } from './random.js'

interface Pair { readonly near: Socket; readonly far: Socket }

/**
 * Ends with RST. A socket that is ending already cannot: `uv_tcp_close_reset` refuses it, and Node, which
 * takes it for closing from then on, never closes it, and spins at its own exit until somebody kills it.
 */
const reset = (socket: Socket): unknown => socket.writableEnded ? socket.destroy() : socket.resetAndDestroy()

export class Proxy {
  readonly #target: number
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  #stalled = false
  #delay = 0
  #refusing = false
  /** Requests to upgrade to WebSocket are answered with 403, as by some companies' proxies. */
  blockUpgrade = false
  accepted = 0

  private constructor(target: number) {
    this.#target = target
    this.#server = createServer({ allowHalfOpen: false }, near => this.#accept(near))
  }

  static async start(target: number): Promise<Proxy> {
    const proxy = new Proxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get url(): string { return `http://localhost:${this.port}` }
  get port(): number { return (this.#server.address() as AddressInfo).port }
  get open(): number { return this.#pairs.size }

  /** Ends connections at once (RST), each with a chance of `share`. */
  cut(share = 1, random: Random = Math.random): void {
    for (const { near, far } of [...this.#pairs]) {
      if (random() >= share) continue
      reset(near)
      reset(far)
    }
  }

  /** Both sides stay open, but the other one's bytes never come again: a phone in a tunnel. */
  halfOpen(share = 1, random: Random = Math.random): void {
    for (const { near, far } of [...this.#pairs]) {
      if (random() >= share) continue
      near.removeAllListeners('data').resume()
      far.removeAllListeners('data').resume()
    }
  }

  /** Nothing passes, and nothing is lost, until `flow()`. */
  stall(): void { this.#stalled = true; this.#each(socket => socket.pause()) }
  flow(): void { this.#stalled = false; this.#each(socket => socket.resume()) }

  /** Each piece is held back for this long. */
  delay(ms: number): void { this.#delay = ms }

  /** New connections are reset. */
  refuse(refusing: boolean): void { this.#refusing = refusing }

  close(): void {
    this.cut()
    this.#server.close()
  }

  #each(call: (socket: Socket) => void): void {
    for (const { near, far } of this.#pairs) {
      call(near)
      call(far)
    }
  }

  #accept(near: Socket): void {
    this.accepted++
    near.on('error', () => {})
    if (this.#refusing) return void near.resetAndDestroy()
    const far = connect(this.#target, '127.0.0.1')
    far.on('error', () => {})
    const pair = { near, far }
    this.#pairs.add(pair)
    const end = (): void => {
      this.#pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    near.on('close', end)
    far.on('close', end)
    this.#pipe(near, far, bytes => {
      if (!this.blockUpgrade || !/^upgrade:/im.test(bytes.toString('latin1'))) return false
      near.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      return true
    })
    this.#pipe(far, near)
    if (this.#stalled) this.stall()
  }

  #pipe(from: Socket, to: Socket, intercept?: (bytes: Buffer) => boolean): void {
    // What is held back, in order: each timer lets go of the first, whichever it was set for.
    const held: Buffer[] = []
    let until = 0
    const pass = (bytes: Buffer): void => { if (!to.destroyed) to.write(bytes) }
    from.on('data', (bytes: Buffer) => {
      if (intercept?.(bytes)) return
      if (!this.#delay && !held.length) return pass(bytes)
      held.push(bytes)
      until = Math.max(until, Date.now() + this.#delay)
      setTimeout(() => pass(held.shift()!), until - Date.now())
    })
  }
}
