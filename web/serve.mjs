// Serves web/dist as the server does, with its Content-Security-Policy, while one works on the page:
//   tidings dev --port 8000 &  node serve.mjs 9000   →   http://localhost:9000/?server=http://localhost:8000
// The console speaks to its own origin only: with `node serve.mjs 9000 8000`, what is not in web/dist comes
// from the server at that port.
import { readFile } from 'node:fs/promises'
import { createServer, request as ask } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss: "
  + "http://localhost:*; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
const dist = process.env.DIST ?? fileURLToPath(new URL('dist', import.meta.url))
const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/chat.js': ['chat.js', 'text/javascript; charset=utf-8'],
  '/chat.css': ['chat.css', 'text/css; charset=utf-8'],
  '/document': ['document.html', 'text/html; charset=utf-8'],
  '/document.js': ['document.js', 'text/javascript; charset=utf-8'],
  '/document.css': ['document.css', 'text/css; charset=utf-8'],
  '/console': ['console.html', 'text/html; charset=utf-8'],
  '/console.js': ['console.js', 'text/javascript; charset=utf-8'],
  '/console.css': ['console.css', 'text/css; charset=utf-8'],
  '/tidings-inbox.js': ['tidings-inbox.js', 'text/javascript; charset=utf-8'],
  '/tidings-live.js': ['tidings-live.js', 'text/javascript; charset=utf-8'],
  '/tidings.js': ['tidings.js', 'text/javascript; charset=utf-8'],
}

const behind = Number(process.argv[3] ?? 0)

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost')
  const part = /^\/(document-[\w-]+\.js)$/.exec(pathname)
  const found = part ? [part[1], 'text/javascript; charset=utf-8'] : FILES[pathname]
  if (!found) return behind ? pass(request, response) : response.writeHead(404).end()
  const [file, type] = found
  response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY,
    'cache-control': 'no-cache' }).end(await readFile(join(dist, file)))
})
function pass(request, response) {
  const { url: path, method, headers } = request
  const onward = ask({ host: '127.0.0.1', port: behind, path, method, headers }, answer => {
    response.writeHead(answer.statusCode, answer.headers)
    answer.pipe(response)
  })
  onward.on('error', () => response.destroy())
  response.on('close', () => onward.destroy())
  request.pipe(onward)
}

server.on('upgrade', (request, near, head) => {
  const far = connect(behind, '127.0.0.1')
  for (const [one, other] of [[near, far], [far, near]]) one.on('error', () => {}).on('close', () => other.destroy())
  const lines = Array.from({ length: request.rawHeaders.length / 2 },
    (_, i) => `${request.rawHeaders[2 * i]}: ${request.rawHeaders[2 * i + 1]}`)
  far.write(`${request.method} ${request.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
  far.write(head)
  near.pipe(far).pipe(near)
})

server.listen(Number(process.argv[2] ?? 0), 'localhost', () => {
  console.log(`http://localhost:${server.address().port}/`)
})
