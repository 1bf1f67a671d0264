// Makes quotes, as a market would, from this tab: a client of its own, that writes and does not look.
import { createClient } from 'tidings'
import { live } from 'tidings/live'
import { serverUrl } from '../settings.ts'
import { CHANNEL, SYMBOLS, type Quotes } from './quotes.ts'

export const CHANGES_PER_SECOND = 2000
const TICK_MS = 50
/** What a tab that slept owes is not made up for. */
const TICKS_OWED_MAX = 4

/** Feeds until the function that is returned is called; `failed` when the server does not want it. */
export function feedQuotes(token: string | null, failed: (why: string) => void): () => void {
  const client = createClient({ url: serverUrl, name: 'tidings-ticker', token: token ?? undefined })
  const quotes = live<Quotes>(client, CHANNEL)
  const prices = SYMBOLS.map(() => 20 + Math.random() * 480)
  const begun = [...prices]
  let next = 0
  let at = performance.now()

  function tick() {
    const now = performance.now()
    const owed = Math.min(now - at, TICK_MS * TICKS_OWED_MAX)
    at = now
    for (let left = Math.round(owed * CHANGES_PER_SECOND / 1000); left > 0; left--) {
      next = (next + 1) % SYMBOLS.length
      const price = prices[next] = Math.max(1, prices[next]! * (1 + (Math.random() - .5) / 250))
      const change = (price / begun[next]! - 1) * 100
      quotes.set(SYMBOLS[next]!, {
        price: Math.round(price * 100) / 100, change: Math.round(change * 100) / 100, at: Date.now(),
      }).catch(error => refused(error as Error))
    }
  }
  function refused({ message }: Error) {
    // What was on its way when it was stopped is given up.
    if (timer === undefined) return
    stop()
    failed(message)
  }
  let timer: ReturnType<typeof setInterval> | undefined = setInterval(tick, TICK_MS)
  client.connect()

  function stop() {
    if (timer === undefined) return
    clearInterval(timer)
    timer = undefined
    void client.logout()
  }
  return stop
}
