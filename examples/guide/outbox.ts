// Examples of docs/outbox.md, which sdk/test/e2e/docs.test.tsx runs.
import { createClient, TidingsError, type Channel, type Client } from 'tidings'
import { indexedDbOutbox } from 'tidings/outbox-indexeddb'

interface Text { text: string }
type Show = (text: string) => void

export async function publish(lobby: Channel<Text>, text: string, show: Show) {
  // region publish
  try {
    const { position } = await lobby.publish({ text })
    show(`stored at ${position?.offset}`)
  } catch (error) {
    if (!(error instanceof TidingsError)) throw error
    switch (error.code) {
      case 'outbox_full':
      case 'expired':
        show('not sent: there was no connection for too long')
        break
      case 'unconfirmed':
        show('perhaps sent: look whether it is there')
        break
      default:
        show(`refused: ${error.message}`)
    }
  }
  // endregion
}

export function pending(client: Client<any>, show: Show) {
  // region pending
  client.outbox.subscribe(entries => {
    show(`${entries.length} on their way`)
    for (const { channel, data, state } of entries) show(`${state} ${channel} ${JSON.stringify(data)}`)
  })
  // endregion
}

export function persistent(url: string) {
  // region store
  const client = createClient({
    url,
    outbox: { store: indexedDbOutbox(), maxEntries: 200, maxAgeMs: 5 * 60_000 },
  })
  // endregion
  return client
}

export function withdraw(lobby: Channel<Text>) {
  // region signal
  const controller = new AbortController()
  const sent = lobby.publish({ text: 'Hello' }, { signal: controller.signal })
  controller.abort(new Error('the user pressed Undo'))
  // endregion
  return sent
}

export async function nowOrNever(cursor: Channel<{ x: number; y: number }>) {
  // region fail
  await cursor.publish({ x: 10, y: 20 }, { offline: 'fail' })
  // endregion
}
