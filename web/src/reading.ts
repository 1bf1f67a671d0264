// How far one has read a room, how much is unread, and where "new" stands.
import { useEffect, useMemo, useState } from 'react'
import type { Message, Position } from 'tidings'
import type { MessagesView } from 'tidings/react'
import { isBehind, readUpTo, rememberRead } from './rooms.ts'
import type { ChatMessage } from './session.ts'
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
  const newest = messages.at(-1)?.position ?? null
  const start = status.state === 'live' ? status.position : null

  useEffect(() => {
    // Who has never been here has missed nothing.
    const next = seesEnd ? newest : read === null ? start : null
    if (!next || (read && !isBehind(next, read))) return
    setRead(next)
    rememberRead(room, next)
  }, [room, seesEnd, newest, read, start])

  const unread = useMemo(
    () => messages.filter(message => isNews(message, read, me)).length,
    [messages, read, me],
  )
  return { unread, newFrom: useFirstNew(messages, read, me, open, start) }
}

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
