// What stands in the log.
import { useCallback, useState, type FocusEvent, type KeyboardEvent, type PointerEvent, type ReactNode } from 'react'
import type { Gap } from 'tidings'
import type { Changes } from './changes.ts'
import { dayName } from './format.ts'
import { Hash } from './icons.tsx'
import { MessageRow } from './message-row.tsx'
import type { Item } from './timeline.ts'

const GAPS: Record<Gap['reason'], string> = {
  expired: 'Some messages are missing here: they are no longer kept.',
  new_epoch: 'The server has lost this room’s history. What follows is new.',
  too_far: 'The server has lost the newest messages of this room.',
}

export function Timeline({ items, now, me, connected, changes, onEdit }: {
  items: readonly Item[]
  now: number
  me: string
  connected: boolean
  changes: Changes
  /** What failed is to be written anew. */
  onEdit: (text: string) => void
}) {
  const { active, stop, handlers } = useRows(items)
  return (
    <div {...handlers}>
      {items.map(item => {
        switch (item.kind) {
          case 'day':
            return <Rule key={item.key}><time dateTime={isoDay(item.day)}>{dayName(item.day, now)}</time></Rule>
          case 'new':
            return <Rule key={item.key} kind="new"><span>New</span></Rule>
          case 'gap':
            return <Rule key={item.key} kind="gap"><span>{GAPS[item.reason]}</span></Rule>
          case 'message': {
            const { key, kind: _, waiting, ...message } = item
            return (
              <MessageRow key={key} id={key} {...message} me={me} onEdit={message.failed && onEdit}
                state={waiting && (connected ? 'Sending…' : 'Waits for the connection')}
                change={item.offset === undefined ? undefined : changes.of.get(item.offset)}
                active={key === active} stop={key === stop} editing={key === changes.editing}
                actions={changes.actions} />
            )
          }
        }
      })}
    </div>
  )
}

/** Which row is pointed at or focused; arrows go from one to the next, and Tab comes to one of them only. */
function useRows(items: readonly Item[]) {
  const [pointed, setPointed] = useState<string | null>(null)
  const [focused, setFocused] = useState<string | null>(null)
  const [stopped, setStopped] = useState<string | null>(null)
  const newest = items.findLast(item => item.kind === 'message')?.key ?? null
  const stop = items.some(item => item.key === stopped) ? stopped : newest

  const onPointerOver = useCallback((event: PointerEvent) => setPointed(rowOf(event.target)), [])
  // A finger leaves at once: what it has touched is still meant.
  const onPointerLeave = useCallback(({ pointerType }: PointerEvent) => {
    if (pointerType !== 'touch') setPointed(null)
  }, [])
  const onFocus = useCallback((event: FocusEvent) => {
    const row = rowOf(event.target)
    setFocused(row)
    if (row !== null) setStopped(row)
  }, [])
  const onBlur = useCallback((event: FocusEvent) => {
    if (!event.currentTarget.contains(event.relatedTarget)) setFocused(null)
  }, [])
  const onKeyDown = useCallback((event: KeyboardEvent) => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return
    if (event.key === 'Escape') return document.getElementById('text')?.focus()
    if (!step) return
    const rows = [...event.currentTarget.querySelectorAll<HTMLElement>('[data-row]')]
    const at = rows.findIndex(row => row.contains(document.activeElement))
    if (at < 0) return
    event.preventDefault()
    rows[at + step]?.focus()
  }, [])
  return {
    active: pointed ?? focused, stop,
    handlers: { onPointerOver, onPointerLeave, onFocus, onBlur, onKeyDown },
  }
}

const rowOf = (target: EventTarget) =>
  target instanceof Element ? target.closest('[data-row]')?.getAttribute('data-row') ?? null : null

const isoDay = (day: number) => new Date(day).toLocaleDateString('sv')

function Rule({ kind = '', children }: { kind?: string; children: ReactNode }) {
  return <div className={`rule ${kind}`.trim()}>{children}</div>
}

/** Above the first message there ever was, or in an empty room. */
export function RoomStart({ room, empty }: { room: string; empty: boolean }) {
  return (
    <div className="start">
      <span className="tile"><Hash size={24} /></span>
      <h2 dir="auto">{room}</h2>
      <p>
        {empty ? 'Nobody has written here yet. Say hello, or open this page in a second tab and talk to yourself.'
          : `This is where #${room} begins.`}
      </p>
    </div>
  )
}

export function Skeletons() {
  return (
    <div className="skeletons" aria-hidden="true">
      {[1, 2, 3, 4].map(i => <div key={i} className="skeleton"><i /><i /></div>)}
    </div>
  )
}
