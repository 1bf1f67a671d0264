// The fallbacks against docs/protocol.md, "Over HTTP", with answers cut at every byte and lost on the way.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runtimeWith } from '../src/runtime.js'
import { openPoll } from '../src/transport/poll.js'
import { openSse, sseParser } from '../src/transport/sse.js'
import type { Open, Transport } from '../src/transport/transport.js'
import { Clock, settle } from './support/fake.js'

interface Call { path: string; lines: any[]; token: string | null; keepalive: boolean; signal: AbortSignal | null | undefined }
type Answer = (call: Call) => Response | Promise<Response>

interface Bench {
  readonly calls: Call[]
  readonly frames: any[]
  readonly ends: unknown[][]
  readonly clock: Clock
  readonly transport: Transport
  alive: number
}

/** A transport whose requests the test answers. */
function bench(open: Open, answer: Answer, flight: string[] = ['{"type":"hello","id":1}']): Bench {
  const clock = new Clock()
  const calls: Call[] = []
  const mine: Bench = { calls, frames: [], ends: [], clock, alive: 0, transport: null! }
  const fake = (async (input: string, init: RequestInit) => {
    const call = {
      path: input.slice('https://example.com'.length), lines: String(init.body).split('\n').map(line => JSON.parse(line)),
      token: new Headers(init.headers).get('authorization'), keepalive: !!init.keepalive, signal: init.signal,
    }
    calls.push(call)
    init.signal?.throwIfAborted()
    return Promise.race([answer(call), new Promise<never>((_, failed) => {
      init.signal?.addEventListener('abort', () => failed(init.signal!.reason))
    })])
  }) as typeof fetch
  const runtime = runtimeWith({ fetch: fake, setTimeout: clock.setTimeout, clearTimeout: clock.clearTimeout })
  const transport = open({
    runtime, url: 'https://example.com', token: 'secret', flight: () => flight,
    frame: text => mine.frames.push(JSON.parse(text)), alive: () => mine.alive++,
    closed: (...end) => mine.ends.push(end),
  })
  return Object.assign(mine, { transport })
}

/** Settles as often as a chain of promises may need. */
const rest = async (): Promise<void> => { for (let i = 0; i < 10; i++) await settle() }
const never = (): Promise<Response> => new Promise(() => {})
const bytes = new TextEncoder()

/** A body that comes in pieces of the test's choosing, and stays open. */
function stream(): { response: Response; push(piece: Uint8Array): void; end(): void } {
  let control!: ReadableStreamDefaultController<Uint8Array>
  const body = new ReadableStream<Uint8Array>({ start(c) { control = c } })
  return { response: new Response(body), push: piece => control.enqueue(piece), end: () => control.close() }
}

test('events in text that is cut anywhere, with any line end, comments and other fields', () => {
  for (const end of ['\n', '\r\n', '\r']) {
    const text = [': padding', '', 'data: {"a":1}', '', 'event: x', 'id: 7', 'data:{"b":"é—😀"}', '', ':', '', 'data: two', 'data:  lines', 'data', '', 'retry: 5', '', ''].join(end) + end
    for (let first = 0; first <= text.length; first++) {
      for (const second of [first, Math.min(first + 1, text.length), text.length]) {
        const events: string[] = []
        let comments = 0
        const parse = sseParser(event => events.push(event), () => comments++)
        for (const piece of [text.slice(0, first), text.slice(first, second), text.slice(second)]) parse(piece)
        assert.deepEqual(events, ['{"a":1}', '{"b":"é—😀"}', 'two\n lines\n'], `${JSON.stringify(end)} at ${first}, ${second}`)
        assert.equal(comments, 2)
      }
    }
  }
})

test('sse: bytes cut in the middle of characters', async () => {
  const whole = bytes.encode('\uFEFF: x\r\n\r\ndata: {"type":"opened","connection":"h"}\r\n\r\ndata: {"text":"café — 😀"}\r\n\r\n')
  for (let at = 0; at <= whole.length; at += 1) {
    const { response, push } = stream()
    const { frames, transport } = bench(openSse, () => response)
    push(whole.slice(0, at))
    push(whole.slice(at))
    await rest()
    assert.deepEqual(frames, [{ text: 'café — 😀' }], `cut at ${at}`)
    transport.close(false)
  }
})

test('sse: the token in a header of the opening, commands in batches, one request at a time', async () => {
  const down = stream()
  const sends: ((response: Response) => void)[] = []
  const it = bench(openSse, ({ path }) => path === '/events' ? down.response : new Promise(done => sends.push(done)))
  it.transport.send('{"id":2}')
  await rest()
  assert.equal(it.calls.length, 1, 'nothing goes up before the connection has a name')
  assert.deepEqual([it.calls[0]!.path, it.calls[0]!.token, it.calls[0]!.lines], ['/events', 'Bearer secret', [{ type: 'hello', id: 1 }]])
  down.push(bytes.encode('data: {"type":"opened","connection":"h"}\n\n'))
  await rest()
  for (const id of [3, 4, 5]) it.transport.send(`{"id":${id}}`)
  await rest()
  assert.equal(it.calls.length, 2)
  sends[0]!(new Response(null, { status: 204 }))
  await rest()
  const [, one, two] = it.calls as [Call, Call, Call]
  assert.deepEqual(one.lines, [{ connection: 'h', batch: 1 }, { id: 2 }])
  assert.deepEqual(two.lines, [{ connection: 'h', batch: 2 }, { id: 3 }, { id: 4 }, { id: 5 }])
  assert.equal(one.token, null, 'the handle is enough, and without a header there is no preflight')
  assert.deepEqual(it.ends, [])
})

test('a batch whose answer is lost is sent once more, under its number', async () => {
  const down = stream()
  let lost = 1
  const it = bench(openSse, ({ path }) => {
    if (path === '/events') return down.response
    if (lost-- > 0) throw new TypeError('fetch failed')
    return new Response(null, { status: 204 })
  })
  down.push(bytes.encode('data: {"type":"opened","connection":"h"}\n\n'))
  await rest()
  it.transport.send('{"id":2}')
  await rest()
  assert.deepEqual(it.calls.slice(1).map(({ lines }) => lines[0].batch), [1, 1])
  lost = 2
  it.transport.send('{"id":3}')
  await rest()
  assert.equal(it.calls.length, 5)
  assert.equal(it.ends.length, 1)
  assert.equal(it.ends[0]![0], 1006)
})

test('a request that is not answered for 10 s, or refused, is the end', async () => {
  for (const status of [0, 404, 409, 413]) {
    const down = stream()
    const it = bench(openSse, ({ path }) => path === '/events' ? down.response : status ? new Response(null, { status }) : never())
    down.push(bytes.encode('data: {"type":"opened","connection":"h"}\n\n'))
    await rest()
    it.transport.send('{"id":2}')
    await rest()
    await it.clock.pass(status ? 0 : 9999)
    if (!status) assert.equal(it.ends.length, 0)
    await it.clock.pass(1)
    await rest()
    assert.equal(it.ends.length, 1)
    assert.match(String(it.ends[0]![1]), status ? new RegExp(`${status}`) : /no answer/)
  }
})

test('a first flight that is too long for one request goes on in the next', async () => {
  const down = stream()
  const flight = Array.from({ length: 30 }, (_, id) => JSON.stringify({ id, pad: 'x'.repeat(30_000) }))
  const it = bench(openSse, ({ path }) => path === '/events' ? down.response : new Response(null, { status: 204 }), flight)
  down.push(bytes.encode('data: {"type":"opened","connection":"h"}\n\n'))
  await rest()
  assert.ok(it.calls.length > 3)
  assert.deepEqual(it.calls.flatMap(({ lines }) => lines).filter(({ connection }) => !connection).map(({ id }) => id), Array.from({ length: 30 }, (_, id) => id))
  assert.ok(it.calls.every(({ lines }) => JSON.stringify(lines).length < 400_000))
})

test('the end of the stream, a full server, a refusal: closed, and when to come back', async () => {
  for (const open of [openSse, openPoll]) {
    const full = bench(open, () => new Response('', { status: 503, headers: { 'Retry-After': '7' } }))
    await rest()
    assert.deepEqual(full.ends.map(([code, , after]) => [code, after]), [[1006, 7000]])
    const gone = bench(open, () => { throw new TypeError('fetch failed') })
    await rest()
    assert.deepEqual(gone.ends.map(([code, , after]) => [code, after]), [[1006, undefined]])
  }
  const down = stream()
  const it = bench(openSse, () => down.response)
  down.push(bytes.encode('data: {"type":"opened","connection":"h"}\n\ndata: {"n":1}\n\n'))
  down.end()
  await rest()
  assert.deepEqual([it.frames, it.ends.length], [[{ n: 1 }], 1])
})

test('closed from our side, nothing more is told; a good-bye outlives the page', async () => {
  const down = stream()
  const it = bench(openSse, ({ path }) => path === '/events' ? down.response : new Response(null, { status: 204 }))
  down.push(bytes.encode('data: {"type":"opened","connection":"h"}\n\n'))
  await rest()
  it.transport.close(true)
  down.push(bytes.encode('data: {"n":1}\n\n'))
  await rest()
  assert.deepEqual([it.frames, it.ends], [[], []])
  const { lines, keepalive, signal } = it.calls.at(-1)!
  assert.deepEqual([lines, keepalive, signal], [[{ connection: 'h', batch: 1, close: true }], true, null])
  assert.ok(it.calls[0]!.signal!.aborted)
})

test('poll: the opening, then batch by batch, each acknowledged by the next', async () => {
  const polls: ((response: Response) => void)[] = []
  const it = bench(openPoll, ({ path, lines: [head] }) => {
    if (path === '/send') return new Response(null, { status: 204 })
    if (!head.connection) return new Response('{"type":"opened","connection":"h"}\n{"n":1}\n{"n":2}\n')
    return new Promise(done => polls.push(done))
  })
  await rest()
  assert.deepEqual(it.frames, [{ n: 1 }, { n: 2 }])
  assert.deepEqual([it.calls[0]!.path, it.calls[0]!.token], ['/poll', 'Bearer secret'])
  assert.deepEqual(it.calls[1]!.lines, [{ connection: 'h', ack: 0 }])
  polls[0]!(new Response('{"type":"batch","batch":1}\n{"n":3}\n'))
  await rest()
  polls[1]!(new Response('{"type":"batch","batch":2}\n'))
  await rest()
  assert.deepEqual(it.frames.slice(2), [{ n: 3 }])
  assert.deepEqual(it.calls.slice(1).map(({ lines }) => lines[0].ack), [0, 1, 2])
  assert.equal(polls.length, 3, 'one at a time')
  it.transport.send('{"id":2}')
  await rest()
  assert.deepEqual(it.calls.at(-1)!.lines, [{ connection: 'h', batch: 1 }, { id: 2 }])
})

test('poll: an answer that is lost is asked for again; a batch that comes twice is told once', async () => {
  const answers: (() => Response | Promise<Response>)[] = [
    () => new Response('{"type":"opened","connection":"h"}\n'),
    () => new Response('{"type":"batch","batch":1}\n{"n":1}\n'),
    () => { throw new TypeError('fetch failed') },
    () => new Response('{"type":"batch","ba'),
    () => new Response('{"type":"batch","batch":1}\n{"n":1}\n'),
    () => new Response('{"type":"batch","batch":2}\n{"n":2}\n'),
    never,
  ]
  const it = bench(openPoll, () => answers.shift()!())
  await rest()
  assert.deepEqual(it.frames, [{ n: 1 }, { n: 2 }])
  assert.deepEqual(it.calls.slice(1).map(({ lines }) => lines[0].ack), [0, 1, 1, 1, 1, 2])
  assert.deepEqual(it.ends, [])
})

test('poll: three failures in a row, or a connection that is not known any more, are the end', async () => {
  const opened = (): Response => new Response('{"type":"opened","connection":"h"}\n')
  let n = 0
  const lost = bench(openPoll, () => { if (n++) throw new TypeError('fetch failed'); return opened() })
  await rest()
  assert.deepEqual([lost.ends.length, lost.calls.length], [1, 4])
  let m = 0
  const unknown = bench(openPoll, () => m++ ? new Response('', { status: 404 }) : opened())
  await rest()
  assert.deepEqual([unknown.ends.length, unknown.calls.length], [1, 2])
})
