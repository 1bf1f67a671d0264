// The real server, as a process that can be killed and started again.
import { spawn, type ChildProcess } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromSdk } from './paths.js'

export const BIN = process.env.TIDINGS_BIN ?? fromSdk('../target/release/tidings')
const START_MS = 20_000
export const SECRET = 'a secret for tests, at least 32 bytes long'

const running = new Set<Server>()
process.on('exit', () => { for (const server of running) server.abandon() })

export class Server {
  port = 0
  #process: ChildProcess | undefined
  readonly #data = mkdtempSync(join(tmpdir(), 'tidings-sdk-'))
  readonly #config: string | undefined

  /** `config`: TOML instead of the built-in configuration. */
  constructor(config?: string) {
    if (config === undefined) return
    this.#config = join(this.#data, 'tidings.toml')
    writeFileSync(this.#config, config)
  }

  static async start(config?: string): Promise<Server> {
    const server = new Server(config)
    await server.start()
    return server
  }

  get url(): string { return `http://localhost:${this.port}` }

  /** Starts, on the same port and data as before if it ran before. */
  async start(): Promise<void> {
    if (!existsSync(BIN)) throw new Error(`${BIN} is missing; build it with: cargo build --release`)
    const args = ['dev', '--port', String(this.port), '--data', join(this.#data, 'store')]
    if (this.#config) args.push('--config', this.#config)
    running.add(this)
    this.#process = spawn(BIN, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.port = await portOf(this.#process, [BIN, ...args].join(' '))
  }

  /** What the HTTP API answers to the key that may do everything. */
  async api(path: string, body?: object): Promise<any> {
    const key = readFileSync(join(this.#data, 'store', 'api-key'), 'utf8').trim()
    const answer = await fetch(`${this.url}/api/v1${path}`, {
      headers: { authorization: `Bearer ${key}` }, ...body && { method: 'POST', body: JSON.stringify(body) },
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`)
    return JSON.parse(text)
  }

  /** Ends it, by default as `kill -9` does, and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  async dispose(): Promise<void> {
    await this.stop()
    this.abandon()
  }

  abandon(): void {
    this.#process?.kill('SIGKILL')
    rmSync(this.#data, { recursive: true, force: true })
    running.delete(this)
  }
}

// Reads what the server prints until it says where it listens; keeps reading, so that a full pipe
// never stops the server.
function portOf(child: ChildProcess, command: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = ''
    const fail = (why: string): void => reject(new Error(`${command}: ${why}; it said:\n${said}`))
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      fail(`no line with http://localhost:PORT after ${START_MS / 1000} s`)
    }, START_MS)
    const read = (chunk: string): void => {
      said = (said + chunk).slice(-20_000)
      const found = said.match(/http:\/\/localhost:(\d+)\b/)
      if (!found) return
      clearTimeout(timer)
      resolve(Number(found[1]))
    }
    child.stdout!.setEncoding('utf8').on('data', read)
    child.stderr!.setEncoding('utf8').on('data', read)
    child.on('error', error => { clearTimeout(timer); fail(error.message) })
    child.on('exit', (code, signal) => { clearTimeout(timer); fail(`ended (${signal ?? code})`) })
  })
}

/** A token that ends in `seconds`. */
export function token(sub: string, seconds = 3600, claims: object = {}): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub, iat: now, exp: now + seconds, ...claims })}`
  return `${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`
}

/** A configuration for users with tokens; `more` is appended. */
export const signedIn = (more = '', anonymous = false): string => `
[auth]
anonymous = ${anonymous}
leeway = "0s"
[[auth.key]]
algorithm = "HS256"
secret = "${SECRET}"
[namespace.chat]
subscribe = "signed-in"
publish = "signed-in"
history = { size = 1000, durable = true }
${more}`
