// Many editors, through the Hocuspocus protocol: CPU of the server for each update that another editor got, and how long it
// took. `node run.mjs --tidings ../../target/release/tidings` runs Tidings, which stores every update before it tells
// anybody, and the npm server, which stores none, one after the other with the same load.
import { parseArgs } from 'node:util'
import { Editor } from './editor.mjs'
import { hocuspocus, tidings } from './servers.mjs'

const { values: given } = parseArgs({
  options: {
    tidings: { type: 'string', default: '../../target/release/tidings' },
    documents: { type: 'string', default: '50' },
    editors: { type: 'string', default: '10' },
    rate: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
})
const number = name => Number(given[name])

class Stats {
  #born = new Map()
  times = []
  refused = 0
  ending = false

  born({ client, clock }) {
    this.#born.set(`${client} ${clock}`, performance.now())
  }

  heard({ client, clock }) {
    const since = this.#born.get(`${client} ${clock}`)
    if (since !== undefined) this.times.push(performance.now() - since)
  }

  forget() {
    this.times = []
  }
}

async function until(is, seconds) {
  for (const end = performance.now() + seconds * 1000; performance.now() < end && !is(); ) {
    await new Promise(later => setTimeout(later, 20))
  }
}

async function type(editors, rate, seconds) {
  const start = performance.now()
  for (let sent = 0; ; ) {
    const passed = (performance.now() - start) / 1000
    if (passed >= seconds) return sent
    for (; sent < passed * rate; sent++) editors[sent % editors.length].type()
    await new Promise(later => setTimeout(later, 2))
  }
}

async function measure(server) {
  const [documents, each, rate] = [number('documents'), number('editors'), number('rate')]
  const [stats, editors] = [new Stats(), []]
  for (let n = 0; n < documents * each; n++) {
    editors.push(new Editor(server.url, `doc:bench-${n % documents}`, stats))
    if (n % 50 === 49) await Promise.all(editors.map(editor => editor.ready))
  }
  await Promise.all(editors.map(editor => editor.ready))
  await type(editors, rate, 2)
  await until(() => false, 1)
  stats.forget()
  const [memory, before] = [await server.memory(), await server.cpu()]
  const sent = await type(editors, rate, number('seconds'))
  const expected = sent * (each - 1)
  await until(() => stats.times.length >= expected, 10)
  const cpu = (await server.cpu()) - before
  const times = stats.times.toSorted((a, b) => a - b)
  const part = percent => times[Math.floor(((times.length - 1) * percent) / 100)]
  await until(() => editors.every(editor => editor.stored >= editor.sent), 10)
  stats.ending = true
  editors.forEach(editor => editor.end())
  return {
    sent,
    delivered: times.length,
    lost: expected - times.length,
    'not acknowledged': editors.reduce((sum, editor) => sum + Math.max(0, editor.sent - editor.stored), 0),
    refused: stats.refused,
    'CPU us per delivered update': (cpu * 1e6) / times.length,
    'p50 ms': part(50),
    'p99 ms': part(99),
    'memory MB': memory / 1e6,
  }
}

async function round() {
  const figures = {}
  for (const [name, start] of [['tidings', () => tidings(given.tidings)], ['hocuspocus', hocuspocus]]) {
    if (given.only && given.only !== name) continue
    const server = await start()
    try {
      figures[server.name] = await measure(server)
    } finally {
      await server.end()
    }
  }
  console.table(figures)
  const [ours, theirs] = Object.values(figures).map(of => of['CPU us per delivered update'])
  if (theirs) console.log(`ratio of CPU per delivered update: ${(ours / theirs).toFixed(3)}`)
  return Object.values(figures).some(of => of.lost || of.refused)
}

let failed = false
for (let n = 0; n < number('rounds'); n++) failed = (await round()) || failed
process.exit(failed ? 1 : 0)
