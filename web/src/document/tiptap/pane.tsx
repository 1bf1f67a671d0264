// The other pane: Tiptap and the text, over Hocuspocus. Loaded when somebody wants to see it.
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import { Editor } from '../editor.tsx'
import { openLine, type Line, type LineState } from './line.ts'
import { Rich } from './rich.tsx'

const LABELS: Record<LineState, string> = {
  opening: 'Opening…', synced: 'Synced', syncing: 'Syncing…', read: 'Read only', offline: 'Offline', refused: 'Not open',
}
const PILLS: Record<LineState, string> = {
  opening: 'connecting', synced: 'connected', syncing: 'connected', read: 'connected', offline: 'waiting', refused: 'closed',
}

/** Open while mounted. */
function useLine(name: string): Line | null {
  const [line, setLine] = useState<Line | null>(null)
  useEffect(() => {
    const opened = openLine(name)
    setLine(opened)
    return () => {
      setLine(null)
      opened.end()
    }
  }, [name])
  return line
}

/** `my`: the name of whoever sits here. */
export default function Pane({ name, my }: { name: string; my: string }) {
  const line = useLine(name)
  return line && <Opened line={line} my={my} />
}

function Opened({ line, my }: { line: Line; my: string }) {
  const subscribe = useMemo(() => (changed: () => void) => line.follow(changed), [line])
  const state = useSyncExternalStore(subscribe, line.state)
  const writable = state !== 'read' && state !== 'refused'
  useEffect(() => {
    line.awareness!.setLocalStateField('name', my)
    line.awareness!.setLocalStateField('via', 'tiptap')
  }, [line, my])
  return (
    <>
      <header className="pane-head">
        <h2>Tiptap <small>@hocuspocus/provider at /hocuspocus</small></h2>
        <span className="line-state pill" data-state={PILLS[state]} data-line={state}><span>{LABELS[state]}</span></span>
      </header>
      <Rich line={line} name={my} writable={writable} />
      <section className="mirror" aria-labelledby="mirror-title">
        <h3 id="mirror-title">The text <small>as it is here: what you type in either place is in both</small></h3>
        <Editor text={line.text} open={line} writable={writable} label="Text over Hocuspocus" />
      </section>
    </>
  )
}
