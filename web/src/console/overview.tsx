// What the server does now and did in the last two minutes.
import { useMemo, useState } from 'react'
import { Breakdown } from './breakdown.tsx'
import { Chart, type Line } from './chart.tsx'
import { brief, bytes, bytesPerSecond, count, duration, latency, moment, percent, perSecond } from './format.ts'
import { Facts, Loading, PageHead, ProblemBox } from './parts.tsx'
import { SeriesTable } from './series-table.tsx'
import { levels, quantiles, rates, sum, useStats, type Stats, type StatsFeed } from './stats.ts'

export interface Plot {
  readonly title: string
  readonly lines: readonly Line[]
  readonly format: (value: number) => string
  readonly total?: boolean
}

type Samples = readonly Stats[]

const TRANSPORTS = [
  ['WebSocket', 'websocket'], ['SSE', 'sse'], ['EventSource', 'eventsource'], ['polling', 'polling'],
] as const

function plotsOf(s: Samples): readonly Plot[] {
  const two = (read: (stats: Stats) => Stats['publish_latency']): Line[] => [
    { name: 'p50', values: quantiles(s, read, 0.5) },
    { name: 'p99', values: quantiles(s, read, 0.99) },
  ]
  return [
    { title: 'Commands', format: perSecond, total: true, lines: [
      { name: 'done', values: rates(s, x => x.commands.ok) },
      { name: 'refused', values: rates(s, x => x.commands.refused) },
    ] },
    { title: 'Published', format: perSecond, total: true, lines: [
      { name: 'to disk', values: rates(s, x => x.published.disk ?? 0) },
      { name: 'in memory', values: rates(s, x => x.published.memory ?? 0) },
      { name: 'not kept', values: rates(s, x => x.published.nowhere ?? 0) },
    ] },
    { title: 'Deliveries', format: perSecond, total: true, lines: [
      { name: 'live', values: rates(s, x => x.deliveries.live ?? 0) },
      { name: 'from history', values: rates(s, x => x.deliveries.history ?? 0) },
    ] },
    { title: 'Sent', format: bytesPerSecond, lines: [
      { name: 'to clients', values: rates(s, x => x.sent_bytes) },
    ] },
    { title: 'Publish to answer', format: latency, lines: two(x => x.publish_latency) },
    { title: 'Store commit', format: latency, lines: two(x => x.store_commit) },
    { title: 'Connections', format: brief, total: true, lines: TRANSPORTS.map(([name, key]) => (
      { name, values: levels(s, x => x.connections[key] ?? 0) })) },
    { title: 'Memory', format: bytes, lines: [
      { name: 'resident', values: levels(s, x => x.memory_bytes) },
    ] },
    { title: 'CPU', format: percent, lines: [
      { name: 'of one core', values: rates(s, x => x.cpu_seconds) },
    ] },
  ]
}

export function Overview({ feed }: { feed: StatsFeed }) {
  const { samples, problem } = useStats(feed)
  const [asTable, setAsTable] = useState(false)
  const plots = useMemo(() => plotsOf(samples), [samples])
  const stats = samples.at(-1)
  return (
    <>
      <PageHead title="Overview" {...stats && { about: aboutOf(stats) }}>
        <div className="switch" role="group" aria-label="Show the last two minutes as">
          <button aria-pressed={!asTable} onClick={() => setAsTable(false)}>Charts</button>
          <button aria-pressed={asTable} onClick={() => setAsTable(true)}>Table</button>
        </div>
      </PageHead>
      {problem && <ProblemBox problem={problem} />}
      {!stats ? !problem && <Loading /> : (
        <>
          <Now stats={stats} />
          {asTable ? <SeriesTable plots={plots} samples={samples} /> : (
            <div className="charts">
              {plots.map(plot => <Chart key={plot.title} {...plot} />)}
            </div>
          )}
          <Breakdown stats={stats} />
        </>
      )}
    </>
  )
}

const aboutOf = ({ shards, started_at }: Stats) =>
  `${shards === 1 ? '1 shard' : `${shards} shards`}, since ${moment(started_at)}`

function Now({ stats }: { stats: Stats }) {
  return (
    <Facts facts={[
      ['Connections', count(sum(stats.connections))],
      ['Sessions', count(stats.sessions)],
      ['Lost sessions', count(stats.lost_sessions)],
      ...stats.users === undefined ? [] : [['Users', count(stats.users)] as const],
      ['Channels', count(stats.channels)],
      ['Subscriptions', count(stats.subscriptions)],
      ['Memory', bytes(stats.memory_bytes)],
      ['Files open', count(stats.open_fds)],
      ['Up for', duration((stats.now - stats.started_at) / 1000)],
    ]} />
  )
}
