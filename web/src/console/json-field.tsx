// Fields of forms: a line, and JSON, which Ctrl+Enter sends.
import type { ReactNode } from 'react'
import { Field } from './parts.tsx'

export function LineField({ label, help, required, mono, value, onChange }: {
  label: string
  help?: ReactNode
  required?: boolean
  mono?: boolean
  value: string
  onChange: (value: string) => void
}) {
  return (
    <Field label={label} {...help !== undefined && { help }} {...required && { required }}>
      {ids => <input {...ids} className={mono ? 'input mono' : 'input'} value={value} required={required} autoComplete="off"
        autoCapitalize="off" spellCheck={false} onChange={event => onChange(event.target.value)} />}
    </Field>
  )
}

export function JsonField({ label, help, error, value, onChange }: {
  label: string
  help: ReactNode
  error: string | undefined
  value: string
  onChange: (value: string) => void
}) {
  return (
    <Field label={label} help={help} error={error}>
      {ids => (
        <textarea {...ids} className="input code-input" rows={4} value={value} spellCheck={false}
          autoCapitalize="off" onChange={event => onChange(event.target.value)}
          onKeyDown={event => {
            if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
            event.currentTarget.form?.requestSubmit()
          }} />
      )}
    </Field>
  )
}

export function faultOf(text: string): string | undefined {
  try {
    JSON.parse(text)
    return undefined
  } catch (error) {
    return `Not JSON: ${(error as Error).message}`
  }
}
