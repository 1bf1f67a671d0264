import { applyUpdate, decodeStateVector, Doc, encodeStateAsUpdate, encodeStateVector } from 'yjs'
import { Awareness } from 'y-protocols/awareness'
import type { ChannelImpl } from '../channel.js'
import type { TidingsError } from '../error.js'
import type { Host } from '../host.js'
import { Listeners, report, Value } from '../observable.js'
import type { ChannelStatus, Unsubscribe } from '../types.js'
import { json, type Frame } from '../wire/frames.js'
import { fromBase64, Parts, toBase64 } from './bytes.js'
import { lacks, type Vector } from './lacks.js'
import { Peers } from './peers.js'
import type { DocumentAccess, DocumentStatus } from './types.js'
import { grouped, upload } from './upload.js'

/** Between tries: doubled each time. */
const [RETRY, RETRY_MAX] = [1000, 30_000]
/** With each so many edits that wait, they are made fewer. */
const MANY = 100
const [CONNECTING, SYNCED] = [{ state: 'connecting' }, { state: 'synced' }] as const

/**
 * A document and its way to the server and back. With each subscription both tell what they have: then what the server
 * lacks goes up as one update, and what is edited from then on as it comes, one update at a time: whatever is made while
 * one is under way is the next.
 */
export class Document {
  readonly doc: Doc
  readonly status = new Value<DocumentStatus>(CONNECTING)
  readonly synced = new Value(false)
  readonly unsaved = new Value(false)
  readonly access = new Value<DocumentAccess | null>(null)
  readonly resets = new Listeners<void>()
  peers: Peers | null = null
  /** It was reset, or nobody needs it any more. */
  over = false
  readonly #channel: ChannelImpl<any, any>
  readonly #host: Host
  readonly #own: boolean
  readonly #ends: Unsubscribe[]
  #holders = 0
  /** Logged out, and not compared since: it is not the next user's who stores it once nobody uses it. */
  #left = false
  /** Counts questions to the server: an answer to an older one is dropped. */
  #turn = 0
  /** Of the server's document, which is another one after a reset. */
  #epoch: string | undefined
  /** The server has told once what it has, so all that it may lack is what was edited since. */
  #known = false
  /** It has done so on this connection: what is edited goes to the queue. */
  #live = false
  /** Something is neither stored, nor in the queue, nor under way. */
  #dirty = false
  #queue: Uint8Array[] = []
  #flying = false
  /** While the server is asked: what it has told, and how far it has stored. */
  #told: Uint8Array[] | null = null
  #stored: Vector = new Map()
  /** The parts so far of the answer, and of an update of somebody else. */
  readonly #answer = new Parts()
  readonly #parts = new Parts()
  /** There was nothing here when the server was asked. */
  #fresh = false
  #timer: unknown
  /** Before this moment, what was refused for good is not tried again, behind the next edit. */
  #later = 0
  /** How many were refused in a row. */
  #trouble = 0

  /** `ended` is called once, when nothing goes over the channel any more. */
  constructor(channel: ChannelImpl<any, any>, host: Host, doc: Doc | undefined, ended: (over: Document) => void) {
    this.#channel = channel
    this.#host = host
    this.#own = !doc
    this.doc = doc ?? new Doc()
    const edited = (update: Uint8Array, origin: unknown): void => void (origin !== this && this.#edited(update))
    this.doc.on('update', edited)
    channel.raw = true
    channel.plugin = frame => this.#take(frame)
    this.#ends = [
      channel.subscribe(),
      channel.status.subscribe(status => this.#moved(status)),
      () => this.doc.off('update', edited),
      () => { channel.plugin = undefined },
      () => ended(this),
    ]
    channel.last = null
    if (channel.status.current.state === 'live') {
      // Rights and whereabouts were told when somebody else joined. As for the first who asks for presence, the
      // channel is left and joined again.
      channel.presence.told = false
      channel.presence.count.subscribe(() => {})()
    }
  }

  get used(): boolean { return this.#holders > 0 }

  /** One more who needs it. */
  hold(awareness: Awareness | null | undefined): void {
    if (!this.#holders++ && awareness !== null) {
      // Who asks for presence is told where everybody is.
      this.#ends.push(this.#channel.presence.count.subscribe(() => {}))
      this.peers = new Peers(awareness ?? new Awareness(this.doc), !awareness, this.#channel.name, this.#host)
      this.#allow()
    }
    // One that failed is tried again.
    this.#channel.subscribe()()
    this.#changed()
  }

  /** What is not stored is still sent. */
  release(): void {
    if (--this.#holders) return
    this.peers?.end()
    this.peers = null
    if (this.over || this.#left) this.end()
    else this.#changed()
  }

  /** For good. */
  end(): void {
    this.#stop()
    if (this.#own) this.doc.destroy()
  }

  #stop(): void {
    if (!this.over) this.#ends.forEach(end => end())
    this.over = true
    this.#pause()
  }

  /** Nothing is sent any more, for now. */
  #pause(): void {
    this.#turn++
    this.#told = null
    this.#parts.clear()
    this.#wait()
    this.#hush()
    this.peers?.close()
  }

  /** What waits to be sent is part of what the server will be found to lack. */
  #hush(): void {
    this.#dirty ||= this.#queue.length > 0
    this.#queue = []
    this.#live = false
  }

  #moved(status: ChannelStatus): void {
    if (status.state === 'live') return // `subscribed` follows.
    this.#pause()
    if (status.state === 'idle') { // Logged out.
      this.access.set(null)
      this.peers?.leave()
      if (!this.#holders) return this.end()
      this.#left = true
      this.#channel.subscribe()()
    }
    this.#is(status.state === 'failed' ? status : CONNECTING)
  }

  #take(frame: Frame): void {
    const { type, write, awareness } = frame
    if (type === 'document') this.#hear(this.#parts.take(frame))
    else if (type === 'awareness') this.peers?.take(frame.states)
    else if (type === 'reset') this.#reset()
    else if (type === 'access') {
      this.access.set({ write, awareness })
      this.#allow()
      if (!write) this.#hush()
      else if (this.synced.current && !this.#live && !this.#told) this.#ask()
      this.#changed()
    } else if (type === 'subscribed' || type === 'gap') {
      // No position is asked for again: a document knows by itself what it lacks.
      queueMicrotask(() => { this.#channel.last = null })
      this.#ask()
    }
  }

  #allow(): void {
    if (this.#channel.status.current.state === 'live' && this.access.current?.awareness) this.peers?.open()
    else this.peers?.close()
  }

  /** Asks what the server has, to find out whether it lacks something. */
  #ask(): void {
    const turn = ++this.#turn
    this.#wait()
    this.#hush()
    this.#told = []
    this.#answer.clear()
    this.#fresh = !this.doc.store.clients.size
    if (!this.synced.current) this.#is({ state: 'syncing' })
    this.#host.link.commands.push({
      body: json({ type: 'sync', channel: this.#channel.name, epoch: this.#epoch, vector: toBase64(encodeStateVector(this.doc)) }),
      done: frame => turn === this.#turn && this.#answered(frame),
      failed: error => turn === this.#turn && this.#failed(error, true),
    })
  }

  #answered(frame: Frame): void {
    this.#left = false
    this.#epoch = frame.epoch
    this.#stored = decodeStateVector(fromBase64(frame.vector))
    this.#hear(this.#answer.take(frame))
    if (frame.more) return
    if (!this.#fresh || this.#dirty) this.#dirty = lacks(this.doc, this.#stored, this.#told!)
    this.#told = null
    this.#known = true
    if (this.access.current?.write) {
      this.#live = true
      if (this.#dirty) this.#queue.push(encodeStateAsUpdate(this.doc, encodeStateVector(this.#stored)))
      this.#dirty = false
    }
    if (!this.synced.current) this.#is(SYNCED)
    this.#pump()
  }

  #hear(update: Uint8Array | null): void {
    if (!update) return
    this.#told?.push(update)
    try {
      applyUpdate(this.doc, update, this)
    } catch (error) { // Of an observer: the update was applied.
      report(error)
    }
  }

  #edited(update: Uint8Array): void {
    if (!this.#live) this.#dirty = true
    else if (this.#queue.push(update) % MANY === 0) this.#queue = grouped(this.#queue)
    const { current } = this.status
    if (current.state === 'synced' && current.refused && this.access.current!.write) this.#again()
    this.#pump()
  }

  #pump(): void {
    if (this.#queue.length && !this.#flying) {
      this.#queue = grouped(this.#queue)
      this.#flying = true
      upload(this.#host, this.#channel.name, this.#epoch!, this.#queue.shift()!, error => {
        this.#flying = false
        if (error) return this.#failed(error)
        this.#trouble = 0
        if (this.synced.current) this.#is(SYNCED)
        this.#pump()
      })
    }
    this.#changed()
  }

  /** A question, or else an update, was not answered as it should be. */
  #failed(error: TidingsError, question = false): void {
    const { code, retryable, retryAfterMs = 0 } = error
    if (this.over) return
    this.#dirty ||= !question
    this.#hush()
    if (code === 'document_reset') return this.#reset()
    // After the others a new subscription begins with a question; or there is none.
    if (!/network|closed|subscribed/.test(code)) {
      this.#later = this.#host.runtime.now() + Math.max(retryAfterMs, Math.min(RETRY_MAX, RETRY * 2 ** this.#trouble++))
      if (!question) this.#is({ state: 'synced', refused: error })
      else if (!retryable) this.#is({ state: 'failed', cause: error })
      if (retryable) this.#again()
    }
    this.#changed()
  }

  #again(): void {
    this.#timer ??= this.#host.runtime.setTimeout(() => this.#ask(), Math.max(0, this.#later - this.#host.runtime.now()))
  }

  #wait(): void {
    this.#host.runtime.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #reset(): void {
    // Before anybody hears of it, who may open the next one at once.
    this.#stop()
    this.status.set({ state: 'reset' })
    this.synced.set(false)
    this.resets.tell()
  }

  #is(status: DocumentStatus): void {
    this.status.set(status)
    this.synced.set(status.state === 'synced')
    this.#changed()
  }

  #changed(): void {
    if (this.over) return
    // Where nothing was compared yet, all that is here may be missing there.
    this.unsaved.set(this.#dirty || this.#flying || this.#queue.length > 0 || (!this.#known && this.doc.store.clients.size > 0))
    const { current } = this.status
    const refused = current.state === 'failed'
      || (current.state === 'synced' && (current.refused?.retryable ?? this.access.current?.write) === false)
    if (!this.#holders && (refused || !this.unsaved.current)) this.end()
  }
}
