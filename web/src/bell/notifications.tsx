// The inbox: newest first, or grouped by subject. To open it is to have seen it; to read it one follows it or
// says so.
import { useEffect, useState, type MouseEvent } from 'react'
import type { Notification } from 'tidings/inbox'
import type { InboxHook } from 'tidings/react'
import { Avatar } from '../avatar.tsx'
import { useNow } from '../browser.ts'
import { Dialog } from '../dialog.tsx'
import { agoOf, exactTimeOf, plural } from '../format.ts'
import { Archive, Bell, Check, Close } from '../icons.tsx'
import { Linked } from '../linked.tsx'
import { contentOf, groupsOf, type Group } from './content.ts'

interface NotificationsProps {
  view: InboxHook<unknown>
  me: string
  onClose: () => void
  onGo: (room: string) => void
}

export function Notifications({ view, me, onClose, onGo }: NotificationsProps) {
  const { items, unread, more, loading, status, inbox } = view
  const [grouped, setGrouped] = useState(false)
  const now = useNow(true, 30_000)
  // Also what comes while one looks on.
  useEffect(() => {
    const fresh = items.filter(({ seen }) => !seen).map(({ id }) => id)
    if (fresh.length) void inbox.markSeen(fresh).catch(() => {})
  }, [items, inbox])

  const shown = items
  const follow = (item: Notification) => {
    const { room } = contentOf(item)
    if (!item.read) void inbox.markRead([item.id]).catch(() => {})
    if (room !== null) onGo(room)
  }
  const one = (item: Notification) => <Entry key={item.id} item={item} now={now} inbox={inbox} onFollow={follow} />
  return (
    <Dialog className="drawer right inbox" label="Notifications" onClose={onClose}>
      <div className="drawer-head">
        <h2>Notifications</h2>
        <button className="icon-button" aria-label="Close" onClick={onClose}><Close /></button>
      </div>
      {status.state !== 'failed' && (
        <div className="inbox-tools">
          {/* Not `disabled`: that would take the focus from who has just pressed it. */}
          <button className="button small" aria-disabled={unread === 0}
            onClick={() => { if (unread) void inbox.markAllRead().catch(() => {}) }}>Mark all as read</button>
          <label className="check">
            <input type="checkbox" checked={grouped} onChange={event => setGrouped(event.target.checked)} />
            By subject
          </label>
          <span className="unseen" role="status">{plural(unread, 'is unread', 'are unread')}</span>
        </div>
      )}
      <div className="inbox-items">
        {status.state === 'failed' ? <Refused why={status.cause.message} />
          : shown.length === 0 && !loading && !more ? <Nothing me={me} /> : (
          <ul aria-label="Notifications" aria-busy={loading}>
            {grouped ? groupsOf(shown).map(group => <GroupEntry key={group.key} group={group} one={one} />)
              : shown.map(one)}
          </ul>
        )}
        {more && (
          <p className="more">
            <button className="button small" disabled={loading} onClick={() => void inbox.loadMore().catch(() => {})}>
              {loading ? 'Loading…' : 'Show older'}
            </button>
          </p>
        )}
      </div>
    </Dialog>
  )
}

function GroupEntry({ group, one }: { group: Group; one: (item: Notification) => React.ReactNode }) {
  const { subject, items, unread } = group
  if (items.length === 1) return one(items[0]!)
  return (
    <li className="inbox-group">
      <h3 dir="auto">{subject}<small>{plural(items.length, 'item', 'items')}{unread > 0 && `, ${unread} unread`}</small></h3>
      <ul>{items.map(one)}</ul>
    </li>
  )
}

function Entry({ item, now, inbox, onFollow }: {
  item: Notification
  now: number
  inbox: InboxHook<unknown>['inbox']
  onFollow: (item: Notification) => void
}) {
  const { id, at, read, subject, topic } = item
  const { name, text, room } = contentOf(item)
  const what = `${name ?? subject ?? topic}: ${text.slice(0, 40)}`
  return (
    <li className={read ? 'note-entry' : 'note-entry is-unread'}>
      <Avatar user={item.user ?? topic} name={name ?? subject ?? topic} small />
      <div className="note-body">
        <p className="note-head">
          <b dir="auto">{name ?? subject ?? topic}</b>
          <time dateTime={new Date(at).toISOString()} title={exactTimeOf(at)}>{agoOf(at, now)}</time>
          {!read && <i className="dot" role="img" aria-label="unread" />}
        </p>
        <Text text={text} />
        <p className="choices">
          {room !== null && (
            <button className="button small go" onClick={() => onFollow(item)}>Go to #{room}</button>
          )}
          <button className="button small" aria-label={`Mark as ${read ? 'unread' : 'read'}: ${what}`}
            onClick={() => void (read ? inbox.markUnread([id]) : inbox.markRead([id])).catch(() => {})}>
            {read ? 'Mark as unread' : <><Check size={13} />Mark as read</>}
          </button>
          <button className="button small" aria-label={`Archive: ${what}`} title="Archive"
            onClick={event => {
              toNeighbour(event)
              void inbox.archive([id]).catch(() => {})
            }}><Archive size={14} /></button>
        </p>
      </div>
    </li>
  )
}

/** Longer ones are cut, so that the next is in sight, too. */
const TEXT_LONG = 200
const LINES_MANY = 5

function Text({ text }: { text: string }) {
  const [whole, setWhole] = useState(false)
  const long = text.length > TEXT_LONG || text.split('\n').length > LINES_MANY
  return (
    <>
      <p className={long && !whole ? 'note-text is-cut' : 'note-text'} dir="auto"><Linked text={text} /></p>
      {long && (
        <button className="link-button" aria-expanded={whole} onClick={() => setWhole(!whole)}>
          {whole ? 'Show less' : 'Show all'}
        </button>
      )}
    </>
  )
}

/** The focus goes to the next entry, or the one before, when the one that has it leaves the list. */
function toNeighbour({ currentTarget }: MouseEvent<HTMLElement>) {
  const entries = [...currentTarget.closest('.inbox-items')!.querySelectorAll('.note-entry')]
  const at = entries.findIndex(entry => entry.contains(currentTarget))
  const next = entries[at + 1] ?? entries[at - 1]
  const button = next?.querySelector<HTMLElement>('.choices button:last-child')
    ?? currentTarget.closest('dialog')?.querySelector('button')
  button?.focus()
}

function Refused({ why }: { why: string }) {
  return (
    <div className="nothing" role="alert">
      <span className="tile"><Bell size={24} /></span>
      <h3>You have no inbox here</h3>
      <p>The server says: {why}. It can be that one has to sign in first.</p>
    </div>
  )
}

function Nothing({ me }: { me: string }) {
  return (
    <div className="nothing">
      <span className="tile"><Bell size={24} /></span>
      <h3>Nothing for you yet</h3>
      <p>
        On a server that runs on one’s own machine, to try it out, whoever writes <b>@</b> and your name in a room
        puts it here. In an application, its backend says who is told what.
      </p>
      {me && (
        <p>
          From the console you can <a href={`/console#/users/${encodeURIComponent(me)}`} target="_blank"
            rel="noopener">tell yourself something</a>, too.
        </p>
      )}
    </div>
  )
}
