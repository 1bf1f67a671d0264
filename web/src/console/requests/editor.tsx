// What is asked: chosen, filled in as a form or as JSON, and sent.
import { useState } from 'react'
import { Field, Prose } from '../parts.tsx'
import { href } from '../route.ts'
import { entryOf, requestOf, type Catalog, type Entry } from './catalog.ts'
import { SchemaForm } from './form.tsx'
import type { Draft } from './requests.tsx'
import type { JsonObject } from './schema.ts'
import { OVERS, type Over } from './wire.ts'

interface EditorProps {
  catalog: Catalog
  draft: Draft
  busy: boolean
  onEntry: (entry: Entry) => void
  onExample: (example: JsonObject) => void
  onValue: (value: JsonObject) => void
  onText: (text: string) => void
  onOver: (over: Over) => void
  onSend: () => void
}

export function Editor(props: EditorProps) {
  const { draft, busy, onValue, onText, onOver, onSend } = props
  const { entry, over, value, text, fault } = draft
  const [raw, setRaw] = useState(false)
  return (
    <form className="editor" onSubmit={event => {
      event.preventDefault()
      if (!busy && fault === undefined) onSend()
    }}>
      <Choice {...props} />
      {entry.kind === 'command' ? <ByWay over={over} onOver={onOver} /> : <RequestLine entry={entry} value={value} />}
      <div className="editor-tabs">
        <div className="switch" role="group" aria-label="Write it as">
          <button type="button" aria-pressed={!raw} onClick={() => setRaw(false)}>Form</button>
          <button type="button" aria-pressed={raw} onClick={() => setRaw(true)}>JSON</button>
        </div>
        {entry.examples.length > 1 && (
          <select className="input" aria-label="Start from an example" value=""
            onChange={event => props.onExample(entry.examples[Number(event.target.value)]!)}>
            <option value="" disabled>Examples…</option>
            {entry.examples.map((example, index) => (
              <option key={index} value={index}>{JSON.stringify(example).slice(0, 60)}</option>
            ))}
          </select>
        )}
      </div>
      {raw ? (
        <Field label="Raw JSON" error={fault}
          help={entry.kind === 'command' ? 'Sent as it stands, on one line; it gets the next id unless it has one.'
            : 'Parts of the path and the query stand here, too.'}>
          {ids => (
            <textarea {...ids} className="input code-input" value={text} spellCheck={false} autoCapitalize="off"
              rows={Math.min(24, Math.max(8, text.split('\n').length + 1))}
              onChange={event => onText(event.target.value)} />
          )}
        </Field>
      ) : fault !== undefined ? (
        <p className="notice">The JSON cannot be read ({fault}), so there is no form. Go on in JSON, or{' '}
          <button type="button" className="link" onClick={() => onValue(value)}>go back to when it could</button>.</p>
      ) : entry.fields.length === 0 ? <p className="none">There is nothing to fill in.</p> : (
        <SchemaForm key={entry.id} fields={entry.fields} value={value} onChange={onValue} />
      )}
      <div className="form-foot">
        {entry.kind === 'api' && entry.streams ? (
          <p className="none">Its answer does not end: <a href={href('trace')}>Trace</a> shows it.</p>
        ) : <button className="button main" disabled={busy || fault !== undefined}>Send</button>}
      </div>
    </form>
  )
}

function Choice({ catalog, draft: { entry }, onEntry }: EditorProps) {
  return (
    <Field label="What" help={<Prose text={entry.summary} />}>
      {ids => (
        <select {...ids} data-search className="input" value={entry.id} onChange={event => {
          const chosen = entryOf(catalog, event.target.value)
          if (chosen) onEntry(chosen)
        }}>
          <optgroup label="Commands of clients">
            {catalog.commands.map(({ id, title }) => <option key={id} value={id}>{title}</option>)}
          </optgroup>
          <optgroup label="HTTP API">
            {catalog.operations.map(({ id, title }) => <option key={id} value={id}>{title}</option>)}
          </optgroup>
        </select>
      )}
    </Field>
  )
}

function ByWay({ over, onOver }: { over: Over; onOver: (over: Over) => void }) {
  return (
    <fieldset className="ways">
      <legend>Over</legend>
      {(Object.entries(OVERS) as [Over, string][]).map(([way, label]) => (
        <label key={way}>
          <input type="radio" name="over" checked={way === over} onChange={() => onOver(way)} />{label}
        </label>
      ))}
    </fieldset>
  )
}

function RequestLine({ entry, value }: { entry: Extract<Entry, { kind: 'api' }>; value: JsonObject }) {
  return (
    <p className="request-line" aria-label="The request">
      <span className="tag">{entry.method}</span><code>{requestOf(entry, value).path}</code>
    </p>
  )
}
