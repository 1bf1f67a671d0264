// What people say of themselves. It can be anything: only the user is known to be true.
import type { Awareness } from 'y-protocols/awareness'
import { hueOf } from '../format.ts'
import { nameIn } from '../session.ts'

export interface Person { readonly user: string; readonly name: string; readonly hue: number }

/** Who has a document open. */
export interface Neighbours {
  readonly awareness: Awareness | null
  /** Whose client of `awareness` it is; `undefined` for our own. */
  userOf(client: number): string | undefined
}

/** Colours are ours, by the user: nobody chooses one that cannot be read, or another's. */
export const personOf = (user: string, state: unknown): Person => ({ user, name: nameIn(state, user), hue: hueOf(user) })
