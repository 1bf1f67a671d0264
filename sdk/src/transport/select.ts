import { json } from '../wire/frames.js'
import type { Runtime, TransportName } from '../types.js'
import { openPoll } from './poll.js'
import { openSse } from './sse.js'
import type { Open, Transports } from './transport.js'
import { openWebSocket } from './websocket.js'

const ALL: Record<TransportName, Open> = { websocket: openWebSocket, sse: openSse, poll: openPoll }
const KEY = 'tidings.transport'

/** Those of `names` that can be had here. */
export function available(names: readonly TransportName[] | undefined, runtime: Runtime): Transports {
  return (names ?? Object.keys(ALL) as TransportName[])
    .filter(name => name === 'websocket' ? runtime.WebSocket : runtime.fetch)
    .map(name => [name, ALL[name]] as const)
}

/** What was stored under this key until now; `null` as well where storage is full, or not for us. */
export function swap(key: string, value: string, { storage }: Runtime): string | null {
  try {
    const before = storage!.getItem(key)
    storage!.setItem(key, value)
    return before
  } catch {
    return null
  }
}

/** Which transport an earlier page of this tab found, and when it was chosen; until the next welcome, nobody else is told. */
export function recall(transports: Transports, runtime: Runtime): { transport: number; chosen_at: number } | undefined {
  try {
    const [name, at] = JSON.parse(swap(KEY, '', runtime)!)
    const transport = transports.findIndex(([other]) => other === name)
    if (transport > 0 && at <= runtime.now()) return { transport, chosen_at: at }
  } catch { /* Nothing is remembered. */ }
}

export const remember = (name: TransportName, chosenAt: number, runtime: Runtime): unknown =>
  swap(KEY, json([name, chosenAt]), runtime)
