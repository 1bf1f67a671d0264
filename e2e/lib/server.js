// The real server, as a process that can be killed and started again.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const BIN = process.env.TIDINGS_BIN
  ?? fileURLToPath(new URL('../../target/release/tidings', import.meta.url))
const START_MS = 20_000

// Also when the tests are interrupted: no process and no folder stays.
const running = new Set()
process.on('exit', () => {
  for (const server of running) server.abandon()
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1))

export class Server {
  #process
  #port = 0
  #data = newDataDir()
  #config
  #tls

  /** `config`: TOML instead of the built-in configuration; `tls`: https, with a certificate of its own. */
  constructor(config, { tls = false } = {}) {
    this.#config = config
    this.#tls = tls
  }

  get port() { return this.#port }

  /** Where it is. */
  get origin() { return `http${this.#tls ? 's' : ''}://localhost:${this.#port}` }

  /** The page on the bare WebSocket. */
  get url() { return `${this.origin}/raw` }

  /** The key of the HTTP API that `tidings dev` has made. */
  get apiKey() { return readFileSync(join(this.#data, 'api-key'), 'utf8').trim() }

  /** Starts, on the same port and data as before if it ran before. */
  async start() {
    if (!existsSync(BIN)) {
      throw new Error(`${BIN} is missing; build it with: cargo build --release --bin tidings`)
    }
    const args = ['dev', '--port', String(this.#port), '--data', this.#data]
    if (this.#tls) args.push('--tls', 'self-signed')
    if (this.#config !== undefined) {
      const file = `${this.#data}.toml`
      writeFileSync(file, this.#config)
      args.push('--config', file)
    }
    running.add(this)
    this.#process = spawn(BIN, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#port = await portOf(this.#process, `${BIN} ${args.join(' ')}`)
  }

  /** Ends it, by default as `kill -9` does, and waits for the end. */
  async stop(signal = 'SIGKILL') {
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  /** Stops answering, without an end, as a machine that hangs does; and goes on. */
  hang() { this.#process.kill('SIGSTOP') }
  goOn() { this.#process.kill('SIGCONT') }

  /** Forgets all it has stored. */
  wipe() {
    rmSync(this.#data, { recursive: true, force: true })
    this.#data = newDataDir()
  }

  async dispose() {
    await this.stop()
    this.abandon()
  }

  abandon() {
    this.#process?.kill('SIGKILL')
    for (const path of [this.#data, `${this.#data}.toml`]) rmSync(path, { recursive: true, force: true })
    running.delete(this)
  }
}

const newDataDir = () => mkdtempSync(join(tmpdir(), 'tidings-e2e-'))

// Reads what the server prints until it says where it listens; keeps reading, so that a full pipe
// never stops the server.
function portOf(child, command) {
  return new Promise((resolve, reject) => {
    let said = ''
    const fail = why => reject(new Error(`${command}: ${why}; it said:\n${said}`))
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      fail(`no line with http://localhost:PORT after ${START_MS / 1000} s`)
    }, START_MS)
    const read = chunk => {
      said = (said + chunk).slice(-20_000)
      const found = said.match(/https?:\/\/localhost:(\d+)\b/)
      if (!found) return
      clearTimeout(timer)
      resolve(Number(found[1]))
    }
    child.stdout.setEncoding('utf8').on('data', read)
    child.stderr.setEncoding('utf8').on('data', read)
    child.on('error', error => { clearTimeout(timer); fail(error.message) })
    child.on('exit', (code, signal) => { clearTimeout(timer); fail(`ended (${signal ?? code})`) })
  })
}
