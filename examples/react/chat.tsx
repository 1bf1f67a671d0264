// The example of docs/react.md, which sdk/test/e2e/docs.test.tsx runs.
// region provider
import { useState, type FormEvent } from 'react'
import type { Client } from 'tidings'
import { TidingsProvider, useChannel, useConnection, useMessages, usePresence } from 'tidings/react'

interface Text { text: string }
interface Person { name: string }

export function App({ client }: { client: Client }) {
  return (
    <TidingsProvider client={client}>
      <Line />
      <Room name="chat:lobby" me={{ name: 'Ada' }} />
    </TidingsProvider>
  )
}
// endregion

// region connection
function Line() {
  const status = useConnection()
  if (status.state === 'connected') return null
  return <p role="status">{status.state === 'closed' ? status.cause.message : 'Connecting …'}</p>
}
// endregion

// region room
function Room({ name, me }: { name: string; me: Person }) {
  const { messages, pending, failed, hasEarlier, loadEarlier, send } = useMessages<Text>(name)
  const { members, count } = usePresence<Person>(name, me)
  const [text, setText] = useState('')

  function submit(event: FormEvent) {
    event.preventDefault()
    send({ text })
    setText('')
  }

  return (
    <section>
      <p>{count} here: {members.map(member => member.data.name).join(', ')}</p>
      {hasEarlier && <button onClick={() => void loadEarlier()}>Earlier</button>}
      <ol>
        {messages.map(message => (
          <li key={message.key ?? message.position!.offset}>{message.data.text}</li>
        ))}
        {pending.map(entry => (
          <li key={entry.key} className="pending">{(entry.data as Text).text}</li>
        ))}
        {failed.map(entry => (
          <li key={entry.key} className="failed">
            {entry.data.text}: {entry.error.message} <button onClick={entry.retry}>Again</button>
          </li>
        ))}
      </ol>
      <form onSubmit={submit}>
        <input value={text} onChange={event => setText(event.target.value)} />
      </form>
    </section>
  )
}
// endregion

// region typing
export function Typing({ name }: { name: string }) {
  const [who, setWho] = useState('')
  const { publish } = useChannel<unknown>(name, message => {
    if (message.event === 'typing') setWho(message.user)
  })
  const tell = () => void publish({}, { event: 'typing', ephemeral: true, echo: false }).catch(() => {})
  return <label>{who && `${who} is typing`}<input onInput={tell} /></label>
}
// endregion
