// The frame: where one can go, which server this is, and the way out.
import type { ReactNode } from 'react'
import { Hash, Logo } from '../icons.tsx'
import { Exit, People, Pulse, Route as RouteIcon, Terminal } from './icons.tsx'
import { href, type Route, type Section } from './route.ts'
import { useStats, type StatsFeed } from './stats.ts'

const LINKS: readonly (readonly [Section, string, ReactNode])[] = [
  ['overview', 'Overview', <Pulse size={17} />],
  ['channels', 'Channels', <Hash size={17} />],
  ['users', 'Users', <People size={17} />],
  ['trace', 'Trace', <RouteIcon size={17} />],
  ['requests', 'Requests', <Terminal size={17} />],
]

export function Shell({ route, feed, onSignOut, children }: {
  route: Route
  feed: StatsFeed
  onSignOut: () => void
  children: ReactNode
}) {
  return (
    <div className="console">
      <a className="skip" href="#main" onClick={event => {
        // The fragment is the console's own.
        event.preventDefault()
        document.getElementById('main')?.focus()
      }}>
        Skip to the page
      </a>
      <div className="side">
        <a className="brand" href={href('overview')}><Logo />Tidings<span>console</span></a>
        <nav className="sections" aria-label="Sections">
          {LINKS.map(([section, label, icon]) => (
            <a key={section} href={href(section)}
              aria-current={route.section === section ? 'page' : undefined}>
              {icon}<span>{label}</span>
            </a>
          ))}
        </nav>
        <div className="side-foot">
          <ServerLine feed={feed} />
          <button className="sign-out" onClick={onSignOut}><Exit size={15} /><span>Sign out</span></button>
        </div>
      </div>
      <main id="main" className="page" tabIndex={-1}>{children}</main>
    </div>
  )
}

function ServerLine({ feed }: { feed: StatsFeed }) {
  const { samples, problem } = useStats(feed)
  const stats = samples.at(-1)
  const [state, label] = problem?.status === 0 ? ['down', 'No answer'] as const
    : stats === undefined ? ['idle', location.host] as const
      : stats.ready ? ['ready', 'Ready'] as const : ['down', 'Not ready'] as const
  return (
    <p className="server" data-state={state} title={location.host}>
      <span role="status">{label}</span>
      {stats && <small>{stats.version}{stats.dev && ' · dev'}</small>}
    </p>
  )
}
