// From messages to what stands below each other: days, groups of one sender, gaps, "new".
import type { Gap, Message, OutboxEntry, Reaction } from 'tidings'
import type { FailedMessage } from 'tidings/react'
import { dayOf } from './format.ts'
import { nameIn, nameOf, textOf, type ChatMessage } from './session.ts'

/** Messages of one sender that follow within this time stand below one name. */
const TOGETHER_MS = 5 * 60_000

export interface MessageItem {
  readonly kind: 'message'
  readonly key: string
  readonly user: string
  readonly name: string
  readonly mine: boolean
  /** It stands below the sender's name, not below another message of theirs. */
  readonly first: boolean
  readonly at: number
  readonly text: string
  /** Where it is in the channel; `undefined` while it is on its way. */
  readonly offset?: number | undefined
  /** When its author last changed it. */
  readonly edited?: number | undefined
  readonly deleted?: boolean | undefined
  readonly reactions?: Readonly<Record<string, Reaction>> | undefined
  readonly waiting?: 'queued' | 'sent'
  readonly failed?: FailedMessage<ChatMessage>
}
/** All in one row of siblings, with lasting keys: what comes in front or behind remounts nothing. */
export type Item =
  | { readonly kind: 'day'; readonly key: string; readonly day: number }
  | { readonly kind: 'new'; readonly key: string }
  | { readonly kind: 'gap'; readonly key: string; readonly reason: Gap['reason'] }
  | MessageItem

export interface Source {
  readonly messages: readonly Message<ChatMessage>[]
  readonly pending: readonly OutboxEntry[]
  readonly failed: readonly FailedMessage<ChatMessage>[]
  readonly gaps: readonly Gap[]
  /** Our user; empty while it is not known. */
  readonly me: string
  /** The key of the message that "new" stands above. */
  readonly newFrom: string | null
}

export const keyOf = ({ key, position }: Message) =>
  key ?? `${position?.epoch}:${position?.offset}`

export function timelineOf(source: Source): readonly Item[] {
  const items: Item[] = []
  let day = NaN
  let gaps = source.gaps

  function add(message: Omit<MessageItem, 'kind' | 'first'>) {
    const { key, at, user, name, mine } = message
    if (dayOf(at) !== day) {
      day = dayOf(at)
      items.push({ kind: 'day', key: `day ${key}`, day })
    }
    if (key === source.newFrom) items.push({ kind: 'new', key: 'new' })
    const last = items.at(-1)
    const joins = last?.kind === 'message' && last.user === user && last.name === name
      && last.mine === mine && at - last.at < TOGETHER_MS
    items.push({ kind: 'message', first: !joins, ...message })
  }

  // What was deleted says nothing any more, also not by what name its author went.
  const names = new Map(source.messages.filter(({ deleted }) => !deleted)
    .map(message => [message.user, nameOf(message)]))
  for (const message of source.messages) {
    const passed = gaps.filter(gap => isBeyond(message, gap))
    for (const { reason, to } of passed) {
      items.push({ kind: 'gap', key: `gap ${to.epoch}:${to.offset}`, reason })
    }
    gaps = gaps.filter(gap => !passed.includes(gap))
    const { user, at, edited, deleted, reactions } = message
    add({ key: keyOf(message), user, name: deleted ? names.get(user) ?? user : nameOf(message), mine: user === source.me, at,
      text: deleted ? '' : textOf(message.data), offset: message.position?.offset, edited, deleted, reactions })
  }
  for (const { reason, to } of gaps) {
    items.push({ kind: 'gap', key: `gap ${to.epoch}:${to.offset}`, reason })
  }
  for (const { key, data, createdAt, ...more } of unsettled(source)) {
    const own = { key, user: source.me, name: nameIn(data, source.me), mine: true, at: createdAt,
      text: textOf(data) }
    add('error' in more ? { ...own, failed: more.failed } : { ...own, waiting: more.state })
  }
  return items
}

/** The first message behind a gap: what the gap names is missing up to and including `to`. */
function isBeyond({ position }: Message, { to }: Gap): boolean {
  return !!position && position.epoch === to.epoch && position.offset > to.offset
}

/** What did not get through and what is on its way, in the order in which it was written. */
function unsettled({ pending, failed }: Source) {
  const refused = failed.map(entry => ({ ...entry, failed: entry }))
  return [...pending, ...refused].sort((a, b) => a.createdAt - b.createdAt)
}
