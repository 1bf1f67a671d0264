import { TidingsError } from '../error.js'
import { errorOf, json, type Command, type Frame } from '../wire/frames.js'

/** A command and what becomes of it. Exactly one of the calls is made, once. */
export interface Request {
  /** JSON of the frame, without its `id`. */
  readonly body: string
  done(reply: Frame): void
  failed(error: TidingsError, reply?: Frame): void
  /** It only reads: when the connection is lost it is sent again on the next. */
  readonly keep?: boolean
}

/** Why something was not sent, or not answered: there is no connection, for now or for good. */
export const unsent = (closed: boolean): TidingsError =>
  new TidingsError(closed ? 'closed' : 'network', 'not connected')

/** What waits for an answer, never more than the server allows at once. */
export class Commands {
  /** Of `welcome.limits.in_flight`; until the first welcome, the server's default. */
  limit = 64
  #id = 0
  #queue: Request[] = []
  readonly #flying = new Map<number, Request>()
  #send: ((text: string) => void) | null = null
  readonly #more: () => void

  /** `more` is called when there is room for what has its own queue: the outbox. */
  constructor(more: () => void) {
    this.#more = more
  }

  get open(): boolean { return this.#send !== null }

  /** How many commands can be sent right now. */
  get room(): number {
    return this.#send && !this.#queue.length ? this.limit - this.#flying.size : 0
  }

  push(request: Request): void {
    if (!this.#send && !request.keep) return request.failed(unsent(false))
    this.#queue.push(request)
    this.#pump()
  }

  /** As a promise; `keep` as in {@link Request}. */
  ask(command: Command, keep: boolean): Promise<Frame> {
    return new Promise((done, failed) => this.push({ body: json(command), done, failed, keep }))
  }

  /** A new connection: `first` goes before what `flight` pushes, and that before what was kept. */
  start(send: (text: string) => void, first: Request, flight: () => void): void {
    const kept = this.#queue
    this.#queue = []
    this.#send = send
    this.push(first)
    flight()
    this.#queue.push(...kept)
    this.#pump()
    this.#more()
  }

  /** The reply or the error that a command gets. */
  answer(frame: Frame): void {
    const request = this.#flying.get(frame.id!)
    if (!request) return
    // A long document comes in parts: of what is answered, only they have an update.
    if (!frame.update || !frame.more) this.#flying.delete(frame.id!)
    if (frame.type === 'error') request.failed(errorOf(frame), frame)
    else request.done(frame)
    this.#pump()
    this.#more()
  }

  /** The connection is gone. With `forget` there will be no other, so nothing is kept for it. */
  stop(forget: boolean): void {
    this.#send = null
    const all = [...this.#flying.values(), ...this.#queue]
    this.#flying.clear()
    this.#queue = forget ? [] : all.filter(request => request.keep)
    for (const request of all) if (forget || !request.keep) request.failed(unsent(!!request.keep))
  }

  #pump(): void {
    while (this.#send && this.#queue.length && this.#flying.size < this.limit) {
      const request = this.#queue.shift()!
      this.#flying.set(++this.#id, request)
      this.#send(`{"id":${this.#id},${request.body.slice(1)}`)
    }
  }
}
