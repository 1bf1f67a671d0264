/** How long to wait between attempts; all in milliseconds. */
export interface Backoff {
  readonly base: number
  readonly max: number
  readonly jitter: 'none' | 'full'
}

/** 1, 2, 4 … 30 s, times a number from 0 to 1: clients that were cut off together come back apart. */
export function delay(failures: number, backoff: Backoff, random: number): number {
  const ceiling = Math.min(backoff.max, backoff.base * 2 ** failures)
  return backoff.jitter === 'none' ? ceiling : Math.floor(random * ceiling)
}
