// A form for a schema. It writes into the value that the raw JSON beside it is, too.
import { useEffect, useRef, useState } from 'react'
import { Field, Prose } from '../parts.tsx'
import { faultOf } from '../json-field.tsx'
import type { FieldSpec, Json, JsonObject } from './schema.ts'

interface FormProps {
  fields: readonly FieldSpec[]
  value: JsonObject
  onChange: (value: JsonObject) => void
}

/** What is needed stands first and wide; what can be left out, two in a row. */
export function SchemaForm({ fields, value, onChange }: FormProps) {
  const one = (field: FieldSpec) => (
    <OneField key={field.name} field={field} value={value[field.name]}
      onChange={next => {
        const changed = { ...value }
        // Left empty is left out.
        if (next === undefined) delete changed[field.name]
        else changed[field.name] = next
        onChange(changed)
      }} />
  )
  const optional = fields.filter(field => !field.required)
  return (
    <div className="schema-form">
      {fields.filter(field => field.required).map(one)}
      {optional.length > 0 && <div className="optional">{optional.map(one)}</div>}
    </div>
  )
}

interface OneFieldProps {
  field: FieldSpec
  value: Json | undefined
  onChange: (value: Json | undefined) => void
}

function OneField({ field, value, onChange }: OneFieldProps) {
  const { name, kind, help, required } = field
  if (kind === 'object') return <Group field={field} value={value} onChange={onChange} />
  if (kind === 'json' || kind === 'list') {
    return <TextField field={field} value={value} onChange={onChange} />
  }
  return (
    <Field label={name} help={help && <Prose text={help} />} required={required}>
      {ids => kind === 'boolean' || kind === 'choice' ? (
        <select {...ids} className="input" value={value === undefined ? '' : String(value)}
          onChange={event => {
            const said = event.target.value
            onChange(said === '' ? undefined : kind === 'boolean' ? said === 'true' : said)
          }}>
          <option value="">(left out)</option>
          {(kind === 'boolean' ? ['true', 'false'] : field.choices).map(one => <option key={one}>{one}</option>)}
        </select>
      ) : (
        <input {...ids} className="input mono" value={shown(value)} placeholder={field.placeholder}
          type={kind === 'number' ? 'number' : name === 'token' ? 'password' : 'text'}
          min={field.least} max={field.most} step={field.whole ? 1 : 'any'}
          autoComplete="off" autoCapitalize="off" spellCheck={false}
          onChange={event => {
            const said = event.target.value
            if (said === '') onChange(kind === 'text' && required ? '' : undefined)
            else onChange(kind === 'number' ? Number(said) : said)
          }} />
      )}
    </Field>
  )
}

const shown = (value: Json | undefined) =>
  value === undefined || value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)

function Group({ field, value, onChange }: OneFieldProps) {
  const inside = value && typeof value === 'object' && !Array.isArray(value) ? value : {}
  return (
    <fieldset className="group wide-field">
      <legend>{field.name}{field.required && <span className="needed"> *</span>}</legend>
      {field.help && <p className="help"><Prose text={field.help} /></p>}
      <SchemaForm fields={field.fields} value={inside}
        onChange={next => onChange(Object.keys(next).length === 0 && !field.required ? undefined : next)} />
    </fieldset>
  )
}

/** Text that is not a value while it is being written: any JSON, or a text on each line. */
function TextField({ field, value, onChange }: OneFieldProps) {
  const { name, kind, help, required } = field
  const written = kind === 'list' && Array.isArray(value) ? value.join('\n')
    : value === undefined ? '' : JSON.stringify(value, null, 2)
  const [text, setText] = useState(written)
  const [fault, setFault] = useState<string>()
  const own = useRef(written)
  // The value was changed elsewhere: in the raw JSON, or by another example.
  useEffect(() => {
    if (written === own.current) return
    own.current = written
    setText(written)
    setFault(undefined)
  }, [written])

  const change = (said: string) => {
    setText(said)
    if (kind === 'list') {
      const lines = said.split('\n').map(line => line.trim()).filter(line => line !== '')
      own.current = lines.join('\n')
      return onChange(lines.length > 0 || required ? lines : undefined)
    }
    if (said.trim() === '') {
      own.current = ''
      setFault(undefined)
      return onChange(undefined)
    }
    const wrong = faultOf(said)
    setFault(wrong)
    if (wrong !== undefined) return
    const parsed = JSON.parse(said) as Json
    own.current = JSON.stringify(parsed, null, 2)
    onChange(parsed)
  }
  return (
    <Field label={name} wide={kind === 'json'} help={help ? <Prose text={help} /> : kind === 'json' && 'Any JSON.'} error={fault} required={required}>
      {ids => (
        <textarea {...ids} className="input code-input" rows={Math.min(8, Math.max(2, text.split('\n').length))}
          value={text} placeholder={field.placeholder} spellCheck={false} autoCapitalize="off"
          onChange={event => change(event.target.value)} />
      )}
    </Field>
  )
}
