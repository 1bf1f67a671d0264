// What every section is made of.
import { useEffect, useId, useRef, useState, type ReactNode } from 'react'
import { Alert } from '../icons.tsx'
import type { Problem } from './api.ts'
import { Back, Check, Copy, Search } from './icons.tsx'

export function PageHead({ title, mono, back, about, children }: {
  title: string
  /** The title is a name, not a word. */
  mono?: boolean
  back?: { href: string; label: string }
  about?: ReactNode
  children?: ReactNode
}) {
  return (
    <header className="page-head">
      <div className="page-title">
        {back && <a className="back" href={back.href}><Back size={15} />{back.label}</a>}
        <h1 className={mono ? 'mono' : undefined} dir="auto">{title}</h1>
        {about !== undefined && <p className="about">{about}</p>}
      </div>
      {children !== undefined && <div className="page-actions">{children}</div>}
    </header>
  )
}

export function Panel({ title, actions, className, children }: {
  title: string
  actions?: ReactNode
  className?: string
  children: ReactNode
}) {
  const id = useId()
  return (
    <section className={className ? `panel ${className}` : 'panel'} aria-labelledby={id}>
      <div className="panel-head">
        <h2 id={id}>{title}</h2>
        {actions !== undefined && <div className="panel-actions">{actions}</div>}
      </div>
      {children}
    </section>
  )
}

/** Why a request failed, in the server's own words. */
export function ProblemBox({ problem, onRetry }: { problem: Problem; onRetry?: () => void }) {
  return (
    <div className="problem" role="alert">
      <Alert size={17} />
      <div>
        <p><b>{problem.title}</b>{problem.status > 0 && <span className="tag bad">{problem.status}</span>}
          {problem.code && <code>{problem.code}</code>}</p>
        {problem.detail && <p className="detail">{problem.detail}</p>}
        {problem.path !== undefined && <p className="detail">At <code>{problem.path || '(the whole)'}</code></p>}
        {problem.limit !== undefined && <p className="detail">The limit is <code>{problem.limit}</code></p>}
      </div>
      {onRetry && <button type="button" className="button small" onClick={onRetry}>Try again</button>}
    </div>
  )
}

export function Empty({ children }: { children: ReactNode }) {
  return <div className="empty">{children}</div>
}

export function Loading() {
  return <p className="empty" role="status">Loading…</p>
}

export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="facts">
      {facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
    </dl>
  )
}

/** The server writes code in backticks. */
export function Prose({ text }: { text: string }) {
  return text.split('`').map((part, index) => index % 2 ? <code key={index}>{part}</code> : part)
}

/** A label, what it names, and what to know about it. */
export function Field({ label, help, error, required, wide, children }: {
  label: string
  help?: ReactNode
  error?: string | undefined
  required?: boolean
  /** It takes a row of its own. */
  wide?: boolean
  children: (ids: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: true }) => ReactNode
}) {
  const id = useId()
  const described = error !== undefined || Boolean(help)
  return (
    <div className={wide ? 'field wide-field' : 'field'}>
      <label htmlFor={id}>{label}{required && <span className="needed" title="required"> *</span>}</label>
      {children({ id, ...described && { 'aria-describedby': `${id}-help` },
        ...error !== undefined && { 'aria-invalid': true } })}
      {described && (
        <p id={`${id}-help`} className={error === undefined ? 'help' : 'help wrong'}>{error ?? help}</p>
      )}
    </div>
  )
}

/** `/` goes to it from anywhere on the page. */
export function SearchField({ label, placeholder, value, onChange, onSubmit }: {
  label: string
  placeholder: string
  value: string
  onChange: (value: string) => void
  onSubmit?: () => void
}) {
  return (
    <form className="search" role="search" onSubmit={event => {
      event.preventDefault()
      onSubmit?.()
    }}>
      <Search size={16} />
      <input className="input" type="search" data-search aria-label={label} placeholder={placeholder}
        aria-keyshortcuts="/" value={value} autoComplete="off" autoCapitalize="off" spellCheck={false}
        onChange={event => onChange(event.target.value)} />
      <kbd aria-hidden="true">/</kbd>
    </form>
  )
}

export function CopyButton({ text, label = 'Copy', small = true }: {
  text: string | (() => string)
  label?: string
  small?: boolean
}) {
  const [said, setSaid] = useState<'copied' | 'failed' | null>(null)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])
  const say = (what: 'copied' | 'failed') => {
    setSaid(what)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => setSaid(null), 1600)
  }
  return (
    <button type="button" className={small ? 'button small' : 'button'} onClick={() => {
      copy(typeof text === 'string' ? text : text()).then(() => say('copied'), () => say('failed'))
    }}>
      {said === 'copied' ? <Check size={14} /> : <Copy size={14} />}
      <span aria-live="polite">
        {said === 'copied' ? 'Copied' : said === 'failed' ? 'Not possible' : label}
      </span>
    </button>
  )
}

/** The clipboard is for pages that came over TLS or from this machine; elsewhere the old way works. */
async function copy(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  const area = document.createElement('textarea')
  area.value = text
  document.body.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  if (!done) throw new Error('the browser does not allow it')
}
