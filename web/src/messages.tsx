// What stands in the log.
import { memo, type ReactNode } from 'react'
import type { Gap, TidingsError } from 'tidings'
import type { FailedMessage } from 'tidings/react'
import { Avatar } from './avatar.tsx'
import { dayName, exactTimeOf, timeOf } from './format.ts'
import { Alert, Clock, Hash } from './icons.tsx'
import type { Item, MessageItem } from './timeline.ts'

const GAPS: Record<Gap['reason'], string> = {
  expired: 'Some messages are missing here: they are no longer kept.',
  new_epoch: 'The server has lost this room’s history. What follows is new.',
  too_far: 'The server has lost the newest messages of this room.',
}

export function Timeline({ items, now, connected, onEdit }: {
  items: readonly Item[]
  now: number
  connected: boolean
  onEdit: (text: string) => void
}) {
  return items.map(item => {
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
          <Message key={key} {...message} onEdit={message.failed && onEdit}
            state={waiting && (connected ? 'Sending…' : 'Waits for the connection')} />
        )
      }
    }
  })
}

const isoDay = (day: number) => new Date(day).toLocaleDateString('sv')

function Rule({ kind = '', children }: { kind?: string; children: ReactNode }) {
  return <div className={`rule ${kind}`.trim()}>{children}</div>
}

interface MessageProps extends Omit<MessageItem, 'kind' | 'key' | 'waiting'> {
  state: string | undefined
  onEdit: ((text: string) => void) | undefined
}

const Message = memo(function Message(props: MessageProps) {
  const { user, name, mine, first, at, text, state, failed, onEdit } = props
  return (
    <div className={['message', first && 'first', mine && 'own'].filter(Boolean).join(' ')}>
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
      <div className={failed ? 'row failed' : state ? 'row waiting' : 'row'}>
        {!first && (
          <>
            <time aria-hidden="true" title={exactTimeOf(at)}>{timeOf(at)}</time>
            <span className="unseen">{name}: </span>
          </>
        )}
        <p className="text" dir="auto"><Linked text={text} /></p>
        {state && <span className="state" title={state}><Clock size={13} /><span>{state}</span></span>}
        {failed && <Failed failed={failed} onEdit={() => onEdit?.(text)} />}
      </div>
    </div>
  )
})

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

/** Text, in which addresses can be followed. All of it becomes text nodes, never HTML. */
function Linked({ text }: { text: string }) {
  return text.split(/(\bhttps?:\/\/[^\s<>"]*[^\s<>".,:;!?)\]}'])/).map((part, i) =>
    i % 2 ? <a key={i} href={part} target="_blank" rel="noopener noreferrer nofollow">{part}</a> : part)
}

const WHY: Partial<Record<TidingsError['code'], string>> = {
  too_large: 'it is too long.',
  expired: 'it waited too long for the connection.',
  outbox_full: 'too many messages wait already.',
  forbidden: 'you may not write here.',
  unconfirmed: 'the connection was lost before the answer. It may have arrived.',
  rate_limited: 'too many at once.',
}

const whyOf = ({ code, message }: TidingsError) => WHY[code] ?? `${message}.`

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
