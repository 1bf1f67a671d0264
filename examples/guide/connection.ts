// Examples of docs/connection.md, which sdk/test/e2e/docs.test.tsx runs.
import { createClient, TidingsError, type Client } from 'tidings'

export function create() {
  // region create
  const client = createClient({ url: 'http://localhost:8000' })
  client.connect()
  // endregion
  return client
}

export function signedIn(url: string, fetch: (path: string) => Promise<Response>) {
  // region token
  const client = createClient({
    url,
    name: 'my-app/1.4',
    token: async () => {
      const response = await fetch('/token')                // of your own back-end
      if (response.status === 401) throw new TidingsError('unauthorized', 'not signed in')
      if (!response.ok) throw new Error(`/token: ${response.status}`)   // is tried again
      return response.text()
    },
  })
  client.connect()
  // endregion
  return client
}

export function showStatus(client: Client<any>, show: (text: string) => void) {
  // region status
  const end = client.status.subscribe(status => {
    switch (status.state) {
      case 'idle': return show('not connected')
      case 'connecting': return show('connecting')
      case 'connected': return show(`connected by ${status.transport}, as ${status.user}`)
      case 'waiting': {
        const seconds = Math.ceil((status.retryAt - Date.now()) / 1000)
        return show(`no connection (${status.cause.code}); again in ${seconds} s`)
      }
      case 'closed': return show(`stopped: ${status.cause.code}`)
    }
  })
  // endregion
  return end
}

export async function changeUser(client: Client<any>) {
  // region logout
  await client.logout()      // before another user signs in
  client.connect()           // asks `token` anew
  // endregion
}

export function onlyHttp(url: string) {
  // region transports
  const client = createClient({ url, transports: ['sse', 'poll'] })
  // endregion
  return client
}
