// One version: what has changed since, and the way back to it.
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from 'react'
import { useConnection } from 'tidings/react'
import type { DocumentProvider, DocumentVersion } from 'tidings/yjs'
import type { Doc } from 'yjs'
import { exactTimeOf } from '../../format.ts'
import { Down } from '../../icons.tsx'
import { compare, isSame, sectionsOf, type Compared, type Section } from './plain.ts'
import { said, useTimes } from './use.ts'

/** While others type, what has changed is found out so often. */
const LOOK_MS = 300
const NAME_LENGTH = 60

interface ViewProps {
  version: DocumentVersion
  open: DocumentProvider
  writable: boolean
  /** The list is not beside it. */
  alone: boolean
  /** Something was changed at the server. */
  onDone: (what: string) => void
  onBack: () => void
}

/** What a version holds. It is read once: versions do not change. */
function useContent(open: DocumentProvider, version: number): { then: readonly Section[] | null; error: string } {
  const [then, setThen] = useState<readonly Section[] | null>(null)
  const [error, setError] = useState('')
  useEffect(() => {
    let wanted = true
    void open.versions.read(version).then(doc => {
      if (wanted) setThen(sectionsOf(doc))
      doc.destroy()
    }).catch((error: unknown) => { if (wanted) setError(said(error)) })
    return () => { wanted = false }
  }, [open, version])
  return { then, error }
}

function useCompared(then: readonly Section[] | null, now: Doc): readonly Compared[] | null {
  const times = useTimes(now, LOOK_MS)
  return useMemo(() => then && compare(then, sectionsOf(now)), [then, now, times])
}

export function View({ version: { version, at, name }, open, writable, alone, onDone, onBack }: ViewProps) {
  const { then, error } = useContent(open, version)
  const compared = useCompared(then, open.doc)
  const [marked, setMarked] = useState(true)
  const section = useRef<HTMLElement>(null)
  // What was focused is not there any more.
  useEffect(() => { if (alone) section.current!.focus() }, [alone])
  const same = compared !== null && isSame(compared)
  return (
    <section ref={section} className="version" aria-label={`Version ${version}`} tabIndex={-1}>
      <header>
        <button className="button small back" onClick={onBack}><Down size={14} />All versions</button>
        {writable ? <Name open={open} version={version} name={name} onDone={onDone} /> : <h3>{name ?? 'No name'}</h3>}
        <p>Version {version}, {exactTimeOf(at)}</p>
      </header>
      <div className="choices">
        <button className="button small" aria-pressed={marked} onClick={() => setMarked(!marked)}>Changes since</button>
        {marked && compared && !same && <p className="legend"><del>went</del> <ins>came</ins></p>}
        {writable && <Restore version={version} open={open} same={same} onDone={onDone} done={() => section.current?.focus()} />}
      </div>
      {error ? <p className="error" role="alert">{error}</p>
        : compared ? <Content compared={compared} marked={marked} same={same} /> : <p className="none">Loading…</p>}
    </section>
  )
}

function Content({ compared, marked, same }: { compared: readonly Compared[]; marked: boolean; same: boolean }) {
  return (
    <div className="then" tabIndex={0} role="group" aria-label="Content of the version">
      {same && <p className="same">The document is now as it was then.</p>}
      {compared.map(({ title, text, changes }) => (
        <section key={title} aria-label={title}>
          <h4>{title}</h4>
          {marked && !changes && <p className="none">It is too different from now for its changes to be shown.</p>}
          <p className="plain">
            {marked && changes ? changes.map(({ added, removed, value }, at) =>
              added ? <ins key={at}>{value}</ins> : removed ? <del key={at}>{value}</del> : <span key={at}>{value}</span>) : text}
          </p>
        </section>
      ))}
      {!compared.length && <p className="none">There was nothing in it.</p>}
    </div>
  )
}

/** Enter or leaving it takes a name; an empty one takes it away. */
function Name({ open, version, name = '', onDone }: { open: DocumentProvider; version: number; name: string | undefined; onDone: (what: string) => void }) {
  const [draft, setDraft] = useState(name)
  const [error, setError] = useState('')
  // The same as is being asked for is not asked for twice, by Enter and by leaving.
  const asked = useRef(name)
  useEffect(() => {
    asked.current = name
    setDraft(name)
  }, [name])
  function take() {
    const next = draft.trim()
    if (next === asked.current) return
    asked.current = next
    setError('')
    open.versions.rename(version, next || null).then(
      () => onDone(next ? `It is called “${next}”` : 'It has no name any more'),
      (error: unknown) => {
        asked.current = name
        setError(said(error))
      },
    )
  }
  const key = ({ key, nativeEvent }: KeyboardEvent) => {
    if (key === 'Enter' && !nativeEvent.isComposing) take()
  }
  return (
    <>
      <input className="input" aria-label={`Name of version ${version}`} placeholder="No name" value={draft} maxLength={NAME_LENGTH}
        onChange={event => setDraft(event.target.value)} onBlur={take} onKeyDown={key} />
      {error && <p className="error" role="alert">{error}</p>}
    </>
  )
}

interface RestoreProps { version: number; open: DocumentProvider; same: boolean; onDone: (what: string) => void; done: () => void }

/** Asks once more: everybody who is here sees it. */
function Restore({ version, open, same, onDone, done }: RestoreProps) {
  const [step, setStep] = useState<'no' | 'sure' | 'doing'>('no')
  const [error, setError] = useState('')
  const connected = useConnection().state === 'connected'
  const button = useRef<HTMLButtonElement>(null)

  function back() {
    setStep('no')
    // It is there again after this.
    requestAnimationFrame(() => button.current?.focus())
  }
  async function restore() {
    setStep('doing')
    setError('')
    try {
      await open.versions.restore(version)
      onDone(`Version ${version} is restored`)
      setStep('no')
      done()
    } catch (error) {
      setError(said(error))
      setStep('no')
    }
  }
  if (step === 'no') {
    return (
      <>
        <button ref={button} className="button small restore" disabled={same || !connected} onClick={() => setStep('sure')}>Restore…</button>
        {error && <p className="error" role="alert">{error}</p>}
      </>
    )
  }
  return (
    <div className="sure" role="group" aria-label="Restore it?">
      <p>Everybody has this version then. What is there now is kept as a version, too.</p>
      <button className="button small" onClick={back}>Cancel</button>
      <button className="button small main" autoFocus aria-disabled={step === 'doing'} onClick={() => { if (step === 'sure') void restore() }}>
        {step === 'doing' ? 'Restoring…' : 'Restore'}
      </button>
    </div>
  )
}
