// Tells a user something, as a backend would.
import { useState } from 'react'
import { problemOf, useApi, type Problem } from '../api.ts'
import { faultOf, JsonField, LineField } from '../json-field.tsx'
import { Field, Panel, ProblemBox } from '../parts.tsx'

interface Notified {
  readonly notified: number
  readonly duplicates: number
  readonly failed?: readonly { user: string; code: string }[]
}
type Outcome = { notified: Notified } | { problem: Problem }

export function NotifyPanel({ user, onNotified }: { user: string; onNotified: () => void }) {
  const api = useApi()
  const [topic, setTopic] = useState('news')
  const [subject, setSubject] = useState('')
  const [data, setData] = useState('{\n  "text": "Hello from the console"\n}')
  const [more, setMore] = useState({ key: '', ttl: '', user_from: '' })
  const [outcome, setOutcome] = useState<Outcome>()
  const [busy, setBusy] = useState(false)
  const fault = faultOf(data)

  const notify = async () => {
    setBusy(true)
    try {
      const { key, ttl, user_from } = more
      const notified = await api.post<Notified>('/notify', {
        user, topic, data: JSON.parse(data), ...subject && { subject }, ...key && { key },
        ...ttl && { ttl: Math.round(Number(ttl) * TTL_UNIT) }, ...user_from && { user_from },
      })
      setOutcome({ notified })
      onNotified()
    } catch (error) {
      setOutcome({ problem: problemOf(error) })
    }
    setBusy(false)
  }
  const text = (name: 'key' | 'user_from', label: string, help: string) => (
    <LineField label={label} help={help} value={more[name]} onChange={said => setMore({ ...more, [name]: said })} />
  )
  return (
    <Panel title="Notify this user" className="publish">
      <form onSubmit={event => {
        event.preventDefault()
        if (!fault && !busy) void notify()
      }}>
        <LineField label="Topic" help="What it is about: one can follow a topic." required value={topic} onChange={setTopic} />
        <LineField label="Subject" help="Items of one subject stand together." value={subject} onChange={setSubject} />
        <JsonField label="Data" help="Any JSON." error={fault} value={data} onChange={setData} />
        <details className="options">
          <summary>Key, from whom, for how long</summary>
          {text('key', 'Key', 'The same key again: the user still has one.')}
          {text('user_from', 'From', 'The user who caused it.')}
          <Field label="Seconds" help="Then it is taken back; without: as long as the inbox keeps it.">
            {ids => <input {...ids} className="input" type="number" min="1" step="any" value={more.ttl}
              onChange={event => setMore({ ...more, ttl: event.target.value })} />}
          </Field>
        </details>
        <div className="form-foot">
          <button className="button main" disabled={busy || fault !== undefined || topic === ''}>Notify</button>
          <div role="status" className="outcome">
            {outcome && 'notified' in outcome && <Done {...outcome.notified} />}
          </div>
        </div>
        {outcome && 'problem' in outcome && <ProblemBox problem={outcome.problem} />}
      </form>
    </Panel>
  )
}

/** `ttl` is in milliseconds. */
const TTL_UNIT = 1000

function Done({ notified, duplicates, failed = [] }: Notified) {
  const [refused] = failed
  if (refused) return <span className="bad">Not stored: <code>{refused.code}</code></span>
  return <span className="good">{notified > 0 ? 'Stored' : duplicates > 0 ? 'Was there already' : 'Nobody was told'}</span>
}
