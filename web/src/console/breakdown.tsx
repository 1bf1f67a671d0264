// What was counted since the server's start, by kind.
import { count } from './format.ts'
import { Panel } from './parts.tsx'
import { href } from './route.ts'
import type { Stats } from './stats.ts'

export function Breakdown({ stats }: { stats: Stats }) {
  const types = Object.entries(stats.commands.by_type)
    .filter(([, { ok, refused }]) => ok + refused > 0)
    .sort(([, a], [, b]) => b.ok + b.refused - a.ok - a.refused)
  return (
    <div className="breakdown">
      <Panel title="Commands since the start">
        {types.length === 0 ? <p className="none">None yet.</p> : (
          <table className="table numbers">
            <thead><tr><th scope="col">Command</th><th scope="col">Done</th><th scope="col">Refused</th></tr></thead>
            <tbody>
              {types.map(([type, { ok, refused }]) => (
                <tr key={type}>
                  <th scope="row"><code>{type}</code></th>
                  <td>{count(ok)}</td>
                  <td className={refused ? 'bad' : undefined}>{count(refused)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Panel>
      <Counted title="Refusals" what="Code" counts={stats.refusals} bad
        foot={<p className="foot">Why one was refused: <a href={href('trace')}>trace</a> its channel or user.</p>} />
      <Counted title="Sessions ended" what="Reason" counts={stats.sessions_closed} />
      <Counted title="Came back" what="Recovery" counts={{
        ...stats.recoveries, 'duplicate publishes': stats.duplicates,
      }} />
    </div>
  )
}

function Counted({ title, what, counts, bad = false, foot }: {
  title: string
  what: string
  counts: Readonly<Record<string, number>>
  bad?: boolean
  foot?: React.ReactNode
}) {
  const rows = Object.entries(counts).filter(([, n]) => n > 0).sort(([, a], [, b]) => b - a)
  return (
    <Panel title={title}>
      {rows.length === 0 ? <p className="none">None since the start.</p> : (
        <>
          <table className="table numbers">
            <thead><tr><th scope="col">{what}</th><th scope="col">Count</th></tr></thead>
            <tbody>
              {rows.map(([name, n]) => (
                <tr key={name}>
                  <th scope="row"><code>{name}</code></th>
                  <td className={bad ? 'bad' : undefined}>{count(n)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {foot}
        </>
      )}
    </Panel>
  )
}
