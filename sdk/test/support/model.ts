// A server that keeps channels and the numbers of producers as docs/protocol.md says, and fails on purpose.
import type { Line, Sent } from './fake.js'
import type { Random } from './random.js'

interface Stored { readonly data: any; readonly offset: number }
interface Producer { last: number; readonly results: Map<number, number | 'refused'> }

export class Model {
  readonly channels = new Map<string, Stored[]>()
  readonly #producers = new Map<string, Producer>()
  readonly #random: Random
  /** Chances, from 0 to 1. */
  chances = { rate_limited: 0, unavailable: 0, forbidden: 0, invalid_data: 0, forget: 0, lose: 0 }
  inFlight = 0
  most = 0

  constructor(random: Random) {
    this.#random = random
  }

  stored(channel: string): any[] {
    return (this.channels.get(channel) ?? []).map(({ data }) => data)
  }

  /** What it answers to a `publish`; `null`: the connection is lost before the answer. */
  publish({ id, channel, data, producer, seq }: Sent): Sent | null {
    const say = (code: string, retryable: boolean, more = {}): Sent =>
      ({ type: 'error', id, code, message: code, retryable, channel, ...more })
    const luck = (name: keyof Model['chances']): boolean => this.#random() < this.chances[name]
    const name = `${channel} ${producer}`
    if (luck('forget')) this.#producers.delete(name)
    if (luck('rate_limited')) return say('rate_limited', true, { retry_after: Math.floor(this.#random() * 500) })
    if (luck('forbidden')) return say('forbidden', false)
    const known = this.#producers.get(name) ?? { last: 0, results: new Map() }
    const lost = luck('lose')
    const answer = ((): Sent => {
      const earlier = known.results.get(seq)
      if (earlier === 'refused') return say('invalid_data', false)
      if (seq <= known.last) return { type: 'published', id, channel, epoch: 'e', offset: earlier, duplicate: true }
      if (seq !== known.last + 1) return say('out_of_sequence', true, { expected: known.last + 1 })
      const unavailable = luck('unavailable')
      if (unavailable && this.#random() < 0.5) return say('unavailable', true)
      this.#producers.set(name, known)
      known.last = seq
      if (luck('invalid_data')) {
        known.results.set(seq, 'refused')
        return say('invalid_data', false)
      }
      const all = this.channels.get(channel) ?? []
      this.channels.set(channel, all)
      const offset = all.length + 1
      all.push({ data, offset })
      known.results.set(seq, offset)
      return unavailable ? say('unavailable', true) : { type: 'published', id, channel, epoch: 'e', offset, duplicate: false }
    })()
    return lost ? null : answer
  }

  /** Answers on this line, later and in the channel's order; may lose the connection instead. */
  serve(line: Line, frame: Sent, later: (call: () => void) => void): void {
    if (frame.type === 'hello') return later(() => line.welcome())
    if (frame.type !== 'publish') return
    this.most = Math.max(this.most, ++this.inFlight)
    const answer = this.publish(frame)
    later(() => {
      this.inFlight--
      if (line.closed) return
      if (answer) line.tell(answer)
      else line.drop()
    })
  }
}
