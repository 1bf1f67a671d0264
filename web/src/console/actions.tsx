// What takes something from somebody: said first, then done.
import { useState } from 'react'
import { Dialog } from '../dialog.tsx'
import { problemOf, useApi, type Problem } from './api.ts'
import { Field, ProblemBox } from './parts.tsx'

export type Action =
  | { kind: 'disconnect' | 'revoke'; user: string }
  | { kind: 'disconnect' | 'revoke'; session: string }
  | { kind: 'unsubscribe'; session: string; channel: string }

interface Answer { readonly sessions?: number; readonly subscriptions?: number }

const DAY = 86_400

export function ActionDialog({ action, onClose, onDone }: {
  action: Action
  onClose: () => void
  onDone: (said: string) => void
}) {
  const api = useApi()
  const [reconnect, setReconnect] = useState(false)
  const [days, setDays] = useState('30')
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<Problem>()
  const { title, about, button } = wordsOf(action)

  const carryOut = async () => {
    setBusy(true)
    try {
      const { kind, ...whose } = action
      const body = kind === 'disconnect' ? { ...whose, reconnect }
        : kind === 'revoke' ? { ...whose, ttl: Math.round(Number(days) * DAY) } : whose
      const { sessions, subscriptions } = await api.post<Answer>(`/${kind}`, body)
      onDone(kind === 'unsubscribe' ? `Ended: ${plural(subscriptions ?? 0, 'subscription')}.`
        : `${kind === 'revoke' ? 'Revoked. ' : ''}Ended: ${plural(sessions ?? 0, 'session')}.`)
    } catch (error) {
      setProblem(problemOf(error))
      setBusy(false)
    }
  }
  return (
    <Dialog className="modal" label={title} onClose={onClose}>
      <form onSubmit={event => {
        event.preventDefault()
        void carryOut()
      }}>
        <h2>{title}</h2>
        <p>{about}</p>
        {action.kind === 'disconnect' && (
          <label className="check">
            <input type="checkbox" checked={reconnect} onChange={event => setReconnect(event.target.checked)} />
            Let it come back at once, as a new session
          </label>
        )}
        {action.kind === 'revoke' && (
          <Field label="Remembered for (days)" help="As long as such tokens live.">
            {ids => <input {...ids} className="input" type="number" min="0.001" max="365" step="any" required
              value={days} onChange={event => setDays(event.target.value)} />}
          </Field>
        )}
        {problem && <ProblemBox problem={problem} />}
        <div className="actions">
          <button type="button" className="button" onClick={onClose} autoFocus>Cancel</button>
          <button className="button danger-main" disabled={busy}>{button}</button>
        </div>
      </form>
    </Dialog>
  )
}

const plural = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`

function wordsOf(action: Action): { title: string; about: string; button: string } {
  switch (action.kind) {
    case 'disconnect':
      return {
        title: 'user' in action ? `Disconnect ${action.user}` : 'Disconnect this session',
        about: `The client is told “bye” and stops. Nothing keeps it from connecting anew; to prevent that, revoke.`,
        button: 'Disconnect',
      }
    case 'revoke':
      return 'user' in action ? {
        title: `Revoke tokens of ${action.user}`,
        about: 'All tokens that were issued to this user until now are refused from now on, also after a '
          + 'restart, and their sessions end. It cannot be taken back.',
        button: 'Revoke',
      } : {
        title: 'Revoke this session',
        about: 'It ends and cannot be resumed. It cannot be taken back.',
        button: 'Revoke',
      }
    case 'unsubscribe':
      return {
        title: `Unsubscribe from ${action.channel}`,
        about: 'The session goes on; its client is told that the subscription has ended.',
        button: 'Unsubscribe',
      }
  }
}
