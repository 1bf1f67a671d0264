// Numbers and times as the console writes them.
const compact = new Intl.NumberFormat(undefined, { notation: 'compact', maximumSignificantDigits: 3 })
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 })
const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 })
const short = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 })

export const count = (n: number) => whole.format(n)

/** At most four digits: for tiles and axes. */
export function brief(n: number): string {
  if (n < 100) return tenths.format(n)
  return n < 10_000 ? whole.format(n) : compact.format(n)
}

export const perSecond = (n: number) => `${brief(n)}/s`

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const

export function bytes(n: number): string {
  let unit = 0
  while (n >= 1000 && unit < UNITS.length - 1) {
    n /= 1000
    unit++
  }
  return `${short.format(unit === 0 ? Math.round(n) : n)} ${UNITS[unit]}`
}

export const bytesPerSecond = (n: number) => `${bytes(n)}/s`
export const percent = (share: number) => `${short.format(share * 100)} %`

export function latency(seconds: number): string {
  if (seconds >= 1) return `${short.format(seconds)} s`
  return seconds >= 0.001
    ? `${short.format(seconds * 1000)} ms` : `${short.format(seconds * 1_000_000)} µs`
}

/** `3 d 4 h`, `12 min 5 s`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds))
  if (s < 60) return `${s} s`
  if (s < 600) return `${Math.floor(s / 60)} min ${s % 60} s`
  if (s < 3600) return `${Math.floor(s / 60)} min`
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`
  return `${Math.floor(s / 86_400)} d ${Math.floor(s % 86_400 / 3600)} h`
}

const two = (n: number) => String(n).padStart(2, '0')

export function clock(at: number): string {
  const date = new Date(at)
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

export const clockMs = (at: number) =>
  `${clock(at)}.${String(new Date(at).getMilliseconds()).padStart(3, '0')}`

const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' })

/** The date only if it is not today's. */
export function moment(at: number): string {
  const today = new Date().toDateString() === new Date(at).toDateString()
  return today ? clock(at) : `${day.format(at)}, ${clock(at)}`
}
