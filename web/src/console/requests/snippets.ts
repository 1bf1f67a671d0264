// A request as a program that does the same. Secrets come from the environment: never from this page.
import { requestOf, type ApiEntry, type CommandEntry, type Entry } from './catalog.ts'
import { withoutSecrets } from './link.ts'
import type { JsonObject } from './schema.ts'
import { rustClient, rustHttp } from './snippets-rust.ts'
import { sdkProgram } from './snippets-sdk.ts'

export interface Snippet {
  readonly name: string
  readonly code: string
  /** How to run it. */
  readonly note: string
}

/** `signed`: the connection is opened with a token. */
export function snippetsOf(entry: Entry, value: JsonObject, signed: boolean, origin: string): Snippet[] {
  if (entry.kind === 'api') return ofApi(entry, value, origin)
  const command = { ...withoutSecrets(entry.id, value) }
  // A `refresh` is nothing without one.
  const withToken = signed || value.token !== undefined
  return ofCommand(entry, command, withToken, origin)
}

const ENV = 'TIDINGS_TOKEN is a token of your application.'

function ofCommand(entry: CommandEntry, command: JsonObject, signed: boolean, origin: string): Snippet[] {
  const sdk = sdkProgram(entry.type, command, signed, origin)
  const env = signed ? ` ${ENV}` : ''
  return [
    { name: 'curl', code: curlSession(command, signed, origin),
      note: `A session by Server-Sent Events; it stays open until Ctrl-C.${env}` },
    ...sdk === undefined ? [] : [{ name: 'JavaScript SDK', code: sdk,
      note: `npm install tidings, or import it from /tidings.js. Node.js or a browser.${env}` }],
    { name: 'WebSocket', code: webSocket(command, signed, origin),
      note: `A browser, or Node.js 22 and newer.${env}` },
    { name: 'Rust', code: rustClient(entry.type, command, signed, origin),
      note: `With tidings-client (crates/client), tokio and serde_json.${env}` },
  ]
}

/** `hello` and the command in one flight. */
function framesOf(command: JsonObject, token: string | undefined): JsonObject[] {
  if (command.type === 'hello') return [{ id: 1, ...command, ...token && { token } }]
  return [
    ...token ? [{ type: 'hello', id: 0, token }] : [],
    { id: 1, ...command, ...command.type === 'refresh' && token && { token } },
  ]
}

function curlSession(command: JsonObject, signed: boolean, origin: string): string {
  // The header does for `hello`; a `refresh` has its token in the frame, where the shell puts it.
  const frames = framesOf(command, undefined)
  const refresh = command.type === 'refresh'
  const body = refresh ? [`{"type":"refresh","id":1,"token":"$TIDINGS_TOKEN"}`]
    : frames.map(frame => JSON.stringify(frame))
  return [
    `curl -N -X POST ${origin}/events \\`,
    ...signed || refresh ? ['  -H "Authorization: Bearer $TIDINGS_TOKEN" \\'] : [],
    ...refresh ? ['  --data-binary @- <<EOF', ...body, 'EOF'] : ["  --data-binary @- <<'EOF'", ...body, 'EOF'],
  ].join('\n')
}

function webSocket(command: JsonObject, signed: boolean, origin: string): string {
  const token = signed || command.type === 'refresh' ? 'TIDINGS_TOKEN' : undefined
  const frames = framesOf(command, token).map(frame =>
    JSON.stringify(frame, null, 2).replaceAll('"token": "TIDINGS_TOKEN"', '"token": token'))
  return [
    ...token ? ['const token = process.env.TIDINGS_TOKEN   // in a page: from your backend'] : [],
    `const socket = new WebSocket('${origin.replace(/^http/, 'ws')}/socket', 'tidings.v1')`,
    'socket.onopen = () => {',
    ...frames.map(frame => `  socket.send(JSON.stringify(${indented(frame)}))`),
    '}',
    'socket.onmessage = ({ data }) => console.log(JSON.parse(data))',
    "socket.onclose = ({ code, reason }) => console.log('closed', code, reason)",
  ].join('\n')
}

const indented = (text: string) => text.replaceAll('\n', '\n  ')

function ofApi(entry: ApiEntry, value: JsonObject, origin: string): Snippet[] {
  const { path, body } = requestOf(entry, value)
  const url = `${origin}${path}`
  const key = 'TIDINGS_KEY is the secret of an [[api.key]].'
  return [
    { name: 'curl', note: key, code: [
      `curl ${entry.method === 'GET' ? '' : `-X ${entry.method} `}'${url.replaceAll("'", '%27')}' \\`,
      `  -H "Authorization: Bearer $TIDINGS_KEY"${body === undefined ? '' : ' \\'}`,
      ...body === undefined ? [] : [
        "  -H 'Content-Type: application/json' \\", "  --data-binary @- <<'EOF'", body, 'EOF',
      ],
    ].join('\n') },
    { name: 'JavaScript', note: `In a backend: a key is never sent to a browser. ${key}`, code: [
      `const answer = await fetch(${JSON.stringify(url)}, {`,
      ...entry.method === 'GET' ? [] : [`  method: '${entry.method}',`],
      '  headers: {',
      '    authorization: `Bearer ${process.env.TIDINGS_KEY}`,',
      ...body === undefined ? [] : ["    'content-type': 'application/json',"],
      '  },',
      ...body === undefined ? [] : [`  body: JSON.stringify(${indented(body)}),`],
      '})',
      'console.log(answer.status, await answer.json())',
    ].join('\n') },
    { name: 'Rust', note: `With ureq 3. ${key}`, code: rustHttp(entry.method, url, body) },
  ]
}
