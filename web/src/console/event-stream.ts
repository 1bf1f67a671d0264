// Server-Sent Events from an answer to `fetch`: an `EventSource` cannot send a key, nor a body.

/** A line that is longer than this is not from a server of ours. */
const LINE_MAX = 4 * 1024 * 1024

/** Each event's data, until the stream ends. */
export async function* eventsOf(answer: Response): AsyncGenerator<string> {
  for await (const line of linesOf(answer)) {
    // Our server writes one line of data for each event, and comments between.
    if (line.startsWith('data:')) yield line.slice(line.startsWith('data: ') ? 6 : 5)
  }
}

/** Each line, without its end; a last one without an end is dropped. */
export async function* linesOf(answer: Response): AsyncGenerator<string> {
  if (!answer.body) return
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const lines = (rest + value).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > LINE_MAX) throw new Error('a line of the answer is too long')
      for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line
    }
  } finally {
    // Who stops listening lets go of the connection.
    reader.cancel().catch(() => {})
  }
}
