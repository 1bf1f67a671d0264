// What is published and not known to be stored. Each channel is a lane of its own: entries are numbered
// and sent in order, many at a time, and every answer either settles the entry, or sends the lane back to
// its first entry once all that is under way has been answered. The server stores a number only behind
// the one before it, so whatever is lost or refused on the way, nothing is stored twice or out of order.

import { TidingsError } from './error.js'
import { Listeners, report } from './observable.js'
import { type Entry, entryOf, keep, Lane, UNSENT, view, writerOf } from './outbox-lane.js'
import type { ClientOptions, ClientOutbox, OutboxEntry, OutboxFailure, OutboxRecord, OutboxStore, PublishOptions, Runtime } from './types.js'
import type { Commands } from './connection/commands.js'
import { byteLength, json, type Frame } from './wire/frames.js'

/** What `id`, `producer` and `seq` add to a frame, and some. */
const ENVELOPE = 160
const FRAME = 65_536 // the server's default
/** Of the server's dedup window: the rest is for clocks that run differently. */
const SAFE_PART = 0.9

export class Outbox {
  declare readonly entries: ClientOutbox
  readonly #lanes = new Map<string, Lane>()
  /** Lanes with entries; the one that was served last is last. */
  readonly #busy = new Set<Lane>()
  readonly #runtime: Runtime
  readonly #commands: Commands
  readonly #store: OutboxStore | undefined
  readonly #max: { entries: number; bytes: number; age: number }
  readonly #listeners = new Listeners<readonly OutboxEntry[]>()
  readonly #failures = new Listeners<OutboxFailure>()
  #views: readonly OutboxEntry[] | null = []
  #loading: Promise<void> | null = null
  /** The last write to the store. */
  #saved: Promise<unknown> | undefined
  /** Begins the ids of entries, which sort as they were made. */
  readonly #name: string
  #made = 1e9
  #count = 0
  #bytes = 0
  #frame: number | undefined
  /** Who we are; unknown before the first welcome. */
  #writer: string | null = null

  constructor(options: ClientOptions['outbox'] = {}, runtime: Runtime, commands: Commands) {
    this.#runtime = runtime
    this.#commands = commands
    this.#store = options.store
    this.#name = runtime.uuid()
    const { maxEntries = 1000, maxBytes = 1_048_576, maxAgeMs = 600_000 } = options
    this.#max = { entries: maxEntries, bytes: maxBytes, age: maxAgeMs }
    const read = (): readonly OutboxEntry[] => this.#views ??= this.#all().sort((a, b) => a.createdAt - b.createdAt).map(view)
    this.entries = {
      get current() { return read() },
      subscribe: listener => this.#listeners.add(listener),
      on: (_, listener) => this.#failures.add(listener),
    }
    if (this.#store) {
      const take = (records: readonly OutboxRecord[]): void => this.#take(records)
      this.#loading = this.#store.load(take).then(take).catch(report).finally(() => {
        this.#loading = null
        this.pump()
      })
    }
  }

  /**
   * Queues a command, whose first field is its `type`. `done` is called when it is stored, before any other
   * frame is read; or `failed`. The result takes it back, if it was not sent, and says so; then neither is called.
   */
  add(channel: string, frame: string, data: unknown, options: PublishOptions, done: Entry['done'], failed: (error: unknown) => void): () => boolean {
    const { event, key, maxAgeMs, signal } = options
    const size = byteLength(frame) + ENVELOPE
    const full = this.#count >= this.#max.entries || this.#bytes + size > this.#max.bytes
    const error = signal?.aborted ? signal.reason : this.tooLarge(size) ?? (full && new TidingsError('outbox_full'))
    if (error) return failed(error), () => false
    const entry: Entry = {
      id: `${this.#name}-${++this.#made}`, channel, frame, data, event, key, size, writer: this.#writer,
      createdAt: this.#runtime.now(), maxAge: Math.min(maxAgeMs ?? Infinity, this.#max.age),
      ...UNSENT, done, failed,
    }
    this.#insert(entry, false)
    const withdraw = (): boolean => !entry.flying && !entry.doubt && this.#settle(entry, null)
    const abort = (): void => { if (withdraw()) failed(signal!.reason) }
    signal?.addEventListener('abort', abort)
    entry.end = () => signal?.removeEventListener('abort', abort)
    this.pump()
    if (!entry.saving) this.#save(entry)
    return withdraw
  }

  /** Why a frame of this size cannot be sent, if that is known. */
  tooLarge(size: number): TidingsError | null {
    return size > (this.#frame ?? Infinity)
      ? new TidingsError('too_large', `over ${this.#frame} bytes`, { limit: 'frame' })
      : null
  }

  welcome({ user, dedup_window, limits }: Frame): void {
    this.#frame = limits?.frame ?? FRAME
    this.#writer = writerOf(user)
    // A window of 0: the server remembers nothing, so waiting for less long would not help.
    if (dedup_window) this.#max.age = Math.min(this.#max.age, dedup_window * SAFE_PART)
    this.pump()
  }

  /** The connection is gone; what it carried may have been stored or not. */
  lost(): void {
    const flying = this.#all().filter(entry => entry.flying)
    for (const entry of flying) [entry.flying, entry.doubt] = [false, true]
    this.#busy.forEach(lane => lane.goBack())
    for (const entry of flying) this.#expire(entry)
    this.#changed()
  }

  /** Sends as much as may be sent, one of each lane in turn. */
  pump(): void {
    for (let moved = true; moved && this.#commands.room > 0 && !this.#loading;) {
      moved = false
      for (const lane of [...this.#busy]) {
        if (this.#commands.room <= 0) break
        if (!this.#advance(lane)) continue
        moved = true
        if (this.#busy.delete(lane) && lane.entries.length) this.#busy.add(lane)
      }
    }
  }

  /** Forgets everything; what waited is rejected. */
  async clear(): Promise<void> {
    await this.#loading
    for (const entry of this.#all()) this.#settle(entry, new TidingsError('closed', 'logout'))
    this.#lanes.clear()
    this.#writer = null
    await this.#saved
  }

  /** Does one thing for a lane: whether there was something to do. */
  #advance(lane: Lane): boolean {
    if (this.#runtime.now() < lane.until || (lane.back && lane.open)) return false
    if (lane.back) lane.goBack()
    const entry = lane.entries[lane.sent]
    if (!entry || !this.#mayGo(entry)) return false
    if (this.#expire(entry)) return true
    if (this.tooLarge(entry.size)) return this.#settle(entry, this.tooLarge(entry.size))
    for (const next of lane.number(this.#store ? this.#commands.limit : 1)) this.#save(next)
    // Another producer's numbers do not hold these back: only waiting keeps the order.
    if (entry.saving || (lane.open && lane.entries[0]!.producer !== entry.producer)) return false
    this.#send(lane, entry)
    return true
  }

  #mayGo(entry: Entry): boolean {
    if (this.#writer === null) {
      // In the first flight: neither another user's, nor what may be too large for this server.
      return entry.writer === null && entry.size <= FRAME
    }
    if (entry.writer === null || entry.writer === this.#writer) return true
    return !this.#settle(entry, new TidingsError('unauthorized', 'of another user'))
  }

  #send(lane: Lane, entry: Entry): void {
    lane.sent++
    lane.open++
    entry.flying = true
    this.#changed()
    const number = `{"producer":${json(entry.producer)},"seq":${entry.seq},`
    this.#commands.push({
      body: number + entry.frame.slice(1),
      done: frame => this.#answered(lane, entry) && this.#published(lane, entry, frame),
      failed: (error, frame) => error.code !== 'network' && this.#answered(lane, entry) &&
        this.#refused(lane, entry, error, frame),
    })
  }

  /** False for what was settled meanwhile, by `clear`. */
  #answered(lane: Lane, entry: Entry): boolean {
    const { flying } = entry
    if (flying) lane.open--
    entry.flying = false
    return flying
  }

  #published(lane: Lane, entry: Entry, frame: Frame): void {
    lane.trouble = 0
    if (frame.duplicate && !entry.doubt && entry.key === undefined) {
      // It was sent once, so this is another's number: someone uses our name. Take a new one.
      if (entry.producer === lane.producer) lane.rename()
      entry.seq = 0
      return this.#again(lane, 0)
    }
    this.#settle(entry, null, frame)
  }

  #refused(lane: Lane, entry: Entry, error: TidingsError, frame: Frame | undefined): void {
    const [backoff, first] = [Math.min(30_000, 1000 * 2 ** lane.trouble), lane.entries[0] === entry]
    if (error.code === 'out_of_sequence') {
      if (first && entry.producer === lane.producer) lane.used = frame!.expected - 1
      if (!entry.doubt) entry.seq = 0 // The answer says that it was not stored, so it may be renumbered.
      else if (first) {
        return void this.#settle(entry, new TidingsError('unconfirmed', 'perhaps stored', { cause: error }))
      }
      return this.#again(lane, first && ++lane.trouble > 3 ? backoff : 0)
    }
    if (!error.retryable) {
      lane.use(entry) // Where its number was not used up, the next is told; the other way round that is lost.
      return void this.#settle(entry, error)
    }
    lane.trouble++
    // These do not say that nothing was stored.
    entry.doubt ||= error.code === 'unavailable' || error.code === 'server'
    this.#again(lane, error.retryAfterMs ?? backoff)
  }

  /** The lane begins again from its first entry when all answers are there and `ms` have passed. */
  #again(lane: Lane, ms: number): void {
    lane.back = true
    this.#changed()
    if (!ms) return
    lane.until = Math.max(lane.until, this.#runtime.now() + ms)
    this.#runtime.setTimeout(() => this.pump(), ms)
  }

  #insert(entry: Entry, first: boolean): void {
    const lane = this.#lanes.get(entry.channel) ?? new Lane(this.#runtime.uuid)
    this.#lanes.set(entry.channel, lane)
    this.#busy.add(lane)
    lane.back ||= first // Others may have numbers for what is behind it now.
    lane.entries.splice(first ? lane.sent : Infinity, 0, entry)
    this.#count++
    this.#bytes += entry.size
    this.#watch(entry, this.#rest(entry))
    this.#changed()
  }

  #rest({ createdAt, maxAge }: Entry): number { return createdAt + Math.min(maxAge, this.#max.age) - this.#runtime.now() }

  /** Timers come early, by little or, above 2^31 ms, by much: then it is looked at again. */
  #watch(entry: Entry, ms: number): void {
    entry.timer = this.#runtime.setTimeout(() => this.#expire(entry) || this.#watch(entry, 1000), Math.min(ms, 2 ** 31 - 1))
  }

  /** Whether its time was up. What is under way may still be answered. */
  #expire(entry: Entry): boolean {
    return !entry.flying && this.#rest(entry) <= 0 && this.#settle(entry, new TidingsError('expired'))
  }

  /** The one place where an entry ends, with a reply, an error, or neither: taken back. Always true. */
  #settle(entry: Entry, error: unknown, reply?: Frame): true {
    const lane = this.#lanes.get(entry.channel)!
    const at = lane.entries.indexOf(entry)
    if (at < 0) return true
    lane.entries.splice(at, 1)
    if (reply || entry.doubt) lane.use(entry)
    if (at < lane.sent) lane.sent--
    this.#answered(lane, entry)
    if (!lane.entries.length) this.#busy.delete(lane)
    this.#count--
    this.#bytes -= entry.size
    this.#runtime.clearTimeout(entry.timer)
    entry.end?.()
    this.#saved = this.#store?.remove(entry.id).catch(report)
    this.#changed()
    if (reply) entry.done(reply, entry.key ?? entry.id)
    else if (error) {
      if (entry.failed) entry.failed(error)
      else if (this.#failures.size) this.#failures.tell({ entry: view(entry), error: error as TidingsError })
      else report(error)
    }
    return true
  }

  /** With a store, an entry is sent only after the store has it, its number included. */
  #save(entry: Entry): void {
    if (!this.#store) return
    entry.saving++
    this.#saved = this.#store.put(keep(entry)).catch(report).then(() => {
      entry.saving--
      this.pump()
    })
  }

  /** What earlier clients left goes in front of what is not sent yet. */
  #take(records: readonly OutboxRecord[]): void {
    const known = new Set(this.#all().map(entry => entry.id))
    for (const record of [...records].reverse()) {
      const entry = known.has(record.key) ? null : entryOf(record)
      if (entry) this.#insert(entry, true)
    }
    this.pump()
  }

  #all(): Entry[] {
    return [...this.#busy].flatMap(lane => lane.entries)
  }

  /** Listeners are told once per turn; `current` is right at once. */
  #changed(): void {
    if (this.#views) queueMicrotask(() => this.#listeners.tell(this.entries.current))
    this.#views = null
  }
}
