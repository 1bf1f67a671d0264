import type { ChannelImpl } from '../channel.js'
import type { Host } from '../host.js'
import { Listeners } from '../observable.js'
import type { Observable, Unsubscribe } from '../types.js'
import { json, time, type Frame } from '../wire/frames.js'
import { mergePatch } from './merge.js'
import type { LiveEntry, LiveState, WriteOptions, Written } from './types.js'
import { apply, joined, type Write } from './writes.js'

type Entries = Map<string, LiveEntry<any>>
type Values<T> = Readonly<Partial<T>> | undefined

/** Confirmed values, and our own writes on top of them until the server's word about them has arrived. */
export class LiveImpl<T extends object> implements LiveState<T> {
  readonly value: Observable<Values<T>>
  readonly #channel: ChannelImpl<any, any>
  readonly #host: Host
  readonly #listeners = new Listeners<Values<T>>()
  /** What the server has; `null` before the first snapshot. */
  #entries: Entries | null = null
  /** The pages so far of a snapshot that is not complete. */
  #pages: Entries = new Map()
  /**
   * What was missed since the last position follows, or is here. If not, the channel has no position until a
   * snapshot is complete: what is missing when it is cut off lies before its offset, too.
   */
  #whole = false
  #epoch = ''
  /** In the order in which they were made. */
  #writes: Write[] = []
  #view: Values<T> | null = null
  /** Listeners will be told in this turn. */
  #due = false

  constructor(channel: ChannelImpl<any, any>, host: Host) {
    this.#channel = channel
    this.#host = host
    const read = (): Values<T> => this.#view === null ? this.#view = this.#read() : this.#view
    this.value = { get current() { return read() }, subscribe: listener => this.#listeners.add(listener) }
    channel.plugin = frame => this.#take(frame)
    channel.status.subscribe(({ state }) => { if (state === 'idle') this.#forget() })
  }

  get name(): string { return this.#channel.name }
  get status(): LiveState['status'] { return this.#channel.status }
  subscribe(): Unsubscribe { return this.#channel.subscribe() }
  entry(key: string): LiveEntry<any> | undefined { return this.#entries?.get(key) }

  set(key: string, value: unknown, options?: WriteOptions): Promise<Written> {
    return this.#write('set', key, value ?? null, options)
  }

  patch(key: string, patch: unknown, options?: WriteOptions): Promise<Written> {
    return this.#write('patch', key, patch ?? null, options)
  }

  remove(key: string, options?: WriteOptions): Promise<Written> {
    return this.#write('remove', key, undefined, options)
  }

  async #write(type: Write['type'], key: string, given: unknown, { ifVersion, ttl }: WriteOptions = {}): Promise<Written> {
    // As the server will have it, and safe from what the caller does with it later.
    const { value } = JSON.parse(json({ value: given }))
    return new Promise((done, failed) => {
      const made: Write = { type, key, value, ttl, ifVersion, waiting: [{ done, failed }] }
      const before = this.#writes.filter(write => write.key === key).at(-1)
      const both = before && joined(before, made)
      if (!both || !before.withdraw?.()) return this.#queue(made, error => failed(error))
      this.#drop(before)
      // One that cannot be queued takes nobody with it.
      this.#queue(both, error => {
        this.#queue(before, again => before.waiting.forEach(one => one.failed(again)))
        failed(error)
      })
    })
  }

  /** `refused` is called if it cannot even wait. */
  #queue(write: Write, refused: (error: unknown) => void): void {
    const { type, key, value, ttl, ifVersion: if_version, waiting } = write
    const body = json({ type, channel: this.name, key, [type === 'patch' ? type : 'value']: value, if_version, ttl })
    let early = true
    this.#writes.push(write)
    this.#changed()
    const failed = (error: unknown): void => {
      this.#drop(write)
      if (early) refused(error)
      else waiting.forEach(one => one.failed(error))
    }
    write.withdraw = this.#host.outbox.add(this.name, body, value, {}, frame => this.#stored(write, frame), failed)
    early = false
  }

  #stored(write: Write, { epoch, offset, version, duplicate }: Frame): void {
    const { last } = this.#channel
    write.withdraw = undefined
    write.stored = { epoch, offset }
    // Its frame may have been faster; and where nobody listens, none will come.
    if (!this.#entries || !offset || (last && last.epoch === epoch && last.offset >= offset)) this.#drop(write)
    write.waiting.forEach(one => one.done({ version, duplicate: !!duplicate }))
  }

  #drop(write: Write): void {
    this.#writes = this.#writes.filter(one => one !== write)
    this.#changed()
  }

  #take(frame: Frame): void {
    const { type, epoch, offset, key } = frame
    if (type === 'subscribed') {
      this.#epoch = epoch
      this.#whole &&= frame.recovered
      if (!this.#whole) this.#channel.last = null
    } else if (type === 'snapshot') this.#page(frame)
    else if (type === 'state') {
      const { value, patch, removed, version, expires_at } = frame
      if (removed) this.#entries?.delete(key)
      else this.#keep(key, patch === undefined ? value : mergePatch(this.entry(key)?.value, patch), version, expires_at)
      this.#confirmed(offset, write => write.key === key)
    } else if (type === 'values') {
      const { values, version, removed = [] } = frame
      for (const [name, value] of Object.entries(values)) this.#keep(name, value, version)
      for (const name of removed) this.#entries?.delete(name)
      this.#confirmed(version, ({ key }) => Object.hasOwn(values, key) || removed.includes(key))
      this.#confirmed(offset, () => true)
    }
  }

  #keep(key: string, value: unknown, version: number, expires?: string): void {
    this.#entries?.set(key, { value, version, expiresAt: expires && time(expires) } as LiveEntry)
  }

  #page({ first, entries, more, offset }: Frame): void {
    if (first) this.#pages = new Map()
    for (const { key, value, version, expires_at } of entries) {
      this.#pages.set(key, { value, version, expiresAt: expires_at && time(expires_at) })
    }
    if (more) return
    this.#entries = this.#pages
    this.#pages = new Map()
    this.#whole = true
    // What follows begins behind the snapshot, which may be older than the subscription.
    this.#channel.last = { epoch: this.#epoch, offset }
    this.#confirmed(offset, () => true)
  }

  /** Writes up to `offset` are among the confirmed values now. */
  #confirmed(offset: number, about: (write: Write) => boolean): void {
    this.#writes = this.#writes.filter(write => {
      const { stored } = write
      return !stored || !about(write) || (stored.epoch === this.#epoch && stored.offset > offset)
    })
    this.#changed()
  }

  /** The subscription is over; what waits to be written goes on to. */
  #forget(): void {
    this.#entries = null
    this.#whole = false
    this.#writes = this.#writes.filter(write => !write.stored)
    this.#changed()
  }

  #read(): Values<T> {
    if (!this.#entries) return undefined
    const values = new Map<string, unknown>()
    for (const [key, { value }] of this.#entries) values.set(key, value)
    for (const write of this.#writes) apply(write, values)
    return Object.fromEntries(values) as Values<T>
  }

  /** Listeners are told once per turn; `current` is right at once. */
  #changed(): void {
    this.#view = null
    // Without a listener nothing is read before somebody looks: thousands of changes a second cost no copy each.
    if (this.#due || !this.#listeners.size) return
    this.#due = true
    queueMicrotask(() => {
      this.#due = false
      this.#listeners.tell(this.value.current)
    })
  }
}
