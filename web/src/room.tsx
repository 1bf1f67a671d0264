// One room. All that are joined are mounted, so that they are there at once when one comes back and
// their unread messages can be counted; only the one that is looked at shows anything.
import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import { useConnection, useMessages, usePresence } from 'tidings/react'
import { useMedia, useNow, useVisible } from './browser.ts'
import { useChanges } from './changes.ts'
import { Composer, type ComposerHandle } from './composer.tsx'
import { ConnectionBar, ConnectionPill } from './connection.tsx'
import { Dialog } from './dialog.tsx'
import { list } from './format.ts'
import { Close, Hash } from './icons.tsx'
import { Log } from './log.tsx'
import { useMentions } from './mentions.ts'
import { RoomStart, Skeletons, Timeline } from './messages.tsx'
import { People, PeopleButton } from './people.tsx'
import { useReading } from './reading.ts'
import { channelOf, type ChatMessage, type Who } from './session.ts'
import { timelineOf } from './timeline.ts'
import { useTyping } from './typing.ts'

const PAGE = 50

export interface RoomProps {
  room: string
  active: boolean
  me: string
  name: string
  onUnread: (room: string, count: number) => void
  onSignIn: () => void
  /** What stands in front of the room's name: on a phone, the button for the rooms. */
  menu: ReactNode
  /** What stands at the head's end: the bell. */
  bell: ReactNode
}

export function Room(props: RoomProps) {
  const { room, active, me, onUnread } = props
  const view = useMessages<ChatMessage>(channelOf(room), { rewind: PAGE })
  const [atEnd, setAtEnd] = useState(true)
  const visible = useVisible()
  const reading = useReading(room, view, me, active && visible && atEnd, active && visible)
  useEffect(() => onUnread(room, reading.unread), [onUnread, room, reading.unread])
  useEffect(() => () => onUnread(room, 0), [onUnread, room])
  if (!active) return null
  return <OpenRoom {...props} view={view} reading={reading} onEnd={setAtEnd} />
}

interface OpenRoomProps extends RoomProps {
  view: ReturnType<typeof useMessages<ChatMessage>>
  reading: ReturnType<typeof useReading>
  onEnd: (atEnd: boolean) => void
}

function OpenRoom({ room, me, name, view, reading, onEnd, onSignIn, menu, bell }: OpenRoomProps) {
  const { messages, pending, failed, gaps, status, hasEarlier, loadEarlier, send } = view
  const connection = useConnection()
  const who = useMemo(() => ({ name }), [name])
  const presence = usePresence<Who>(channelOf(room), who)
  const typing = useTyping(room, name)
  const wide = useMedia('(min-width: 75rem)')
  const now = useNow(true, 60_000)
  const [written, setWritten] = useState(0)
  const [drawer, setDrawer] = useState(false)
  const composer = useRef<ComposerHandle>(null)
  const people = { ...presence, me }
  const changes = useChanges(room, name)
  useMentions(room, presence.members, messages)

  useEffect(() => () => onEnd(true), [onEnd])

  const { newFrom } = reading
  const items = useMemo(
    () => timelineOf({ messages, pending, failed, gaps, me, newFrom }),
    [messages, pending, failed, gaps, me, newFrom],
  )
  const empty = items.length === 0
  // Until it is known what is there, nothing is said about it.
  const known = status.state === 'live' || messages.length > 0
  const loading = empty && connection.state !== 'closed' && status.state !== 'failed'
    && (!known || hasEarlier)

  const write = useCallback((text: string) => {
    send({ text, name })
    typing.done()
    setWritten(n => n + 1)
  }, [send, name, typing.done])

  const editLast = useCallback(() => {
    const own = items.findLast(item => item.kind === 'message' && item.mine && item.offset !== undefined && !item.deleted)
    if (own) changes.actions.editing(own.key)
    return own !== undefined
  }, [items, changes.actions])

  return (
    <div className="room">
      <header className="head">
        {menu}
        <h1><Hash size={17} /><span dir="auto">{room}</span></h1>
        <ConnectionPill />
        {!wide && <PeopleButton {...people} onClick={() => setDrawer(true)} />}
        {bell}
      </header>
      <Log first={messages[0] && `${messages[0].position?.offset}`} written={written}
        fresh={reading.unread} onEnd={onEnd} busy={loading}
        hasEarlier={hasEarlier} loadEarlier={loadEarlier}>
        {loading ? <Skeletons /> : known && !hasEarlier && status.state !== 'failed'
          && <RoomStart room={room} empty={empty} />}
        <Timeline items={items} now={now} me={me} connected={connection.state === 'connected'} changes={changes}
          onEdit={text => composer.current?.take(text)} />
      </Log>
      {wide && <People {...people} />}
      <footer className="foot">
        {connection.state === 'connected' ? (
          <div className="below" id="typing">
            {status.state === 'failed'
              ? <span role="alert">This room cannot be entered: {status.cause.message}.</span>
              : <Typing names={typing.names} />}
          </div>
        ) : <BarPlace onSignIn={onSignIn} />}
        <Composer ref={composer} room={room} onSend={write} onTyping={typing.tell}
          onEditLast={editLast} />
      </footer>
      {drawer && !wide && (
        <Dialog className="drawer right" label="People" onClose={() => setDrawer(false)}>
          <div className="drawer-head">
            People
            <button className="icon-button" aria-label="Close" onClick={() => setDrawer(false)}>
              <Close />
            </button>
          </div>
          <People {...people} />
        </Dialog>
      )}
    </div>
  )
}

/** The first connection is usually there before one has read a word: no bar for it, no jump. */
function BarPlace({ onSignIn }: { onSignIn: () => void }) {
  const { state } = useConnection()
  if (state === 'idle') return <div className="below" />
  return <div className="below"><ConnectionBar onSignIn={onSignIn} /></div>
}

function Typing({ names }: { names: readonly string[] }) {
  if (!names.length) return null
  const text = names.length > 3 ? 'Several people are typing…'
    : `${list(names)} ${names.length > 1 ? 'are' : 'is'} typing…`
  return (
    <span className="typing">
      <span className="dots" aria-hidden="true"><i /><i /><i /></span>
      <span>{text}</span>
    </span>
  )
}
