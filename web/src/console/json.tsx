// JSON as people read it. Long texts are cut only by who shows them, never here.
import { memo, type ReactNode } from 'react'

const PARTS = /("(?:\\.|[^"\\])*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/g
/** Colours for more than this would make the page slow; it is shown plain. */
const COLOURED = 100_000

function coloured(text: string): ReactNode[] {
  const out: ReactNode[] = []
  let last = 0
  for (const part of text.matchAll(PARTS)) {
    if (part.index > last) out.push(text.slice(last, part.index))
    const [whole, quoted, colon] = part
    if (quoted !== undefined && colon !== undefined) {
      out.push(<span key={part.index} className="j-name">{quoted}</span>, colon)
    } else {
      const kind = quoted !== undefined ? 'j-text' : /^[tfn]/.test(whole) ? 'j-word' : 'j-number'
      out.push(<span key={part.index} className={kind}>{whole}</span>)
    }
    last = part.index + whole.length
  }
  out.push(text.slice(last))
  return out
}

export const Json = memo(function Json({ value, label }: { value: unknown; label?: string }) {
  const text = JSON.stringify(value, null, 2) ?? ''
  return (
    <pre className="json" tabIndex={0} role="region" aria-label={label ?? 'JSON'}>
      <code>{text.length > COLOURED ? text : coloured(text)}</code>
    </pre>
  )
})

/** On one line, for lists. */
export const OneLine = memo(function OneLine({ value }: { value: unknown }) {
  const text = JSON.stringify(value) ?? ''
  return <code className="one-line">{coloured(text.length > 400 ? `${text.slice(0, 400)}…` : text)}</code>
})
