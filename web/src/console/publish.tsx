// Says something in a channel, as the API key's name or as a user.
import { useState } from 'react'
import { problemOf, useApi, type Problem } from './api.ts'
import { faultOf, JsonField, LineField } from './json-field.tsx'
import { Panel, ProblemBox } from './parts.tsx'

interface Published {
  readonly epoch?: string
  readonly offset?: number
  readonly level: string
  readonly duplicate: boolean
}

type Outcome = { published: Published } | { problem: Problem }

export function PublishPanel({ channel, onPublished }: { channel: string; onPublished: () => void }) {
  const api = useApi()
  const [data, setData] = useState('{\n  "text": "Hello from the console"\n}')
  const [more, setMore] = useState({ event: '', key: '', user: '', ephemeral: false })
  const [outcome, setOutcome] = useState<Outcome>()
  const [busy, setBusy] = useState(false)
  const fault = faultOf(data)

  const publish = async () => {
    setBusy(true)
    try {
      const { event, key, user, ephemeral } = more
      const published = await api.post<Published>('/publish', {
        channel, data: JSON.parse(data),
        ...event && { event }, ...key && { key }, ...user && { user }, ...ephemeral && { ephemeral },
      })
      setOutcome({ published })
      onPublished()
    } catch (error) {
      setOutcome({ problem: problemOf(error) })
    }
    setBusy(false)
  }
  const text = (name: 'event' | 'key' | 'user', label: string, help: string) => (
    <LineField label={label} help={help} value={more[name]} onChange={said => setMore({ ...more, [name]: said })} />
  )
  return (
    <Panel title="Publish" className="publish">
      <form onSubmit={event => {
        event.preventDefault()
        if (!fault && !busy) void publish()
      }}>
        <JsonField label="Data" help="Any JSON." error={fault} value={data} onChange={setData} />
        <details className="options">
          <summary>Name, key, user</summary>
          {text('event', 'Event', 'A name inside the channel.')}
          {text('user', 'User', 'Whom the event is from; without one, the API key’s name.')}
          {text('key', 'Key', 'Makes it idempotent: the same key again is the same event.')}
          <label className="check">
            <input type="checkbox" checked={more.ephemeral}
              onChange={event => setMore({ ...more, ephemeral: event.target.checked })} />
            Ephemeral: to whoever is subscribed now, never stored
          </label>
        </details>
        <div className="form-foot">
          <button className="button main" disabled={busy || fault !== undefined}>Publish</button>
          <div role="status" className="outcome">
            {outcome && 'published' in outcome && <Done {...outcome.published} />}
          </div>
        </div>
        {outcome && 'problem' in outcome && <ProblemBox problem={outcome.problem} />}
      </form>
    </Panel>
  )
}

function Done({ offset, level, duplicate }: Published) {
  if (offset === undefined && !duplicate) return <span className="good">Sent to who is subscribed now</span>
  return (
    <span className="good">
      {duplicate ? 'Was there already' : 'Stored'}{offset !== undefined && <> at offset <b>{offset}</b></>} ({level})
    </span>
  )
}
