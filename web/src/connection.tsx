// How the line is, and what one can do about it.
import type { ConnectionStatus, TidingsError, TransportName } from 'tidings'
import { useClient, useConnection } from 'tidings/react'
import { useNow, useOnline } from './browser.ts'
import { seconds } from './format.ts'
import { Alert, Offline } from './icons.tsx'

const TRANSPORTS: Record<TransportName, string> = {
  websocket: 'WebSocket', sse: 'Server-Sent Events', poll: 'long-polling',
}

function labelOf(status: ConnectionStatus, online: boolean): string {
  switch (status.state) {
    case 'connected': return 'Connected'
    case 'connecting': return status.attempt > 0 ? 'Reconnecting' : 'Connecting…'
    case 'waiting': return online ? 'Reconnecting' : 'Offline'
    case 'closed': case 'idle': return 'Disconnected'
  }
}

/** In the head of every room. The one place that a screen reader is told of it. */
export function ConnectionPill() {
  const status = useConnection()
  const online = useOnline()
  const by = status.state === 'connected' ? `By ${TRANSPORTS[status.transport]}` : undefined
  return (
    <span className="pill" data-state={status.state} title={by}>
      <span role="status">{labelOf(status, online)}</span>
    </span>
  )
}

/** Above the composer while there is no connection; `null` while there is one. */
export function ConnectionBar({ onSignIn }: { onSignIn: () => void }) {
  const status = useConnection()
  const client = useClient()
  const online = useOnline()
  if (status.state === 'closed') {
    return (
      <div className="bar closed" role="alert">
        <p><Alert /><span><b>Disconnected:</b> {reasonOf(status.cause)}</span></p>
        <span className="choices">
          {asksForToken(status.cause)
            && <button className="button small" onClick={onSignIn}>Sign in</button>}
          <button className="button small" onClick={() => client.connect()}>Reconnect</button>
        </span>
      </div>
    )
  }
  if (status.state !== 'waiting' && !(status.state === 'connecting' && status.attempt > 0)) return null
  return (
    <div className="bar">
      <p>
        <Offline />
        <span>
          <b>{online ? 'Connection lost.' : 'You are offline.'}</b>{' '}
          {status.state === 'waiting' ? <Countdown until={status.retryAt} /> : 'Trying now…'}
        </span>
      </p>
      <span className="choices">
        <button className="button small" disabled={status.state !== 'waiting'}
          onClick={() => client.retryNow()}>
          Try now
        </button>
      </span>
    </div>
  )
}

function Countdown({ until }: { until: number }) {
  const now = useNow(true, 250)
  return <span className="count" aria-hidden="true">Trying again in {seconds(until - now)} s.</span>
}

const REASONS: Partial<Record<TidingsError['code'], string>> = {
  unauthorized: 'the token was refused.',
  forbidden: 'this server lets nobody in without a token.',
  replaced: 'another session took this one’s place.',
  revoked: 'you were logged out.',
  too_large: 'what was sent is larger than the server takes.',
  unsupported_version: 'this page and the server speak different versions. Reload the page.',
  not_found: 'the server does not know this place.',
  protocol: 'something between here and the server damages what is sent.',
}

function reasonOf({ code, message, closeCode }: TidingsError): string {
  return (REASONS[code] ?? `${message}.`) + (closeCode ? ` (${closeCode})` : '')
}

const asksForToken = ({ code }: TidingsError) =>
  code === 'unauthorized' || code === 'forbidden' || code === 'revoked'
