// Draws quotes. A tab that cannot keep up draws less often, and then what is newest: at each frame of the browser
// it looks at the values of now, so there is no queue in which old ones could wait. A tab that is not looked at
// gets no frames and draws nothing.
import { isQuote, SYMBOLS, type Quotes } from './quotes.ts'

interface Cell {
  readonly price: HTMLElement
  readonly change: HTMLElement
  readonly row: HTMLElement
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
  let frame = requestAnimationFrame(draw)

  function draw() {
    frame = requestAnimationFrame(draw)
    const values = valuesNow()
    if (values === last) return
    last = values
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
  return () => cancelAnimationFrame(frame)
}

function drawOne(cell: Cell, quote: unknown) {
  if (cell.drawn === quote) return
  cell.drawn = quote
  const known = isQuote(quote) ? quote : undefined
  cell.price.textContent = known ? known.price.toFixed(2) : '–'
  cell.price.setAttribute('value', known ? String(known.at) : '')
  cell.change.textContent = known ? `${known.change < 0 ? '−' : '+'}${Math.abs(known.change).toFixed(2)} %` : ''
  cell.row.className = !known ? 'quote none' : known.change < 0 ? 'quote falls' : 'quote rises'
}

function cellOf(symbol: string): Cell {
  const row = document.createElement('li')
  row.className = 'quote none'
  const part = (tag: 'b' | 'data' | 'small', text: string) => {
    const element = row.appendChild(document.createElement(tag))
    element.textContent = text
    return element
  }
  part('b', symbol)
  // The value of <data> says when the price was made.
  return { row, price: part('data', '–'), change: part('small', ''), drawn: undefined }
}
