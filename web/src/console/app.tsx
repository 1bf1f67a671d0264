// The console: who is signed in, where one is, and the frame around it.
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { Api, ApiProvider } from './api.ts'
import { Channels } from './channels.tsx'
import { ChannelPage } from './channel.tsx'
import { offeredKey, refusalOf, rememberedKey, rememberKey } from './key.ts'
import { Overview } from './overview.tsx'
import { Requests } from './requests/requests.tsx'
import { ConnectionProvider, RequestConnection } from './requests/connection.ts'
import { useRoute, type Route } from './route.ts'
import { Shell } from './shell.tsx'
import { SignIn } from './sign-in.tsx'
import { StatsFeed } from './stats.ts'
import { Trace } from './trace.tsx'
import { UserPage } from './user.tsx'
import { Users } from './users.tsx'

type Who = { state: 'asking' } | { state: 'out'; notice: string | null } | { state: 'in'; key: string }

export function App() {
  const [who, setWho] = useState<Who>({ state: 'asking' })
  useEffect(() => {
    let here = true
    void findKey().then(key => {
      if (here) setWho(key === null ? { state: 'out', notice: null } : { state: 'in', key })
    })
    return () => { here = false }
  }, [])
  const signOut = useCallback((notice: string | null) => {
    rememberKey(null)
    setWho({ state: 'out', notice })
  }, [])

  if (who.state === 'asking') return <p className="empty" role="status">Signing in…</p>
  if (who.state === 'out') {
    return <SignIn notice={who.notice} onKey={key => {
      rememberKey(key)
      setWho({ state: 'in', key })
    }} />
  }
  return <SignedIn key={who.key} apiKey={who.key} onSignOut={signOut} />
}

async function findKey(): Promise<string | null> {
  const remembered = rememberedKey()
  if (remembered !== null && (await refusalOf(remembered))?.status !== 401) return remembered
  const offered = await offeredKey()
  rememberKey(offered)
  return offered
}

function SignedIn({ apiKey, onSignOut }: {
  apiKey: string
  onSignOut: (notice: string | null) => void
}) {
  const api = useMemo(
    () => new Api(apiKey, () => onSignOut('The server does not take the key any more.')),
    [apiKey, onSignOut])
  const feed = useMemo(() => new StatsFeed(api), [api])
  const connection = useMemo(() => new RequestConnection(), [])
  useEffect(() => feed.run(), [feed])
  useEffect(() => () => connection.close(), [connection])
  const route = useRoute()
  useSlashKey()
  return (
    <ApiProvider value={api}>
      <ConnectionProvider value={connection}>
        <Shell route={route} feed={feed} onSignOut={() => onSignOut('You are signed out.')}>
          <Page route={route} feed={feed} />
        </Shell>
      </ConnectionProvider>
    </ApiProvider>
  )
}

function Page({ route, feed }: { route: Route; feed: StatsFeed }) {
  const { section, name } = route
  useNewPage(`${section}/${name ?? ''}`, titleOf(route))
  switch (section) {
    case 'overview': return <Overview feed={feed} />
    case 'channels':
      return name === undefined ? <Channels /> : <ChannelPage key={name} channel={name} />
    case 'users': return name === undefined ? <Users /> : <UserPage key={name} user={name} />
    case 'trace': return <Trace query={route.query} />
    case 'requests': return <Requests query={route.query} />
  }
}

const TITLES = {
  overview: 'Overview', channels: 'Channels', users: 'Users', trace: 'Trace', requests: 'Requests',
}
const titleOf = ({ section, name }: Route) => name ?? TITLES[section]

/** Who follows a link is at the top of what it leads to, also with a keyboard or a screen reader. */
function useNewPage(page: string, title: string) {
  const before = useRef(page)
  useEffect(() => { document.title = `${title} · Tidings console` }, [title])
  useEffect(() => {
    if (before.current === page) return
    before.current = page
    const main = document.getElementById('main')
    main?.scrollTo(0, 0)
    main?.focus({ preventScroll: true })
  }, [page])
}

function useSlashKey() {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const { target } = event
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return
      if (target instanceof Element && target.closest('input, textarea, select, dialog')) return
      const field = document.querySelector<HTMLInputElement>('[data-search]')
      if (!field) return
      event.preventDefault()
      field.focus()
      field.select()
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [])
}
