// What Server-Sent Events and long-polling have in common: how they are opened, the way up, and the end.

import { json } from '../wire/frames.js'
import type { Opening, Transport } from './transport.js'

/** A server that says nothing for this long does not take the request; a proxy may stand between. */
const TIMEOUT = 10_000
/** Of one request, below the server's 1 MiB: in UTF-16 units, of which each is at most 3 bytes. */
const BODY = 300_000

/** The way up: numbered batches, one request at a time. */
export class Up {
  /** The handle of the connection; nothing can be sent without. */
  connection = ''
  readonly #opening: Opening
  readonly #abort = new AbortController()
  #queue: string[] = []
  #batch = 0
  #busy = false

  constructor(opening: Opening) {
    this.#opening = opening
  }

  get ended(): boolean { return this.#abort.signal.aborted }

  /** From the server's side, or because it cannot be reached; the first time counts. */
  end(reason: string, retryAfter?: number): void {
    if (this.ended) return
    this.#abort.abort()
    this.#opening.closed(1006, reason, retryAfter)
  }

  /** From our side. `goodbye` is meant for a page that goes: it outlives it. */
  close(goodbye: boolean): void {
    this.#abort.abort()
    if (goodbye && this.connection) this.#post('/send', this.#head(true), { keepalive: true, signal: null }).catch(() => {})
  }

  send(frame: string): void {
    this.#queue.push(frame)
    // What is sent in one turn goes in one request.
    queueMicrotask(() => void this.pump())
  }

  /** Opens: the answer to the first flight. */
  open(path: string): Promise<Response> {
    const { token } = this.#opening
    this.#queue = this.#opening.flight()
    return this.ask(path, this.#take(), token ? { headers: { Authorization: `Bearer ${token}` } } : {})
  }

  /** The answer to a request, if it is 200; else this is the end. */
  async ask(path: string, body: string, init: RequestInit = {}): Promise<Response> {
    const response = await this.#post(path, body, init)
    if (response.status === 200) return response
    // Of no use, and kept open it would be in the way of others.
    void response.body?.cancel()
    this.end(`${path}: ${response.status}`, Number(response.headers.get('retry-after')) * 1000 || undefined)
    throw response
  }

  async pump(): Promise<void> {
    if (this.#busy || !this.connection || !this.#queue.length || this.ended) return
    this.#busy = true
    this.#batch++
    const body = `${this.#head(false)}\n${this.#take()}`
    // A batch is taken once, so one whose answer was lost can be repeated.
    const up = async (): Promise<number> => {
      const response = await this.#post('/send', body)
      void response.body?.cancel()
      return response.status
    }
    const { runtime } = this.#opening
    const timer = runtime.setTimeout(() => this.end('/send: no answer'), TIMEOUT)
    const status = await up().catch(up).catch(String)
    runtime.clearTimeout(timer)
    this.#busy = false
    if (status === 204) void this.pump()
    else this.end(`/send: ${status}`)
  }

  #head(close: boolean): string {
    return json({ connection: this.connection, batch: this.#batch + Number(close), close: close || undefined })
  }

  #take(): string {
    let size = 0
    const end = this.#queue.findIndex((frame, i) => (size += frame.length) > BODY && i > 0)
    return this.#queue.splice(0, end < 0 ? this.#queue.length : end).join('\n')
  }

  /** A text is `text/plain`, for which browsers need no preflight. */
  #post(path: string, body: string, init: RequestInit = {}): Promise<Response> {
    const { runtime, url } = this.#opening
    return runtime.fetch!(url + path, { method: 'POST', body, signal: this.#abort.signal, ...init })
  }
}

/** A transport whose way down is `read`, which ends with an exception when the connection has ended. */
export function overHttp(opening: Opening, read: (up: Up) => Promise<void>): Transport {
  const up = new Up(opening)
  read(up).catch(error => up.end(String(error)))
  return up
}
