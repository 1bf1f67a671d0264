// The two servers, each a process of its own.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const CONFIG = port => `
[server]
listen = "127.0.0.1:${port}"
[auth]
anonymous = true
[namespace.doc]
kind = "document"
subscribe = "anyone"
publish = "anyone"
history = { durable = true }
presence = { access = "anyone" }
`

function freePort() {
  return new Promise(done => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => done(port))
    })
  })
}

async function started(name, command, args, port, path, clean) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const answers = () => fetch(`http://127.0.0.1:${port}/`).then(() => true, () => false)
  for (let tries = 0; !(await answers()); tries++) {
    if (tries > 100 || child.exitCode !== null) throw new Error(`${name} does not start`)
    await new Promise(later => setTimeout(later, 50))
  }
  return {
    name,
    url: `ws://127.0.0.1:${port}${path}`,
    /** Seconds of processor time so far, of all its threads. */
    async cpu() {
      const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      // A tick of /proc is 10 ms on every Linux.
      return (Number(fields[11]) + Number(fields[12])) / 100
    },
    async memory() {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
      return Number(/^RssAnon:\s+(\d+)/m.exec(status)[1]) * 1024
    },
    async end() {
      child.kill('SIGKILL')
      await new Promise(ended => child.once('exit', ended))
      await clean()
    },
  }
}

export async function tidings(program) {
  const [port, folder] = [await freePort(), await mkdtemp(join(tmpdir(), 'tidings-bench-'))]
  const config = join(folder, 'tidings.toml')
  await writeFile(config, CONFIG(port))
  const args = ['serve', '--config', config, '--data', join(folder, 'data')]
  return started('Tidings', program, args, port, '/hocuspocus', () => rm(folder, { recursive: true }))
}

export async function hocuspocus() {
  const port = await freePort()
  const script = new URL('hocuspocus.mjs', import.meta.url).pathname
  return started('Hocuspocus', process.execPath, [script, String(port)], port, '', async () => {})
}
