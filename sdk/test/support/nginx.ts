// Debian's nginx, with a folder and a configuration of its own.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sleep } from './story.js'

const BIN = process.env.NGINX ?? '/usr/sbin/nginx'
const START_MS = 10_000
/** Between the choice of a free port and its use somebody else may take it. */
const PORTS = 5

const running = new Set<Nginx>()
process.on('exit', () => { for (const nginx of running) nginx.abandon() })

export class Nginx {
  readonly url: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'tidings-nginx-'))
  #process: ChildProcess | undefined
  #said = ''

  private constructor(port: number, http: string) {
    this.url = `http://localhost:${port}`
    writeFileSync(join(this.#folder, 'nginx.conf'), configuration(port, http))
    running.add(this)
  }

  /** `http`: what stands in the block `http`, with `listen PORT` where it listens. */
  static async start(http: string): Promise<Nginx> {
    if (!existsSync(BIN)) throw new Error(`${BIN} is missing; install it with: apt-get install nginx, or name another in NGINX`)
    for (let tries = 1; ; tries++) {
      const nginx = new Nginx(await freePort(), http)
      if (await nginx.#run()) return nginx
      await nginx.dispose()
      if (tries === PORTS || !nginx.#said.includes('Address already in use')) nginx.#fail()
    }
  }

  /** Ends all that goes through it. */
  async stop(): Promise<void> {
    if (!this.#alive) return
    const ended = once(this.#process!, 'exit')
    this.#process!.kill('SIGTERM')
    await ended
  }

  /** Again, on the same port. */
  async start(): Promise<void> {
    if (!await this.#run()) this.#fail()
  }

  async dispose(): Promise<void> {
    await this.stop()
    this.abandon()
  }

  /** SIGTERM, because after a SIGKILL its workers would go on. */
  abandon(): void {
    if (this.#alive) this.#process!.kill('SIGTERM')
    rmSync(this.#folder, { recursive: true, force: true })
    running.delete(this)
  }

  get #alive(): boolean { return this.#process?.exitCode === null && this.#process.signalCode === null }

  #fail(): never { throw new Error(`nginx did not start:\n${this.#said}`) }

  /** Whether it came to the point where it answers. */
  async #run(): Promise<boolean> {
    this.#process = spawn(BIN, ['-p', this.#folder, '-c', 'nginx.conf', '-e', 'stderr'], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#process.stderr!.setEncoding('utf8').on('data', (chunk: string) => { this.#said = (this.#said + chunk).slice(-20_000) })
    for (const end = Date.now() + START_MS; this.#alive && Date.now() < end; await sleep(20)) {
      const response = await fetch(`${this.url}/health`).catch(() => null)
      await response?.body?.cancel()
      if (response?.ok && this.#alive) return true
    }
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

// Everything that Debian's nginx would put elsewhere. Its workers may not enter a folder of root's.
const configuration = (port: number, http: string): string => `
daemon off;
pid nginx.pid;
${process.getuid?.() === 0 ? 'user root;' : ''}
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  ${http.replaceAll('PORT', String(port))}
}
`
