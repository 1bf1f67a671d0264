// What a channel of kind `state` holds now: its keys, a page at a time, and as they change.
import { useState } from 'react'
import { useApi } from '../api.ts'
import { clock, moment } from '../format.ts'
import { Json, OneLine } from '../json.tsx'
import { useLoad } from '../load.ts'
import { Empty, Loading, Panel, ProblemBox } from '../parts.tsx'

const PAGE = 50
const REFRESH_MS = 1000

export interface StateEntry {
  readonly key: string
  readonly value: unknown
  readonly version: number
  readonly expires_at?: string | number
}
export interface Snapshot {
  readonly epoch: string
  readonly offset: number
  readonly more?: boolean
  readonly entries: readonly StateEntry[]
}

/** `onPick`: somebody wants to change this one. `turn` grows when it was changed here. */
export function StatePanel({ channel, turn, onPick }: {
  channel: string
  turn: number
  onPick: (entry: StateEntry) => void
}) {
  const api = useApi()
  // The keys that pages were asked with, from the first page on.
  const [pages, setPages] = useState<readonly string[]>([])
  const [typed, setTyped] = useState('')
  const after = pages.at(-1)
  const key = typed || undefined
  const what = JSON.stringify([channel, turn, key, after])
  const page = useLoad(what, signal => api.get<Snapshot>('/state',
    key === undefined ? { channel, after, limit: PAGE } : { channel, key }, signal), REFRESH_MS)
  const [last, setLast] = useState<Snapshot>()
  if (page.value && page.value !== last) setLast(page.value)

  const shown = page.problem ? undefined : page.value ?? last
  const end = shown?.entries.at(-1)?.key
  return (
    <Panel title="State" className="state" actions={
      <>
        <input className="input small-input" type="search" aria-label="One key" placeholder="One key" value={typed}
          autoComplete="off" autoCapitalize="off" spellCheck={false}
          onChange={event => setTyped(event.target.value)} />
        <button className="button small" disabled={pages.length === 0 || key !== undefined}
          onClick={() => setPages(pages.slice(0, -1))}>Previous</button>
        <button className="button small" disabled={!shown?.more || end === undefined || key !== undefined}
          onClick={() => { if (end !== undefined) setPages([...pages, end]) }}>Next</button>
      </>
    }>
      {page.problem && <ProblemBox problem={page.problem} onRetry={page.reload} />}
      {!shown ? !page.problem && <Loading /> : shown.entries.length === 0 ? (
        <Empty>
          <p><b>{key === undefined ? 'No keys.' : `No key “${key}”.`}</b>{' '}
            None was set, or all were removed or have expired.</p>
        </Empty>
      ) : <Entries channel={channel} entries={shown.entries} onPick={onPick} />}
    </Panel>
  )
}

function Entries({ channel, entries, onPick }: {
  channel: string
  entries: readonly StateEntry[]
  onPick: (entry: StateEntry) => void
}) {
  return (
    <ol className="events keys" aria-label={`Keys of ${channel}`}>
      {entries.map(entry => (
        <li key={entry.key}>
          <details>
            <summary>
              {/* Made anew with each version: so it lights up. */}
              <span className="offset" key={entry.version} title="Version">{entry.version}</span>
              <span className="state-key" dir="auto">{entry.key}</span>
              {entry.expires_at !== undefined && (
                <span className="tag" title={`Removed at ${moment(momentOf(entry.expires_at))} here`}>
                  until {clock(momentOf(entry.expires_at))}
                </span>
              )}
              <OneLine value={entry.value} />
            </summary>
            <div className="event-whole">
              <p>
                <button className="button small" onClick={() => onPick(entry)}>
                  Change<span className="unseen"> {entry.key}</span>
                </button>
              </p>
              <Json value={entry.value} label={`Value of ${entry.key}`} />
            </div>
          </details>
        </li>
      ))}
    </ol>
  )
}

const momentOf = (at: string | number) => typeof at === 'number' ? at : Date.parse(at)
