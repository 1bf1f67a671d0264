// The plots in words: for screen readers, and for who wants to copy numbers.
import type { Plot } from './overview.tsx'
import { clock } from './format.ts'
import type { Stats } from './stats.ts'

/** A row for each ten seconds is as much as one can listen to. */
const EVERY = 10

export function SeriesTable({ plots, samples }: {
  plots: readonly Plot[]
  samples: readonly Stats[]
}) {
  const newest = samples.length - 2
  const rows = []
  for (let index = newest; index >= 0; index -= EVERY) rows.push(index)
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label="The last two minutes">
      <table className="table numbers series">
        <caption className="unseen">The last two minutes, every ten seconds, the newest first</caption>
        <thead>
          <tr>
            <th rowSpan={2} scope="col">Time</th>
            {plots.map(({ title, lines }) => (
              <th key={title} colSpan={lines.length} scope="colgroup">{title}</th>
            ))}
          </tr>
          <tr>
            {plots.flatMap(({ title, lines }) => lines.map(({ name }) => (
              <th key={`${title} ${name}`} scope="col">{name}</th>
            )))}
          </tr>
        </thead>
        <tbody>
          {rows.map(index => (
            <tr key={samples[index + 1]!.now}>
              <th scope="row">{clock(samples[index + 1]!.now)}</th>
              {plots.flatMap(({ title, lines, format }) => lines.map(({ name, values }) => {
                const value = values[index] ?? null
                return <td key={`${title} ${name}`}>{value === null ? '–' : format(value)}</td>
              }))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
