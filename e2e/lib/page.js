// In the browser: a page with the SDK, and what the stories ask it.
import { createClient, TidingsError } from '/tidings.js'
import { indexedDbOutbox } from '/outbox-indexeddb.js'

const log = []        // every status, with its time
const heard = []      // [offset, data] of the room, and gaps as text
const people = []     // who entered and left
const failed = []     // publishes that were rejected here
let acked = 0
let client, channel

/** Goes on as the page before it would, if there was one. */
window.begin = ({ url, room = 'chat:story', transports, store, tokens, backoff, outbox = {}, quiet }) => {
  client = createClient({
    url, transports, backoff,
    outbox: store ? { ...outbox, store: indexedDbOutbox({ name: store }) } : outbox,
    token: tokens && (async ({ reason }) => {
      const response = await fetch(`/token?reason=${reason}`)
      if (response.status === 401) throw new TidingsError('unauthorized', 'signed out')
      return response.text()
    }),
  })
  const note = () => log.push({ at: Date.now(), ...window.app.status() })
  note()
  client.status.subscribe(note)
  channel = client.channel(room)
  channel.on('message', ({ data, position }) => heard.push([position.offset, data]))
  channel.on('gap', ({ reason }) => heard.push(`gap: ${reason}`))
  for (const event of ['enter', 'leave']) channel.presence.on(event, ({ user }) => people.push(`${event} ${user}`))
  if (!quiet) channel.subscribe()
  client.connect()
  return true
}

window.app = {
  status: () => {
    const { cause, ...status } = client.status.current
    // An error does not leave the page whole.
    return { ...status, cause: cause && { ...cause, message: cause.message } }
  },
  room: () => channel.status.current.state,
  log: () => log,
  heard: () => heard,
  people: () => people,
  failed: () => failed,
  acked: () => acked,
  waiting: () => client.outbox.current.map(({ data }) => data),
  write: texts => {
    for (const text of texts) channel.publish(text).then(() => { acked++ }, ({ code }) => failed.push([text, code]))
    return true
  },
  enter: data => channel.presence.enter(data),
  history: async () => {
    const all = []
    for (let before; ;) {
      const page = await channel.history({ before, limit: 100 })
      all.unshift(...page.messages.map(({ data }) => data))
      if (!page.more) return all
      before = page.messages[0].position
    }
  },
  connect: () => client.connect(),
  retryNow: () => client.retryNow(),
}
