// What a notification says. Its `data` can be anything: it came over the network.
import type { Notification } from 'tidings/inbox'
import { MENTIONS, type Mention } from '../mentions.ts'

export interface Content {
  /** Who caused it, as they called themselves. */
  readonly name: string | null
  readonly text: string
  /** Where it happened. */
  readonly room: string | null
}

export function contentOf({ topic, data }: Notification): Content {
  const { name, text, room } = (data ?? {}) as Partial<Mention>
  return {
    name: typeof name === 'string' && name.trim() ? name.trim().slice(0, 40) : null,
    text: typeof text === 'string' ? text : JSON.stringify(data) ?? '',
    room: topic === MENTIONS && typeof room === 'string' && room ? room : null,
  }
}

export interface Group {
  readonly key: string
  readonly subject: string
  readonly items: readonly Notification[]
  readonly unread: number
}

/** In the order of each one's newest; what has no subject stands alone. */
export function groupsOf(items: readonly Notification[]): readonly Group[] {
  const groups = new Map<string, Notification[]>()
  for (const item of items) {
    const key = item.subject === undefined ? `item ${item.id}` : JSON.stringify([item.topic, item.subject])
    const group = groups.get(key)
    if (group) group.push(item)
    else groups.set(key, [item])
  }
  return [...groups].map(([key, items]) => ({
    key, items, subject: items[0]!.subject ?? items[0]!.topic, unread: items.filter(({ read }) => !read).length,
  }))
}
