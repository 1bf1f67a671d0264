// The connection: as whom it is opened, how it is, and every frame that went over it.
import { memo } from 'react'
import { download } from '../download.ts'
import { clockMs } from '../format.ts'
import { Json, OneLine } from '../json.tsx'
import { Field, Panel } from '../parts.tsx'
import { FRAMES_MAX, useRequestConnection, type ConnectionState, type Frame } from './connection.ts'
import type { Identity } from './identity.ts'
import { OVERS, type Over } from './wire.ts'

export function ConnectionPanel({ over, identity, onIdentity, busy, onConnect }: {
  over: Over
  identity: Identity
  onIdentity: (identity: Identity) => void
  busy: boolean
  onConnect: () => void
}) {
  const [connection, state] = useRequestConnection()
  const closed = state.status === 'closed'
  return (
    <Panel title="Connection" className="connection" actions={
      <>
        <StatePill state={state} />
        {closed ? <button className="button small" disabled={busy} onClick={onConnect}>Connect</button>
          : <button className="button small" onClick={() => connection.close()}>Close</button>}
      </>
    }>
      {closed ? <IdentityForm identity={identity} onIdentity={onIdentity} />
        : state.over !== over && (
          <p className="notice">It is by {OVERS[state.over ?? over]}: sending closes it and opens one by {OVERS[over]}.</p>
        )}
      <Frames frames={state.frames} onClear={() => connection.clear()} />
    </Panel>
  )
}

function StatePill({ state: { status, over } }: { state: ConnectionState }) {
  const [look, label] = {
    closed: ['off', 'Closed'], connecting: ['connecting', 'Connecting…'],
    open: ['connected', `Open: ${over ? OVERS[over] : ''}`],
  }[status] as [string, string]
  return <span className="pill" data-state={look}><span role="status">{label}</span></span>
}

function IdentityForm({ identity, onIdentity }: {
  identity: Identity
  onIdentity: (identity: Identity) => void
}) {
  const { kind, user, token } = identity
  return (
    <div className="identity">
      <Field label="As">
        {ids => (
          <select {...ids} className="input" value={kind}
            onChange={event => onIdentity({ ...identity, kind: event.target.value as Identity['kind'] })}>
            <option value="anonymous">anonymous</option>
            <option value="user">a user, by a ticket</option>
            <option value="token">a token</option>
          </select>
        )}
      </Field>
      {kind === 'user' && (
        <Field label="User" help="The API key makes a ticket for five minutes that may do everything.">
          {ids => <input {...ids} className="input mono" value={user} placeholder="ada" autoComplete="off"
            autoCapitalize="off" spellCheck={false}
            onChange={event => onIdentity({ ...identity, user: event.target.value })} />}
        </Field>
      )}
      {kind === 'token' && (
        <Field label="Token" help="A JWT or a ticket. It goes to the server in hello; it is neither kept nor shared.">
          {ids => <input {...ids} className="input mono" type="password" value={token} placeholder="eyJ…"
            autoComplete="off" spellCheck={false}
            onChange={event => onIdentity({ ...identity, token: event.target.value })} />}
        </Field>
      )}
    </div>
  )
}

function Frames({ frames, onClear }: { frames: readonly Frame[]; onClear: () => void }) {
  return (
    <div className="frames">
      <div className="frames-head">
        <h3>Frames: {frames.length}{frames.length === FRAMES_MAX && ', the newest'}</h3>
        <button className="button small" disabled={frames.length === 0} onClick={onClear}>Clear</button>
        <button className="button small" disabled={frames.length === 0}
          onClick={() => download('frames.jsonl', 'application/x-ndjson', frames.map(({ at, direction, value }) =>
            `${JSON.stringify({ at, direction, frame: value })}\n`))}>Download</button>
      </div>
      {frames.length === 0 ? <p className="none">All that goes over the connection stands here, the newest first.</p> : (
        <div className="rows" role="log" aria-live="off" aria-label="Frames of this connection" tabIndex={0}>
          {[...frames].reverse().map(frame => <FrameRow key={frame.n} frame={frame} />)}
        </div>
      )}
    </div>
  )
}

const FrameRow = memo(function FrameRow({ frame }: { frame: Frame }) {
  const { direction, type, value } = frame
  const [sign, meaning] = direction === 'in' ? ['←', 'from the server']
    : direction === 'out' ? ['→', 'to the server'] : ['·', 'note']
  return (
    <details className={type === 'error' || type === 'bye' ? 'row refused' : 'row'} data-kind={direction}>
      <summary>
        <time>{clockMs(frame.at)}</time>
        <span className="sign" title={meaning}>
          <span aria-hidden="true">{sign}</span><span className="unseen">{meaning}</span>
        </span>
        <b className="type">{type}</b>
        {direction === 'note' ? <span>{String(value)}</span> : <OneLine value={value} />}
      </summary>
      <div className="row-whole"><Json value={value} label={`${meaning}: ${type}`} /></div>
    </details>
  )
})
