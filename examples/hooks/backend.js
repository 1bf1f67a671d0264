// A backend that Tidings asks: node examples/hooks/backend.js
// See docs/hooks.md. It needs nothing but Node.js.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

const SECRET = process.env.TIDINGS_HOOK_SECRET ?? ''
const PORT = Number(process.env.PORT ?? 3000)

// region signature
/** Whether a call is from our Tidings, and not an old one that somebody sends again. */
function isSigned(header, body, now = Date.now() / 1000) {
  const parts = String(header).split(',').map((part) => part.split('='))
  const time = parts.find(([name]) => name === 't')?.[1] ?? ''
  const expected = createHmac('sha256', SECRET).update(`${time}.`).update(body).digest()
  const fits = ([name, value]) => {
    const mac = Buffer.from(name === 'v1' ? value : '', 'hex')
    return mac.length === expected.length && timingSafeEqual(mac, expected)
  }
  return Math.abs(now - Number(time)) < 300 && parts.some(fits)
}
// endregion

// region decide
function decide(question) {
  switch (question.hook) {
    case 'connect':
      return { allow: true }
    case 'subscribe':
      return question.channel.endsWith(':staff')
        ? { allow: false, message: 'Only for staff.' }
        : { allow: true }
    case 'publish': {
      const text = String(question.data?.text ?? '').trim()
      if (!text) return { allow: false, code: 'invalid_data', message: 'Say something.' }
      return { allow: true, data: { ...question.data, text: text.replace(/darn/g, '****') } }
    }
  }
}
// endregion

const server = createServer((request, response) => {
  const pieces = []
  request.on('data', (piece) => pieces.push(piece))
  request.on('end', () => {
    const body = Buffer.concat(pieces)
    if (SECRET.length < 32 || !isSigned(request.headers['tidings-signature'], body)) {
      response.writeHead(401).end()
      return
    }
    const answer = decide(JSON.parse(body.toString()))
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer))
  })
})

server.listen(PORT, '127.0.0.1', () => {
  console.log(`The backend listens on http://127.0.0.1:${server.address().port}`)
})
