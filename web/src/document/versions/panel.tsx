// What the document held before: a list, one of it to look at, and the way back. Loaded when somebody asks for it.
import { useRef, useState, type FormEvent } from 'react'
import type { DocumentProvider, DocumentVersion } from 'tidings/yjs'
import { useMedia, useNow } from '../../browser.ts'
import { Dialog } from '../../dialog.tsx'
import { agoOf, exactTimeOf, list } from '../../format.ts'
import { Check, Close } from '../../icons.tsx'
import { said, useVersions, type Kept } from './use.ts'
import { View } from './view.tsx'

const MINUTE = 60_000
/** There the version takes the place of the list, as in versions.css. */
const NARROW = '(max-width: 47.99rem)'
/** As the server counts, in bytes; letters of four of them fit. */
const NAME_LENGTH = 60

export interface PanelProps {
  name: string
  open: DocumentProvider
  writable: boolean
  /** What people call themselves, of those who are known by more than their user. */
  nameOf: (user: string) => string
  onClose: () => void
}

export default function Panel({ name, open, writable, nameOf, onClose }: PanelProps) {
  const kept = useVersions(open)
  const [chosen, setChosen] = useState<number | null>(null)
  const [news, setNews] = useState('')
  const listed = useRef<HTMLDivElement>(null)
  const narrow = useMedia(NARROW)
  const version = kept.versions?.find(({ version }) => version === chosen)
  const done = (what: string) => {
    setNews(what)
    kept.reload()
  }
  /** To where one was in the list, once that is there again. */
  const back = () => {
    setChosen(null)
    requestAnimationFrame(() => listed.current?.querySelector<HTMLElement>(`[data-version="${chosen}"]`)?.focus())
  }
  return (
    <Dialog className="versions" label={`Versions of ${name}`} onClose={onClose}>
      <header className="versions-head">
        <h2>Versions <small>{name}</small></h2>
        <span className="news" role="status">{news && <Check size={16} />}{news}</span>
        <button className="icon-button" aria-label="Close" onClick={onClose}><Close /></button>
      </header>
      <div className={version ? 'versions-body chosen' : 'versions-body'}>
        <div ref={listed} className="versions-list">
          {writable && <Save open={open} onSaved={({ version }) => done(`Saved as version ${version}`)} />}
          <List kept={kept} chosen={chosen} nameOf={nameOf} onChoose={setChosen} />
        </div>
        {version
          ? <View key={version.version} version={version} open={open} writable={writable} alone={narrow}
              onDone={done} onBack={back} />
          : <p className="hint">Choose a version to see what has changed since.</p>}
      </div>
    </Dialog>
  )
}

function Save({ open, onSaved }: { open: DocumentProvider; onSaved: (version: DocumentVersion) => void }) {
  const [draft, setDraft] = useState('')
  const [saving, setSaving] = useState(false)
  const [error, setError] = useState('')

  async function save(event: FormEvent) {
    event.preventDefault()
    if (saving) return
    setSaving(true)
    setError('')
    try {
      onSaved(await open.versions.save(draft.trim() || undefined))
      setDraft('')
    } catch (error) {
      setError(said(error))
    }
    setSaving(false)
  }
  return (
    <form className="save" onSubmit={event => void save(event)}>
      <input className="input" aria-label="Name of the version" placeholder="Name, if you like" value={draft} maxLength={NAME_LENGTH}
        onChange={event => setDraft(event.target.value)} />
      <button className="button" aria-disabled={saving}>{saving ? 'Saving…' : 'Save now'}</button>
      {error && <p className="error" role="alert">{error}</p>}
    </form>
  )
}

interface ListProps { kept: Kept; chosen: number | null; nameOf: (user: string) => string; onChoose: (version: number) => void }

function List({ kept: { versions, more, changed, authors, error, loadMore }, chosen, nameOf, onChoose }: ListProps) {
  const now = useNow(true, MINUTE)
  if (!versions) return error ? <p className="error" role="alert">{error}</p> : <p className="none">Loading…</p>
  const names = (users: readonly string[]) => list([...new Set(users.map(nameOf))])
  return (
    <>
      <p className="since">
        {changed ? `Changed since the newest version${authors.length ? `, by ${names(authors)}` : ''}.`
          : versions.length ? 'Nothing has changed since the newest version.' : 'No versions yet.'}
      </p>
      {error && <p className="error" role="alert">{error}</p>}
      <ol aria-label="Versions, the newest first">
        {versions.map(({ version, at, name, user, authors }) => (
          <li key={version}>
            <button aria-current={version === chosen} data-version={version} onClick={() => onChoose(version)}>
              <b className={name ? undefined : 'nameless'}>{name ?? (user ? 'No name' : 'Kept by itself')}</b>
              <time dateTime={new Date(at).toISOString()} title={exactTimeOf(at)}>{agoOf(at, now)}</time>
              <small>{[user && `saved by ${nameOf(user)}`, authors.length > 0 && `written by ${names(authors)}`].filter(Boolean).join(', ')}</small>
            </button>
          </li>
        ))}
      </ol>
      {more && <button className="button small" onClick={loadMore}>Older ones</button>}
    </>
  )
}
