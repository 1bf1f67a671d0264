// The connection machine against testdata/connection, which the Rust client is tested by, too.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { INITIAL, step, type Effect, type Env, type Event, type State } from '../src/connection/machine.js'
import { fromSdk } from './support/paths.js'

interface Vectors {
  about: string
  env: Env
  cases: { name: string; env?: Env; steps: Step[] }[]
}
interface Step { at: number; random?: number; event: Event; state: Partial<State>; effects: Effect[] }

/** As JSON has it: what is undefined is not there. */
const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value))

const folder = fromSdk('../testdata/connection')

for (const file of readdirSync(folder).filter(name => name.endsWith('.json'))) {
  const { about, env, cases } = JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')) as Vectors
  test(`${file}: ${about}`, async t => {
    for (const { name, env: own, steps } of cases) {
      await t.test(name, () => {
        let state = INITIAL
        steps.forEach(({ at, random = 0, event, state: expected, effects }, i) => {
          const where = `step ${i}, ${event.type} at ${at}`
          const [next, done] = step(state, event, at, random, own ?? env)
          const seen = Object.fromEntries(Object.keys(expected).map(key => [key, next[key as keyof State]]))
          assert.deepEqual(plain(seen), expected, where)
          assert.deepEqual(plain(done), effects, where)
          state = plain(next)
        })
      })
    }
  })
}

test('whatever comes, every state has a timer or waits to be called', () => {
  const events: Event[] = [
    ...(['connect', 'disconnect', 'logout', 'retry', 'timer', 'heard', 'hidden', 'visible', 'online', 'offline',
      'resume', 'leave', 'return', 'token', 'expiring'] as const).map(type => ({ type })),
    { type: 'welcome', heartbeat: 25_000, expires_in: 60_000 }, { type: 'refreshed' },
    { type: 'token_failed', terminal: false, cause: { code: 'network' } },
    { type: 'closed', code: 1006 }, { type: 'closed', code: 1009 }, { type: 'closed', code: 4501 },
    { type: 'bye', code: 4503, reconnect: true, retry_after: 3000 }, { type: 'bye', code: 4403, reconnect: false },
  ]
  const env: Env = { backoff: { base: 1000, max: 30_000, jitter: 'full' }, transports: 3, token: true }
  let seed = 7
  const random = (): number => (seed = seed * 48_271 % 2_147_483_647) / 2_147_483_647
  let [state, now, timer, open] = [INITIAL, 0, null as number | null, false]
  for (let i = 0; i < 50_000; i++) {
    now += Math.floor(random() * 8000)
    const event = events[Math.floor(random() * events.length)]!
    const [next, effects] = step(state, event, now, random(), env)
    for (const effect of effects) {
      if (effect.type === 'timer') timer = effect.at
      if (effect.type === 'close') open = false
      if (effect.type === 'open') {
        assert.equal(open, false, 'one transport at a time')
        open = true
      }
    }
    const armed = next.phase === 'connecting' || next.phase === 'connected' || next.phase === 'waiting'
    assert.equal(timer !== null, armed, `${state.phase} + ${event.type} → ${next.phase}`)
    if (next.phase === 'connected') assert.ok(open)
    if (!armed || next.phase === 'waiting') assert.equal(open, false)
    state = next
  }
})
