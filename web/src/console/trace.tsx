// What goes between clients and the server, as it does: of a channel, a user or a session.
import { useState } from 'react'
import { Empty, Field, PageHead } from './parts.tsx'
import { goTo, href } from './route.ts'
import type { Target } from './trace-feed.ts'
import { TraceLog } from './trace-log.tsx'

const KINDS = ['channel', 'user', 'session'] as const
const PLACES = { channel: 'chat:lobby', user: 'ada', session: '3f9c2d10aa417be5' }

export function Trace({ query }: { query: URLSearchParams }) {
  const target = targetOf(query)
  return (
    <>
      <PageHead title="Trace" about="Every frame of a channel, a user or a session, and why one was refused." />
      <TargetForm key={target && `${target.kind} ${target.name}`} target={target} />
      {target ? <TraceLog key={`${target.kind} ${target.name}`} target={target} /> : (
        <Empty>
          <p><b>What does not arrive?</b></p>
          <p>Trace its <b>channel</b> to see who publishes and to whom it goes; the <b>user</b>, to see
            what they send and are told, also while they are refused at the door; or one <b>session</b>.</p>
          <p>Nothing is recorded before a trace is started, and nobody else is slowed down by one.</p>
        </Empty>
      )}
    </>
  )
}

function targetOf(query: URLSearchParams): Target | undefined {
  for (const kind of KINDS) {
    const name = query.get(kind)
    if (name) return { kind, name }
  }
  return undefined
}

function TargetForm({ target }: { target: Target | undefined }) {
  const [kind, setKind] = useState<Target['kind']>(target?.kind ?? 'channel')
  const [name, setName] = useState(target?.name ?? '')
  return (
    <form className="target" onSubmit={event => {
      event.preventDefault()
      if (name.trim()) goTo(href('trace', undefined, { [kind]: name.trim() }))
    }}>
      <Field label="Trace a">
        {ids => (
          <select {...ids} className="input" value={kind}
            onChange={event => setKind(event.target.value as Target['kind'])}>
            {KINDS.map(kind => <option key={kind}>{kind}</option>)}
          </select>
        )}
      </Field>
      <Field label={kind === 'session' ? 'Session id' : `Name of the ${kind}`}>
        {ids => (
          <input {...ids} data-search className="input mono" value={name} placeholder={PLACES[kind]}
            autoComplete="off" autoCapitalize="off" spellCheck={false}
            onChange={event => setName(event.target.value)} />
        )}
      </Field>
      <button className="button main" disabled={name.trim() === ''}>Start</button>
      {target && <a className="button" href={href('trace')}>Stop</a>}
    </form>
  )
}
