// What one changes of messages that are there: edits, deletions, reactions. They wait for the connection as
// messages do, and show when the server has stored them.
import { useCallback, useMemo, useRef, useState } from 'react'
import type { Channel, TidingsError } from 'tidings'
import { useClient } from 'tidings/react'
import type { MessageActions } from './message-row.tsx'
import { channelOf, type Chat, type ChatMessage } from './session.ts'

const PATIENCE_MS = 400

export interface Changes {
  /** By the offset of the message: what is not known to be stored, or why it was refused. */
  readonly of: ReadonlyMap<number, 'waiting' | TidingsError>
  /** The key of the message that is being edited. */
  readonly editing: string | null
  readonly actions: MessageActions
}

export function useChanges(room: string, name: string): Changes {
  const channel = useClient<Chat>().channel(channelOf(room)) as Channel<ChatMessage>
  const [of, setOf] = useState<Changes['of']>(new Map())
  const [editing, setEditing] = useState<string | null>(null)
  const who = useRef(name)
  who.current = name

  const note = useCallback((offset: number, what: 'waiting' | TidingsError | undefined) => {
    setOf(now => {
      const next = new Map(now)
      if (what === undefined) next.delete(offset)
      else next.set(offset, what)
      return next
    })
  }, [])
  const actions = useMemo<MessageActions>(() => {
    const follow = (offset: number, done: Promise<unknown>) => {
      // What is there at once needs no word about it.
      const timer = setTimeout(() => note(offset, 'waiting'), PATIENCE_MS)
      done.then(() => undefined, (error: TidingsError) => error).then(error => {
        clearTimeout(timer)
        note(offset, error)
      })
    }
    return {
      edit: (offset, text) => follow(offset, channel.edit(offset, { text, name: who.current })),
      remove: offset => follow(offset, channel.delete(offset)),
      react: (offset, reaction, remove) => follow(offset, channel.react(offset, reaction, { remove })),
      editing: key => {
        setEditing(key)
        if (key === null) document.getElementById('text')?.focus()
      },
    }
  }, [channel, note])
  return { of, editing, actions }
}
