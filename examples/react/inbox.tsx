// The bell, the counts and the messages of docs/react.md, which sdk/test/e2e/docs.test.tsx runs.
import { useEffect } from 'react'
import { useChannel, useInbox, useMessages, useUnread } from 'tidings/react'

interface Text { text: string }

// region bell
export function Bell() {
  const { items, unseen, more, inbox } = useInbox<Text>()
  return (
    <details onToggle={event => { if (event.currentTarget.open) void inbox.markAllSeen() }}>
      <summary>Notifications {unseen > 0 && `(${unseen})`}</summary>
      <ul>
        {items.map(({ id, data, read }) => (
          <li key={id} className={read ? 'read' : 'unread'}>
            {data.text} <button onClick={() => void inbox.markRead([id])}>Done</button>
          </li>
        ))}
      </ul>
      {more && <button onClick={() => void inbox.loadMore()}>Older</button>}
    </details>
  )
}
// endregion

// region unread
export function RoomLink({ name }: { name: string }) {
  const { count } = useUnread(name)
  return <a href={`#${name}`}>{name}{count > 0 && ` (${count})`}</a>
}

/** Put below the messages of a room that is on the screen: what is shown is read. */
export function ReadMarker({ name }: { name: string }) {
  const { messages } = useMessages(name)
  const { inbox } = useInbox()
  const newest = messages.at(-1)?.position?.offset
  useEffect(() => {
    if (newest) inbox.readUpto(name, newest).catch(() => {})   // the count stays as it is
  }, [inbox, name, newest])
  return null
}
// endregion

// region changes
export function Messages({ name, me }: { name: string; me: string }) {
  const { messages } = useMessages<Text>(name)
  const { channel } = useChannel<Text>(name)
  return (
    <ol>
      {messages.map(({ position, user, data, deleted, edited, reactions }) => {
        const { offset } = position!
        if (deleted) return <li key={offset}>(deleted)</li>
        return (
          <li key={offset}>
            {data.text}{edited && ' (edited)'}
            {Object.entries(reactions ?? {}).map(([reaction, { count }]) => (
              <span key={reaction}> {reaction} {count}</span>
            ))}
            <button onClick={() => void channel?.react(offset, '👍')}>👍</button>
            {user === me && <button onClick={() => void channel?.delete(offset)}>Delete</button>}
          </li>
        )
      })}
    </ol>
  )
}
// endregion
