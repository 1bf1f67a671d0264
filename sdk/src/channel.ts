import { TidingsError } from './error.js'
import type { Host } from './host.js'
import { Listeners, Value } from './observable.js'
import { PresenceImpl } from './presence.js'
import type {
  Ack, ChangeOptions, Channel, ChannelEvents, ChannelStatus, Gap, HistoryQuery, Page, Position, PublishOptions,
  ReactOptions, SubscribeOptions, Unsubscribe,
} from './types.js'
import { ackOf, byteLength, changeOf, errorOf, json, messageOf, type Frame } from './wire/frames.js'

/** A component that is unmounted and mounted again in one go does not leave. */
const LINGER = 1000
const RETRY = 1000
/** One object: attempts that fail on the way are no news. */
const JOINING: ChannelStatus = { state: 'joining' }

export class ChannelImpl<M, P> implements Channel<M, P> {
  declare readonly name: string
  readonly status = new Value<ChannelStatus>({ state: 'idle' })
  declare readonly presence: PresenceImpl<P>
  readonly #host: Host
  readonly #listeners: { [E in keyof ChannelEvents<M>]: Listeners<ChannelEvents<M>[E]> } =
    { message: new Listeners(), change: new Listeners(), gap: new Listeners() }
  /** Releases that are still to come; what lingers has none. */
  #held = 0
  #linger: unknown = null
  #wanted = false
  #options: SubscribeOptions = {}
  /** How far the server has come with what is wanted. */
  #stage: 'off' | 'joining' | 'on' | 'leaving' = 'off'
  /** Leave and join again, behind the last position. */
  #again = false
  #failed = false
  /** The newest event that was told, or what the subscription began with. */
  last: Position | null = null
  /** Gets this channel's frames as they are, each once and in order, also the one that begins a subscription. */
  plugin: ((frame: Frame) => void) | undefined
  /** What it gets has no positions to keep: a document syncs by itself. */
  declare raw?: true
  /** `last` is only a lower bound: the rewind that follows may begin later. */
  #loose = false
  /** What we cannot keep up with may be left out. */
  #sparse = false
  /** Offsets of our own events that the server does not echo: nothing is missing there. */
  readonly #quiet = new Set<number>()
  /** Up to here events are older than the subscription. */
  #began: Position | null = null
  /** History may not be read here: what was missed cannot be asked for. */
  #blind = false

  constructor(name: string, host: Host) {
    this.name = name
    this.#host = host
    this.presence = new PresenceImpl(name, host, () => this.#withPresence())
  }

  subscribe(options: SubscribeOptions = {}): Unsubscribe {
    this.#host.runtime.clearTimeout(this.#linger)
    this.#held++
    if (!this.#wanted || this.#failed) {
      if (!this.#wanted) [this.#options, this.last, this.#loose] = [options, options.since ?? null, false]
      this.#wanted = true
      this.#failed = false
      this.status.set(JOINING)
      // In this turn somebody may still begin to listen to presence: then it is one command.
      queueMicrotask(() => this.sync())
    }
    let held = true
    return () => {
      if (!held) return
      held = false
      if (--this.#held === 0) this.#linger = this.#host.runtime.setTimeout(() => this.#release(), LINGER)
    }
  }

  on<E extends keyof ChannelEvents<M>>(event: E, listener: (value: ChannelEvents<M>[E]) => void): Unsubscribe {
    return this.#listeners[event].add(listener)
  }

  async publish(data: M, options: PublishOptions = {}): Promise<Ack> {
    const { event, key, ephemeral, echo, offline } = options
    const { link, outbox, runtime } = this.#host
    const body = json({ type: 'publish', channel: this.name, event, key, ephemeral, echo, data: data ?? null })
    const acked = (frame: Frame, key: string): Ack => {
      const ack = ackOf(frame, key)
      if (echo === false && ack.position) {
        this.#quiet.add(ack.position.offset)
        this.#skip()
      }
      return ack
    }
    return new Promise((done, failed) => {
      const settled = (frame: Frame, key: string): void => done(acked(frame, key))
      if (!ephemeral && offline !== 'fail') return outbox.add(this.name, body, data, options, settled, failed)
      const error = outbox.tooLarge(byteLength(body)) ?? (link.ready ? null : link.refusal())
      if (error) return failed(error)
      link.commands.push({ body, failed, done: frame => settled(frame, key ?? runtime.uuid()) })
    })
  }

  edit(offset: number, data: M, options?: ChangeOptions): Promise<Ack> {
    return this.#change('edit', offset, { data: data ?? null }, options)
  }

  delete(offset: number, options?: ChangeOptions): Promise<Ack> {
    return this.#change('delete', offset, {}, options)
  }

  react(offset: number, reaction: string, options?: ReactOptions): Promise<Ack> {
    return this.#change('react', offset, { reaction, remove: options?.remove }, options)
  }

  async #change(type: string, offset: number, more: { data?: unknown; reaction?: string; remove?: boolean | undefined }, options: ChangeOptions = {}): Promise<Ack> {
    const body = json({ type, channel: this.name, offset, key: options.key, ...more })
    return new Promise((done, failed) => this.#host.outbox.add(
      this.name, body, more.data, options, (frame, key) => done(ackOf(frame, key)), failed))
  }

  async history({ before, after, limit }: HistoryQuery = {}): Promise<Page<M>> {
    const { epoch, events, more } = await this.#host.link.read({
      type: 'history', channel: this.name, before: before?.offset, after: after?.offset, limit,
    })
    const from = before ?? after
    if (from && from.epoch !== epoch) throw new TidingsError('not_found', 'another epoch')
    return { messages: events.map((event: Frame) => messageOf(event, epoch, true)), more }
  }

  /** Brings the server's idea of the subscription closer to what is wanted, by one command. */
  sync(): void {
    const { commands } = this.#host.link
    if (!commands.open || this.#failed) return
    if (this.#stage === 'off' && this.#wanted) this.#join()
    else if (this.#stage === 'on' && (!this.#wanted || this.#again)) {
      this.#stage = 'leaving'
      const left = (): void => {
        this.#stage = 'off'
        this.#again = false
        this.presence.left()
        this.sync()
      }
      const body = json({ type: 'unsubscribe', channel: this.name })
      commands.push({ body, done: left, failed: error => error.code !== 'network' && left() })
    }
  }

  /** A frame of this channel that is no answer. */
  push(frame: Frame): void {
    if (frame.type === 'gap') this.#gap(frame as unknown as Gap & Frame)
    else if (frame.type === 'presence') this.presence.push(frame)
    else if (frame.type === 'error') { // The server has ended the subscription.
      this.#stage = 'off'
      this.#fail(errorOf(frame))
    } else this.#event(frame)
  }

  /** The connection is gone. */
  lost(): void {
    this.#stage = 'off'
    this.#again = this.#failed = false
    if (this.#wanted) this.status.set(JOINING)
  }

  /** Forgets everything, listeners aside. */
  clear(): void {
    this.#host.runtime.clearTimeout(this.#linger)
    this.#release()
    this.#blind = false
    this.presence.clear()
  }

  #release(): void {
    this.#wanted = this.#failed = false
    this.last = null
    this.status.set({ state: 'idle' })
    this.sync()
  }

  #withPresence(): void {
    if (this.#stage !== 'on' || this.presence.told) return
    this.#again = true
    queueMicrotask(() => this.sync())
  }

  #join(): void {
    const since = this.#blind ? null : this.last
    this.#stage = 'joining'
    this.presence.told = this.presence.wanted
    this.#host.link.commands.push({
      body: json({
        type: 'subscribe', channel: this.name, since: since ?? undefined,
        rewind: this.#blind ? undefined : this.#options.rewind, presence: this.presence.told || undefined,
      }),
      done: frame => this.#joined(frame, since),
      failed: error => error.code !== 'network' && this.#refused(error, since),
    })
  }

  #joined(frame: Frame, since: Position | null): void {
    const { epoch, offset, recovered, conflated } = frame
    const missed = this.last
    this.#stage = 'on'
    this.#began = { epoch, offset }
    this.#sparse = conflated
    this.#quiet.clear()
    if (this.#wanted) {
      if (!since) {
        const rewind = this.#blind ? 0 : this.#options.rewind ?? 0
        this.last = { epoch, offset: Math.max(0, offset - rewind) }
        this.#loose = rewind > 0
      }
      this.status.set({ state: 'live', position: this.#began, recovered })
      this.presence.snapshot(frame)
      this.plugin?.(frame)
      if (!since && missed && (missed.epoch !== epoch || missed.offset !== offset)) {
        this.#listeners.gap.tell({ from: missed, to: this.#began, reason: missed.epoch === epoch ? 'expired' : 'new_epoch' })
      }
    }
    this.sync()
  }

  #refused(error: TidingsError, since: Position | null): void {
    this.#stage = 'off'
    if (error.code === 'already_subscribed') {
      this.#stage = 'on'
      this.#again = true
    } else if (error.code === 'forbidden' && since && since !== this.#options.since) {
      // We were let in before, without `since`.
      this.#blind = true
    } else if (error.retryable) {
      return void this.#host.runtime.setTimeout(() => this.sync(), error.retryAfterMs ?? RETRY)
    } else return this.#fail(error)
    this.sync()
  }

  #fail(cause: TidingsError): void {
    if (!this.#wanted) return
    this.#failed = true
    this.status.set({ state: 'failed', cause })
  }

  #event(frame: Frame): void {
    const { last } = this
    const { type, offset } = frame
    if (!this.#wanted) return
    // As of which offset it is, only who asked for it knows.
    if (this.raw || type === 'snapshot') return this.plugin?.(frame)
    if (!last) return
    if (frame.ephemeral) return this.#listeners.message.tell(messageOf(frame, '', false))
    // Newest values may come without a change of the position.
    if (offset <= last.offset && type !== 'values') return
    if (!this.#loose && !this.#sparse && offset !== last.offset + 1) {
      // Something is missing in between: ask for it again from where we are.
      this.#again = true
      return this.sync()
    }
    this.#loose = false
    this.last = { epoch: last.epoch, offset }
    this.#skip()
    const { epoch, offset: began } = this.#began!
    if (type === 'event') this.#listeners.message.tell(messageOf(frame, last.epoch, epoch === last.epoch && offset <= began))
    else if (frame.target) this.#listeners.change.tell(changeOf(frame, last.epoch))
    this.plugin?.(frame)
  }

  #skip(): void {
    while (this.last && this.#quiet.delete(this.last.offset + 1)) {
      this.last = { epoch: this.last.epoch, offset: this.last.offset + 1 }
    }
  }

  #gap(frame: Gap & Frame): void {
    if (!this.#wanted) return
    const { from, to, reason } = frame
    this.plugin?.(frame)
    const [loose, last] = [this.#loose, this.last]
    this.last = to
    this.#loose = false
    if (this.#began?.epoch !== to.epoch) this.#began = to
    // A rewind that was cut off before its first event: nobody has seen anything yet.
    if (!loose || !last) this.#listeners.gap.tell({ from, to, reason })
  }
}
