// Who is in the room.
import type { Member } from 'tidings'
import { Avatar } from './avatar.tsx'
import { plural } from './format.ts'
import { nameIn, type Who } from './session.ts'

export interface PeopleProps {
  members: readonly Member<Who>[]
  count: number
  me: string
}

interface Person { user: string; name: string; mine: boolean; sessions: number }

function peopleOf({ members, me }: Pick<PeopleProps, 'members' | 'me'>): Person[] {
  return members
    .map(({ user, data, sessions }) => ({ user, name: nameIn(data, user), mine: user === me, sessions }))
    .sort((a, b) => Number(b.mine) - Number(a.mine) || a.name.localeCompare(b.name))
}

export function People({ members, count, me }: PeopleProps) {
  const people = peopleOf({ members, me })
  return (
    <section className="people" aria-label="People">
      <h2>Here now: {count}</h2>
      <ul id="people">
        {people.map(({ user, name, mine, sessions }) => (
          <li key={user} title={name}>
            <Avatar user={user} name={name} small />
            <span className="label">{name}</span>
            {(mine || sessions > 1) && (
              <small>{[mine && 'you', sessions > 1 && `${sessions} tabs`].filter(Boolean).join(', ')}</small>
            )}
          </li>
        ))}
      </ul>
      {count > people.length && (
        <p>{people.length ? `and ${plural(count - people.length, 'more', 'more')}`
          : 'So many that they are counted, not listed.'}</p>
      )}
    </section>
  )
}

/** Some faces and a number, where the list has no room. */
export function PeopleButton({ members, count, me, onClick }: PeopleProps & { onClick: () => void }) {
  const faces = peopleOf({ members, me }).filter(({ mine }) => !mine).slice(0, 3)
  return (
    <button className="stack" onClick={onClick} aria-haspopup="dialog" title="People">
      {faces.map(({ user, name }) => <Avatar key={user} user={user} name={name} small />)}
      <span>{count}<span className="unseen"> here now</span></span>
    </button>
  )
}
