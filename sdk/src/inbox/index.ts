import { HOST, type Host } from '../host.js'
import type { Client } from '../types.js'
import { InboxImpl } from './inbox.js'
import type { Inbox, InboxOptions } from './types.js'

export type {
  Group, GroupsPage, GroupsQuery, Inbox, InboxOptions, InboxPush, InboxView, Notification, PushRegistration, Unread,
} from './types.js'

const inboxes = new WeakMap<object, InboxImpl>()

/** The inbox of whoever this client is signed in as; the same object each time. Does nothing until it is opened. */
export function inbox<P = unknown>(client: Client<any>, { pageSize = 50 }: InboxOptions = {}): Inbox<P> {
  const found = inboxes.get(client) ?? new InboxImpl(client, (client as unknown as { [HOST]: Host })[HOST], pageSize)
  inboxes.set(client, found)
  return found
}
