// How far one has read a room, how much is unread, and where "new" stands. The server keeps it for who has an
// inbox, so that it is the same on all their devices; for others this browser does.
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import type { Message, Position } from 'tidings'
import { inbox } from 'tidings/inbox'
import { useClient, useUnread, type MessagesView } from 'tidings/react'
import { isBehind, readUpTo, rememberRead } from './rooms.ts'
import { channelOf, type Chat, type ChatMessage } from './session.ts'
import { keyOf } from './timeline.ts'

export interface Reading {
  readonly unread: number
  /** The key of the message that was the first unread one when the room was opened. */
  readonly newFrom: string | null
}

/**
 * `seesEnd`: the newest message is on the screen. `open`: the room is, wherever in it one is.
 */
export function useReading(
  room: string,
  { messages, status }: Pick<MessagesView<ChatMessage>, 'messages' | 'status'>,
  me: string,
  seesEnd: boolean,
  open: boolean,
): Reading {
  const [read, setRead] = useState(() => readUpTo(room))
  const cursor = useCursor(room)
  const newest = messages.at(-1)?.position ?? null
  const start = status.state === 'live' ? status.position : null
  const { known, readUpto } = cursor
  const elsewhere = useMemo(
    () => start && cursor.read > 0 ? { epoch: start.epoch, offset: cursor.read } : null,
    [start, cursor.read],
  )

  useEffect(() => {
    const take = (next: Position | null) => {
      if (!next || (read && !isBehind(next, read))) return false
      setRead(next)
      rememberRead(room, next)
      return true
    }
    if (take(elsewhere) || !known) return
    // Who has never been here has missed nothing. But only what was on a screen is read on all devices.
    if (!seesEnd) return void (read === null && take(start))
    if (take(newest) && newest && newest.offset > cursor.read) readUpto(newest.offset)
  }, [room, seesEnd, newest, read, start, elsewhere, known, cursor.read, readUpto])

  const here = useMemo(
    () => messages.filter(message => isNews(message, read, me)).length,
    [messages, read, me],
  )
  return {
    // Without a cursor the server counts from the beginning of the history, also for who was never here.
    unread: seesEnd ? 0 : cursor.read > 0 ? cursor.count ?? here : here,
    // What was read elsewhere arrives together with `known`: the mark is not to stand where only this browser was.
    newFrom: useFirstNew(messages, further(read, elsewhere), me, open && known, start),
  }
}

interface Cursor {
  /** It is known how far one has read, or that nobody but this browser knows. */
  readonly known: boolean
  /** 0: nothing, as far as the server knows. */
  readonly read: number
  /** `undefined`: the server does not count for us. */
  readonly count: number | undefined
  readonly readUpto: (offset: number) => void
}

function useCursor(room: string): Cursor {
  const own = inbox(useClient<Chat>())
  const channel = channelOf(room)
  const { count, read } = useUnread(channel)
  const state = useSyncExternalStore(own.view.subscribe, () => own.view.current.status.state)
  return useMemo(() => {
    // Anonymous users may have no inbox.
    if (state === 'failed') return { known: true, read: 0, count: undefined, readUpto: () => {} }
    return {
      known: read > 0 || count > 0, read, count,
      // Refused, it is what it was; the badge says so.
      readUpto: (offset: number) => { own.readUpto(channel, offset).catch(() => {}) },
    }
  }, [own, channel, state, count, read])
}

const further = (read: Position | null, elsewhere: Position | null) =>
  elsewhere && (read === null || isBehind(elsewhere, read)) ? elsewhere : read

const isNews = ({ position, user }: Message, read: Position | null, me: string) =>
  user !== me && isBehind(position, read)

interface Mark {
  readonly open: boolean
  /** How far was read when the room was opened. */
  readonly read: Position | null
  readonly from: string | null
  readonly done: boolean
}
const CLOSED: Mark = { open: false, read: null, from: null, done: true }

/** Fixed when the room is opened and all is there; what comes while one looks on is not marked. */
function useFirstNew(messages: readonly Message[], read: Position | null, me: string, open: boolean,
  start: Position | null) {
  const [mark, setMark] = useState(CLOSED)
  if (mark.open !== open) {
    setMark(open ? { open, read, from: null, done: false } : { ...mark, open })
  } else if (!mark.done && start && start.offset <= (messages.at(-1)?.position?.offset ?? 0)) {
    const first = messages.find(message => isNews(message, mark.read, me))
    setMark({ ...mark, from: first ? keyOf(first) : null, done: true })
  }
  return mark.from
}
