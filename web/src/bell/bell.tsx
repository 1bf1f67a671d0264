// What one was told while one was elsewhere, with how much of it is unread.
import { useState } from 'react'
import { useInbox } from 'tidings/react'
import { Bell as BellIcon } from '../icons.tsx'
import { Notifications } from './notifications.tsx'

export function Bell({ me, onGo }: { me: string; onGo: (room: string) => void }) {
  const view = useInbox()
  const [open, setOpen] = useState(false)
  const { unread, unseen } = view
  return (
    <>
      <button className={unseen > 0 ? 'icon-button bell has-unseen' : 'icon-button bell'} title="Notifications"
        aria-haspopup="dialog" aria-label={unread ? `Notifications, ${unread} unread` : 'Notifications'}
        onClick={() => setOpen(true)}>
        <BellIcon size={20} />
        {unread > 0 && <span className="badge" aria-hidden="true">{unread > 99 ? '99+' : unread}</span>}
      </button>
      {open && (
        <Notifications view={view} me={me} onClose={() => setOpen(false)} onGo={room => {
          setOpen(false)
          onGo(room)
        }} />
      )}
    </>
  )
}
