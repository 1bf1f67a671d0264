import { report } from './observable.js'
import { byteLength, json, type Frame } from './wire/frames.js'
import type { OutboxEntry, OutboxRecord } from './types.js'

/** One command on its way. */
export interface Entry {
  readonly id: string
  readonly channel: string
  /** JSON of the command, `type` first, without `id`, `producer` and `seq`. */
  readonly frame: string
  readonly data: unknown
  readonly event: string | undefined
  readonly key: string | undefined
  readonly size: number
  /** The user who wrote it, if known. */
  readonly writer: string | null
  readonly createdAt: number
  readonly maxAge: number
  producer: string
  /** 0: none yet. */
  seq: number
  /** It was sent and not answered: it may have been stored under this number, so it keeps it. */
  doubt: boolean
  flying: boolean
  /** Writes to the store that are not done. */
  saving: number
  timer?: unknown
  end?: () => void
  /** What the observable shows; made anew when the state changes. */
  view?: OutboxEntry
  done(frame: Frame, key: string): void
  /** Nobody waits for what an earlier page wrote. */
  failed?: (error: unknown) => void
}

export const UNSENT = { producer: '', seq: 0, doubt: false, flying: false, saving: 0 }

/** Anonymous users share what they publish with, and get a new name with each session. */
export const writerOf = (user: string): string => user.startsWith('anon-') ? 'anon-' : user

/** The entries of one channel, in order. The first `sent` ones were sent on this connection. */
export class Lane {
  readonly entries: Entry[] = []
  declare producer: string
  /** The last number of `producer` that the server has, or may have, used up. */
  used = 0
  /** The next number to give. */
  next = 1
  sent = 0
  /** Sent and not answered. */
  open = 0
  /** Begin again with the first entry as soon as nothing is open. */
  back = false
  /** Not before then. */
  until = 0
  /** Refusals in a row that pass by themselves. */
  trouble = 0
  readonly #name: () => string

  constructor(name: () => string) {
    this.#name = name
    this.producer = name()
  }

  rename(): void {
    this.producer = this.#name()
    this.used = 0
  }

  use({ producer, seq }: Entry): void {
    if (producer === this.producer) this.used = Math.max(this.used, seq)
  }

  /** Only what may have been stored keeps its number. */
  goBack(): void {
    this.back = false
    this.sent = this.open = 0
    this.next = this.used + 1
    for (const entry of this.entries) if (!entry.doubt) entry.seq = 0
  }

  /** Numbers up to `count` entries from the first unsent one; those that changed. */
  number(count: number): Entry[] {
    const changed: Entry[] = []
    for (const entry of this.entries.slice(this.sent, this.sent + count)) {
      if (!entry.seq) {
        entry.producer = this.producer
        entry.seq = this.next
        changed.push(entry)
      }
      if (entry.producer === this.producer) this.next = Math.max(this.next, entry.seq + 1)
    }
    return changed
  }
}

export function view(entry: Entry): OutboxEntry {
  const state = entry.flying ? 'sent' : 'queued'
  if (entry.view?.state === state) return entry.view
  const { channel, data, event, createdAt } = entry
  const type = entry.frame.split('"')[3]!
  return entry.view = { type, key: entry.key ?? entry.id, channel, data, event, state, createdAt }
}

export function keep({ id, channel, frame, writer, maxAge, producer, seq, createdAt }: Entry): OutboxRecord {
  return { key: id, channel, createdAt, body: json([frame, producer, seq, maxAge, writer]) }
}

/** An entry that an earlier client left; `null` if it cannot be read. */
export function entryOf(record: OutboxRecord): Entry | null {
  try {
    const [frame, producer, seq, maxAge, writer] = JSON.parse(record.body)
    const { data, event, key } = JSON.parse(frame)
    return {
      id: record.key, channel: record.channel, createdAt: record.createdAt, size: byteLength(frame),
      frame, data, event, key, writer, maxAge, ...UNSENT, producer, seq, doubt: seq > 0, done() {},
    }
  } catch (error) {
    report(error)
    return null
  }
}
