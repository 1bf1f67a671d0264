// A channel's history, a page at a time, the newest first.
import { useState } from 'react'
import { inPath, useApi } from './api.ts'
import { clockMs, moment } from './format.ts'
import { Json, OneLine } from './json.tsx'
import { useLoad } from './load.ts'
import { Empty, Loading, Panel, ProblemBox } from './parts.tsx'
import { href } from './route.ts'

const PAGE = 20

export interface EventFrame {
  readonly channel: string
  readonly offset: number
  readonly timestamp: string
  readonly user: string
  readonly event?: string
  readonly key?: string
  readonly data: unknown
  /** When its author changed it. */
  readonly edited?: string
  /** It was taken back: there is no `data` any more. */
  readonly deleted?: boolean
  readonly reactions?: Readonly<Record<string, { readonly count: number; readonly users?: readonly string[] }>>
}

interface Events { readonly events: readonly EventFrame[]; readonly more: boolean }

/** The newest page follows what is published; older ones stay as they are. */
export function HistoryPanel({ channel, newest, turn }: {
  channel: string
  newest: number | undefined
  turn: number
}) {
  const api = useApi()
  // The offsets that pages were asked with, from the newest page on.
  const [pages, setPages] = useState<readonly number[]>([])
  const before = pages.at(-1)
  const what = before === undefined ? `${channel} newest ${newest} ${turn}` : `${channel} ${before}`
  const page = useLoad(what, signal =>
    api.get<Events>(`/channels/${inPath(channel)}/history`, { before, limit: PAGE }, signal))
  const [last, setLast] = useState<Events>()
  if (page.value && page.value !== last) setLast(page.value)

  const shown = page.problem ? undefined : page.value ?? last
  const rows = shown ? [...shown.events].reverse() : []
  const oldest = rows.at(-1)?.offset
  return (
    <Panel title="History" className="history" actions={
      <>
        {before !== undefined && (
          <button className="button small" onClick={() => setPages([])}>Newest</button>
        )}
        <button className="button small" disabled={pages.length === 0}
          onClick={() => setPages(pages.slice(0, -1))}>Newer</button>
        <button className="button small" disabled={!shown?.more || oldest === undefined}
          onClick={() => { if (oldest !== undefined) setPages([...pages, oldest]) }}>Older</button>
      </>
    }>
      {page.problem && <ProblemBox problem={page.problem} onRetry={page.reload} />}
      {!shown ? !page.problem && <Loading /> : rows.length === 0 ? (
        <Empty><p><b>No events.</b> None was published, or all have expired.</p></Empty>
      ) : (
        <ol className="events" aria-label={`Events of ${channel}`} aria-busy={page.loading}>
          {rows.map(event => <EventRow key={event.offset} event={event} />)}
        </ol>
      )}
    </Panel>
  )
}

function EventRow({ event }: { event: EventFrame }) {
  const at = Date.parse(event.timestamp)
  return (
    <li>
      <details>
        <summary>
          <span className="offset">{event.offset}</span>
          <time dateTime={event.timestamp} title={`${moment(at)} here`}>{clockMs(at)}</time>
          <span className="user" dir="auto">{event.user}</span>
          {event.event !== undefined && <span className="tag">{event.event}</span>}
          {event.edited !== undefined && (
            <span className="tag" title={`Edited ${moment(Date.parse(event.edited))} here`}>edited</span>
          )}
          {event.reactions && <Reactions reactions={event.reactions} />}
          {event.deleted ? <span className="gone">deleted</span> : <OneLine value={event.data} />}
        </summary>
        <div className="event-whole">
          <p><a href={href('users', event.user)}>Sessions of {event.user}</a></p>
          <Json value={event} label={`Event ${event.offset}`} />
        </div>
      </details>
    </li>
  )
}

function Reactions({ reactions }: { reactions: NonNullable<EventFrame['reactions']> }) {
  return (
    <span className="reactions">
      {Object.entries(reactions).map(([reaction, { count, users = [] }]) => (
        <span key={reaction} className="tag" title={users.join(', ')}>{reaction} {count}</span>
      ))}
    </span>
  )
}
