// A document that several people write: a text, a list, and who is here.
import { useEffect, useMemo, useRef, useState } from 'react'
import { useConnection } from 'tidings/react'
import { useAwareness, useDocument, type Peer } from 'tidings/yjs/react'
import { Avatar } from '../avatar.tsx'
import { useHash } from '../browser.ts'
import { ConnectionBar } from '../connection.tsx'
import { Dialog } from '../dialog.tsx'
import { Clock } from '../icons.tsx'
import { NameField } from '../name-field.tsx'
import { recall, remember, rememberedName } from '../settings.ts'
import { Editor } from './editor.tsx'
import { Notes } from './notes.tsx'
import { Missing, Part } from './part.tsx'
import { planOf, throwAway } from './plan.ts'
import { SaveBar, SaveState } from './save-state.tsx'
import { Todos } from './todos.tsx'
import { personOf, type Person } from './who.ts'

// Most people come to write.
const loadTiptap = () => import('./tiptap/pane.tsx')
const loadVersions = () => import('./versions/panel.tsx')

const nameInHash = (hash: string) => /^#([\w.-]{1,64})$/.exec(hash)?.[1] ?? 'plan'

export function Page() {
  const name = nameInHash(useHash())
  const [times, setTimes] = useState(0)
  const [tiptap, setTiptap] = useState(() => recall('local', 'tiptap') === 'open')
  const toggle = () => {
    setTiptap(!tiptap)
    remember('local', 'tiptap', tiptap ? null : 'open')
  }
  useEffect(() => { document.title = `${name} · Tidings` }, [name])
  const anew = () => void throwAway(name).then(() => setTimes(times + 1))
  return <Sheet key={`${name} ${times}`} name={name} tiptap={tiptap} onTiptap={toggle} onAnew={anew} />
}

interface SheetProps { name: string; tiptap: boolean; onTiptap: () => void; onAnew: () => void }

function Sheet({ name, tiptap, onTiptap, onAnew }: SheetProps) {
  const [my, setMy] = useState(rememberedName)
  const plan = useMemo(() => planOf(name), [name])
  const view = useDocument(`doc:${name}`, plan)
  const { document: open, status, access } = view
  const peers = useAwareness<{ name: string }>(open, { name: my })
  const writable = access?.write !== false && status.state !== 'reset' && status.state !== 'failed'
  const [versions, setVersions] = useState(false)
  const close = () => setVersions(false)
  const nameOf = useNames(peers)
  const rename = (next: string) => {
    setMy(next)
    remember('local', 'name', next)
  }
  return (
    <div className={tiptap ? 'sheet two' : 'sheet'}>
      <header className="head">
        <h1><a href="/" aria-label="Tidings: the chat">Tidings</a> <span>{name}</span></h1>
        <button className="button small" aria-pressed={tiptap} onClick={onTiptap}>Tiptap</button>
        <button className="button small wordless" disabled={!open} onClick={() => setVersions(true)}><Clock size={16} /><span>Versions</span></button>
        <SaveState view={view} />
      </header>
      <div className="notes">
        <SaveBar view={view} onAnew={onAnew} />
        <ConnectionBar onSignIn={() => location.assign('/')} />
      </div>
      <main className="text" aria-label="Document">
        {tiptap && <h2 className="pane-head">CodeMirror <small>tidings/yjs at /socket</small></h2>}
        {open && <Editor text={plan.text} open={open} writable={writable} label="Text of the document" />}
        <Notes plan={plan} always={tiptap} />
      </main>
      {tiptap && (
        <section className="pane" aria-label="The same document in Tiptap">
          {/* What it holds would be brought back to life. */}
          {status.state !== 'reset' && <Part load={loadTiptap} props={{ name, my }} meanwhile={failed => <Missing failed={failed} />} />}
        </section>
      )}
      {versions && open && (
        <Part load={loadVersions} props={{ name, open, writable, nameOf, onClose: close }} meanwhile={failed => failed && (
          <Dialog className="versions missing" label="Versions" onClose={close}>
            <Missing failed />
            <button className="button" onClick={close}>Close</button>
          </Dialog>
        )} />
      )}
      <aside className="beside" aria-label="People and list">
        <People peers={peers} my={my} onName={rename} />
        <Todos plan={plan} writable={writable} />
      </aside>
    </div>
  )
}

/** What users call themselves, also those who have left since. */
function useNames(peers: readonly Peer<unknown>[]): (user: string) => string {
  const connection = useConnection()
  const me = connection.state === 'connected' ? connection.user : ''
  const names = useRef(new Map<string, string>())
  for (const { user = me, state } of peers) names.current.set(user, personOf(user, state).name)
  return user => names.current.get(user) ?? user
}

/** `tiptap`: they say that they are in another editor. Without a token that is another anonymous user. */
interface Visitor extends Person { readonly windows: number; readonly mine: boolean; readonly tiptap: boolean }

/** One line for each user, whose windows are counted. */
function peopleOf(peers: readonly Peer<unknown>[], me: string): Visitor[] {
  const all = new Map<string, Visitor>()
  for (const { user = me, state, me: mine } of peers) {
    const before = all.get(user)
    const tiptap = (state as { via?: unknown } | null)?.via === 'tiptap'
    all.set(user, before ? { ...before, windows: before.windows + 1 } : { ...personOf(user, state), windows: 1, mine, tiptap })
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
        {people.map(({ user, name, windows, mine, tiptap }) => (
          <li key={user} title={user}>
            <Avatar user={user} name={mine ? my : name} small />
            {mine ? <NameField name={my} onChange={onName} /> : <span className="label">{name}</span>}
            <small>{[mine && 'you', tiptap && 'in Tiptap', windows > 1 && `${windows} windows`].filter(Boolean).join(', ')}</small>
          </li>
        ))}
      </ul>
    </section>
  )
}
