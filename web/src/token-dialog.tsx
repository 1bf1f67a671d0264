import { useState } from 'react'
import { Dialog } from './dialog.tsx'

interface TokenDialogProps {
  token: string | null
  onClose: () => void
  onToken: (token: string | null) => void
}

/** Who one is comes from a token; how one gets it is the application's affair, so: paste it. */
export function TokenDialog({ token, onClose, onToken }: TokenDialogProps) {
  const [draft, setDraft] = useState(token ?? '')
  const next = draft.trim() || null
  return (
    <Dialog className="modal" label="Sign in" onClose={onClose}>
      <form onSubmit={event => {
        event.preventDefault()
        onToken(next)
      }}>
        <h2>Sign in</h2>
        <p>
          Paste a JSON Web Token that this server trusts. You become its user; what waits to be sent
          as the one before is dropped. The token stays in this tab.
        </p>
        <label htmlFor="token">Token</label>
        <textarea id="token" className="input" value={draft} autoComplete="off" spellCheck={false}
          autoCapitalize="off" placeholder="eyJhbGciOi…" autoFocus
          onChange={event => setDraft(event.target.value)} />
        <div className="actions">
          {token !== null && (
            <button type="button" className="button" onClick={() => onToken(null)}>Sign out</button>
          )}
          <button type="button" className="button" onClick={onClose}>Cancel</button>
          <button className="button main" disabled={next === null || next === token}>Sign in</button>
        </div>
      </form>
    </Dialog>
  )
}
