// Examples of docs/notifications.md and docs/web-push.md, which sdk/test/e2e/docs.test.tsx runs.
import type { Client, TidingsError } from 'tidings'
import { inbox, type Inbox, type PushRegistration } from 'tidings/inbox'

interface Note { text: string }
type Show = (text: string) => void

export function watch(client: Client, show: Show) {
  // region watch
  const notes = inbox<Note>(client)
  notes.view.subscribe(({ items, unread, unseen }) => {
    show(`${unseen} new, ${unread} unread: ${items.map(item => item.data.text).join(', ')}`)
  })
  notes.on('received', item => show(`just now: ${item.data.text}`))
  const close = notes.open()
  // endregion
  return { notes, close }
}

export async function mark(notes: Inbox<Note>) {
  // region mark
  const [newest, second] = notes.view.current.items
  await notes.markSeen([newest!.id])
  await notes.markRead([newest!.id])
  await notes.archive([second!.id])
  await notes.markAllRead()
  // endregion
}

export async function older(notes: Inbox<Note>) {
  // region older
  while (notes.view.current.more) await notes.loadMore()
  // endregion
}

export async function bySubject(notes: Inbox<Note>, show: Show) {
  // region groups
  const { groups } = await notes.groups({ topic: 'comment' })
  for (const { subject, count, unread, latest } of groups) {
    show(`${subject}: ${count}, ${unread} of them unread, the last: ${latest.data.text}`)
  }
  // endregion
}

export async function follow(notes: Inbox<Note>) {
  // region follow
  await notes.follow('releases')
  // endregion
}

export function unread(client: Client, show: Show) {
  // region unread
  const notes = inbox(client)
  const end = notes.unread('chat:lobby').subscribe(({ count }) => show(`${count} unread in the lobby`))
  // endregion
  return end
}

export async function read(client: Client, newest: number) {
  // region read
  await inbox(client).readUpto('chat:lobby', newest)
  // endregion
}

export function button(client: Client, on: HTMLElement, show: Show, registration?: PushRegistration) {
  // region push
  const { push } = inbox(client)
  on.addEventListener('click', async () => {
    try {
      await push.subscribe(registration)
      show('You will be told here.')
    } catch (error) {
      if ((error as DOMException).name === 'NotAllowedError') show('Your browser does not allow it.')
      else show(`Not now: ${(error as TidingsError).message}`)
    }
  })
  // endregion
}

export async function logout(client: Client, registration?: PushRegistration) {
  // region logout
  await inbox(client).push.unsubscribe(registration)
  await client.logout()
  // endregion
}
