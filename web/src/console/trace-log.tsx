// The rows of a trace: filtered, paused, opened, downloaded.
import { memo, useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import { useApi } from './api.ts'
import { download } from './download.ts'
import { clockMs } from './format.ts'
import { Json, OneLine } from './json.tsx'
import { Empty, ProblemBox } from './parts.tsx'
import { href } from './route.ts'
import { ROWS_MAX, TraceFeed, type Row, type Target, type TraceState } from './trace-feed.ts'

const NEAR_END = 40

export function TraceLog({ target }: { target: Target }) {
  const api = useApi()
  const [feed] = useState(() => new TraceFeed())
  const [turn, setTurn] = useState(0)
  const live = useSyncExternalStore(feed.subscribe, feed.current)
  const [frozen, setFrozen] = useState<readonly Row[] | null>(null)
  const [type, setType] = useState('')
  const [text, setText] = useState('')
  const [refusedOnly, setRefusedOnly] = useState(false)
  const { kind, name } = target
  useEffect(() => feed.run(api, { kind, name }), [feed, api, kind, name, turn])

  const rows = frozen ?? live.rows
  const types = useMemo(() => [...new Set(rows.map(row => row.type))].sort(), [rows])
  const shown = useMemo(() => {
    const wanted = text.toLowerCase()
    return rows.filter(row => (!type || row.type === type) && (!refusedOnly || row.refused)
      && (!wanted || row.text.includes(wanted)))
  }, [rows, type, text, refusedOnly])
  const unseen = frozen && (live.rows.at(-1)?.n ?? -1) - (frozen.at(-1)?.n ?? -1)
  return (
    <section className="trace" aria-label={`Trace of the ${kind} ${name}`}>
      <div className="trace-tools">
        <StatusPill state={live} paused={frozen !== null} />
        <label className="unseen" htmlFor="trace-type">Type</label>
        <select id="trace-type" className="input" value={type} onChange={event => setType(event.target.value)}>
          <option value="">All types</option>
          {types.map(type => <option key={type}>{type}</option>)}
        </select>
        <input className="input" type="search" aria-label="Filter by text" placeholder="Filter by text"
          value={text} spellCheck={false} onChange={event => setText(event.target.value)} />
        <label className="check">
          <input type="checkbox" checked={refusedOnly} onChange={event => setRefusedOnly(event.target.checked)} />
          Refused only
        </label>
        <span className="spring" />
        <button className="button" aria-pressed={frozen !== null}
          onClick={() => setFrozen(frozen ? null : live.rows)}>
          {frozen ? `Go on${unseen ? ` (${unseen})` : ''}` : 'Pause'}
        </button>
        <button className="button" onClick={() => {
          feed.clear()
          if (frozen) setFrozen([])
        }}>Clear</button>
        <button className="button" disabled={shown.length === 0}
          onClick={() => download(`trace-${kind}-${name}.jsonl`, 'application/x-ndjson',
            shown.map(({ line }) => `${JSON.stringify(line)}\n`))}>
          Download
        </button>
      </div>
      {live.problem && (
        <ProblemBox problem={live.problem}
          {...live.status === 'stopped' && { onRetry: () => setTurn(turn => turn + 1) }} />
      )}
      <Rows rows={shown} follow={frozen === null} empty={emptyText(live, rows.length > 0)} />
      <p className="none" aria-live="polite">
        {shown.length === rows.length ? `${rows.length} lines` : `${shown.length} of ${rows.length} lines`}
        {rows.length === ROWS_MAX && ', the newest that are kept'}
      </p>
    </section>
  )
}

function emptyText({ status }: TraceState, filtered: boolean): string {
  if (filtered) return 'Nothing fits the filter.'
  return status === 'live' ? 'Waiting for the first frame. It shows here at once.' : 'Nothing yet.'
}

function StatusPill({ state, paused }: { state: TraceState; paused: boolean }) {
  const [look, label] = paused ? ['waiting', 'Paused'] : {
    starting: ['connecting', 'Starting…'], live: ['connected', 'Live'],
    waiting: ['waiting', 'Interrupted'], stopped: ['closed', 'Refused'],
  }[state.status]!
  return <span className="pill" data-state={look}><span role="status">{label}</span></span>
}

function Rows({ rows, follow, empty }: { rows: readonly Row[]; follow: boolean; empty: string }) {
  const box = useRef<HTMLDivElement>(null)
  const atEnd = useRef(true)
  // At the end one stays there; who reads further up is left alone.
  useLayoutEffect(() => {
    if (box.current && follow && atEnd.current) box.current.scrollTop = box.current.scrollHeight
  }, [rows, follow])
  return (
    <div ref={box} className="rows" role="log" aria-live="off" aria-label="Frames" tabIndex={0}
      onScroll={event => {
        const { scrollHeight, scrollTop, clientHeight } = event.currentTarget
        atEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_END
      }}>
      {rows.length === 0 ? <Empty><p>{empty}</p></Empty> : rows.map(row => <RowLine key={row.n} row={row} />)}
    </div>
  )
}

const DIRECTIONS: Record<string, readonly [string, string]> = {
  in: ['→', 'from the client'], out: ['←', 'to the client'], refused: ['✕', 'refused'],
  opened: ['+', 'opened'], closed: ['−', 'closed'], dropped: ['!', 'missing'],
  interrupted: ['!', 'interrupted'],
}

const RowLine = memo(function RowLine({ row }: { row: Row }) {
  const { line, type, channel, reason } = row
  const data = line.frame?.data
  const [sign, meaning] = DIRECTIONS[line.kind] ?? ['·', line.kind]
  return (
    <details className={row.refused ? 'row refused' : 'row'} data-kind={line.kind}>
      <summary>
        <time>{clockMs(line.at)}</time>
        <span className="sign" title={meaning}>
          <span aria-hidden="true">{sign}</span><span className="unseen">{meaning}</span>
        </span>
        <b className="type">{line.kind === 'refused' ? `refused ${type}` : type}</b>
        <span className="channel" dir="auto">{channel}</span>
        <span className="reason">{reason ?? (data !== undefined && <OneLine value={data} />)}</span>
        <span className="user" dir="auto">{line.user}</span>
      </summary>
      <div className="row-whole">
        <p>
          {line.user && <a href={href('users', line.user)}>{line.user}</a>}
          {line.session && <a href={href('trace', undefined, { session: line.session })}>session {line.session}</a>}
          {channel && <a href={href('channels', channel)}>{channel}</a>}
          {line.transport && <span>{line.transport}</span>}
        </p>
        <Json value={line.frame ?? line} label={`${meaning}: ${type}`} />
      </div>
    </details>
  )
})
