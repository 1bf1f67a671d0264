// Changes a key of a channel of kind `state`: sets it, patches it, removes it.
import { useEffect, useState } from 'react'
import { problemOf, useApi, type Problem } from '../api.ts'
import { faultOf, JsonField, LineField } from '../json-field.tsx'
import { Field, Panel, ProblemBox } from '../parts.tsx'
import type { StateEntry } from './state.tsx'

const WAYS = ['set', 'patch', 'remove'] as const
type Way = (typeof WAYS)[number]
const NAMES: Record<Way, string> = { set: 'Set', patch: 'Patch', remove: 'Remove' }
const DONE: Record<Way, string> = { set: 'Set', patch: 'Patched', remove: 'Removed' }

interface Written { readonly offset: number; readonly version: number; readonly level: string; readonly duplicate: boolean }
type Outcome = { way: Way; written: Written } | { problem: Problem }

/** `picked`: the key that somebody wants to change, as it was then. */
export function WritePanel({ channel, picked, onWritten }: {
  channel: string
  picked: StateEntry | undefined
  onWritten: () => void
}) {
  const api = useApi()
  const [way, setWay] = useState<Way>('set')
  const [key, setKey] = useState('')
  const [value, setValue] = useState('{\n  "hello": "from the console"\n}')
  const [more, setMore] = useState({ if_version: '', ttl: '' })
  const [outcome, setOutcome] = useState<Outcome>()
  const [busy, setBusy] = useState(false)
  const fault = way === 'remove' ? undefined : faultOf(value)

  useEffect(() => {
    if (!picked) return
    setKey(picked.key)
    setValue(JSON.stringify(picked.value, null, 2))
    setMore({ if_version: String(picked.version), ttl: '' })
  }, [picked])

  const write = async () => {
    setBusy(true)
    try {
      const written = await api.post<Written>(`/state/${way}`, {
        channel, key,
        ...way === 'set' && { value: JSON.parse(value) },
        ...way === 'patch' && { patch: JSON.parse(value) },
        ...more.if_version && { if_version: Number(more.if_version) },
        ...way !== 'remove' && more.ttl && { ttl: Math.round(Number(more.ttl) * 1000) },
      })
      setOutcome({ way, written })
      setMore(more => more.if_version ? { ...more, if_version: String(written.version) } : more)
      onWritten()
    } catch (error) {
      setOutcome({ problem: problemOf(error) })
    }
    setBusy(false)
  }
  return (
    <Panel title="Change a key" className="publish">
      <form onSubmit={event => {
        event.preventDefault()
        if (!fault && !busy) void write()
      }}>
        <fieldset className="ways">
          <legend className="unseen">What to do</legend>
          {WAYS.map(one => (
            <label key={one}>
              <input type="radio" name="way" checked={way === one} onChange={() => setWay(one)} /> {NAMES[one]}
            </label>
          ))}
        </fieldset>
        <LineField label="Key" required mono value={key} onChange={setKey} />
        {way !== 'remove' && (
          <JsonField label={way === 'set' ? 'Value' : 'Patch'} error={fault} value={value} onChange={setValue}
            help={way === 'set' ? 'Any JSON.' : 'A JSON Merge Patch: members are set, those that are null are removed.'} />
        )}
        <details className="options">
          <summary>Only if unchanged, for a time</summary>
          <Field label="If version" help="Refused if the key has changed since this version; 0: only if there is none.">
            {ids => <input {...ids} className="input" type="number" min="0" step="1" value={more.if_version}
              onChange={event => setMore({ ...more, if_version: event.target.value })} />}
          </Field>
          {way !== 'remove' && (
            <Field label="Seconds" help="Then the key is removed by itself; without: it stays.">
              {ids => <input {...ids} className="input" type="number" min="0.001" step="any" value={more.ttl}
                onChange={event => setMore({ ...more, ttl: event.target.value })} />}
            </Field>
          )}
        </details>
        <div className="form-foot">
          <button className={way === 'remove' ? 'button danger' : 'button main'}
            disabled={busy || fault !== undefined || key === ''}>{NAMES[way]} it</button>
          <div role="status" className="outcome">
            {outcome && 'written' in outcome && (
              <span className="good">
                {outcome.written.duplicate ? 'Was so already' : DONE[outcome.way]}: version{' '}
                <b>{outcome.written.version}</b> ({outcome.written.level})
              </span>
            )}
          </div>
        </div>
        {outcome && 'problem' in outcome && <ProblemBox problem={outcome.problem} />}
      </form>
    </Panel>
  )
}
