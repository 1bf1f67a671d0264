// A request as a link or under a name: what it asks, never with what it is signed.
import { recall, remember } from '../../settings.ts'
import { href } from '../route.ts'
import type { JsonObject } from './schema.ts'
import { OVERS, type Over } from './wire.ts'

export interface Saved {
  /** Of the catalog: `command:publish`. */
  readonly e: string
  readonly over: Over
  readonly v?: JsonObject
}
export interface NamedRequest extends Saved { readonly name: string }

/** A longer one is not in the address; browsers and chats cut long addresses. */
const LINK_MAX = 8000
const NAMES_MAX = 50

/** Without the token and the session's ticket, which are secrets. */
export function withoutSecrets(id: string, value: JsonObject): JsonObject {
  if (!id.startsWith('command:')) return value
  const { token: _, session: __, ...rest } = value
  return rest
}

export function savedOf(id: string, over: Over, value: JsonObject): Saved {
  const { type: _, ...rest } = withoutSecrets(id, value)
  return { e: id, over, v: id.startsWith('command:') ? rest : value }
}

/** `undefined`: it is too long for one. */
export function linkOf({ e, over, v }: Saved): string | undefined {
  const link = href('requests', undefined, { e, over, ...v && { v: JSON.stringify(v) } })
  return link.length > LINK_MAX ? undefined : link
}

export function readLink(query: URLSearchParams): Saved {
  const over = query.get('over') ?? ''
  const v = objectOf(query.get('v') ?? '')
  return {
    e: query.get('e') ?? 'command:publish',
    over: over in OVERS ? over as Over : 'websocket',
    ...v && { v },
  }
}

export function objectOf(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? value as JsonObject : undefined
  } catch {
    return undefined
  }
}

const STORE = 'console.requests'

export function savedRequests(): NamedRequest[] {
  try {
    const all: unknown = JSON.parse(recall('local', STORE) ?? '[]')
    return Array.isArray(all) ? all.filter(one => typeof one?.name === 'string' && typeof one.e === 'string'
      && one.over in OVERS).slice(0, NAMES_MAX) : []
  } catch {
    return []
  }
}

/** Another of the same name takes its place. */
export function saveRequest(request: NamedRequest): NamedRequest[] {
  return store([request, ...savedRequests().filter(({ name }) => name !== request.name)])
}

export const forgetRequest = (name: string) =>
  store(savedRequests().filter(one => one.name !== name))

function store(all: readonly NamedRequest[]): NamedRequest[] {
  const kept = all.slice(0, NAMES_MAX)
  remember('local', STORE, JSON.stringify(kept))
  return kept
}
