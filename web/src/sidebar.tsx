// The rooms, and who one is.
import { useState, type RefObject } from 'react'
import { Avatar } from './avatar.tsx'
import { Chart, Close, Code, Hash, Key, Logo, Pencil, Plus } from './icons.tsx'
import { NameField } from './name-field.tsx'
import { hrefOf, TICKER } from './rooms.ts'

export interface SidebarProps {
  rooms: readonly string[]
  /** `null`: another page is looked at. */
  current: string | null
  unread: ReadonlyMap<string, number>
  onJoin: (room: string) => void
  onDrop: (room: string) => void
  me: string
  name: string
  onName: (name: string) => void
  signedIn: boolean
  onSignIn: () => void
  joinField?: RefObject<HTMLInputElement | null>
}

export function Sidebar(props: SidebarProps) {
  return (
    <div className="side">
      <div className="brand"><Logo />Tidings</div>
      <nav className="side-scroll" aria-label="Rooms">
        <h2 id="rooms-title">Rooms</h2>
        <ul className="rooms" aria-labelledby="rooms-title">
          {props.rooms.map(room => (
            <RoomLink key={room} room={room} current={room === props.current}
              unread={props.unread.get(room) ?? 0}
              onDrop={props.rooms.length > 1 ? () => props.onDrop(room) : undefined} />
          ))}
        </ul>
        <JoinForm onJoin={props.onJoin} field={props.joinField} />
        <h2 id="live-title">Live data</h2>
        <ul className="rooms" aria-labelledby="live-title">
          <li>
            <a href={TICKER} aria-current={props.current === null ? 'page' : undefined}>
              <Chart size={15} /><span className="label">Ticker</span>
            </a>
          </li>
        </ul>
        <h2 id="documents-title">Documents</h2>
        <ul className="rooms" aria-labelledby="documents-title">
          <li>
            <a href="/document"><Pencil size={15} /><span className="label">Plan</span></a>
          </li>
        </ul>
      </nav>
      <div className="me">
        <div className="me-name">
          <Avatar user={props.me || props.name} name={props.name} />
          <NameField name={props.name} onChange={props.onName} />
        </div>
        <div className="me-links">
          <button onClick={props.onSignIn} aria-haspopup="dialog">
            <Key size={15} />{props.signedIn ? 'Token' : 'Sign in'}
          </button>
          <a href="/raw" title="The same chat without SDK and React, on a bare WebSocket">
            <Code size={15} />Raw page
          </a>
        </div>
      </div>
    </div>
  )
}

interface RoomLinkProps {
  room: string
  current: boolean
  unread: number
  onDrop: (() => void) | undefined
}

function RoomLink({ room, current, unread, onDrop }: RoomLinkProps) {
  return (
    <li className={unread ? 'has-unread' : undefined}>
      <a href={hrefOf(room)} aria-current={current ? 'page' : undefined} title={room}>
        <Hash size={15} />
        <span className="label" dir="auto">{room}</span>
        {unread > 0 && (
          <span className="badge">
            {unread > 99 ? '99+' : unread}<span className="unseen"> unread</span>
          </span>
        )}
      </a>
      {onDrop && current && (
        <button className="icon-button drop" onClick={onDrop} aria-label={`Leave ${room}`}
          title="Leave this room">
          <Close size={13} />
        </button>
      )}
    </li>
  )
}

function JoinForm({ onJoin, field }: {
  onJoin: (room: string) => void
  field: RefObject<HTMLInputElement | null> | undefined
}) {
  const [room, setRoom] = useState('')
  return (
    <form className="join" onSubmit={event => {
      event.preventDefault()
      if (!room.trim()) return
      onJoin(room)
      setRoom('')
    }}>
      <input ref={field} className="input" aria-label="Join a room" placeholder="Join a room"
        value={room} maxLength={60} autoCapitalize="off" autoComplete="off" spellCheck={false}
        onChange={event => setRoom(event.target.value)} />
      <button className="icon-button" aria-label="Join" title="Join"><Plus /></button>
    </form>
  )
}
