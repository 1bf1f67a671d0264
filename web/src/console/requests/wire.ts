// A connection of the protocol with nothing on top, by each way that there is: what is sent goes out
// as it was written, and what comes is shown as it came.
import { linesOf, eventsOf } from '../event-stream.ts'

export type Over = 'websocket' | 'sse' | 'poll'
export const OVERS: Readonly<Record<Over, string>> = {
  websocket: 'WebSocket', sse: 'SSE', poll: 'Long-polling',
}

export interface Wire {
  /** A frame; only after `onOpen`. */
  send(frame: string): void
  close(): void
}

export interface WireEvents {
  onOpen(): void
  onFrame(frame: string): void
  /** Once; not after `close`. */
  onClosed(why: string): void
}

export function openWire(over: Over, first: readonly string[], events: WireEvents): Wire {
  switch (over) {
    case 'websocket': return openWebSocket(first, events)
    case 'sse': return new HttpWire('/events', first, events, readStream)
    case 'poll': return new HttpWire('/poll', first, events, readPolls)
  }
}

function openWebSocket(first: readonly string[], events: WireEvents): Wire {
  const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/socket`, 'tidings.v1')
  let closed = false
  socket.onopen = () => {
    for (const frame of first) socket.send(frame)
    events.onOpen()
  }
  socket.onmessage = ({ data }) => { if (!closed) events.onFrame(String(data)) }
  socket.onclose = ({ code, reason }) => {
    if (!closed) events.onClosed(`closed: ${code}${reason && ` ${reason}`}`)
  }
  return {
    send: frame => socket.send(frame),
    close: () => {
      closed = true
      socket.close(1000)
    },
  }
}

interface Incoming {
  readonly answer: Response
  readonly signal: AbortSignal
  handle(): string
  take(frame: string): void
}

class HttpWire implements Wire {
  readonly #gone = new AbortController()
  readonly #events: WireEvents
  #handle = ''
  #ended = false
  #batch = 0
  #waiting: string[] = []
  #sending = false

  constructor(path: string, first: readonly string[], events: WireEvents,
    read: (incoming: Incoming) => Promise<void>) {
    this.#events = events
    void this.#run(path, first, read)
  }

  send(frame: string) {
    // A line is a frame: what is written on many lines goes out on one.
    this.#waiting.push(frame.replaceAll('\n', ' '))
    void this.#flush()
  }

  close() {
    if (this.#ended) return
    this.#ended = true
    this.#gone.abort()
    if (this.#handle === '') return
    const bye = JSON.stringify({ connection: this.#handle, batch: this.#batch + 1, close: true })
    void fetch('/send', { method: 'POST', body: bye, keepalive: true }).catch(() => {})
  }

  async #run(path: string, first: readonly string[], read: (incoming: Incoming) => Promise<void>) {
    try {
      const answer = await post(path, first, this.#gone.signal)
      if (!answer.ok) return this.#end(`refused: ${answer.status} ${await answer.text()}`)
      await read({
        answer, signal: this.#gone.signal, handle: () => this.#handle, take: frame => this.#take(frame),
      })
      this.#end('the server ended it')
    } catch (error) {
      this.#end(String(error))
    }
  }

  #take(frame: string) {
    if (this.#handle === '') {
      const opened = /"connection":"([^"]+)"/.exec(frame)
      if (opened) {
        this.#handle = opened[1]!
        // The handle is as good as a token for this session: it is not shown.
        this.#events.onFrame(frame.replace(this.#handle, '…'))
        return this.#events.onOpen()
      }
    }
    if (!this.#ended) this.#events.onFrame(frame)
  }

  /** One request at a time, numbered: so the server takes each batch once and in order. */
  async #flush() {
    if (this.#sending || this.#waiting.length === 0) return
    this.#sending = true
    const frames = this.#waiting
    this.#waiting = []
    try {
      const head = JSON.stringify({ connection: this.#handle, batch: ++this.#batch })
      const answer = await post('/send', [head, ...frames], this.#gone.signal)
      if (!answer.ok) return this.#end(`/send was refused: ${answer.status} ${await answer.text()}`)
    } catch (error) {
      return this.#end(String(error))
    } finally {
      this.#sending = false
    }
    void this.#flush()
  }

  #end(why: string) {
    if (this.#ended) return
    this.#ended = true
    this.#gone.abort()
    this.#events.onClosed(why)
  }
}

const post = (path: string, lines: readonly string[], signal: AbortSignal) =>
  fetch(path, { method: 'POST', body: lines.join('\n'), signal, cache: 'no-store', credentials: 'omit' })

async function readStream({ answer, take }: Incoming) {
  for await (const frame of eventsOf(answer)) take(frame)
}

async function readPolls({ answer, signal, handle, take }: Incoming) {
  for await (const frame of linesOf(answer)) take(frame)
  for (let ack = 0; ;) {
    const polled = await post('/poll', [JSON.stringify({ connection: handle(), ack })], signal)
    // Behind a `bye` there is no such connection any more.
    if (polled.status === 404) return
    if (!polled.ok) throw new Error(`/poll was refused: ${polled.status}`)
    for await (const line of linesOf(polled)) {
      const batch = /^\{"type":"batch","batch":(\d+)/.exec(line)
      if (batch) ack = Number(batch[1])
      else take(line)
    }
  }
}
