import type { Opening, Transport } from './transport.js'
import { overHttp } from './up.js'

/**
 * Server-Sent Events, out of text that comes in pieces of any size: `data` is called with each event's
 * data, `alive` for comments. Lines end in CR, LF or CRLF; other fields mean nothing here.
 */
export function sseParser(data: (text: string) => void, alive: () => void): (piece: string) => void {
  let rest = ''
  let lines: string[] = []
  return piece => {
    // A CR at the very end may be half of a CRLF.
    const parts = (rest + piece).split(/\r\n|\n|\r(?=[^])/)
    rest = parts.pop()!
    for (const line of parts) {
      if (line[0] === ':') alive()
      else if (/^data(:|$)/.test(line)) lines.push(line.slice(5).replace(/^ /, ''))
      else if (!line && lines.length) {
        data(lines.join('\n'))
        lines = []
      }
    }
  }
}

/** Down: one streaming answer, by `fetch` because an EventSource cannot send a token in a header. */
export const openSse = (opening: Opening): Transport => overHttp(opening, async up => {
  const response = await up.open('/events')
  const parse = sseParser(text => {
    if (up.ended) return
    if (up.connection) return opening.frame(text)
    up.connection = JSON.parse(text).connection
    void up.pump()
  }, opening.alive)
  const reader = response.body!.getReader()
  // Characters may be cut in two by the pieces in which they arrive; a BOM is dropped.
  const decoder = new TextDecoder()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) throw 'the stream ended'
    parse(decoder.decode(value, { stream: true }))
  }
})
