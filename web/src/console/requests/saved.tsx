// Requests under a name, in this browser; and as a link, for others.
import { useState } from 'react'
import { Close } from '../../icons.tsx'
import { CopyButton, Panel } from '../parts.tsx'
import { forgetRequest, linkOf, savedRequests, saveRequest, type NamedRequest, type Saved } from './link.ts'

export function SavedPanel({ request, onRestore }: {
  request: Saved
  onRestore: (request: NamedRequest) => void
}) {
  const [all, setAll] = useState(savedRequests)
  const [name, setName] = useState('')
  const link = linkOf(request)
  return (
    <Panel title="Saved" className="saved-panel" actions={link === undefined
      ? <span className="none">too long for a link</span>
      : <CopyButton text={() => new URL(link, location.href).href} label="Copy link" />}>
      <form className="save" onSubmit={event => {
        event.preventDefault()
        if (!name.trim()) return
        setAll(saveRequest({ ...request, name: name.trim() }))
        setName('')
      }}>
        <input className="input" aria-label="Save this request as" placeholder="Save this request as" value={name}
          maxLength={60} autoComplete="off" onChange={event => setName(event.target.value)} />
        <button className="button" disabled={name.trim() === ''}>Save</button>
      </form>
      {all.length > 0 && (
        <ul className="saved">
          {all.map(one => (
            <li key={one.name}>
              <button className="link" onClick={() => onRestore(one)}>{one.name}</button>
              <code>{one.e.slice(one.e.indexOf(':') + 1)}</code>
              <button className="icon-button" aria-label={`Forget ${one.name}`} title="Forget"
                onClick={() => setAll(forgetRequest(one.name))}><Close size={13} /></button>
            </li>
          ))}
        </ul>
      )}
      <p className="help">The key, tokens and session tickets are neither saved nor in a link.</p>
    </Panel>
  )
}
