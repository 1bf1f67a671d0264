// One user: every session, what it is subscribed to, and what an operator can take back.
import { useState } from 'react'
import { inPath, useApi } from './api.ts'
import { ActionDialog, type Action } from './actions.tsx'
import { duration, moment } from './format.ts'
import { InboxPanel } from './inbox/inbox.tsx'
import { NotifyPanel } from './inbox/notify.tsx'
import { useLoad } from './load.ts'
import { CopyButton, Empty, Facts, Loading, PageHead, ProblemBox } from './parts.tsx'
import { href } from './route.ts'

const REFRESH_MS = 2000

interface Connection {
  readonly session: string
  readonly transport: string
  readonly connected_seconds: number
  readonly token_expires_ms?: number
  readonly channels: readonly string[]
  readonly entered: readonly string[]
}
interface Connections { readonly connections: readonly Connection[]; readonly more: boolean }

export function UserPage({ user }: { user: string }) {
  const api = useApi()
  const { value, problem, reload } = useLoad(user, signal =>
    api.get<Connections>(`/users/${inPath(user)}/connections`, {}, signal), REFRESH_MS)
  const [action, setAction] = useState<Action>()
  const [said, setSaid] = useState('')
  const [told, setTold] = useState(0)
  const changed = () => setTold(n => n + 1)
  return (
    <>
      <PageHead title={user} mono back={{ href: href('users'), label: 'Users' }}>
        <a className="button main" href={href('trace', undefined, { user })}>Trace this user</a>
        <button className="button danger" onClick={() => setAction({ kind: 'disconnect', user })}>
          Disconnect
        </button>
        <button className="button danger" onClick={() => setAction({ kind: 'revoke', user })}>
          Revoke tokens
        </button>
      </PageHead>
      <p className="said" role="status">{said}</p>
      {problem && <ProblemBox problem={problem} onRetry={reload} />}
      {!value ? !problem && <Loading /> : value.connections.length === 0 ? (
        <Empty>
          <p><b>{user} has no session here.</b></p>
          <p>When the next one begins, it shows here; a <a href={href('trace', undefined, { user })}>trace</a> of
            the user shows why one is refused.</p>
        </Empty>
      ) : (
        <ul className="sessions" aria-label={`Sessions of ${user}`}>
          {value.connections.map(connection => (
            <SessionCard key={connection.session} connection={connection} onAction={setAction} />
          ))}
        </ul>
      )}
      {value?.more && <p className="none">There are more sessions than are shown.</p>}
      <div className="two-columns">
        <InboxPanel user={user} turn={told} onChanged={changed} />
        <NotifyPanel user={user} onNotified={changed} />
      </div>
      {action && (
        <ActionDialog action={action} onClose={() => setAction(undefined)} onDone={text => {
          setAction(undefined)
          setSaid(text)
          reload()
        }} />
      )}
    </>
  )
}

function SessionCard({ connection, onAction }: {
  connection: Connection
  onAction: (action: Action) => void
}) {
  const { session, transport, channels, entered } = connection
  return (
    <li className="panel session">
      <div className="panel-head">
        <h2><code>{session}</code></h2>
        <div className="panel-actions">
          <CopyButton text={session} label="Copy id" />
          <a className="button small" href={href('trace', undefined, { session })}>Trace</a>
          <button className="button small danger" onClick={() => onAction({ kind: 'disconnect', session })}>
            Disconnect<span className="unseen"> session {session}</span>
          </button>
          <button className="button small danger" onClick={() => onAction({ kind: 'revoke', session })}>
            Revoke<span className="unseen"> session {session}</span>
          </button>
        </div>
      </div>
      <Facts facts={[
        ['Transport', transport],
        ['Connected for', duration(connection.connected_seconds)],
        ['Token expires', connection.token_expires_ms === undefined ? 'no token, or never'
          : moment(connection.token_expires_ms)],
      ]} />
      <h3>Subscribed to {channels.length === 1 ? '1 channel' : `${channels.length} channels`}</h3>
      {channels.length === 0 ? <p className="none">Nothing, so no event comes here.</p> : (
        <ul className="chips">
          {channels.map(channel => (
            <li key={channel} className="chip">
              <a dir="auto" href={href('channels', channel)}>{channel}</a>
              {entered.includes(channel) && <span className="tag">present</span>}
              <button onClick={() => onAction({ kind: 'unsubscribe', session, channel })}>
                Unsubscribe<span className="unseen"> {channel}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </li>
  )
}
