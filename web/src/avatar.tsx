import type { CSSProperties } from 'react'
import { hueOf, initialsOf } from './format.ts'

/** Colour by the user, letters by the name: who changes the name keeps the colour. */
export function Avatar({ user, name, small }: { user: string; name: string; small?: boolean }) {
  return (
    <span className={small ? 'avatar small' : 'avatar'} aria-hidden="true"
      style={{ '--hue': hueOf(user) } as CSSProperties}>
      {initialsOf(name)}
    </span>
  )
}
