// Who is named in a message hears of it, wherever they are: `@Bob` puts it into Bob's inbox.
//
// Only a backend may notify, with a key of the HTTP API, and this demo has none. A server for trying out gives its
// key to its own pages on this machine (`/console/key`), so there the page of the one who writes does what a
// backend would do. Elsewhere nobody is told: a page never has a key.
import { useCallback, useEffect, useRef } from 'react'
import type { Member, Message } from 'tidings'
import { useChannel, useConnection } from 'tidings/react'
import { offeredKey } from './console/key.ts'
import { channelOf, nameIn, nameOf, textOf, type ChatMessage, type Who } from './session.ts'

/** What this page puts into an inbox. */
export interface Mention {
  readonly room: string
  readonly text: string
  readonly name: string
  readonly offset: number
}

export const MENTIONS = 'mentions'
const TEXT_MAX = 200
/** In one message. */
const PEOPLE_MAX = 20
const TRIES = 3
const PAUSE_MS = 2000

/** The key, if there is one; asked for once, when somebody is named. */
let key: Promise<string | null> | undefined

export function useMentions(room: string, members: readonly Member<Who>[], messages: readonly Message<ChatMessage>[]) {
  const connection = useConnection()
  const session = connection.state === 'connected' ? connection.session : null
  const known = useRef(new Map<string, string>())
  useEffect(() => {
    known.current = new Map([
      ...messages.filter(({ deleted }) => !deleted).map(message => [message.user, nameOf(message)] as const),
      ...members.map(({ user, data }) => [user, nameIn(data, user)] as const),
    ])
  }, [members, messages])

  // When it comes back it is stored; another tab of ours does not say it again.
  const hear = useCallback((message: Message<ChatMessage>) => {
    const { position, user, replayed } = message
    if (!position || replayed || message.session !== session) return
    const text = textOf(message.data)
    const users = namedIn(text, known.current).filter(other => other !== user).slice(0, PEOPLE_MAX)
    if (!users.length) return
    const { epoch, offset } = position
    const data: Mention = { room, text: text.slice(0, TEXT_MAX), name: nameOf(message), offset }
    void notify({
      users, topic: MENTIONS, subject: `#${room}`, data, user_from: user, key: `${room} ${epoch}:${offset}`,
    })
  }, [room, session])
  useChannel<ChatMessage>(channelOf(room), hear)
}

/** The users whose name stands behind an `@`, whatever its case. */
export function namedIn(text: string, names: ReadonlyMap<string, string>): string[] {
  if (!text.includes('@')) return []
  const said = text.toLowerCase()
  return [...names].filter(([, name]) => isNamed(said, name.toLowerCase())).map(([user]) => user)
}

const WORD = /[\p{L}\p{N}]/u

/** `@bob`, but neither `@bobby` nor `me@bob`. */
function isNamed(said: string, name: string): boolean {
  for (let at = said.indexOf(`@${name}`); at >= 0; at = said.indexOf(`@${name}`, at + 1)) {
    if (!WORD.test(said[at - 1] ?? '') && !WORD.test(said[at + name.length + 1] ?? '')) return true
  }
  return false
}

/** The same key again is the same notification, so trying again makes no second one. */
async function notify(body: object): Promise<void> {
  key ??= offeredKey()
  const secret = await key
  if (secret === null) return
  for (let left = TRIES; left > 0; left--) {
    const answer = await fetch('/api/v1/notify', {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }).catch(() => null)
    if (answer && answer.status < 500 && answer.status !== 429) return
    await new Promise(done => setTimeout(done, PAUSE_MS))
  }
}
