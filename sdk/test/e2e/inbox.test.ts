// What users are told, against the real server: every device has the same items and numbers in the end.
import assert from 'node:assert/strict'
import { IDBFactory } from 'fake-indexeddb'
import { inbox, type Inbox } from '../../src/inbox/index.js'
import { indexedDbOutbox } from '../../src/outbox-indexeddb.js'
import { Locks } from '../support/locks.js'
import { seeded, type Random } from '../support/random.js'
import { signedIn, token, type Server } from '../support/server.js'
import { comeBack, leave, sleep, story, until, type Lined, type Story } from '../support/story.js'

/** Short: who misses more than this reads the inbox anew. */
const KEPT = 8
const CONFIG = signedIn(`
[namespace.secret]
subscribe = "token"
[inbox]
history = ${KEPT}`)

/** Tells `user` each of the texts, in order. */
async function tell(server: Server, user: string, texts: readonly unknown[], more: object = {}): Promise<void> {
  for (const data of texts) {
    const answer = await server.api('/notify', { user, topic: 'news', data, ...more })
    assert.deepEqual(answer, { notified: 1, duplicates: 0, failed: [] })
  }
}

interface Device extends Lined { readonly inbox: Inbox<any> }

/** A device of `user`, its inbox open, on a line that can be cut. */
async function device({ client, line }: Story, user = 'ada', pageSize = 50): Promise<Device> {
  const proxy = await line()
  const one = client({ url: proxy.url, token: token(user) })
  const own = inbox(one, { pageSize })
  own.open()
  one.connect()
  return { client: one, inbox: own, proxy }
}

/** What a device shows: the texts, with `·` where seen and `✓` where read; unread/unseen. */
function shown({ inbox: { view: { current: { items, unread, unseen } } } }: Device): string {
  const texts = items.map(({ data, seen, read }) => `${data}${read ? '✓' : seen ? '·' : ''}`)
  return `${texts.join(' ')} ${unread}/${unseen}`
}

const shows = (device: Device, what: string): Promise<void> =>
  until(() => shown(device) === what && !device.inbox.view.current.loading, () => `${what}, not ${shown(device)}`)

/** As the server has it: nobody's guess. */
async function truth(server: Server, user: string): Promise<string> {
  const { items, unread, unseen } = await server.api(`/inbox?user=${user}&limit=100`)
  return shown({ inbox: { view: { current: { items, unread, unseen } } } } as Device)
}

story('a notification reaches both devices at once; what came while ada was away is there when she opens', async given => {
  const { server } = given
  await tell(server, 'ada', ['one', 'two'], { user_from: 'bob', subject: 'doc:1' })
  const [phone, laptop] = [await device(given), await device(given)]
  for (const one of [phone, laptop]) await shows(one, 'two one 2/2')
  const received: unknown[] = []
  for (const one of [phone, laptop]) one.inbox.on('received', ({ data }) => received.push(data))
  await tell(server, 'ada', ['three'], { key: 'k', ttl: 3_600_000 })
  for (const one of [phone, laptop]) await shows(one, 'three two one 3/3')
  assert.deepEqual(await server.api('/notify', { user: 'ada', topic: 'news', data: 'three', key: 'k' }), { notified: 0, duplicates: 1, failed: [] })
  await tell(server, 'bob', ['not hers'])
  await phone.inbox.markSeen([phone.inbox.view.current.items[0]!.id])
  for (const one of [phone, laptop]) await shows(one, 'three· two one 3/2')
  assert.deepEqual(received, ['three', 'three'])
  const [newest, , oldest] = laptop.inbox.view.current.items
  assert.deepEqual([oldest!.topic, oldest!.subject, oldest!.user], ['news', 'doc:1', 'bob'])
  assert.ok(Math.abs(newest!.expiresAt! - newest!.at - 3_600_000) < 2, 'a ttl of an hour')
}, CONFIG)

story('two devices mark while they are away: back again, both have what the server has', async given => {
  const { server } = given
  await tell(server, 'ada', ['a', 'b', 'c', 'd'])
  const [phone, laptop] = [await device(given), await device(given)]
  for (const one of [phone, laptop]) await shows(one, 'd c b a 4/4')
  const [d, c, b, a] = phone.inbox.view.current.items.map(({ id }) => id) as [number, number, number, number]
  await leave(phone)
  await leave(laptop)
  const marks = [phone.inbox.markRead([d, c]), laptop.inbox.markSeen([d, a]), laptop.inbox.archive([c])]
  assert.equal(shown(phone), 'd✓ c✓ b a 2/2')
  assert.equal(shown(laptop), 'd· b a· 3/1')
  await tell(server, 'ada', ['e'])
  await comeBack(laptop)
  await shows(laptop, 'e d· b a· 4/2')
  marks.push(phone.inbox.markUnread([d]), phone.inbox.markRead([b]))
  await comeBack(phone)
  await Promise.all(marks)
  for (const one of [phone, laptop]) await shows(one, 'e d· b✓ a· 3/1')
  assert.equal(await truth(server, 'ada'), 'e d· b✓ a· 3/1')
}, CONFIG)

story('mark-all swallows nothing that arrives meanwhile, and marks what no page shows', async given => {
  const { server } = given
  await tell(server, 'ada', ['a', 'b', 'c'])
  const [phone, laptop] = [await device(given, 'ada', 2), await device(given)]
  await shows(phone, 'c b 3/3')
  await leave(phone)
  const all = phone.inbox.markAllRead()
  assert.equal(shown(phone), 'c✓ b✓ 0/0')
  await tell(server, 'ada', ['d'])
  await comeBack(phone)
  await all
  await shows(phone, 'd c✓ b✓ 1/1')
  await shows(laptop, 'd c✓ b✓ a✓ 1/1')
  await laptop.inbox.markAllSeen()
  for (const one of [phone, laptop]) await until(() => shown(one).endsWith('1/0'), () => shown(one))
}, CONFIG)

story('pages backwards, to the first, while new ones arrive; and by subject', async given => {
  const { server } = given
  const texts = Array.from({ length: 12 }, (_, i) => i + 1)
  for (const i of texts) await tell(server, 'ada', [i], i % 3 ? { subject: `doc:${i % 3}` } : {})
  const phone = await device(given, 'ada', 5)
  await shows(phone, '12 11 10 9 8 12/12')
  const view = () => phone.inbox.view.current
  await Promise.all([phone.inbox.loadMore(), tell(server, 'ada', ['new'])])
  await shows(phone, 'new 12 11 10 9 8 7 6 5 4 3 13/13')
  assert.equal(view().more, true)
  await phone.inbox.loadMore()
  await shows(phone, 'new 12 11 10 9 8 7 6 5 4 3 2 1 13/13')
  assert.equal(view().more, false)
  await phone.inbox.loadMore()
  await phone.inbox.markRead([view().items.find(({ data }) => data === 10)!.id])
  const { groups, more } = await phone.inbox.groups({ limit: 4 })
  const line = (group: any): string => `${group.subject ?? '-'}: ${group.latest.data} of ${group.count}, ${group.unread}`
  assert.deepEqual(groups.map(line), ['-: new of 1, 1', '-: 12 of 1, 1', 'doc:2: 11 of 4, 4', 'doc:1: 10 of 4, 3'])
  assert.equal(more, true)
  const rest = await phone.inbox.groups({ before: groups.at(-1)!.latest.id })
  assert.deepEqual([rest.groups.map(line), rest.more], [['-: 9 of 1, 1', '-: 6 of 1, 1', '-: 3 of 1, 1'], false])
}, CONFIG)

story('a page whose items are all put away is followed by the next', async given => {
  await tell(given.server, 'ada', ['a', 'b', 'c', 'd', 'e'])
  const phone = await device(given, 'ada', 2)
  await shows(phone, 'e d 5/5')
  await phone.inbox.archive(phone.inbox.view.current.items.map(({ id }) => id))
  await shows(phone, ' 3/3')
  await phone.inbox.loadMore()
  await shows(phone, 'c b 3/3')
  await phone.inbox.loadMore()
  await shows(phone, 'c b a 3/3')
}, CONFIG)

story('who was away for longer than changes are kept reads the inbox anew', async given => {
  const { server } = given
  await tell(server, 'ada', ['a', 'b', 'c'])
  const [phone, laptop] = [await device(given), await device(given)]
  await shows(phone, 'c b a 3/3')
  await shows(laptop, 'c b a 3/3')
  const ids = phone.inbox.view.current.items.map(({ id }) => id)
  await leave(phone)
  const mine = phone.inbox.archive([ids[2]!])
  await laptop.inbox.markRead([ids[0]!])
  for (let i = 0; i < KEPT; i++) {
    await laptop.inbox.markRead([ids[1]!])
    await laptop.inbox.markUnread([ids[1]!])
  }
  await tell(server, 'ada', ['d'])
  await comeBack(phone)
  await mine
  const channel = phone.client.channel('inbox:ada')
  await until(() => channel.status.current.state === 'live', 'live')
  assert.equal((channel.status.current as { recovered: boolean }).recovered, false)
  for (const one of [phone, laptop]) await shows(one, 'd c✓ b· 2/1')
  assert.equal(await truth(server, 'ada'), 'd c✓ b· 2/1')
}, CONFIG)

story('kill -9: what was acknowledged is there, what was not is said again, once', async given => {
  const { server } = given
  await tell(server, 'ada', ['a', 'b', 'c'])
  const [phone, laptop] = [await device(given), await device(given)]
  for (const one of [phone, laptop]) await shows(one, 'c b a 3/3')
  const [c, b, a] = phone.inbox.view.current.items.map(({ id }) => id) as [number, number, number]
  await phone.inbox.markRead([c])
  await tell(server, 'ada', ['d'])
  const marks = [phone.inbox.archive([b]), laptop.inbox.markSeen([a])]
  await server.stop()
  marks.push(laptop.inbox.markRead([a]), laptop.inbox.readUpto('chat:x', 0))
  await server.start()
  await Promise.all(marks)
  for (const one of [phone, laptop]) await shows(one, 'd c✓ a✓ 1/1')
  assert.equal(await truth(server, 'ada'), 'd c✓ a✓ 1/1')
}, CONFIG)

story('a cursor that is refused is told so, and what was said behind it goes on', async given => {
  const { server } = given
  await tell(server, 'ada', ['a', 'b'])
  const phone = await device(given)
  await shows(phone, 'b a 2/2')
  const [b, a] = phone.inbox.view.current.items.map(({ id }) => id) as [number, number]
  const [before, refused, behind, unknown, last] = [
    phone.inbox.markRead([b]), phone.inbox.readUpto('secret:x', 3), phone.inbox.markSeen([a]),
    phone.inbox.readUpto('nowhere:x', 3), phone.inbox.markRead([a]),
  ]
  await assert.rejects(refused, { code: 'forbidden' })
  await assert.rejects(unknown, { code: 'not_found' })
  await Promise.all([before, behind, last])
  await shows(phone, 'b✓ a✓ 0/0')
}, CONFIG)

story('followers of a topic are told, until they say no', async given => {
  const { server } = given
  const [ada, bob] = [await device(given, 'ada'), await device(given, 'bob')]
  await Promise.all([ada, bob].map(one => one.inbox.follow('releases')))
  const say = (data: string): Promise<any> => server.api('/notify', { topic_followers: 'releases', topic: 'release', data })
  assert.equal((await say('1.0')).notified, 2)
  for (const one of [ada, bob]) await shows(one, '1.0 1/1')
  await ada.inbox.unfollow('releases')
  assert.equal((await say('1.1')).notified, 1)
  await shows(bob, '1.1 1.0 2/2')
  await shows(ada, '1.0 1/1')
}, CONFIG.replace('[inbox]', '[inbox]\nfollow = "signed-in"'))

story('marks of a page that was closed before they were sent are made by the next', async given => {
  const { client, server } = given
  await tell(server, 'ada', ['a', 'b'])
  const [indexedDB, tabs] = [new IDBFactory(), new Locks()]
  const locks = tabs.page()
  const page = client({ token: token('ada'), outbox: { store: indexedDbOutbox({ indexedDB, locks: locks as never }) } })
  const own = inbox<any>(page)
  own.open()
  page.connect()
  await until(() => own.view.current.items.length === 2, 'both')
  await server.stop()
  await until(() => page.status.current.state !== 'connected', 'away')
  const [b, a] = own.view.current.items.map(({ id }) => id) as [number, number]
  for (const mark of [own.markRead([a]), own.archive([b])]) mark.catch(() => {})
  await sleep(100) // The browser has them.
  page.disconnect()
  locks.die()
  await server.start()
  const next = client({ token: token('ada'), outbox: { store: indexedDbOutbox({ indexedDB, locks: tabs.page() as never }) } })
  const later = inbox<any>(next)
  later.open()
  next.connect()
  const device = { inbox: later } as unknown as Device
  await shows(device, 'a✓ 0/0')
  assert.equal(await truth(server, 'ada'), 'a✓ 0/0')
  await page.logout() // Here it is not gone: its timers are.
}, CONFIG)

const SEED = Number(process.env.SEED ?? 5)

/** What somebody may do with the items that one sees. */
function mark({ inbox: own }: Device, random: Random): Promise<void> {
  const { items } = own.view.current
  const ids = items.filter(() => random() < 0.3).map(({ id }) => id)
  const some = [own.markSeen, own.markRead, own.markUnread, own.archive].map(how => () => how.call(own, ids))
  const all = [() => own.markAllSeen(), () => own.markAllRead(), () => own.loadMore()]
  const acts = [...some, ...some, ...all]
  return acts[Math.floor(random() * acts.length)]!()
}

story('whatever is done while lines are cut and the server is killed: in the end all have what the server has', async given => {
  const { server } = given
  const random = seeded(SEED)
  const devices = [await device(given, 'ada', 4), await device(given, 'ada', 7)]
  for (const one of devices) one.inbox.unread('chat:x').subscribe(() => {})
  const bob = given.client({ token: token('bob') })
  bob.connect()
  const said: Promise<unknown>[] = []
  for (let i = 0; i < 60; i++) {
    const one = devices[random() < 0.5 ? 0 : 1]!
    const what = random()
    if (what < 0.25) await tell(server, 'ada', [i], random() < 0.3 ? { ttl: 150 } : {})
    else if (what < 0.4) said.push(bob.channel('chat:x').publish(i))
    else if (what < 0.5) said.push(one.inbox.readUpto('chat:x', Math.floor(random() * 12)))
    else if (what < 0.9) said.push(mark(one, random))
    else if (what < 0.95) one.proxy.cut()
    else if (what < 0.97) {
      one.proxy.refuse(true)
      one.proxy.cut()
      setTimeout(() => one.proxy.refuse(false), 300)
    } else {
      await server.stop()
      await server.start()
    }
    await sleep(random() * 30)
  }
  await Promise.all(said)
  const last = await server.api('/notify', { user: 'ada', topic: 'news', data: 'last' })
  assert.equal(last.notified, 1)
  await sleep(200) // The last ttl is over.
  for (const one of devices) {
    await until(() => one.inbox.view.current.items[0]?.data === 'last', 'the last')
    const { view } = one.inbox
    while (view.current.more) await one.inbox.loadMore()
  }
  const all = await truth(server, 'ada')
  for (const one of devices) await shows(one, all)
  const [first, second] = devices.map(({ inbox: own }) => own.unread('chat:x')) as [any, any]
  const { cursors } = await server.api('/cursors?user=ada')
  const newest = (await bob.channel('chat:x').history({ limit: 1 })).messages.at(-1)?.position!.offset ?? 0
  const read = cursors[0]?.offset ?? 0
  const numbers = ({ current: { count, read } }: any): string => `${count} ${read}`
  for (const one of [first, second]) await until(() => numbers(one) === `${newest - read} ${read}`, () => `${newest - read} ${read}, not ${numbers(one)}`)
}, CONFIG.replace('[inbox]', '[inbox]\nitems = 10'))
