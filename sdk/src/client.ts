import { ChannelImpl } from './channel.js'
import { Link } from './connection/link.js'
import { TidingsError } from './error.js'
import { HOST, type Host } from './host.js'
import { Outbox } from './outbox.js'
import { runtimeWith } from './runtime.js'
import type { Client, ClientOptions, Schema, SchemaOf } from './types.js'

/**
 * A client of one server. It does nothing until `connect()`; make one per app and keep it.
 * Throws `bad_request` for a URL that does not begin with `http://` or `https://`, and where no transport
 * can work (neither `WebSocket` nor `fetch` is there).
 */
export function createClient<S extends SchemaOf<S> = Schema>(options: ClientOptions): Client<S> {
  if (!/^https?:\/\/[^/]/.test(options.url)) {
    throw new TidingsError('bad_request', `url: ${options.url}`)
  }
  const runtime = runtimeWith(options.runtime)
  const channels = new Map<string, ChannelImpl<any, any>>()
  const every = (call: (channel: ChannelImpl<any, any>) => void): void => channels.forEach(call)

  const channel = (name: string): ChannelImpl<any, any> => {
    const found = channels.get(name) ?? new ChannelImpl<any, any>(name, host)
    channels.set(name, found)
    return found
  }
  const link: Link = new Link(options, runtime, {
    flight: () => every(channel => channel.sync()),
    welcome(frame) {
      outbox.welcome(frame)
      const here: string[] = frame.entered ?? []
      here.forEach(channel)
      every(one => one.presence.welcome(here.includes(one.name)))
    },
    push: frame => channels.get(frame.channel)?.push(frame),
    more: () => outbox.pump(),
    lost() {
      outbox.lost()
      every(channel => channel.lost())
    },
  })
  const outbox: Outbox = new Outbox(options.outbox, runtime, link.commands)
  const host: Host = { runtime, link, outbox }

  const client: Client<S> & { [HOST]: Host } = {
    [HOST]: host,
    status: link.status,
    outbox: outbox.entries,
    channel,
    connect: () => link.tell({ type: 'connect' }),
    disconnect: () => link.tell({ type: 'disconnect' }),
    retryNow: () => link.tell({ type: 'retry' }),
    async logout() {
      link.logout()
      every(channel => channel.clear())
      await outbox.clear()
    },
  }
  return client
}
