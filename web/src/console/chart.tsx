// A plot of the last two minutes. It can be read with the mouse, and with the arrow keys.
import { memo, useState, type KeyboardEvent, type PointerEvent } from 'react'
import { SAMPLES_MAX } from './stats.ts'

export interface Line {
  readonly name: string
  readonly values: readonly (number | null)[]
}

interface ChartProps {
  title: string
  lines: readonly Line[]
  /** How a value is written. */
  format: (value: number) => string
  /** What the value in the head is: the sum of all lines, or the lines themselves. */
  total?: boolean
}

const POINTS = SAMPLES_MAX - 1
const WIDTH = POINTS - 1
const HEIGHT = 100

export const Chart = memo(function Chart({ title, lines, format, total = false }: ChartProps) {
  // Counted back from now, so that what one looks at stays where it is.
  const [ago, setAgo] = useState<number | null>(null)
  const top = ceiling(Math.max(0, ...lines.flatMap(({ values }) => values.map(value => value ?? 0))))
  const at = ago ?? 0
  const here = lines.map(({ name, values }) => ({ name, value: values.at(-1 - at) ?? null }))
  const said = here.map(({ name, value }) => `${name} ${value === null ? 'none' : format(value)}`)
  const when = at === 0 ? 'now' : `${at} s ago`
  const move = (to: number) => setAgo(Math.min(POINTS - 1, Math.max(0, to)))

  const onKey = (event: KeyboardEvent) => {
    const step = event.shiftKey ? 10 : 1
    const moves: Record<string, () => void> = {
      ArrowLeft: () => move(at + step), ArrowRight: () => move(at - step),
      Home: () => move(POINTS - 1), End: () => move(0), Escape: () => setAgo(null),
    }
    const go = moves[event.key]
    if (!go) return
    event.preventDefault()
    go()
  }
  const onMove = (event: PointerEvent) => {
    const box = event.currentTarget.getBoundingClientRect()
    move(Math.round((1 - (event.clientX - box.left) / box.width) * WIDTH))
  }
  return (
    <figure className="chart">
      <figcaption>
        <h3>{title}</h3>
        <span className="chart-now">{total ? format(sumOf(here)) : format(here[0]?.value ?? 0)}</span>
      </figcaption>
      <div className="chart-body">
        <span className="axis top" aria-hidden="true">{format(top)}</span>
        <span className="axis half" aria-hidden="true">{format(top / 2)}</span>
        <span className="axis zero" aria-hidden="true">0</span>
        <div className="plot" tabIndex={0} role="slider" aria-label={`${title}, the last two minutes`}
          aria-orientation="horizontal" aria-valuemin={1 - POINTS} aria-valuemax={0} aria-valuenow={-at}
          aria-valuetext={`${when}: ${said.join(', ')}`} onKeyDown={onKey} onPointerMove={onMove}
          onPointerLeave={() => setAgo(null)} onBlur={() => setAgo(null)}>
          <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
            <path className="grid" d={`M0 ${HEIGHT / 2}H${WIDTH}M${WIDTH / 2} 0V${HEIGHT}`} />
            {lines.map(({ name, values }, index) => (
              <path key={name} className={`line l${index}`} d={pathOf(values, top)} />
            ))}
          </svg>
          {ago !== null && <i className="cursor" style={{ left: `${100 - at / WIDTH * 100}%` }} />}
        </div>
        <span className="axis from" aria-hidden="true">−2 min</span>
        <span className="axis middle" aria-hidden="true">−1 min</span>
        <span className="axis to" aria-hidden="true">now</span>
      </div>
      <ul className="legend" aria-hidden="true">
        {ago !== null && <li className="when">{when}</li>}
        {here.map(({ name, value }, index) => (
          <li key={name}>
            <i className={`key l${index}`} />{name} <b>{value === null ? '–' : format(value)}</b>
          </li>
        ))}
      </ul>
    </figure>
  )
})

const sumOf = (values: readonly { value: number | null }[]) =>
  values.reduce((all, { value }) => all + (value ?? 0), 0)

/** The next of 1, 2, 4, 6 times a power of ten: half of it is a plain number, too. */
export function ceiling(value: number): number {
  if (!(value > 0)) return 2
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 4, 6, 10].map(step => step * power).find(step => step >= value * 0.999) ?? value
}

function pathOf(values: readonly (number | null)[], top: number): string {
  const first = POINTS - values.length
  let path = ''
  let drawing = false
  for (const [index, value] of values.entries()) {
    if (value === null) {
      drawing = false
      continue
    }
    const y = HEIGHT - value / top * HEIGHT
    path += `${drawing ? 'L' : 'M'}${first + index} ${y.toFixed(2)}`
    // A value alone is a line of no length, which round ends make a dot.
    if (!drawing && (values[index + 1] ?? null) === null) path += 'h0'
    drawing = true
  }
  return path
}
