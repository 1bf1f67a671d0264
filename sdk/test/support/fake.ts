// Virtual time, a scripted WebSocket server and a page, for tests to the millisecond.
import { createClient, type Client, type ClientOptions, type PageEvent, type Runtime, type WebSocketLike } from '../../src/index.js'

/** Lets all promises that can go on do so. */
export const settle = (): Promise<void> => new Promise(done => setImmediate(done))

export class Clock {
  time = 1_000_000
  readonly #timers = new Map<number, { at: number; call: () => void }>()
  #next = 1

  readonly now = (): number => this.time
  readonly setTimeout = (call: () => void, ms: number): number => {
    this.#timers.set(this.#next, { at: this.time + Math.max(0, ms), call })
    return this.#next++
  }
  readonly clearTimeout = (timer: unknown): void => void this.#timers.delete(timer as number)

  get pending(): number { return this.#timers.size }

  /** Lets `ms` pass; every timer at its time. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms
    await settle()
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0]
      if (!due) break
      this.#timers.delete(due[0])
      this.time = due[1].at
      due[1].call()
      await settle()
    }
    this.time = end
  }
}

export class Page {
  visible = true
  readonly #listeners = new Map<PageEvent, Set<() => void>>()
  readonly on = (event: PageEvent, listener: () => void): (() => void) => {
    const set = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, set.add(listener))
    return () => set.delete(listener)
  }
  tell(event: PageEvent): void {
    if (event === 'visible' || event === 'hidden') this.visible = event === 'visible'
    for (const listener of this.#listeners.get(event) ?? []) listener()
  }
}

export type Sent = Record<string, any>

/** The server's end of one WebSocket. */
export class Line implements WebSocketLike {
  onopen: ((event: any) => void) | null = null
  onmessage: ((event: any) => void) | null = null
  onclose: ((event: any) => void) | null = null
  onerror: ((event: any) => void) | null = null
  /** What the client has sent, in order. */
  readonly sent: Sent[] = []
  closed = false
  readonly #heard: ((frame: Sent) => void) | undefined

  constructor(readonly at: number, heard?: (frame: Sent) => void) {
    this.#heard = heard
  }

  send(data: string): void {
    const frame = JSON.parse(data)
    this.sent.push(frame)
    this.#heard?.(frame)
  }

  close(): void { this.closed = true }

  open(): void {
    this.onopen?.({})
    this.onopen = null
  }
  tell(frame: Sent): void { this.onmessage?.({ data: JSON.stringify(frame) }) }
  drop(code = 1006, reason = ''): void { this.onclose?.({ code, reason }) }

  of(type: string): Sent[] { return this.sent.filter(frame => frame.type === type) }
  last(type: string): Sent { return this.of(type).at(-1)! }

  welcome(more: Sent = {}): void {
    this.tell({
      type: 'welcome', id: this.of('hello')[0]!.id, session: 's1.secret', user: 'ada', heartbeat: 25_000, dedup_window: 900_000,
      limits: { frame: 65_536, channels: 128, in_flight: 64 }, ...more,
    })
  }

  subscribed(channel = 'chat:x', offset = 0, more: Sent = {}): void {
    const { id } = this.of('subscribe').filter(frame => frame.channel === channel).at(-1)!
    this.tell({ type: 'subscribed', id, channel, epoch: 'e', offset, recovered: false, ...more })
  }

  event(offset: number, data: unknown = offset, more: Sent = {}): void {
    this.tell({
      type: 'event', channel: 'chat:x', offset, timestamp: '2026-05-01T12:00:00.123Z', user: 'bob', session: 's2', data, ...more,
    })
  }
}

export interface Fake {
  readonly client: Client<any>
  readonly clock: Clock
  readonly page: Page
  /** All connections that were tried, the newest last. */
  readonly lines: Line[]
  readonly line: Line
  /** Opens the newest connection and welcomes. */
  up(welcome?: Sent): Promise<Line>
}

/** A client whose every surrounding is the test's. */
export function fake(options: Partial<ClientOptions> = {}, heard?: (line: Line, frame: Sent) => void, clock = new Clock()): Fake {
  const page = new Page()
  const lines: Line[] = []
  let made = 0
  class FakeWebSocket extends Line {
    constructor() {
      super(clock.time, frame => heard?.(lines.at(-1)!, frame))
      lines.push(this)
    }
  }
  const runtime: Partial<Runtime> = {
    now: clock.now, setTimeout: clock.setTimeout, clearTimeout: clock.clearTimeout, random: () => 0.5,
    uuid: () => `uuid-${++made}`, page, WebSocket: FakeWebSocket, fetch: null, storage: null, ...options.runtime,
  }
  const client = createClient<any>({ url: 'https://example.com', backoff: { jitter: 'none' }, ...options, runtime })
  return {
    client, clock, page, lines,
    get line() { return lines.at(-1)! },
    async up(welcome) {
      await settle()
      const line = lines.at(-1)!
      line.open()
      line.welcome(welcome)
      await settle()
      return line
    },
  }
}
