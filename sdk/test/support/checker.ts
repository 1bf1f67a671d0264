// Looks for anything lost, doubled, out of order, or missing without a gap, among what clients published
// and were told.
import assert from 'node:assert/strict'
import type { Ack, Client, Message, Position } from '../../src/index.js'

export interface Said { readonly who: number; readonly n: number }
export interface Publish { readonly room: string; readonly said: Said; ack?: Ack; error?: unknown }

/** What one subscriber of one room was told. */
export class Ear {
  readonly told: (Message<Said> | { gap: { from: Position; to: Position } })[] = []
  last: Position | null = null

  constructor(readonly client: Client<any>, readonly room: string) {
    const channel = client.channel(room)
    channel.status.subscribe(status => {
      if (status.state === 'live') this.last ??= status.position
    })
    channel.on('message', message => {
      this.told.push(message)
      this.last = message.position
    })
    channel.on('gap', gap => {
      this.told.push({ gap })
      this.last = gap.to
    })
    channel.subscribe()
  }
}

/** Everything in a room's history, by offset. */
export async function historyOf(client: Client<any>, room: string): Promise<Map<number, Said>> {
  const all = new Map<number, Said>()
  for (let after: Position | undefined, more = true; more;) {
    const page = await client.channel(room).history({ after: after ?? await start(client, room), limit: 100 })
    for (const message of page.messages) all.set(message.position!.offset, message.data)
    after = page.messages.at(-1)?.position ?? after
    more = page.more && page.messages.length > 0
  }
  return all
}

async function start(client: Client<any>, room: string): Promise<Position> {
  const { messages } = await client.channel(room).history({ limit: 1 })
  return { epoch: messages[0]!.position!.epoch, offset: 0 }
}

/** The truth about a room: what the server has, and what it told anyone, which must not differ. */
export function truthOf(room: string, stored: Map<number, Said>, ears: Ear[], publishes: Publish[]): Map<number, Said> {
  const truth = new Map(stored)
  const add = (offset: number, said: Said): void => {
    assert.deepEqual(truth.get(offset) ?? said, said, `${room}: two events at offset ${offset}`)
    truth.set(offset, said)
  }
  for (const { told } of ears) for (const one of told) if ('data' in one) add(one.position!.offset, one.data)
  for (const { ack, said } of publishes) if (ack!.position) add(ack!.position.offset, said)
  return truth
}

export function check(room: string, truth: Map<number, Said>, ears: Ear[], publishes: Publish[]): void {
  const offsets = [...truth.keys()].sort((a, b) => a - b)
  // Of a doubled publish whose event has left the history since, the answer has no position; if nobody
  // heard it, then for a gap that was announced.
  const forgotten = publishes.filter(({ ack }) => !ack!.position).length
  assert.equal(offsets.at(-1), publishes.length, `${room}: as many events as publishes`)
  assert.ok(offsets.length >= publishes.length - forgotten, `${room}: ${offsets.length} of ${publishes.length} events are known`)
  const whole = offsets.length === publishes.length
  const next = new Map<number, number>()
  for (const offset of offsets) {
    const { who, n } = truth.get(offset)!
    const expected = next.get(who) ?? 0
    assert.ok(whole ? n === expected : n >= expected, `${room}: what ${who} published is there once and in order (offset ${offset})`)
    next.set(who, n + 1)
  }
  for (const [i, ear] of ears.entries()) {
    let at: number | null = null
    for (const one of ear.told) {
      if ('gap' in one) {
        at = one.gap.to.offset
        continue
      }
      const { offset } = one.position!
      if (at !== null) assert.equal(offset, at + 1, `${room}: ear ${i} hears offset ${offset} behind ${at}`)
      at = offset
      assert.deepEqual(one.data, truth.get(offset))
    }
    assert.equal(at ?? ear.last?.offset ?? 0, publishes.length, `${room}: ear ${i} has heard the last one`)
  }
}
