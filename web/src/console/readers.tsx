// Who has a channel open.
import { useApi } from './api.ts'
import { count } from './format.ts'
import { useLoad } from './load.ts'
import { Loading, Panel, ProblemBox } from './parts.tsx'
import { href } from './route.ts'

const REFRESH_MS = 3000
const MOST = 50

interface Reader { readonly user: string; readonly sessions: number }
interface Readers { readonly users: readonly Reader[]; readonly next?: string }

export function Readers({ channel }: { channel: string }) {
  const api = useApi()
  const { value, problem, reload } = useLoad(channel, signal =>
    api.get<Readers>('/users', { channel, limit: MOST }, signal), REFRESH_MS)
  const users = value?.users ?? []
  return (
    <Panel title={value ? `Open by: ${count(users.length)}${value.next === undefined ? '' : '+'}` : 'Open by'}>
      {problem && <ProblemBox problem={problem} onRetry={reload} />}
      {!value ? !problem && <Loading /> : users.length === 0 ? (
        <p className="none">Nobody has it open. What is written in it stays.</p>
      ) : (
        <ul className="members">
          {users.map(({ user, sessions }) => (
            <li key={user}>
              <p>
                <a dir="auto" href={href('users', user)}>{user}</a>
                {sessions > 1 && <span className="tag">{sessions} sessions</span>}
              </p>
            </li>
          ))}
        </ul>
      )}
      {value?.next !== undefined && <p className="none">And others: the first {count(MOST)} by name are shown.</p>}
    </Panel>
  )
}
