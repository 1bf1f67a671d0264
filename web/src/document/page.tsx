// A document that several people write: a text, a list, and who is here.
import { useEffect, useMemo, useState } from 'react'
import { useConnection } from 'tidings/react'
import { useAwareness, useDocument, type Peer } from 'tidings/yjs/react'
import { Avatar } from '../avatar.tsx'
import { useHash } from '../browser.ts'
import { ConnectionBar } from '../connection.tsx'
import { NameField } from '../name-field.tsx'
import { remember, rememberedName } from '../settings.ts'
import { Editor } from './editor.tsx'
import { planOf, throwAway } from './plan.ts'
import { SaveBar, SaveState } from './save-state.tsx'
import { Todos } from './todos.tsx'
import { personOf, type Person } from './who.ts'

const nameInHash = (hash: string) => /^#([\w.-]{1,64})$/.exec(hash)?.[1] ?? 'plan'

export function Page() {
  const name = nameInHash(useHash())
  const [times, setTimes] = useState(0)
  useEffect(() => { document.title = `${name} · Tidings` }, [name])
  const anew = () => void throwAway(name).then(() => setTimes(times + 1))
  return <Sheet key={`${name} ${times}`} name={name} onAnew={anew} />
}

function Sheet({ name, onAnew }: { name: string; onAnew: () => void }) {
  const [my, setMy] = useState(rememberedName)
  const plan = useMemo(() => planOf(name), [name])
  const view = useDocument(`doc:${name}`, plan)
  const { document: open, status, access } = view
  const peers = useAwareness<{ name: string }>(open, { name: my })
  const writable = access?.write !== false && status.state !== 'reset' && status.state !== 'failed'
  const rename = (next: string) => {
    setMy(next)
    remember('local', 'name', next)
  }
  return (
    <div className="sheet">
      <header className="head">
        <h1><a href="/" aria-label="Tidings: the chat">Tidings</a> <span>{name}</span></h1>
        <SaveState view={view} />
      </header>
      <div className="notes">
        <SaveBar view={view} onAnew={onAnew} />
        <ConnectionBar onSignIn={() => location.assign('/')} />
      </div>
      <main className="text" aria-label="Document">
        {open && <Editor plan={plan} open={open} writable={writable} />}
      </main>
      <aside className="beside" aria-label="People and list">
        <People peers={peers} my={my} onName={rename} />
        <Todos plan={plan} writable={writable} />
      </aside>
    </div>
  )
}

/** One line for each user, whose windows are counted. */
function peopleOf(peers: readonly Peer<unknown>[], me: string): (Person & { windows: number; mine: boolean })[] {
  const all = new Map<string, Person & { windows: number; mine: boolean }>()
  for (const { user = me, state, me: mine } of peers) {
    const before = all.get(user)
    all.set(user, before ? { ...before, windows: before.windows + 1 } : { ...personOf(user, state), windows: 1, mine })
  }
  return [...all.values()]
}

function People({ peers, my, onName }: { peers: readonly Peer<unknown>[]; my: string; onName: (name: string) => void }) {
  const connection = useConnection()
  const people = peopleOf(peers, connection.state === 'connected' ? connection.user : '')
  return (
    <section className="here" aria-labelledby="here-title">
      <h2 id="here-title">Here now: {people.length}</h2>
      <ul>
        {people.map(({ user, name, windows, mine }) => (
          <li key={user} title={user}>
            <Avatar user={user} name={mine ? my : name} small />
            {mine ? <NameField name={my} onChange={onName} /> : <span className="label">{name}</span>}
            <small>{[mine && 'you', windows > 1 && `${windows} windows`].filter(Boolean).join(', ')}</small>
          </li>
        ))}
      </ul>
    </section>
  )
}
