// The client, and what this chat says on its channels.
import { createClient, type Client, type Message } from 'tidings'
import { inbox } from 'tidings/inbox'
import { indexedDbOutbox } from 'tidings/outbox-indexeddb'
import { forgetRead } from './rooms.ts'
import { recall, remember, serverUrl, transports } from './settings.ts'

/** What others wrote can be anything: it came over the network. */
export interface ChatMessage { readonly text: string; readonly name: string }
export interface Who { readonly name: string }
export interface Chat { 'chat:*': { message: ChatMessage; presence: Who } }

export interface Session { readonly client: Client<Chat>; readonly token: string | null }

const INBOX_PAGE = 20

export function openSession(token: string | null): Session {
  remember('session', 'token', token)
  const client = createClient<Chat>({
    url: serverUrl,
    name: 'tidings-demo',
    token: token ?? undefined,
    transports,
    outbox: { store: indexedDbOutbox() },
  })
  inbox(client, { pageSize: INBOX_PAGE })
  client.connect()
  return { client, token }
}

export const rememberedToken = () => recall('session', 'token')

/** Another user gets a client of their own; nothing of the one before is left in it. */
export async function changeUser(before: Session, token: string | null): Promise<Session> {
  await before.client.logout()
  forgetRead()
  return openSession(token)
}

export const channelOf = (room: string) => `chat:${room}` as const

export function textOf(data: unknown): string {
  const text = (data as Partial<ChatMessage> | null)?.text
  return typeof text === 'string' ? text : JSON.stringify(data) ?? ''
}

export function nameIn(data: unknown, user: string): string {
  const name = (data as Partial<Who> | null)?.name
  return (typeof name === 'string' && name.trim() ? name.trim() : user).slice(0, 40)
}

export const nameOf = ({ data, user }: Pick<Message, 'data' | 'user'>) => nameIn(data, user)
