// What the ticker shows: 500 symbols, each a key of one channel of kind `state`.

export const CHANNEL = 'ticker:demo'
export const SYMBOLS: readonly string[] = Array.from({ length: 500 }, (_, n) => symbolOf(n))

export interface Quote {
  readonly price: number
  /** Since the feed began, in per cent. */
  readonly change: number
  /** When it was made, by the clock of who feeds it. */
  readonly at: number
}
export type Quotes = Record<string, Quote>

/** What came over the network can be anything. */
export function isQuote(value: unknown): value is Quote {
  const { price, change, at } = (value ?? {}) as Partial<Quote>
  return Number.isFinite(price) && Number.isFinite(change) && Number.isFinite(at)
}

/** Three letters, all different: there are 20 × 5 × 19 such. */
function symbolOf(n: number): string {
  const consonants = 'BCDFGHJKLMNPQRSTVWXZ'
  const first = consonants[n % 20]
  const vowel = 'AEIOU'[Math.floor(n / 20) % 5]
  return `${first}${vowel}${consonants[(Math.floor(n / 100) * 7 + n) % 20]}`
}
