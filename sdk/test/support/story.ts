import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import WebSocket from 'ws'
import { createClient, type Client, type ClientOptions, type Message, type TransportName } from '../../src/index.js'
import { Proxy } from './proxy.js'
import { Server } from './server.js'

export const TRANSPORTS: readonly TransportName[] =
  (process.env.TRANSPORTS?.split(',') as TransportName[] | undefined) ?? ['websocket', 'sse', 'poll']

/** What Node needs to be given before version 22. */
export const runtime = { WebSocket: WebSocket as never }

export const sleep = (ms: number): Promise<void> => new Promise(done => setTimeout(done, ms))

/** Waits until `condition` holds. */
export async function until(condition: () => unknown, what: string | (() => string), ms = 10_000): Promise<void> {
  const end = Date.now() + ms
  while (!condition()) {
    if (Date.now() > end) assert.fail(`not in ${ms} ms: ${typeof what === 'string' ? what : what()}`)
    await sleep(5)
  }
}

export interface Story {
  readonly t: TestContext
  readonly server: Server
  readonly transport: TransportName
  /** A client of this server that is disconnected at the end. Quick to come back. */
  client(options?: Partial<ClientOptions>): Client<any>
  /** A line to this server that can be cut; closed at the end. */
  line(): Promise<Proxy>
}

/** One test per transport, each with a server of its own. */
export function story(name: string, run: (story: Story) => Promise<void>, config?: string): void {
  for (const transport of TRANSPORTS) {
    test(`${transport}: ${name}`, async t => {
      const server = await Server.start(config)
      const clients: Client<any>[] = []
      const lines: Proxy[] = []
      try {
        await run({
          t, server, transport,
          client(options = {}) {
            const client = createClient<any>({
              url: server.url, transports: [transport], backoff: { baseMs: 50, maxMs: 400 }, runtime, ...options,
            })
            clients.push(client)
            return client
          },
          async line() {
            const line = await Proxy.start(server.port)
            lines.push(line)
            return line
          },
        })
      } finally {
        // While their ends are there: Node never lets go of a socket that cannot be reset.
        for (const line of lines) line.close()
        for (const client of clients) client.disconnect()
        await server.dispose()
      }
    })
  }
}

/** A client on a line that can be cut. */
export interface Lined { readonly client: Client<any>; readonly proxy: Proxy }

/** Away: the line is cut and cannot be had again. */
export async function leave({ client, proxy }: Lined): Promise<void> {
  proxy.refuse(true)
  proxy.cut()
  await until(() => client.status.current.state !== 'connected', 'away')
}

export async function comeBack({ client, proxy }: Lined): Promise<void> {
  proxy.refuse(false)
  client.retryNow()
  await connected(client)
}

/** What a channel tells, in the order in which it tells it. */
export function record(client: Client<any>, name: string): { data: unknown[]; messages: Message<any>[]; log: string[] } {
  const channel = client.channel(name)
  const heard = { data: [] as unknown[], messages: [] as Message<any>[], log: [] as string[] }
  channel.on('message', message => {
    heard.data.push(message.data)
    heard.messages.push(message)
    heard.log.push(`${message.replayed ? 'replay' : 'event'} ${JSON.stringify(message.data)}`)
  })
  channel.on('gap', ({ reason }) => heard.log.push(`gap ${reason}`))
  channel.status.subscribe(({ state }) => heard.log.push(state))
  return heard
}

export const connected = (client: Client<any>): Promise<void> =>
  until(() => client.status.current.state === 'connected', () => `connected, not ${JSON.stringify(client.status.current)}`)

export const live = (client: Client<any>, name: string): Promise<void> =>
  until(() => client.channel(name).status.current.state === 'live',
    () => `${name} live, not ${JSON.stringify(client.channel(name).status.current)}`)
