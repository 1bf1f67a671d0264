// A board of 500 quotes that change 2,000 times a second, of a channel of kind `state`.
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { live } from 'tidings/live'
import { useClient, useConnection } from 'tidings/react'
import { useNow } from '../browser.ts'
import { ConnectionBar, ConnectionPill } from '../connection.tsx'
import { Chart } from '../icons.tsx'
import { rememberedToken } from '../session.ts'
import { drawQuotes, type Drawn } from './board.ts'
import { feedQuotes } from './feed.ts'
import { CHANNEL, type Quotes } from './quotes.ts'

const NOTHING: Drawn = { quotes: 0, newestAt: 0 }

export function TickerPage({ menu, bell, onSignIn }: {
  menu: ReactNode
  bell: ReactNode
  onSignIn: () => void
}) {
  const client = useClient()
  const connection = useConnection()
  const board = useRef<HTMLUListElement>(null)
  const drawn = useRef(NOTHING)
  const [why, setWhy] = useState<string>()

  useEffect(() => {
    if (!board.current) return
    const quotes = live<Quotes>(client, CHANNEL)
    const told = () => {
      const { current } = quotes.status
      setWhy(current.state === 'failed' ? current.cause.message : undefined)
    }
    const ends = [
      quotes.status.subscribe(told),
      quotes.subscribe(),
      drawQuotes(board.current, () => quotes.value.current, now => { drawn.current = now }),
    ]
    told()
    return () => ends.forEach(end => end())
  }, [client])

  return (
    <div className="room ticker">
      <header className="head">
        {menu}
        <h1><Chart size={17} /><span>Ticker</span></h1>
        <ConnectionPill />
        {bell}
      </header>
      <div className="ticker-body" tabIndex={0} role="region" aria-label="Quotes">
        <p className="ticker-about">
          500 keys of the channel <code>{CHANNEL}</code>, which is of kind <code>state</code>: who comes late gets
          all values and then what changes, and who is slow gets the newest of each.
        </p>
        <Feed />
        {why !== undefined && <p className="ticker-why" role="alert">This board cannot be shown: {why}.</p>}
        <Age of={() => drawn.current} />
        <ul ref={board} className="quotes" aria-label="Quotes" />
      </div>
      {connection.state !== 'connected' && connection.state !== 'idle' && (
        <footer className="foot"><ConnectionBar onSignIn={onSignIn} /></footer>
      )}
    </div>
  )
}

/** How old what is shown is; looked at now and then, not with each change. */
function Age({ of }: { of: () => Drawn }) {
  const now = useNow(true, 500)
  const { quotes, newestAt } = of()
  const age = Math.max(0, now - newestAt)
  return (
    <p className="ticker-age">
      {quotes === 0 ? 'No quotes yet.'
        : `${quotes} quotes, the newest ${age < 60_000 ? `${(age / 1000).toFixed(1)} s` : 'more than a minute'} old.`}
    </p>
  )
}

function Feed() {
  const [feeds, setFeeds] = useState(false)
  const [why, setWhy] = useState<string>()
  const stop = useRef<() => void>(undefined)
  useEffect(() => () => stop.current?.(), [])
  function toggle() {
    stop.current?.()
    stop.current = feeds ? undefined : feedQuotes(rememberedToken(), why => {
      setFeeds(false)
      setWhy(why)
    })
    setWhy(undefined)
    setFeeds(!feeds)
  }
  return (
    <p className="ticker-feed">
      <button className={feeds ? 'button' : 'button main'} aria-pressed={feeds} onClick={toggle}>
        {feeds ? 'Stop feeding it' : 'Feed it from this tab'}
      </button>
      {why !== undefined ? <span role="alert" className="wrong">It was refused: {why}.</span>
        : feeds ? <span>2,000 changes a second, from this tab.</span>
          : <span>Or run the example: <code>node examples/ticker/feed.js</code></span>}
    </p>
  )
}
