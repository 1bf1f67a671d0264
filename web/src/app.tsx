// The page: rooms on the left, the room that is looked at, and the dialogs.
import { useCallback, useEffect, useRef, useState } from 'react'
import { TidingsProvider, useConnection } from 'tidings/react'
import { Bell } from './bell/bell.tsx'
import { useMedia } from './browser.ts'
import { Dialog } from './dialog.tsx'
import { Menu } from './icons.tsx'
import { Room } from './room.tsx'
import { useRooms } from './rooms.ts'
import { changeUser, type Session } from './session.ts'
import { remember, rememberedName } from './settings.ts'
import { Sidebar, type SidebarProps } from './sidebar.tsx'
import { TickerPage } from './ticker/page.tsx'
import { TokenDialog } from './token-dialog.tsx'

export function App({ first }: { first: Session }) {
  const [session, setSession] = useState(first)
  const [signingIn, setSigningIn] = useState(false)
  // Another user starts from nothing: with the key, no state of the one before is left anywhere.
  const [users, setUsers] = useState(0)

  async function signIn(token: string | null) {
    setSigningIn(false)
    setSession(await changeUser(session, token))
    setUsers(users + 1)
  }

  return (
    <TidingsProvider client={session.client}>
      <Chat key={users} signedIn={session.token !== null} onSignIn={() => setSigningIn(true)} />
      {signingIn && (
        <TokenDialog token={session.token} onToken={signIn} onClose={() => setSigningIn(false)} />
      )}
    </TidingsProvider>
  )
}

function Chat({ signedIn, onSignIn }: { signedIn: boolean; onSignIn: () => void }) {
  const { rooms, current, inRoom, go, drop } = useRooms()
  const [name, setName] = useState(rememberedName)
  const [unread, setUnread] = useState<ReadonlyMap<string, number>>(new Map())
  const [drawer, setDrawer] = useState(false)
  const narrow = useMedia('(max-width: 47.99rem)')
  const me = useMe()

  const onUnread = useCallback((room: string, count: number) => {
    setUnread(now => (now.get(room) ?? 0) === count ? now : new Map(now).set(room, count))
  }, [])
  const rename = useCallback((next: string) => {
    setName(next)
    remember('local', 'name', next)
  }, [])
  useEffect(() => setDrawer(false), [current, inRoom, narrow])
  useSwitchByKeys(rooms, current, go)

  const total = [...unread.values()].reduce((sum, count) => sum + count, 0)
  useEffect(() => {
    document.title = `${total ? `(${total}) ` : ''}${inRoom ? current : 'Ticker'} · Tidings`
  }, [total, current, inRoom])

  const sidebar: SidebarProps = {
    rooms, current: inRoom ? current : null, unread, onJoin: go, onDrop: drop, me, name, onName: rename, signedIn, onSignIn,
  }
  const elsewhere = total - (inRoom ? unread.get(current) ?? 0 : 0)
  const menu = narrow && (
    <button className="icon-button menu" onClick={() => setDrawer(true)} aria-haspopup="dialog"
      aria-label={elsewhere ? `Rooms, ${elsewhere} unread` : 'Rooms'}>
      <Menu size={20} />
      {elsewhere > 0 && <i className="dot" />}
    </button>
  )

  const bell = <Bell me={me} onGo={go} />

  return (
    <div className="app">
      {inRoom && <a className="skip" href="#text" onClick={event => {
        event.preventDefault()
        document.getElementById('text')?.focus()
      }}>
        Skip to writing a message
      </a>}
      {!narrow && <aside className="side-place" aria-label="Rooms and you"><Sidebar {...sidebar} /></aside>}
      <main className="main">
        {rooms.map(room => (
          <Room key={room} room={room} active={inRoom && room === current} me={me} name={name} menu={menu}
            bell={bell} onUnread={onUnread} onSignIn={onSignIn} />
        ))}
        {!inRoom && <TickerPage menu={menu} bell={bell} onSignIn={onSignIn} />}
      </main>
      {narrow && drawer && (
        <Dialog className="drawer" label="Rooms and you" onClose={() => setDrawer(false)}>
          <Sidebar {...sidebar} />
        </Dialog>
      )}
    </div>
  )
}

/** Our user, also while the connection is away. */
function useMe(): string {
  const status = useConnection()
  const last = useRef('')
  if (status.state === 'connected') last.current = status.user
  return last.current
}

/** Alt and an arrow: the room above or below. */
function useSwitchByKeys(rooms: readonly string[], current: string, go: (room: string) => void) {
  useEffect(() => {
    function onKeyDown(event: KeyboardEvent) {
      const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
      if (!step || !event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return
      event.preventDefault()
      go(rooms.at((rooms.indexOf(current) + step) % rooms.length)!)
    }
    addEventListener('keydown', onKeyDown)
    return () => removeEventListener('keydown', onKeyDown)
  }, [rooms, current, go])
}
