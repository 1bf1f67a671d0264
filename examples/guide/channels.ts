// Examples of docs/channels.md, which sdk/test/e2e/docs.test.tsx runs.
import { createClient, type Channel, type Message, type Position } from 'tidings'

// region schema
interface Text { text: string }
interface Person { name: string }

interface App {
  'chat:*': { message: Text; presence: Person }
}

export const open = (url: string) => createClient<App>({ url })
// endregion

type Chat = ReturnType<typeof open>
type Show = (text: string) => void

export function subscribe(client: Chat, show: Show) {
  // region subscribe
  const lobby = client.channel('chat:lobby')
  lobby.on('message', message => {
    show(`${message.position?.offset} ${message.user}: ${message.data.text}`)
  })
  lobby.on('gap', gap => {
    show(`${gap.to.offset - gap.from.offset} or more messages are missing: ${gap.reason}`)
  })
  const leave = lobby.subscribe({ rewind: 20 })
  // endregion
  return leave
}

export function showStatus(lobby: Channel, show: Show) {
  // region status
  lobby.status.subscribe(status => {
    if (status.state === 'live') show(status.recovered ? 'nothing was missed' : 'here')
    if (status.state === 'failed') show(`no: ${status.cause.code}`)
  })
  // endregion
}

export function goOn(lobby: Channel<Text>, storage: Pick<Storage, 'getItem' | 'setItem'>) {
  // region since
  lobby.on('message', ({ position }) => {
    if (position) storage.setItem('position', JSON.stringify(position))
  })
  const last: Position | null = JSON.parse(storage.getItem('position') ?? 'null')
  lobby.subscribe(last ? { since: last, rewind: 20 } : { rewind: 20 })
  // endregion
}

export async function publish(client: Chat, orderId: string) {
  const lobby = client.channel('chat:lobby')
  // region publish
  const ack = await lobby.publish({ text: 'Hello' })
  console.assert(ack.position !== null && !ack.duplicate)
  // endregion

  // region key
  await lobby.publish({ text: `Order ${orderId} is paid` }, { key: `paid-${orderId}` })
  // endregion
}

export function typing(channel: Channel, name: string, show: Show) {
  // region ephemeral
  channel.on('message', message => {
    if (message.event === 'typing') show(`${message.user} is typing`)
  })
  channel.publish({ name }, { event: 'typing', ephemeral: true, echo: false })
    .catch(() => {})                                        // not worth a second try
  // endregion
}

export async function readAll(lobby: Channel<Text>) {
  // region history
  const all: Message<Text>[] = []
  let more = true
  while (more) {
    const before = all[0]?.position ?? undefined
    const page = await lobby.history({ before, limit: 100 })
    all.unshift(...page.messages)
    more = page.more
  }
  // endregion
  return all
}
