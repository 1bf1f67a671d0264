// Who may look: whoever has an API key.
import { useEffect, useState } from 'react'
import { Logo } from '../icons.tsx'
import type { Problem } from './api.ts'
import { hasKeys, refusalOf } from './key.ts'
import { Field, ProblemBox } from './parts.tsx'

const HOW = `[[api.key]]
name = "console"
secret_file = "console.key"   # openssl rand -base64 32 > console.key`

export function SignIn({ notice, onKey }: {
  notice: string | null
  onKey: (key: string) => void
}) {
  const [key, setKey] = useState('')
  const [problem, setProblem] = useState<Problem>()
  const [busy, setBusy] = useState(false)
  const [off, setOff] = useState(false)
  useEffect(() => {
    let here = true
    void hasKeys().then(has => { if (here) setOff(!has) })
    return () => { here = false }
  }, [])

  const submit = async () => {
    setBusy(true)
    const refusal = await refusalOf(key.trim())
    setBusy(false)
    setProblem(refusal)
    if (!refusal) onKey(key.trim())
  }
  return (
    <main className="sign-in" id="main">
      <div className="sign-in-card">
        <div className="sign-in-brand"><Logo /><h1>Tidings console</h1></div>
        {notice !== null && <p className="notice" role="status">{notice}</p>}
        {off && <NoKeys />}
        <form onSubmit={event => {
          event.preventDefault()
          void submit()
        }}>
          <Field label="API key"
            help="The secret of an [[api.key]]. It stays in this tab and goes to this server only.">
            {ids => (
              <input {...ids} className="input mono" type="password" value={key} required autoFocus
                autoComplete="off" spellCheck={false} autoCapitalize="off"
                onChange={event => setKey(event.target.value)} />
            )}
          </Field>
          {problem && <ProblemBox problem={problem} />}
          <button className="button main wide" disabled={busy || key.trim() === ''}>
            {busy ? 'Asking the server…' : 'Sign in'}
          </button>
        </form>
      </div>
    </main>
  )
}

function NoKeys() {
  return (
    <div className="notice" role="status">
      <p><b>This server has no API key</b>, so there is nothing to sign in with. Add one to its
        configuration and reload it:</p>
      <pre className="json" tabIndex={0}>{HOW}</pre>
      <p><code>tidings dev</code> makes one by itself.</p>
    </div>
  )
}
