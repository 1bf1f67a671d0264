// Where a message is written. A draft stays with its room.
import { useEffect, useImperativeHandle, useLayoutEffect, useRef, useState, type KeyboardEvent, type Ref }
  from 'react'
import { Send } from './icons.tsx'
import { recall, remember } from './settings.ts'

/** For those who want to put a text into it. */
export interface ComposerHandle { take(text: string): void }

interface ComposerProps {
  ref?: Ref<ComposerHandle>
  room: string
  onSend: (text: string) => void
  onTyping: () => void
  /** Whether there is one to edit. */
  onEditLast: () => boolean
}

const draftKey = (room: string) => `draft.${room}`
const growsByItself = CSS.supports('field-sizing', 'content')

export function Composer({ ref, room, onSend, onTyping, onEditLast }: ComposerProps) {
  const [text, setText] = useState(() => recall('session', draftKey(room)) ?? '')
  const field = useRef<HTMLTextAreaElement>(null)
  const empty = text.trim() === ''

  useImperativeHandle(ref, () => ({
    take(more) {
      setText(now => now.trim() ? `${now}\n${more}` : more)
      field.current?.focus()
    },
  }), [])
  useEffect(() => remember('session', draftKey(room), text || null), [room, text])
  useEffect(() => {
    // A phone's keyboard would cover what one came to read.
    if (matchMedia('(hover: hover)').matches) field.current?.focus({ preventScroll: true })
  }, [])
  useLayoutEffect(() => {
    const area = field.current
    if (growsByItself || !area) return
    area.style.height = 'auto'
    area.style.height = `${area.scrollHeight}px`
  }, [text])

  function send() {
    if (empty) return
    onSend(text.trim())
    setText('')
    field.current?.focus()
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === 'ArrowUp' && !event.altKey && text === '') {
      if (onEditLast()) event.preventDefault()
      return
    }
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    send()
  }

  return (
    <form className="composer" onSubmit={event => { event.preventDefault(); send() }}>
      <label htmlFor="text" className="unseen">Message</label>
      <textarea ref={field} id="text" rows={1} dir="auto" value={text} enterKeyHint="send"
        placeholder={`Message #${room}`} aria-describedby="text-keys" onKeyDown={onKeyDown}
        onChange={event => {
          setText(event.target.value)
          if (event.target.value) onTyping()
        }} />
      <span id="text-keys" className="unseen">Enter sends, Shift and Enter starts a new line, the arrow up edits your last message.</span>
      <button className="send" aria-label="Send" aria-disabled={empty} title="Send (Enter)">
        <Send />
      </button>
    </form>
  )
}
