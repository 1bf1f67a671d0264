// Serves web/dist as the server does, with its Content-Security-Policy, while one works on the page:
//   tidings dev --port 8000 &  node serve.mjs 9000   →   http://localhost:9000/?server=http://localhost:8000
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss: "
  + "http://localhost:*; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
const dist = process.env.DIST ?? fileURLToPath(new URL('dist', import.meta.url))
const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/chat.js': ['chat.js', 'text/javascript; charset=utf-8'],
  '/chat.css': ['chat.css', 'text/css; charset=utf-8'],
  '/tidings.js': ['tidings.js', 'text/javascript; charset=utf-8'],
}

const server = createServer(async (request, response) => {
  const found = FILES[new URL(request.url, 'http://localhost').pathname]
  if (!found) return response.writeHead(404).end()
  const [file, type] = found
  response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY,
    'cache-control': 'no-cache' }).end(await readFile(join(dist, file)))
})
server.listen(Number(process.argv[2] ?? 0), 'localhost', () => {
  console.log(`http://localhost:${server.address().port}/`)
})
