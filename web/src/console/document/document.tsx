// A document as it is stored: what it holds, as text and as JSON.
import { useEffect, useState } from 'react'
import { inPath, useApi } from '../api.ts'
import { count } from '../format.ts'
import { Json } from '../json.tsx'
import { useLoad } from '../load.ts'
import { CopyButton, Empty, Loading, Panel, ProblemBox } from '../parts.tsx'

/** To read one the server opens it whole: long ones are read again when somebody asks for it. */
const FOLLOWED_BYTES = 100_000
/** A text, and a JSON text, are cut here: a page is not for reading books. */
const SHOWN = 20_000

type View = 'text' | 'json'
const VIEWS: Readonly<Record<View, string>> = { text: 'Text', json: 'JSON' }

export interface DocumentInfo {
  readonly epoch: string
  readonly offset: number
  readonly bytes: number
  readonly clients: number
}

interface Whole extends DocumentInfo {
  readonly data?: Readonly<Record<string, unknown>>
  readonly text?: string
}

/** `newest`: the channel's offset, if it is known. `onRead`: what was said of the document besides. */
export function DocumentPanel({ channel, newest, onRead }: {
  channel: string
  newest: number | undefined
  onRead: (info: DocumentInfo) => void
}) {
  const api = useApi()
  const [view, setView] = useState<View>('text')
  const [last, setLast] = useState<Whole>()
  const [readAt, setReadAt] = useState<number>()
  const follows = (last?.bytes ?? 0) <= FOLLOWED_BYTES
  const at = follows ? newest : readAt
  const page = useLoad(JSON.stringify([channel, view, at]), signal =>
    api.get<Whole>(`/documents/${inPath(channel)}`, { as: view }, signal))
  if (page.value && page.value !== last) setLast(page.value)

  useEffect(() => { if (page.value) onRead(page.value) }, [page.value, onRead])

  const shown = page.problem ? undefined : page.value ?? last
  // Another view of it is on its way: what came last is of the one before.
  const content = shown && (view === 'text' ? shown.text : shown.data)
  const isOld = !follows && shown && newest !== undefined && newest > shown.offset
  return (
    <Panel title="Document" className="document" actions={
      <>
        {isOld && <button className="button small" onClick={() => setReadAt(newest)}>Read again</button>}
        {content !== undefined && <CopyButton text={() => plain(content)} />}
      </>
    }>
      <div className="switch" role="group" aria-label="As what">
        {(Object.keys(VIEWS) as View[]).map(one => (
          <button key={one} aria-pressed={view === one} onClick={() => setView(one)}>{VIEWS[one]}</button>
        ))}
      </div>
      {page.problem && <ProblemBox problem={page.problem} onRetry={page.reload} />}
      {content === undefined ? !page.problem && <Loading /> : <Content content={content} />}
      {isOld && <p className="none">As of offset {count(shown.offset)}. One as long as this is not read again by itself.</p>}
    </Panel>
  )
}

const plain = (content: unknown) => typeof content === 'string' ? content : JSON.stringify(content, null, 2)

function Content({ content }: { content: string | Readonly<Record<string, unknown>> }) {
  const text = plain(content)
  if (content === '' || text === '{}') {
    return <Empty><p><b>Nothing.</b> Nobody has written in it, or all was deleted.</p></Empty>
  }
  const rest = text.length - SHOWN
  return (
    <>
      {typeof content !== 'string' && rest <= 0 ? <Json value={content} label="JSON of the document" /> : (
        <pre className="json words" tabIndex={0} role="region" dir="auto"
          aria-label={typeof content === 'string' ? 'Text of the document' : 'JSON of the document'}>
          {text.slice(0, SHOWN)}
        </pre>
      )}
      {rest > 0 && <p className="none">The first {count(SHOWN)} characters of {count(text.length)}. “Copy” has all.</p>}
    </>
  )
}
