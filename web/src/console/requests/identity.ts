// As whom a connection is opened. Nothing of it is kept or shared.
import type { Api } from '../api.ts'

export interface Identity {
  readonly kind: 'anonymous' | 'user' | 'token'
  readonly user: string
  readonly token: string
}

export const ANONYMOUS: Identity = { kind: 'anonymous', user: '', token: '' }

/** As long as the server makes one. */
const TICKET_SECONDS = 300
const EVERYTHING = { '*': ['subscribe', 'publish', 'history', 'presence'] }

/** What `hello` gets; for a user, the server makes a ticket that may do everything. */
export async function tokenOf(api: Api, { kind, user, token }: Identity): Promise<string> {
  if (kind === 'anonymous') return ''
  if (kind === 'token') return token.trim()
  const { ticket } = await api.post<{ ticket: string }>('/tickets',
    { user, channels: EVERYTHING, ttl: TICKET_SECONDS })
  return ticket
}
