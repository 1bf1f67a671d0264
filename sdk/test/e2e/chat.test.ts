// Messages that change, and what is unread of them, against the real server: all see the same in the end.
import assert from 'node:assert/strict'
import { inbox, type Inbox } from '../../src/inbox/index.js'
import type { Change, Message } from '../../src/index.js'
import { createTimeline } from '../../src/react/timeline.js'
import { signedIn, token } from '../support/server.js'
import { comeBack, connected, leave, live, story, until, type Lined, type Story } from '../support/story.js'

const ROOM = 'chat:room'
const CONFIG = signedIn(`
[namespace.short]
subscribe = "signed-in"
publish = "signed-in"
history = { size = 5, durable = true }`)

interface Device extends Lined { readonly inbox: Inbox<any> }

async function device({ client, line }: Story, user: string, claims: object = {}): Promise<Device> {
  const proxy = await line()
  const one = client({ url: proxy.url, token: token(user, 3600, claims) })
  one.connect()
  await connected(one)
  return { client: one, proxy, inbox: inbox(one) }
}

/** One message in words: the text, `*` if edited, `†` if deleted, and the reactions. */
function line({ data, edited, deleted, reactions }: Message<any>): string {
  const said = Object.entries(reactions ?? {}).map(([reaction, { count, users }]) => ` ${reaction}${count}:${[...users].sort()}`)
  return `${deleted ? `†${data}` : data}${edited ? '*' : ''}${said.join('')}`
}

/** What `useMessages` shows of the room. */
function timeline({ client }: Device, rewind = 50) {
  const view = createTimeline<any>(client, client.channel(ROOM), { rewind })
  view.subscribe(() => {})
  const lines = (): string => view.current.messages.map(line).join(' | ')
  return { view, lines, shows: (text: string) => until(() => lines() === text, () => `${text}, not ${lines()}`) }
}

/** Offsets of these messages, which `author` publishes one after the other. */
async function say(author: Device, ...texts: string[]): Promise<number[]> {
  const offsets: number[] = []
  for (const text of texts) offsets.push((await author.client.channel(ROOM).publish(text)).position!.offset)
  return offsets
}

story('edits, deletions and reactions are the same for who is there, who was away, and who joins late', async given => {
  const [ada, bob, eve] = [await device(given, 'ada'), await device(given, 'bob'), await device(given, 'eve')]
  const [there, away] = [timeline(ada), timeline(eve)]
  await live(ada.client, ROOM)
  await live(eve.client, ROOM)
  const [one, two, three, four] = await say(ada, 'one', 'two', 'three', 'four') as [number, number, number, number]
  await away.shows('one | two | three | four')
  await bob.client.channel(ROOM).react(one, '👍')
  await away.shows('one 👍1:bob | two | three | four')
  await leave(eve)
  const [room, other] = [ada.client.channel(ROOM), bob.client.channel(ROOM)]
  await room.edit(two, 'TWO')
  await room.edit(two, 'Two')
  await other.react(two, '🎉')
  await room.react(one, '👍')
  await other.react(one, '👍', { remove: true })
  await room.delete(three)
  await other.react(four, '👀')
  await other.react(four, '👀', { remove: true })
  await say(bob, 'five')
  const all = 'one 👍1:ada | Two* 🎉1:bob | †null | four | five'
  await there.shows(all)
  // What eve does while she is away waits its turn.
  const hers = eve.client.channel(ROOM).react(two, '🎉')
  await comeBack(eve)
  await hers
  const end = 'one 👍1:ada | Two* 🎉2:bob,eve | †null | four | five'
  await there.shows(end)
  await away.shows(end)
  assert.deepEqual(away.view.current.gaps, [])
  const late = timeline(bob)
  await late.shows(end)
  const { messages } = await bob.client.channel(ROOM).history({ limit: 10 })
  assert.equal(messages.map(line).join(' | '), end)
}, CONFIG)

story('changes are told in order, and replayed with what they changed in its newest version', async given => {
  const [ada, bob] = [await device(given, 'ada'), await device(given, 'bob')]
  const heard: string[] = []
  const room = bob.client.channel(ROOM)
  room.on('message', message => heard.push(`${message.position!.offset} ${line(message)}`))
  room.on('change', (change: Change<any>) => heard.push(
    `${change.position.offset} ${change.kind} ${change.target}${change.kind === 'edited' ? ` ${change.data}` : ''}${change.kind === 'reacted' ? ` ${change.reaction}${change.count}` : ''} by ${change.user}`))
  room.on('gap', ({ reason }) => heard.push(`gap ${reason}`))
  room.subscribe()
  await live(bob.client, ROOM)
  await say(ada, 'one', 'two')
  const hers = ada.client.channel(ROOM)
  await hers.edit(1, 'uno')
  await room.react(2, '👍')
  await until(() => heard.length === 4, () => heard.join())
  assert.deepEqual(heard, ['1 one', '2 two', '3 edited 1 uno by ada', '4 reacted 2 👍1 by bob'])
  await leave(bob)
  await say(ada, 'three')
  await hers.edit(5, 'THREE')
  await hers.edit(5, 'Three')
  await hers.delete(1)
  await comeBack(bob)
  await until(() => heard.length === 7, () => heard.join())
  // The first edit of `three` says nothing any more.
  assert.deepEqual(heard.slice(4), ['5 Three*', '7 edited 5 Three by ada', '8 deleted 1 by ada'])
}, CONFIG)

story('who may not is told so, and what is written behind it arrives', async given => {
  const [ada, bob] = [await device(given, 'ada'), await device(given, 'bob')]
  const moderator = await device(given, 'mod', { channels: { 'chat:*': ['subscribe', 'publish', 'moderate'] } })
  const [one, two] = await say(ada, 'one', 'two') as [number, number]
  const room = bob.client.channel(ROOM)
  const [edit, remove, none, sent] = [room.edit(one, 'mine'), room.delete(one), room.react(999, '👍'), room.publish('three')]
  await assert.rejects(edit, { code: 'forbidden' })
  await assert.rejects(remove, { code: 'forbidden' })
  await assert.rejects(none, { code: 'not_found' })
  assert.equal((await sent).position!.offset, two + 1)
  await moderator.client.channel(ROOM).edit(one, 'moderated')
  await given.server.api('/delete', { channel: ROOM, offset: two })
  await assert.rejects(ada.client.channel(ROOM).edit(two, 'too late'), { code: 'not_found' })
  const shown = timeline(bob)
  await shown.shows('moderated* | †null | three')
  assert.equal(shown.view.current.messages[0]!.user, 'ada')
}, CONFIG)

story('changes are made once, through a kill -9, in the order in which they were written', async given => {
  const { server } = given
  const [ada, bob] = [await device(given, 'ada'), await device(given, 'bob')]
  const shown = timeline(bob)
  const [one, two] = await say(ada, '0', 'gone') as [number, number]
  const room = ada.client.channel(ROOM)
  const acks = Array.from({ length: 20 }, (_, i) => room.edit(one, `${i + 1}`))
  acks.push(room.react(one, '👍'), room.publish('next'))
  await acks[4]
  await server.stop()
  acks.push(room.react(one, '👍'), room.delete(two))
  await server.start()
  const offsets = (await Promise.all(acks)).map(({ position }) => position!.offset)
  assert.deepEqual(offsets, offsets.map((_, i) => two + 1 + i))
  await shown.shows('20* 👍1:ada | †null | next')
}, CONFIG)

const counts = ({ inbox: own }: Device, room = ROOM): string => {
  const { read, count } = own.unread(room).current
  return `${count} behind ${read}`
}
const counted = (one: Device, text: string, room = ROOM): Promise<void> =>
  until(() => counts(one, room) === text, () => `${text}, not ${counts(one, room)}`)

story('unread messages of a room: counted as they come, read on one device, the same on the other', async given => {
  const [ada, bob, phone] = [await device(given, 'ada'), await device(given, 'bob'), await device(given, 'bob')]
  await say(ada, 'one', 'two')
  for (const one of [bob, phone]) one.inbox.unread(ROOM).subscribe(() => {})
  for (const one of [bob, phone]) await counted(one, '2 behind 0')
  assert.equal(bob.inbox.unread(ROOM).current.first, 1)
  await say(ada, 'three')
  await say(phone, 'his own')
  await ada.client.channel(ROOM).react(1, '👍')
  for (const one of [bob, phone]) await counted(one, '3 behind 0')
  await phone.inbox.readUpto(ROOM, 2)
  for (const one of [bob, phone]) await counted(one, '1 behind 2')
  await ada.client.channel(ROOM).delete(3)
  for (const one of [bob, phone]) await counted(one, '0 behind 2')
  // Backwards it does not go.
  await bob.inbox.readUpto(ROOM, 1)
  await say(ada, 'four')
  for (const one of [bob, phone]) await counted(one, '1 behind 2')
  const { cursors } = await given.server.api('/cursors?user=bob')
  assert.deepEqual(cursors.map(({ channel, offset }: any) => [channel, offset]), [[ROOM, 2]])
}, CONFIG)

story('unread messages are right when both have been away, and one has read meanwhile', async given => {
  const { server } = given
  const [ada, bob, phone] = [await device(given, 'ada'), await device(given, 'bob'), await device(given, 'bob')]
  for (const one of [bob, phone]) one.inbox.unread(ROOM).subscribe(() => {})
  for (const one of [bob, phone]) await live(one.client, ROOM)
  await say(ada, 'one', 'two', 'three')
  for (const one of [bob, phone]) await counted(one, '3 behind 0')
  await leave(bob)
  await leave(phone)
  const read = phone.inbox.readUpto(ROOM, 3)
  assert.equal(counts(phone), '0 behind 3')
  await say(ada, 'four')
  await comeBack(phone)
  await read
  await counted(phone, '1 behind 3')
  await comeBack(bob)
  await counted(bob, '1 behind 3')
  await server.stop()
  await server.start()
  await say(ada, 'five')
  for (const one of [bob, phone]) await counted(one, '2 behind 3')
  await bob.inbox.readUpto(ROOM, 5)
  for (const one of [bob, phone]) await counted(one, '0 behind 5')
  const late = await device(given, 'bob')
  late.inbox.unread(ROOM).subscribe(() => {})
  await live(late.client, ROOM)
  await say(ada, 'six')
  await counted(late, '1 behind 5')
}, CONFIG)

story('where history is short, unread is what it still has', async given => {
  const room = 'short:room'
  const [ada, bob] = [await device(given, 'ada'), await device(given, 'bob')]
  bob.inbox.unread(room).subscribe(() => {})
  await live(bob.client, room)
  await leave(bob)
  for (let i = 0; i < 12; i++) await ada.client.channel(room).publish(i)
  await comeBack(bob)
  await counted(bob, '5 behind 0', room)
  await bob.inbox.readUpto(room, 10)
  await counted(bob, '2 behind 10', room)
}, CONFIG)
