// Names, colours and times as people read them.

/** A colour for a user, the same on every page. */
export function hueOf(user: string): number {
  let hash = 7
  for (const c of user) hash = (hash * 31 + (c.codePointAt(0) ?? 0)) % 9973
  return Math.round(hash * 137.5) % 360
}

/** One or two letters; works for scripts without capitals and for emoji. */
export function initialsOf(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean)
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined]
    .map(word => firstCharacter(word ?? ''))
  return letters.join('').toLocaleUpperCase() || '?'
}

const segments = 'Segmenter' in Intl ? new Intl.Segmenter() : null

function firstCharacter(word: string): string {
  if (!segments) return [...word][0] ?? ''
  for (const { segment } of segments.segment(word)) return segment
  return ''
}

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' })
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' })
const weekday = new Intl.DateTimeFormat(undefined, {
  weekday: 'long', day: 'numeric', month: 'long',
})
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'long' })
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })

export const timeOf = (at: number) => clock.format(at)
export const exactTimeOf = (at: number) => exact.format(at)

/** The local midnight before `at`: what messages of one day have in common. */
export const dayOf = (at: number) => new Date(at).setHours(0, 0, 0, 0)

export function dayName(day: number, now: number): string {
  const today = dayOf(now)
  const days = Math.round((day - today) / 86_400_000)
  if (days === 0 || days === -1) return capital(relative.format(days, 'day'))
  const recent = new Date(day).getFullYear() === new Date(today).getFullYear()
  return (recent ? weekday : full).format(day)
}

/** How long ago; the day when it is longer. */
export function agoOf(at: number, now: number): string {
  const minutes = Math.round((at - now) / 60_000)
  if (minutes >= 0) return relative.format(0, 'minute')
  if (minutes > -60) return relative.format(minutes, 'minute')
  return minutes > -24 * 60 ? relative.format(Math.round(minutes / 60), 'hour') : dayName(dayOf(at), now)
}

const capital = (text: string) => text.charAt(0).toLocaleUpperCase() + text.slice(1)

export const seconds = (ms: number) => Math.max(0, Math.ceil(ms / 1000))
export const plural = (n: number, one: string, many: string) => `${n} ${n === 1 ? one : many}`
export const list = (names: readonly string[]) =>
  new Intl.ListFormat(undefined, { type: 'conjunction' }).format(names)
