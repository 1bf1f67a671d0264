// What a list of messages shows: history, then what arrives, then what is still on its way.
import type { Change, Channel, ChannelStatus, Client, Gap, HistoryQuery, Message, OutboxEntry, PublishOptions }
  from '../types.js'
import type { TidingsError } from '../error.js'
import { UNJOINED } from './channel.js'
import { createStore, endAll, EMPTY, noop, type Store } from './observe.js'

/** What `useMessages` takes. */
export interface MessagesOptions {
  /** At most this many are kept, besides those that `loadEarlier` brought. Default 1,000. */
  readonly limit?: number | undefined
  /** Start with this many of the newest, 1 to 100. Also the size of the pages of `loadEarlier`. Default 50. */
  readonly rewind?: number | undefined
}

/** What was sent with `send`, or written on an earlier page and kept by an `OutboxStore`, and will not arrive. */
export interface FailedMessage<M> {
  /** The caller's `key`, or the one that `send` made up. */
  readonly key: string
  /** What was sent. */
  readonly data: M
  /** When `send` was called, in milliseconds since 1970. */
  readonly createdAt: number
  /** Why: as `publish` is rejected. */
  readonly error: TidingsError
  /** Sends it again with the same key, so that it cannot be stored twice. */
  readonly retry: () => void
  /** Takes it off the list. */
  readonly discard: () => void
}

/** What `useMessages` returns. */
export interface MessagesView<M> {
  /** Oldest first, each once, in its newest version: edited, deleted, with reactions. Ephemeral ones are not here: see `useChannel`. */
  readonly messages: readonly Message<M>[]
  /**
   * Of this client, and not among `messages` yet. An entry's `key` is that of the message that it
   * becomes: use it as React's `key` and nothing flickers.
   */
  readonly pending: readonly OutboxEntry[]
  /** What `send` could not publish, oldest first. */
  readonly failed: readonly FailedMessage<M>[]
  /** Where messages are missing. */
  readonly gaps: readonly Gap[]
  /** How the subscription is. */
  readonly status: ChannelStatus
  /** There is history before the first message. */
  readonly hasEarlier: boolean
  /** Puts a page of history in front. Calls during a call are that call. Rejected as `channel.history` is. */
  readonly loadEarlier: () => Promise<void>
  /** Publishes; what becomes of it is in `pending`, `messages` or `failed`. */
  readonly send: (data: M, options?: PublishOptions) => void
}

export const NO_MESSAGES: MessagesView<any> = {
  messages: EMPTY, pending: EMPTY, failed: EMPTY, gaps: EMPTY, status: UNJOINED, hasEarlier: false,
  loadEarlier: async () => {}, send: noop,
}

const offsetOf = (message: Message<any> | undefined) => message?.position?.offset ?? 0

/** After a reconnect, older changes are told again of what is newer already: in the end it is the same. */
function changedBy<M>(message: Message<M>, change: Change<M>): Message<M> {
  const is = message.position?.epoch === change.position.epoch && offsetOf(message) === change.target
  if (!is || message.deleted) return message
  if (change.kind === 'edited') return { ...message, data: change.data, edited: change.at }
  if (change.kind === 'deleted') return { ...message, data: null as M, deleted: true, reactions: undefined }
  const { reaction, removed, count, user } = change
  const reactions = new Map(Object.entries(message.reactions ?? {}))
  const users = (reactions.get(reaction)?.users ?? []).filter(name => name !== user)
  if (count) reactions.set(reaction, { count, users: removed ? users : [...users, user].slice(0, 50) })
  else reactions.delete(reaction)
  return { ...message, reactions: Object.fromEntries(reactions) }
}

export function createTimeline<M>(
  client: Client<any>,
  channel: Channel<M>,
  { limit = 1000, rewind = 50 }: MessagesOptions,
): Store<MessagesView<M>> {
  let messages: readonly Message<M>[] = EMPTY
  let failed: readonly FailedMessage<M>[] = EMPTY
  let gaps: readonly Gap[] = EMPTY
  let stored: readonly (OutboxEntry & { offset: number })[] = EMPTY   // but the message is not here yet
  let complete = false                         // nothing is before the first message
  let kept = limit
  let page: Promise<void> | undefined

  const store = createStore<MessagesView<M>>(read, changed => {
    const joined = channel.status.current.state
    // Whoever joins first says where to start. If somebody has, ask for what we should begin with.
    let late = joined === 'live' || joined === 'joining'
    if (late) messages = EMPTY
    const since = messages.at(-1)?.position ?? undefined
    const catchUp = () => {
      if (!late || channel.status.current.state !== 'live') return
      late = false
      history({ limit: rewind }, (newest, more) => {
        const end = offsetOf(newest.at(-1))
        messages = [...newest, ...messages.filter(message => offsetOf(message) > end)]
        complete = !more
        changed()
      }).catch(() => { late = true })
    }
    const ends = [
      channel.on('message', append),
      channel.on('change', change),
      channel.on('gap', gap => {
        gaps = [...gaps, gap]
        stored = EMPTY
        complete ||= gap.from.epoch !== gap.to.epoch
        changed()
      }),
      channel.status.subscribe(() => { catchUp(); changed() }),
      client.outbox.subscribe(changed),
      client.outbox.on('failed', ({ entry, error }) => {
        if (entry.type === 'publish' && entry.channel === channel.name) fail(entry.data as M, entry.createdAt, { key: entry.key, event: entry.event }, error)
      }),
      channel.subscribe({ since, rewind }),
    ]
    catchUp()
    changed()
    return endAll(ends)
  })

  function append(message: Message<M>) {
    if (!message.position) return
    const last = messages.at(-1)
    if (last?.position?.epoch === message.position.epoch && offsetOf(message) <= offsetOf(last)) return
    messages = [...messages, message]
    if (messages.length > kept) {
      messages = messages.slice(-kept)
      complete = false
    }
    store.changed()
  }

  function change(next: Change<M>) {
    messages = messages.map(message => changedBy(message, next))
    store.changed()
  }

  /** A page, with what is told while it is on its way, which it may not show. */
  function history(query: HistoryQuery, use: (messages: readonly Message<M>[], more: boolean) => void) {
    const told: Change<M>[] = []
    const end = channel.on('change', next => told.push(next))
    return channel.history(query)
      .then(({ messages, more }) => use(messages.map(message => told.reduce(changedBy, message)), more))
      .finally(end)
  }

  function read(): MessagesView<M> {
    const status = channel.status.current
    const here = new Set(messages.map(message => message.key))
    const isPending = ({ type, key, channel: name }: OutboxEntry) =>
      type === 'publish' && name === channel.name && !here.has(key)
    stored = stored.filter(entry => isPending(entry) && entry.offset > offsetOf(messages.at(-1)))
    const newest = status.state === 'live' ? status.position.offset : 0
    return {
      messages, failed, gaps, status, loadEarlier, send,
      pending: [...stored, ...client.outbox.current.filter(isPending)],
      hasEarlier: !complete && (messages[0] ? offsetOf(messages[0]) > 1 : newest > 0),
    }
  }

  function loadEarlier() {
    const first = messages[0]
    const before = first?.position ?? undefined
    return page ??= history({ before, limit: rewind }, (older, more) => {
      if (first && offsetOf(first) !== offsetOf(messages[0])) return   // a page in front of what is gone would leave a hole
      const start = messages.length ? offsetOf(messages[0]) : Infinity
      older = older.filter(message => offsetOf(message) < start)
      messages = [...older, ...messages]
      kept += older.length
      complete = !more
      store.changed()
    }).finally(() => { page = undefined })
  }

  function send(data: M, options: PublishOptions = {}) {
    // Random, not from `crypto.randomUUID`, which pages without TLS do not have.
    const key = options.key ?? `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`
    const createdAt = Date.now()
    channel.publish(data, { ...options, key }).then(({ position }) => {
      if (!position || options.echo === false) return
      const { offset } = position
      stored = [...stored, { type: 'publish', key, channel: channel.name, data, state: 'sent', createdAt, offset }]
      store.changed()
    }, error => fail(data, createdAt, { ...options, key }, error))
  }

  function fail(data: M, createdAt: number, options: PublishOptions & { key: string }, error: TidingsError) {
    const { key } = options
    const discard = () => {
      failed = failed.filter(entry => entry.key !== key)
      store.changed()
    }
    const retry = () => { discard(); send(data, options) }
    failed = [...failed, { key, data, createdAt, error, retry, discard }]
    store.changed()
  }

  return store
}
