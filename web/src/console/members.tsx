// Who is present in a channel.
import { inPath, useApi } from './api.ts'
import { duration, moment } from './format.ts'
import { OneLine } from './json.tsx'
import { useLoad } from './load.ts'
import { Loading, Panel, ProblemBox } from './parts.tsx'
import { href } from './route.ts'

const REFRESH_MS = 3000

interface Member {
  readonly user: string
  readonly sessions: number
  readonly data?: unknown
  readonly since: string
}
interface Presence { readonly members?: readonly Member[]; readonly count: number }

export function Members({ channel }: { channel: string }) {
  const api = useApi()
  const { value, problem, reload } = useLoad(channel, signal =>
    api.get<Presence>(`/channels/${inPath(channel)}/presence`, {}, signal), REFRESH_MS)
  return (
    <Panel title={value ? `Members: ${value.count}` : 'Members'}>
      {problem && <ProblemBox problem={problem} onRetry={reload} />}
      {!value ? !problem && <Loading /> : !value.members ? (
        <p className="none">There are so many that the server tells their number only.</p>
      ) : value.members.length === 0 ? (
        <p className="none">Nobody has entered. Subscribers need not be members.</p>
      ) : (
        <ul className="members">
          {value.members.map(member => (
            <li key={member.user}>
              <p>
                <a dir="auto" href={href('users', member.user)}>{member.user}</a>
                {member.sessions > 1 && <span className="tag">{member.sessions} sessions</span>}
                <small title={`Since ${moment(Date.parse(member.since))}`}>
                  {duration((Date.now() - Date.parse(member.since)) / 1000)}
                </small>
              </p>
              {member.data !== undefined && member.data !== null && <OneLine value={member.data} />}
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}
