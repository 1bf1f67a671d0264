// Which rooms there are, and how far each has been read.
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import type { Position } from 'tidings'
import { useHash } from './browser.ts'
import { forget, recall, remember } from './settings.ts'

const FIRST_ROOMS = ['lobby', 'random', 'questions']
/** Each is a subscription: the server allows a session 128. */
const ROOMS_MAX = 40

/** Not a room: a page of its own. */
export const TICKER = '#/ticker'

export const hrefOf = (room: string) => `#${encodeURIComponent(room)}`

/** A name that the server takes: no control characters, not too long. */
export function roomName(text: string): string {
  return [...text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '').replace(/^[\s#]+|\s+$/g, '')]
    .slice(0, 60).join('')
}

/** `null`: it says none. */
function roomIn(hash: string): string | null {
  if (hash === TICKER) return null
  let name = hash.slice(1)
  try { name = decodeURIComponent(name) } catch { /* then the % is part of the name */ }
  return roomName(name) || FIRST_ROOMS[0]!
}

function rememberedRooms(): readonly string[] {
  try {
    const rooms: unknown = JSON.parse(recall('local', 'rooms') ?? 'null')
    if (Array.isArray(rooms)) return rooms.map(room => roomName(String(room))).filter(Boolean)
  } catch { /* as if there were none */ }
  return FIRST_ROOMS
}

export interface Rooms {
  readonly rooms: readonly string[]
  readonly current: string
  /** It is looked at; else another page is. */
  readonly inRoom: boolean
  readonly go: (room: string) => void
  readonly drop: (room: string) => void
}

export function useRooms(): Rooms {
  const said = roomIn(useHash())
  // Where one goes back to from another page.
  const last = useRef(FIRST_ROOMS[0]!)
  if (said !== null) last.current = said
  const current = last.current
  const [known, setKnown] = useState(rememberedRooms)
  // The room in the address is always one of them, from the first render on.
  const rooms = useMemo(
    () => known.includes(current) ? known : [...known, current].slice(-ROOMS_MAX),
    [known, current],
  )
  useEffect(() => {
    setKnown(rooms)
    remember('local', 'rooms', JSON.stringify(rooms))
  }, [rooms])

  const go = useCallback((room: string) => {
    const name = roomName(room)
    if (name) location.hash = hrefOf(name)
  }, [])
  const drop = useCallback((room: string) => {
    const left = rooms.filter(other => other !== room)
    setKnown(left)
    remember('local', 'rooms', JSON.stringify(left))
    if (room === current) location.hash = hrefOf(left[0] ?? FIRST_ROOMS[0]!)
  }, [rooms, current])
  return { rooms, current, inRoom: said !== null, go, drop }
}

// How far a room has been read: the position of the last message that was on the screen.

export function readUpTo(room: string): Position | null {
  try {
    const { epoch, offset } = JSON.parse(recall('local', `read.${room}`) ?? 'null')
    return { epoch: String(epoch), offset: Number(offset) || 0 }
  } catch {
    return null
  }
}

export function rememberRead(room: string, position: Position): void {
  const { epoch, offset } = position
  remember('local', `read.${room}`, JSON.stringify({ epoch, offset }))
}

/** Another user has read other things. */
export const forgetRead = () => forget('local', 'read.')

/** Whether a message stands behind what has been read. Another epoch is another history: all new. */
export const isBehind = (position: Position | null, read: Position | null) =>
  !!position && !!read && (position.epoch !== read.epoch || position.offset > read.offset)
