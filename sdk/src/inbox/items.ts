import { time, type Frame } from '../wire/frames.js'
import type { Notification } from './types.js'

export type As = 'seen' | 'read' | 'unread' | 'archived'

/** An item and what the list does not show. */
export interface Item extends Notification<any> { readonly archived: boolean }

/** What is marked, and as what: a command of ours, or what the server says of one. */
export interface Mark {
  readonly as: As
  readonly ids?: readonly number[] | undefined
  readonly upto?: number | undefined
}

/** Items, newest first, and what is known of the whole inbox. */
export interface Box {
  readonly items: readonly Item[]
  readonly unread: number
  readonly unseen: number
}

export const itemOf = ({ timestamp, expires_at, ...item }: Frame): Item =>
  ({ ...item, at: time(timestamp), expiresAt: expires_at && time(expires_at) }) as unknown as Item

const changes: Record<As, Partial<Item>> = {
  seen: { seen: true }, read: { seen: true, read: true }, unread: { read: false }, archived: { archived: true },
}
const isUnread = ({ read, archived }: Item): boolean => !read && !archived
const isUnseen = ({ seen, archived }: Item): boolean => !seen && !archived
const count = (items: readonly Item[], is: (item: Item) => boolean): number => items.filter(is).length

/** What is in the box with this mark. The numbers are a guess as to items that are not here. */
export function marked(box: Box, { as, ids, upto = 0 }: Mark): Box {
  const named = new Set(ids)
  const items = box.items.map(item => item.id <= upto || named.has(item.id) ? { ...item, ...changes[as] } : item)
  // Of all up to one that is here, none is left, whether it is here or not.
  const left = (is: (item: Item) => boolean, before: number, all: boolean): number =>
    count(items, is) + (all && upto ? 0 : Math.max(0, before - count(box.items, is)))
  return { items, unread: left(isUnread, box.unread, as === 'read'), unseen: left(isUnseen, box.unseen, as !== 'unread') }
}

/** What is in the box behind this frame, whose numbers are right. */
export function taken(box: Box, frame: Frame): Box {
  const { type, item, ids, dropped, unread = box.unread, unseen = box.unseen } = frame
  let { items } = box
  if (type === 'mark') items = marked(box, frame as unknown as Mark).items
  const gone = new Set<number>(type === 'expired' ? ids : dropped)
  if (item && !items.some(({ id }) => id === item.id)) items = [itemOf(item), ...items]
  if (gone.size) items = items.filter(({ id }) => !gone.has(id))
  return { items: items.filter(({ archived }) => !archived), unread, unseen }
}
