// The channels that are in memory: those that somebody uses or has used lately.
import { count } from './format.ts'
import { useListing, usePrefix } from './listing.ts'
import { Empty, Loading, PageHead, ProblemBox, SearchField } from './parts.tsx'
import { goTo, href } from './route.ts'

export interface ChannelInfo {
  readonly channel: string
  readonly epoch: string
  readonly offset: number
  readonly events: number
  readonly members: number
  readonly subscriptions: number
}

export function Channels() {
  const [typed, setTyped, prefix] = usePrefix('channels')
  const { rows, problem, retry, more } = useListing<ChannelInfo>('channels', prefix, nameOf)
  return (
    <>
      <PageHead title="Channels" about="In memory: somebody uses them, or has lately." />
      <SearchField label="Search channels" placeholder="A name or its beginning: chat:" value={typed}
        onChange={setTyped} onSubmit={() => { if (typed.includes(':')) goTo(href('channels', typed)) }} />
      {problem && <ProblemBox problem={problem} onRetry={retry} />}
      {!rows ? !problem && <Loading /> : rows.length === 0 ? <None prefix={prefix} /> : <List rows={rows} />}
      {more && <p className="more"><button className="button" onClick={more}>Show more</button></p>}
    </>
  )
}

const nameOf = ({ channel }: ChannelInfo) => channel

function None({ prefix }: { prefix: string }) {
  if (!prefix) {
    return (
      <Empty>
        <p><b>No channel is in memory.</b></p>
        <p>One is made when somebody subscribes or publishes to it. Open one by its name, or{' '}
          <a href={href('requests', undefined, { e: 'command:subscribe' })}>subscribe to one</a>.</p>
      </Empty>
    )
  }
  return (
    <Empty>
      <p><b>No channel in memory begins with <code>{prefix}</code>.</b></p>
      {prefix.includes(':') && (
        <p>Its history may be on disk: <a href={href('channels', prefix)}>open <code>{prefix}</code></a>.</p>
      )}
    </Empty>
  )
}

function List({ rows }: { rows: readonly ChannelInfo[] }) {
  return (
    <div className="scroll-x">
      <table className="table numbers list">
        <thead>
          <tr>
            <th scope="col">Channel</th><th scope="col">Subscribers</th><th scope="col">Members</th>
            <th scope="col" className="wide-only">In history</th><th scope="col">Offset</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(row => (
            <tr key={row.channel}>
              <th scope="row"><a className="name" dir="auto" href={href('channels', row.channel)}>{row.channel}</a></th>
              <td>{count(row.subscriptions)}</td>
              <td>{count(row.members)}</td>
              <td className="wide-only">{count(row.events)}</td>
              <td>{count(row.offset)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
