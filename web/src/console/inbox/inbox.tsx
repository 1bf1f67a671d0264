// A user's inbox: what they were told, what of it they have seen and read, and the same marks that their
// own devices can make.
import { useState } from 'react'
import { problemOf, useApi, type Problem } from '../api.ts'
import { count } from '../format.ts'
import { useLoad } from '../load.ts'
import { Empty, Loading, Panel, ProblemBox } from '../parts.tsx'
import { GroupRow, ItemRow, type InboxGroup, type InboxItem, type Mark } from './item.tsx'

const PAGE = 20
const REFRESH_MS = 2000

interface Page {
  readonly items?: readonly InboxItem[]
  readonly groups?: readonly InboxGroup[]
  readonly more: boolean
  readonly unread: number
  readonly unseen: number
}

const VIEWS = {
  all: { label: 'All', query: {} },
  unread: { label: 'Unread', query: { unread: 'true' } },
  archived: { label: 'Archived', query: { archived: 'true' } },
  subjects: { label: 'By subject', query: { group: 'true' } },
} as const
type View = keyof typeof VIEWS

/** `turn` grows when something was sent from here. */
export function InboxPanel({ user, turn, onChanged }: { user: string; turn: number; onChanged: () => void }) {
  const api = useApi()
  const [view, setView] = useState<View>('all')
  // The ids that pages were asked with, from the newest page on.
  const [pages, setPages] = useState<readonly number[]>([])
  const [refused, setRefused] = useState<Problem>()
  const before = pages.at(-1)
  const page = useLoad(JSON.stringify([user, view, before, turn]), signal =>
    api.get<Page>('/inbox', { user, ...VIEWS[view].query, before, limit: PAGE }, signal), REFRESH_MS)
  const [last, setLast] = useState<{ view: View; page: Page }>()
  if (page.value && page.value !== last?.page) setLast({ view, page: page.value })
  const shown = page.problem ? undefined : page.value ?? (last?.view === view ? last.page : undefined)
  const items = shown?.items ?? []
  const groups = shown?.groups ?? []
  const oldest = items.at(-1)?.id ?? groups.at(-1)?.latest.id
  const newest = view === 'archived' ? undefined : items[0]?.id ?? groups[0]?.latest.id

  const mark = async (as: Mark, which: { ids: readonly number[] } | { upto: number }) => {
    setRefused(undefined)
    try {
      await api.post('/inbox/mark', { user, as, ...which })
      onChanged()
    } catch (error) {
      setRefused(problemOf(error))
    }
  }
  return (
    <Panel title={shown ? `Inbox: ${count(shown.unread)} unread, ${count(shown.unseen)} unseen` : 'Inbox'}
      className="inbox" actions={
        <>
          <button className="button small" disabled={!shown?.unread || newest === undefined || before !== undefined}
            onClick={() => { if (newest !== undefined) void mark('read', { upto: newest }) }}>Mark all read</button>
          <button className="button small" disabled={pages.length === 0}
            onClick={() => setPages(pages.slice(0, -1))}>Newer</button>
          <button className="button small" disabled={!shown?.more || oldest === undefined}
            onClick={() => { if (oldest !== undefined) setPages([...pages, oldest]) }}>Older</button>
        </>
      }>
      <div className="switch" role="group" aria-label="Which items">
        {(Object.keys(VIEWS) as View[]).map(one => (
          <button key={one} aria-pressed={view === one} onClick={() => {
            setView(one)
            setPages([])
          }}>{VIEWS[one].label}</button>
        ))}
      </div>
      {refused && <ProblemBox problem={refused} />}
      {page.problem && <ProblemBox problem={page.problem} onRetry={page.reload} />}
      {!shown ? !page.problem && <Loading /> : items.length + groups.length === 0 ? (
        <Empty><p><b>{EMPTY[view]}</b></p></Empty>
      ) : (
        <ol className="events" aria-label={`Inbox of ${user}`} aria-busy={page.loading}>
          {groups.map(group => <GroupRow key={group.latest.id} group={group} onMark={mark} />)}
          {items.map(item => <ItemRow key={item.id} item={item} onMark={mark} />)}
        </ol>
      )}
    </Panel>
  )
}

const EMPTY: Record<View, string> = {
  all: 'Nothing was sent to this user, or all of it has expired.',
  unread: 'Nothing is unread.',
  archived: 'Nothing is archived.',
  subjects: 'Nothing was sent to this user, or all of it has expired.',
}
