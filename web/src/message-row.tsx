// One message: what it says, what others say to it, and what one can do with it.
import { memo, useEffect, useRef, useState, type KeyboardEvent } from 'react'
import type { FailedMessage } from 'tidings/react'
import type { TidingsError } from 'tidings'
import { Avatar } from './avatar.tsx'
import { exactTimeOf, timeOf } from './format.ts'
import { Alert, Clock, Pencil, Trash } from './icons.tsx'
import { Linked } from './linked.tsx'
import type { MessageItem } from './timeline.ts'

/** What one click says. */
export const REACTIONS = ['👍', '❤️', '😄', '🎉', '👀'] as const

/** What one can do with a message that is in the channel. Each is the same function for the room's whole life. */
export interface MessageActions {
  edit(offset: number, text: string): void
  remove(offset: number): void
  react(offset: number, reaction: string, remove: boolean): void
  /** Begins or ends to edit. */
  editing(key: string | null): void
}

interface MessageProps extends Omit<MessageItem, 'kind' | 'key' | 'waiting'> {
  id: string
  me: string
  state: string | undefined
  /** A change of it that is not known to be stored. */
  change: 'waiting' | TidingsError | undefined
  /** It is pointed at, or has the focus. */
  active: boolean
  /** The one that Tab comes to. */
  stop: boolean
  editing: boolean
  onEdit: ((text: string) => void) | undefined
  actions: MessageActions
}

export const MessageRow = memo(function MessageRow(props: MessageProps) {
  const { id, user, name, mine, first, at, text, state, failed, onEdit, offset, deleted, edited, editing } = props
  const { me, actions, change, reactions } = props
  // What is on its way, or gone, can neither be changed nor answered.
  const settled = offset !== undefined && !deleted
  return (
    <div className={['message', first && 'first', mine && 'own', editing && 'editing'].filter(Boolean).join(' ')}>
      {first && (
        <>
          <Avatar user={user || name} name={name} />
          <div className="who">
            <b dir="auto">{name}</b>
            {mine && <span className="you">you</span>}
            <time dateTime={new Date(at).toISOString()} title={exactTimeOf(at)}>{timeOf(at)}</time>
          </div>
        </>
      )}
      <div className={['row', failed && 'failed', state && 'waiting'].filter(Boolean).join(' ')}
        data-row={id} role="group" aria-label={`${name}, ${timeOf(at)}`} tabIndex={props.stop ? 0 : -1}>
        {!first && (
          <>
            <time aria-hidden="true" title={exactTimeOf(at)}>{timeOf(at)}</time>
            <span className="unseen">{name}: </span>
          </>
        )}
        {editing && settled ? (
          <EditField text={text} onDone={next => {
            actions.editing(null)
            if (next !== null) actions.edit(offset, next)
          }} />
        ) : deleted ? <p className="text gone">This message was deleted.</p> : (
          <p className="text" dir="auto">
            <Linked text={text} />
            {edited !== undefined && <small className="edited" title={exactTimeOf(edited)}> (edited)</small>}
          </p>
        )}
        {state && <span className="state" title={state}><Clock size={13} /><span>{state}</span></span>}
        {change === 'waiting' && <span className="state"><Clock size={13} /><span>Saving…</span></span>}
        {change && change !== 'waiting' && (
          <span className="state bad" role="alert"><Alert size={14} />Not changed: {whyOf(change)}</span>
        )}
        {failed && <Failed failed={failed} onEdit={() => onEdit?.(text)} />}
        {settled && props.active && !editing && (
          <Tools id={id} text={text} offset={offset} mine={mine} me={me} reactions={reactions} actions={actions} />
        )}
      </div>
      {settled && reactions && Object.keys(reactions).length > 0 && (
        <Reactions offset={offset} me={me} reactions={reactions} actions={actions} />
      )}
    </div>
  )
})

type Reacting = Pick<MessageProps, 'me' | 'reactions' | 'actions'> & { offset: number }

function Tools({ id, text, offset, mine, me, reactions = {}, actions }:
  Reacting & { id: string; text: string; mine: boolean }) {
  const [asking, setAsking] = useState(false)
  if (asking) {
    return (
      <span className="tools" role="group" aria-label="Delete this message?">
        <span className="ask">Delete for everybody?</span>
        <button className="button small danger" autoFocus onClick={event => {
          toRow(event.currentTarget)
          setAsking(false)
          actions.remove(offset)
        }}>Delete</button>
        <button className="button small" onClick={event => {
          toRow(event.currentTarget)
          setAsking(false)
        }}>Keep</button>
      </span>
    )
  }
  return (
    <span className="tools" role="toolbar" aria-label="This message">
      {REACTIONS.map(reaction => {
        const said = reactions[reaction]?.users.includes(me) ?? false
        return (
          <button key={reaction} className="tool" aria-pressed={said} aria-label={`React with ${reaction}`}
            onClick={() => actions.react(offset, reaction, said)}>{reaction}</button>
        )
      })}
      {mine && (
        <>
          <button className="tool" aria-label="Edit" title={`Edit: ${text.slice(0, 40)}`}
            onClick={() => actions.editing(id)}><Pencil size={15} /></button>
          <button className="tool" aria-label="Delete" title="Delete" onClick={() => setAsking(true)}>
            <Trash size={15} />
          </button>
        </>
      )}
    </span>
  )
}

/** The focus stays with the message when what had it goes. */
const toRow = (button: Element) => button.closest<HTMLElement>('[data-row]')?.focus()

function Reactions({ offset, me, reactions = {}, actions }: Reacting) {
  return (
    <div className="reactions" role="group" aria-label="Reactions">
      {Object.entries(reactions).map(([reaction, { count, users }]) => {
        const said = users.includes(me)
        return (
          <button key={reaction} className="reaction" aria-pressed={said} aria-label={`${reaction} ${count}`}
            title={said ? 'Take it back' : 'Say it too'} onClick={() => actions.react(offset, reaction, said)}>
            {reaction} <b>{count}</b>
          </button>
        )
      })}
    </div>
  )
}

/** `null`: it stays as it was. */
function EditField({ text, onDone }: { text: string; onDone: (next: string | null) => void }) {
  const [draft, setDraft] = useState(text)
  const field = useRef<HTMLTextAreaElement>(null)
  useEffect(() => {
    const area = field.current
    area?.focus()
    area?.setSelectionRange(area.value.length, area.value.length)
  }, [])
  const save = () => onDone(draft.trim() && draft.trim() !== text ? draft.trim() : null)
  function onKeyDown(event: KeyboardEvent) {
    // Arrows move in the text, not from message to message.
    event.stopPropagation()
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Escape') onDone(null)
    if (event.key !== 'Enter' || event.shiftKey) return
    event.preventDefault()
    save()
  }
  return (
    <form className="edit" onSubmit={event => { event.preventDefault(); save() }}>
      <textarea ref={field} className="input" aria-label="Edit the message" rows={1} dir="auto" value={draft}
        onChange={event => setDraft(event.target.value)} onKeyDown={onKeyDown} />
      <span className="choices">
        <button className="button small main" aria-keyshortcuts="Enter">Save</button>
        <button type="button" className="button small" aria-keyshortcuts="Escape" onClick={() => onDone(null)}>
          Cancel
        </button>
      </span>
    </form>
  )
}

function Failed({ failed, onEdit }: { failed: FailedMessage<unknown>; onEdit: () => void }) {
  return (
    <>
      <span className="state"><Alert size={14} />Not sent: {whyOf(failed.error)}</span>
      <span className="choices">
        <button className="button small" onClick={failed.retry}>Retry</button>
        <button className="button small" onClick={() => { failed.discard(); onEdit() }}>Edit</button>
        <button className="button small" onClick={failed.discard}>Delete</button>
      </span>
    </>
  )
}

const WHY: Partial<Record<TidingsError['code'], string>> = {
  too_large: 'it is too long.',
  expired: 'it waited too long for the connection.',
  outbox_full: 'too many messages wait already.',
  forbidden: 'you may not write here.',
  not_found: 'it is no longer there.',
  unconfirmed: 'the connection was lost before the answer. It may have arrived.',
  rate_limited: 'too many at once.',
}

const whyOf = ({ code, message }: TidingsError) => WHY[code] ?? `${message}.`
