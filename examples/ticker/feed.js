// Feeds the ticker of the demo page: 500 keys of one channel of kind `state`, 2,000 changes a second.
//   node feed.js http://localhost:8000
import { createClient } from 'tidings'
import { live } from 'tidings/live'

const CHANGES_PER_SECOND = 2000
const TICK_MS = 50
/** What is owed after a pause is not made up for. */
const TICKS_OWED_MAX = 4

const client = createClient({ url: process.argv[2] ?? 'http://localhost:8000' })
const quotes = live(client, 'ticker:demo')
client.connect()

const consonants = 'BCDFGHJKLMNPQRSTVWXZ'
const symbols = Array.from({ length: 500 }, (_, n) =>
  consonants[n % 20] + 'AEIOU'[Math.floor(n / 20) % 5] + consonants[(Math.floor(n / 100) * 7 + n) % 20])
const begun = symbols.map(() => 20 + Math.random() * 480)
const prices = [...begun]

let next = 0
let at = performance.now()
let changes = 0

setInterval(() => {
  const now = performance.now()
  const owed = Math.min(now - at, TICK_MS * TICKS_OWED_MAX)
  at = now
  for (let left = Math.round(owed * CHANGES_PER_SECOND / 1000); left > 0; left--) {
    next = (next + 1) % symbols.length
    prices[next] = Math.max(1, prices[next] * (1 + (Math.random() - .5) / 250))
    const change = (prices[next] / begun[next] - 1) * 100
    // One that still waits when its key changes again is replaced by the next: what is sent is what is newest.
    quotes.set(symbols[next], {
      price: Math.round(prices[next] * 100) / 100, change: Math.round(change * 100) / 100, at: Date.now(),
    }).then(() => { changes++ }, error => {
      console.error(`refused: ${error.message}`)
      process.exit(1)
    })
  }
}, TICK_MS)

setInterval(() => {
  console.log(`${changes} changes stored`)
  changes = 0
}, 1000)
