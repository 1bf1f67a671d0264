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

/** Which transport an earlier page of this tab found, and when it was chosen. */
export function recall(transports: Transports, runtime: Runtime): { transport: number; chosen_at: number } {
  try {
    const [name, at] = JSON.parse(runtime.storage!.getItem(KEY)!)
    const transport = transports.findIndex(([other]) => other === name)
    if (transport > 0 && at <= runtime.now()) return { transport, chosen_at: at }
  } catch { /* Nothing is remembered, or storage is not for us. */ }
  return { transport: 0, chosen_at: 0 }
}

export function remember(name: TransportName, chosenAt: number, runtime: Runtime): void {
  try {
    runtime.storage?.setItem(KEY, JSON.stringify([name, chosenAt]))
  } catch { /* Storage is full, or not for us. */ }
}
