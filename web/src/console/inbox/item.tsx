// One thing in a user's inbox, and all of one subject.
import { clock, count, moment } from '../format.ts'
import { Json, OneLine } from '../json.tsx'

export interface InboxItem {
  readonly id: number
  readonly topic: string
  readonly subject?: string
  readonly data: unknown
  readonly timestamp: string
  readonly user?: string
  readonly seen: boolean
  readonly read: boolean
  readonly archived: boolean
  readonly expires_at?: string | number
}
export interface InboxGroup {
  readonly subject?: string
  readonly topic: string
  readonly count: number
  readonly unread: number
  readonly latest: InboxItem
}
export type Mark = 'seen' | 'read' | 'unread' | 'archived'
type OnMark = (as: Mark, which: { ids: readonly number[] }) => void

export function ItemRow({ item, onMark }: { item: InboxItem; onMark: OnMark }) {
  const at = Date.parse(item.timestamp)
  const state = item.archived ? 'archived' : item.read ? 'read' : item.seen ? 'seen' : 'new'
  return (
    <li className={item.read || item.archived ? undefined : 'is-unread'}>
      <details>
        <summary>
          <span className="offset">{item.id}</span>
          <time dateTime={item.timestamp} title={`${moment(at)} here`}>{clock(at)}</time>
          <span className={state === 'new' ? 'tag ok' : 'tag'}>{state}</span>
          <span className="user" dir="auto">{item.topic}</span>
          {item.subject !== undefined && <span className="tag" dir="auto">{item.subject}</span>}
          <OneLine value={item.data} />
        </summary>
        <div className="event-whole">
          <p className="choices" role="group" aria-label={`Mark ${item.id} as`}>
            <span>Mark as</span>
            {waysOf(item).map(as => (
              <button key={as} className="button small" onClick={() => onMark(as, { ids: [item.id] })}>
                {as}<span className="unseen"> (item {item.id})</span>
              </button>
            ))}
          </p>
          <Json value={item} label={`Item ${item.id}`} />
        </div>
      </details>
    </li>
  )
}

/** What would change something. */
function waysOf({ seen, read, archived }: InboxItem): Mark[] {
  if (archived) return read ? ['unread'] : ['read']
  return [...seen ? [] : ['seen' as const], read ? 'unread' : 'read', 'archived']
}

export function GroupRow({ group, onMark }: { group: InboxGroup; onMark: OnMark }) {
  const { latest, unread } = group
  const at = Date.parse(latest.timestamp)
  return (
    <li className={unread > 0 ? 'is-unread' : undefined}>
      <details>
        <summary>
          <span className="offset" title="Items">{count(group.count)}</span>
          <time dateTime={latest.timestamp} title={`The newest: ${moment(at)} here`}>{clock(at)}</time>
          {unread > 0 && <span className="tag ok">{count(unread)} unread</span>}
          <span className="user" dir="auto">{group.topic}</span>
          {group.subject !== undefined && <span className="tag" dir="auto">{group.subject}</span>}
          <OneLine value={latest.data} />
        </summary>
        <div className="event-whole">
          <p className="choices" role="group" aria-label="Mark the newest as">
            <span>Mark the newest as</span>
            {waysOf(latest).map(as => (
              <button key={as} className="button small" onClick={() => onMark(as, { ids: [latest.id] })}>{as}</button>
            ))}
          </p>
          <Json value={group} label={`Subject ${group.subject ?? group.topic}`} />
        </div>
      </details>
    </li>
  )
}
