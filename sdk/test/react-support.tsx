// A document, and a client that does what a test tells it.
import { Window } from 'happy-dom'
import type { Change, Channel, ChannelStatus, Client, ConnectionStatus, Gap, Member, Message, Observable,
  OutboxEntry, OutboxFailure, Page, PublishOptions } from '../src/types.js'

export function installDocument(): void {
  const window = new Window({ url: 'http://localhost/' })
  for (const name of ['window', 'document', 'navigator', 'HTMLElement', 'HTMLIFrameElement', 'Node', 'Event']) {
    const value = name === 'window' ? window : (window as any)[name]
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
  }
  ;(globalThis as any).IS_REACT_ACT_ENVIRONMENT = true
}

class Value<T> implements Observable<T> {
  readonly #listeners = new Set<(value: T) => void>()
  constructor(public current: T) {}
  get listeners() { return this.#listeners.size }
  subscribe = (listener: (value: T) => void) => {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }
  set(value: T) {
    this.current = value
    for (const listener of [...this.#listeners]) listener(value)
  }
}

export interface Published {
  data: unknown
  options: PublishOptions
  resolve(offset: number | null): void
  reject(error: Error): void
}

export class FakeChannel implements Channel<any, any> {
  readonly status = new Value<ChannelStatus>({ state: 'idle' })
  readonly members = new Value<readonly Member<any>[]>([])
  readonly count = new Value(0)
  /** What was asked of it, in order. */
  readonly log: string[] = []
  readonly published: Published[] = []
  readonly asked: { query: unknown; answer(page: Page): void; refuse(error: Error): void }[] = []
  readonly #listeners = { message: new Set<any>(), change: new Set<any>(), gap: new Set<any>() }
  holders = 0

  constructor(readonly name: string, readonly client: FakeClient) {}

  readonly presence: any = {
    members: this.members,
    count: this.count,
    update: async (data: unknown) => { this.log.push(`update ${JSON.stringify(data)}`) },
    leave: async () => { this.log.push('leave') },
  }

  subscribe(options: object = {}) {
    this.log.push(`subscribe ${JSON.stringify(options)}`)
    if (this.holders++ === 0 && this.status.current.state === 'idle') {
      this.status.set({ state: 'joining' })
    }
    let held = true
    return () => {
      if (!held) return
      held = false
      this.holders--
      this.log.push('release')
    }
  }
  on(event: 'message' | 'change' | 'gap', listener: any) {
    this.#listeners[event].add(listener)
    return () => { this.#listeners[event].delete(listener) }
  }
  get listeners() { return this.#listeners.message.size + this.#listeners.gap.size }

  publish(data: unknown, options: PublishOptions = {}): Promise<any> {
    const key = options.key ?? `made-up-${this.published.length}`
    const entry: OutboxEntry = { type: 'publish', key, channel: this.name, data, state: 'queued', createdAt: 1 }
    const settle = () => this.client.outbox.set(this.client.outbox.current.filter(e => e !== entry))
    this.client.outbox.set([...this.client.outbox.current, entry])
    return new Promise((resolve, reject) => this.published.push({
      data,
      options,
      resolve: offset => {
        settle()
        resolve({ key, position: offset === null ? null : at(offset), duplicate: false })
      },
      reject: error => { settle(); reject(error) },
    }))
  }
  async edit(...change: unknown[]): Promise<any> { this.log.push(`edit ${JSON.stringify(change)}`) }
  async delete(...change: unknown[]): Promise<any> { this.log.push(`delete ${JSON.stringify(change)}`) }
  async react(...change: unknown[]): Promise<any> { this.log.push(`react ${JSON.stringify(change)}`) }
  history(query = {}): Promise<Page<any>> {
    return new Promise((resolve, reject) => {
      this.asked.push({ query, answer: resolve, refuse: reject })
    })
  }

  live(offset = 0, recovered = false) {
    this.status.set({ state: 'live', position: at(offset), recovered })
  }
  deliver(...messages: Message<any>[]) {
    for (const message of messages) for (const call of [...this.#listeners.message]) call(message)
  }
  change(...changes: Change<any>[]) {
    for (const change of changes) for (const call of [...this.#listeners.change]) call(change)
  }
  tellGap(gap: Gap) {
    for (const call of [...this.#listeners.gap]) call(gap)
  }
}

class FakeOutbox extends Value<readonly OutboxEntry[]> {
  readonly failing = new Set<(failure: OutboxFailure) => void>()
  on(_: 'failed', listener: (failure: OutboxFailure) => void) {
    this.failing.add(listener)
    return () => { this.failing.delete(listener) }
  }
}

export class FakeClient {
  readonly status = new Value<ConnectionStatus>({ state: 'idle' })
  readonly outbox = new FakeOutbox([])
  readonly #channels = new Map<string, FakeChannel>()

  channel(name: string): FakeChannel {
    let channel = this.#channels.get(name)
    if (!channel) this.#channels.set(name, channel = new FakeChannel(name, this))
    return channel
  }
  get names() { return [...this.#channels.keys()] }
  get asClient(): Client { return this as unknown as Client }
}

export const at = (offset: number, epoch = 'e') => ({ epoch, offset })

export function message(offset: number, more: Partial<Message<any>> = {}): Message<any> {
  return { data: `m${offset}`, position: at(offset), at: offset, user: 'ada', session: 's',
    replayed: false, ephemeral: false, ...more }
}

export const messages = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => message(from + i))

/**
 * Lets promises settle, and what is put off to the end of the turn happen. Timers of the same duration run in
 * the order in which they were set; of two durations, a slow machine may run the longer one first.
 */
export const turn = async () => {
  for (let hop = 0; hop < 3; hop++) await new Promise<void>(resolve => setTimeout(resolve))
}
