// Whether what is written here is stored, and what to do when it is not.
import { useEffect, useState } from 'react'
import type { ConnectionStatus } from 'tidings'
import { useConnection } from 'tidings/react'
import type { DocumentView } from 'tidings/yjs/react'
import { Alert } from '../icons.tsx'

export type Kind = 'opening' | 'online' | 'offline' | 'closed' | 'read' | 'refused' | 'failed' | 'reset'

export function kindOf({ status, access }: DocumentView, connection: ConnectionStatus): Kind {
  switch (status.state) {
    case 'reset': case 'failed': return status.state
    case 'synced':
      if (access && !access.write) return 'read'
      return status.refused && !status.refused.retryable ? 'refused' : 'online'
    default:
      if (connection.state === 'closed') return 'closed'
      return connection.state === 'connecting' && !connection.attempt || connection.state === 'connected' ? 'opening' : 'offline'
  }
}

/** What a screen reader is told, when the kind changes: not with each letter. */
const SAID: Record<Kind, string> = {
  opening: '',
  online: 'Connected. What you write is saved.',
  offline: 'Offline. What you write is kept here, and saved when the connection is back.',
  closed: 'Disconnected. What you write is kept here, and not saved before you connect again.',
  read: 'You can read this document, not change it.',
  refused: 'The server refuses what was written last.',
  failed: 'The document cannot be opened.',
  reset: 'The document was begun anew.',
}
const STATES: Record<Kind, string> = {
  opening: 'connecting', online: 'connected', offline: 'waiting', read: 'connected',
  closed: 'closed', refused: 'closed', failed: 'closed', reset: 'closed',
}
/** What takes less long is not worth a word. */
const SHOWN_MS = 300

function labelOf(kind: Kind, unsaved: boolean): string {
  switch (kind) {
    case 'opening': return 'Opening…'
    case 'online': return unsaved ? 'Saving…' : 'Saved'
    case 'offline': return unsaved ? 'Offline · kept here' : 'Offline'
    case 'closed': return unsaved ? 'Disconnected · kept here' : 'Disconnected'
    case 'read': return unsaved ? 'Read only · not saved' : 'Read only'
    case 'refused': return 'Not saved'
    case 'failed': return 'Not open'
    case 'reset': return 'Begun anew'
  }
}

export function SaveState({ view }: { view: DocumentView }) {
  const kind = kindOf(view, useConnection())
  const unsaved = useLasting(view.unsaved, SHOWN_MS)
  // A connection that comes and goes at once is not told.
  const said = useLasting(kind, SHOWN_MS)
  return (
    <>
      <span className="pill" data-state={STATES[kind]} data-kind={kind} data-unsaved={view.unsaved}>
        <span>{labelOf(kind, unsaved || kind !== 'online' && view.unsaved)}</span>
      </span>
      <span className="unseen" role="status">{SAID[said]}</span>
    </>
  )
}

/** The value that has been there for `ms`; `false` counts at once. */
function useLasting<T>(value: T, ms: number): T {
  const [lasting, setLasting] = useState(value)
  useEffect(() => {
    if (value === false) return setLasting(value)
    const timer = setTimeout(() => setLasting(value), ms)
    return () => clearTimeout(timer)
  }, [value, ms])
  return lasting
}

const REFUSALS: Record<string, string> = {
  too_large: 'it is larger than the server takes. Remove something, and it is tried again.',
  limit_exceeded: 'the document is at a limit of the server.',
  forbidden: 'you may not change this document.',
  not_found: 'this server has no such documents.',
}

export function SaveBar({ view, onAnew }: { view: DocumentView; onAnew: () => void }) {
  const { status } = view
  if (status.state === 'reset') {
    return (
      <Bar text="The document was begun anew. What you see is how it was; it is not saved any more.">
        <button className="button small" onClick={onAnew}>Open the new one</button>
      </Bar>
    )
  }
  const error = status.state === 'failed' ? status.cause : status.state === 'synced' ? status.refused : undefined
  if (!error || error.retryable) return null
  const what = status.state === 'failed' ? 'The document cannot be opened' : 'What was written last is not saved'
  return <Bar text={`${what}: ${REFUSALS[error.code] ?? `${error.message}.`}`} />
}

function Bar({ text, children }: { text: string; children?: React.ReactNode }) {
  return (
    <div className="bar closed">
      <p><Alert /><span>{text}</span></p>
      {children && <span className="choices">{children}</span>}
    </div>
  )
}
