// A backend that takes the webhooks of a Tidings server: TIDINGS_SECRET=... PORT=9000 node receiver.js
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

const secret = process.env.TIDINGS_SECRET

// region verify
/** Whether a call is from our Tidings, and not an old one that somebody sends again. */
function isGenuine(header, body) {
  const parts = header.split(',').map(part => part.split('='))
  const time = parts.find(([name]) => name === 't')?.[1]
  if (!(Math.abs(Date.now() / 1000 - Number(time)) <= 300)) return false
  const wanted = createHmac('sha256', secret).update(`${time}.`).update(body).digest()
  return parts.some(([name, value]) => {
    const given = name === 'v1' ? Buffer.from(value ?? '', 'hex') : Buffer.alloc(0)
    return given.length === wanted.length && timingSafeEqual(given, wanted)
  })
}
// endregion

// region take
/** Ids that were taken already. In an application: a column with a unique index, in the same transaction. */
const taken = new Set()

function take(item) {
  if (taken.has(item.id)) return
  taken.add(item.id)
  console.log(item.type, item.user ?? item.channel, item.event ? JSON.stringify(item.event.data) : '')
}

const server = createServer(async (request, response) => {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  const body = Buffer.concat(chunks)
  if (!isGenuine(request.headers['tidings-signature'] ?? '', body)) {
    response.writeHead(401).end()
    return
  }
  JSON.parse(body).items.forEach(take)
  response.writeHead(204).end()
})
// endregion

server.listen(Number(process.env.PORT ?? 9000), '127.0.0.1', () => {
  console.log('listening on', server.address().port)
})
