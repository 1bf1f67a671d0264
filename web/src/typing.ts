// Who is writing. It is told to whoever is there now, stored nowhere, and forgotten by itself.
import { useCallback, useEffect, useRef, useState } from 'react'
import type { Message } from 'tidings'
import { useChannel } from 'tidings/react'
import { channelOf, nameOf } from './session.ts'

const TELL_EVERY_MS = 2000
const FORGET_AFTER_MS = 4500

interface Writer { readonly name: string; readonly until: number }
const NOBODY: ReadonlyMap<string, Writer> = new Map()

export function useTyping(room: string | null, name: string) {
  const [writers, setWriters] = useState(NOBODY)
  const toldAt = useRef(0)

  const hear = useCallback((message: Message) => {
    const { user } = message
    if (message.event === 'typing') {
      const until = Date.now() + FORGET_AFTER_MS
      setWriters(now => new Map(now).set(user, { name: nameOf(message), until }))
    } else {
      setWriters(now => without(now, other => other === user))
    }
  }, [])
  const { channel, status } = useChannel<unknown>(room && channelOf(room), hear)

  useEffect(() => setWriters(NOBODY), [room])
  useEffect(() => {
    if (!writers.size) return
    const next = Math.min(...[...writers.values()].map(({ until }) => until))
    const forget = () => setWriters(now => without(now, (_, { until }) => until <= Date.now()))
    const timer = setTimeout(forget, next - Date.now() + 10)
    return () => clearTimeout(timer)
  }, [writers])

  const live = status.state === 'live'
  const tell = useCallback(() => {
    const now = Date.now()
    if (!live || now - toldAt.current < TELL_EVERY_MS) return
    toldAt.current = now
    // Whether it arrives does not matter.
    channel?.publish({ name }, { event: 'typing', ephemeral: true, echo: false, offline: 'fail' })
      .catch(() => {})
  }, [channel, live, name])
  /** After a message the next key is told at once. */
  const done = useCallback(() => { toldAt.current = 0 }, [])

  return { names: [...writers.values()].map(writer => writer.name), tell, done }
}

function without(
  writers: ReadonlyMap<string, Writer>,
  goes: (user: string, writer: Writer) => boolean,
): ReadonlyMap<string, Writer> {
  const left = [...writers].filter(([user, writer]) => !goes(user, writer))
  return left.length === writers.size ? writers : new Map(left)
}
