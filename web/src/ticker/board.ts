// Draws quotes. A tab that cannot keep up draws less often, and then what is newest: when it draws it looks at the
// values of now, so there is no queue in which old ones could wait. Drawing takes at most a fifth of the time, so
// that what arrives is taken in meanwhile. A tab that is not looked at gets no frames and draws nothing.
import { isQuote, SYMBOLS, type Quotes } from './quotes.ts'

/** After a drawing there is a pause of so many times its length. */
const PAUSE = 4

interface Cell {
  readonly row: HTMLElement
  readonly price: Text
  /** Around the price: when it was made. */
  readonly data: HTMLElement
  readonly change: Text
  drawn: unknown
}

/** What was drawn, for the line above the board. */
export interface Drawn {
  /** Quotes of the board. */
  readonly quotes: number
  /** When the newest of them was made; 0: there is none. */
  readonly newestAt: number
}

/** Fills `list` and keeps it up to date; the function that is returned ends it. */
export function drawQuotes(
  list: HTMLElement, valuesNow: () => Partial<Quotes> | undefined, told: (drawn: Drawn) => void,
): () => void {
  const cells = new Map(SYMBOLS.map(symbol => [symbol, cellOf(symbol)]))
  list.replaceChildren(...[...cells.values()].map(({ row }) => row))
  let last: Partial<Quotes> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let frame = requestAnimationFrame(draw)

  function draw() {
    const begun = performance.now()
    const values = valuesNow()
    if (values !== last) drawAll(values)
    last = values
    // Behind the frame: layout and paint are a part of what it costs.
    timer = setTimeout(() => {
      timer = setTimeout(() => { frame = requestAnimationFrame(draw) }, PAUSE * (performance.now() - begun))
    })
  }
  function drawAll(values: Partial<Quotes> | undefined) {
    let [quotes, newestAt] = [0, 0]
    for (const [symbol, cell] of cells) {
      const quote = values?.[symbol]
      drawOne(cell, quote)
      if (!isQuote(quote)) continue
      quotes++
      newestAt = Math.max(newestAt, quote.at)
    }
    told({ quotes, newestAt })
  }
  return () => {
    cancelAnimationFrame(frame)
    clearTimeout(timer)
  }
}

function drawOne(cell: Cell, quote: unknown) {
  if (cell.drawn === quote) return
  cell.drawn = quote
  const known = isQuote(quote) ? quote : undefined
  cell.price.data = known ? known.price.toFixed(2) : '–'
  cell.change.data = known ? `${known.change < 0 ? '−' : '+'}${Math.abs(known.change).toFixed(2)} %` : ''
  cell.data.setAttribute('value', known ? String(known.at) : '')
  const kind = !known ? 'quote none' : known.change < 0 ? 'quote falls' : 'quote rises'
  if (cell.row.className !== kind) cell.row.className = kind
}

function cellOf(symbol: string): Cell {
  const row = document.createElement('li')
  row.className = 'quote none'
  const part = (tag: 'b' | 'data' | 'small', text: string) => {
    const element = row.appendChild(document.createElement(tag))
    return element.appendChild(document.createTextNode(text))
  }
  part('b', symbol)
  const price = part('data', '–')
  return { row, price, data: price.parentElement!, change: part('small', ''), drawn: undefined }
}
