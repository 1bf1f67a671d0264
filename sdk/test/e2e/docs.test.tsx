// The examples in docs/ are regions of the files in examples/: here they do what they say, against a real
// server, with the package as it is published. Pages are run in e2e/test/docs.test.js.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import 'fake-indexeddb/auto'
import { createClient, TidingsError, type Client } from 'tidings'
import * as channels from '../../../examples/guide/channels.js'
import * as connection from '../../../examples/guide/connection.js'
import * as chat from '../../../examples/guide/chat.js'
import * as documents from '../../../examples/guide/document.js'
import * as notes from '../../../examples/guide/inbox.js'
import { connectTo } from '../../../examples/guide/node.js'
import * as outbox from '../../../examples/guide/outbox.js'
import * as livedata from '../../../examples/guide/live.js'
import * as presence from '../../../examples/guide/presence.js'
import { installDocument } from '../react-support.js'
import { fromSdk } from '../support/paths.js'
import { BIN, Server, signedIn, token } from '../support/server.js'
import { connected, runtime, until } from '../support/story.js'

interface Given { server: Server; connect(): Client<any>; use<C extends Client<any>>(client: C): C }

/** A server, and clients that are gone at the end. */
function example(name: string, run: (given: Given) => Promise<void>, config?: string): void {
  test(`docs: ${name}`, async () => {
    const server = await Server.start(config)
    const clients: Client<any>[] = []
    const use = <C extends Client<any>>(client: C): C => {
      clients.push(client)
      client.connect()
      return client
    }
    try {
      await run({ server, use, connect: () => use(createClient({ url: server.url, runtime })) })
    } finally {
      for (const client of clients) client.disconnect()
      await server.dispose()
    }
  })
}

/** What an example shows. */
function screen() {
  const lines: string[] = []
  return { lines, show: (text: string) => void lines.push(text), shows: (text: string) => until(() => lines.includes(text), () => `${text} in ${JSON.stringify(lines)}`) }
}

const live = (channel: { status: { current: { state: string } } }) => until(() => channel.status.current.state === 'live', 'live')

/** Blocks of code of a document, as [language, code]. */
const blocks = (path: string): [string, string][] =>
  [...readFileSync(fromSdk(path), 'utf8').matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, language, code]) => [language!, code!])

test('docs: the quick start, followed word by word', async () => {
  const [start, install, hello, once, said, again] = blocks('../docs/quick-start.md')
  assert.deepEqual(start, ['sh', 'cargo xtask dev\n'])
  const server = await Server.start()
  const folder = mkdtempSync(join(tmpdir(), 'tidings-docs-'))
  try {
    symlinkSync(resolve(fromSdk('..')), join(folder, 'tidings'))
    const env = { ...process.env, npm_config_offline: 'true', npm_config_update_notifier: 'false' }
    await promisify(execFile)('sh', ['-e', '-c', install![1]], { cwd: folder, env })
    const app = join(folder, 'hello')
    writeFileSync(join(app, 'hello.js'), hello![1].replace('http://localhost:8000', server.url))
    assert.deepEqual([once, again], [['sh', 'node hello.js\n'], ['sh', "node hello.js 'Hello again'\n"]])
    const lines = async (words: string[], count: number): Promise<string[]> => {
      const child = spawn(process.execPath, ['hello.js', ...words], { cwd: app, stdio: ['ignore', 'pipe', 'inherit'] })
      let text = ''
      child.stdout.setEncoding('utf8').on('data', chunk => { text += chunk })
      await until(() => text.trim().split('\n').length >= count, () => `${count} lines, not: ${text}`)
      child.kill()
      return text.trim().split('\n').map(line => line.replace(/^anon-\w+/, 'anon-3f9c2d10aa417be5')).sort()
    }
    assert.deepEqual(await lines([], 2), said![1].trim().split('\n').sort())
    assert.deepEqual((await lines(['Hello again'], 3)).map(line => line.split(': ').at(-1)), ['Hello', 'Hello again', 'stored'])
  } finally {
    rmSync(folder, { recursive: true })
    await server.dispose()
  }
})

example('connection: a token from a back-end, the status in words, another user', async ({ server, use }) => {
  let answer = () => new Response(token('ada'))
  const client = use(connection.signedIn(server.url, async path => {
    assert.equal(path, '/token')
    return answer()
  }) as Client<any>)
  const { show, shows, lines } = screen()
  connection.showStatus(client, show)
  await shows(`connected by ${globalThis.WebSocket ? 'websocket' : 'sse'}, as ada`)
  await server.stop()
  await until(() => lines.some(line => /^no connection \(network\); again in \d s$/.test(line)), 'waiting')
  await server.start()
  client.retryNow()
  await connected(client)
  answer = () => new Response(token('bob'))
  await connection.changeUser(client)
  await until(() => lines.at(-1)?.endsWith('as bob'), () => lines.join())
  answer = () => new Response('', { status: 401 })
  await connection.changeUser(client)
  await shows('stopped: unauthorized')
}, signedIn())

example('connection: only some transports, and a WebSocket for Node', async ({ server, use }) => {
  const { show, shows } = screen()
  for (const client of [connection.onlyHttp(server.url), connectTo(server.url)] as Client<any>[]) {
    connection.showStatus(client, text => show(text.replace(/anon-.*/, 'anon')))
    use(client)
  }
  await shows('connected by sse, as anon')
  await shows('connected by websocket, as anon')
})

example('channels: subscribe, publish, go on, page through history', async ({ server, use, connect }) => {
  const ada = use(channels.open(server.url))
  const { show, shows, lines } = screen()
  const leave = channels.subscribe(ada, show)
  await live(ada.channel('chat:lobby'))
  for (let i = 0; i < 2; i++) await channels.publish(ada, '17')
  const { user } = ada.status.current as { user: string }
  await shows(`3 ${user}: Hello`)
  assert.deepEqual(lines, [`1 ${user}: Hello`, `2 ${user}: Order 17 is paid`, `3 ${user}: Hello`], 'the key is stored once')
  assert.deepEqual((await channels.readAll(ada.channel('chat:lobby'))).map(({ position }) => position!.offset), [1, 2, 3])
  leave()

  const values = new Map<string, string>()
  const storage = { getItem: (key: string) => values.get(key) ?? null, setItem: (key: string, value: string) => void values.set(key, value) }
  const texts: string[] = []
  const bob = connect()
  bob.channel('chat:lobby').on('message', ({ data }) => texts.push(data.text))
  channels.goOn(bob.channel('chat:lobby'), storage)
  await until(() => texts.length === 3, 'the three')
  bob.disconnect()
  await channels.publish(ada, '18')
  const eve = connect()
  eve.channel('chat:lobby').on('message', ({ data }) => texts.push(data.text))
  channels.goOn(eve.channel('chat:lobby'), storage)
  await until(() => texts.length === 5, 'what was missed, once')
  assert.deepEqual(texts.slice(3), ['Hello', 'Order 18 is paid'])
})

example('channels: a gap, a refusal, and who is typing', async ({ connect }) => {
  const { show, shows } = screen()
  const [ada, bob] = [connect(), connect()]
  channels.showStatus(ada.channel('no:such'), show)
  ada.channel('no:such').subscribe()
  await shows('no: not_found')
  channels.showStatus(ada.channel('chat:a'), show)
  ada.channel('chat:a').subscribe({ since: { epoch: 'of yore', offset: 3 } })
  const gap = await new Promise<{ reason: string }>(done => ada.channel('chat:a').on('gap', done))
  assert.equal(gap.reason, 'new_epoch')
  await shows('here')
  await connected(bob)
  const heard = screen()
  await connected(ada)
  channels.typing(ada.channel('chat:a'), 'Ada', heard.show)
  channels.typing(bob.channel('chat:a'), 'Bob', () => {})
  const { user } = bob.status.current as { user: string }
  await heard.shows(`${user} is typing`)
  assert.equal(heard.lines.length, 1, 'not to herself')
})

example('documents: open, edit, follow', async ({ connect }) => {
  const { show, shows } = screen()
  const ada = documents.open(connect(), show)
  await shows('Buy milk. ')
  // Else the document is as empty for bob as it was for her.
  await until(() => !ada.unsaved.current, 'stored')
  const bob = documents.open(connect(), () => {})
  documents.follow(ada, show)
  await until(() => bob.synced.current, 'bob has it')
  assert.equal(bob.doc.getText('text').toString(), 'Buy milk. ', 'once')
  ada.doc.getText('text').insert(0, '!')
  await shows('Saving…')
  await shows('Saved')
  for (const one of [ada, bob]) one.destroy()
})

example('documents: versions', async ({ connect }) => {
  const { show: shown, shows } = screen()
  const show = (text: string): void => shown(text.replace(/anon-\w+/g, 'anon').replace(/ of \d.*/, ' of now'))
  const ada = documents.open(connect(), () => {})
  await until(() => ada.synced.current && !ada.unsaved.current, 'stored')
  await documents.saveVersion(ada, show)
  await shows('Version 1 of now')
  const text = ada.doc.getText('text')
  text.delete(0, text.length)
  await until(() => !ada.unsaved.current, 'stored')
  await documents.listVersions(ada, show)
  await shows('Changed since, by anon')
  await shows('1: Sent to the printer, anon')
  await documents.backTo(ada, 1, show)
  await shows('Buy milk. ')
  await until(() => text.toString() === 'Buy milk. ', 'it is back')
  ada.destroy()
})

example('live data: watch, write, compare and set', async ({ connect }) => {
  const { show, shows, lines } = screen()
  const board = livedata.watch(connect(), show)
  const others = livedata.watch(connect(), () => {})
  await livedata.write(board)
  await shows('Plan: 2 done')
  await until(() => others.entry('done')?.version === board.entry('done')?.version, 'both have it')
  assert.deepEqual(board.value.current, { title: 'Plan', done: { count: 2 } })
  await Promise.all([livedata.compare(board, show), livedata.compare(others, show)])
  assert.equal(lines.filter(line => line === 'somebody was faster').length, 1)
}, `
[auth]
anonymous = true
[namespace.board]
kind = "state"
subscribe = "anyone"
publish = "anyone"
`)

const USERS = signedIn('[inbox]\nfollow = "signed-in"')

example('notifications: watch, mark, page, group, follow, count', async ({ server, use }) => {
  const { show, shows } = screen()
  const client = use(createClient({ url: server.url, runtime, token: token('ada') }))
  const tell = (text: string, more: object = {}) => server.api('/notify', { user: 'ada', topic: 'comment', data: { text }, ...more })
  const { notes: own, close } = notes.watch(client, show)
  // What is told earlier is in the inbox when it is opened, and was not received just now.
  await until(() => own.view.current.status.state === 'live', () => 'live')
  await tell('one', { subject: 'doc:1' })
  await shows('just now: one')
  await shows('1 new, 1 unread: one')
  await tell('two', { subject: 'doc:1' })
  await shows('2 new, 2 unread: two, one')
  await notes.bySubject(own, show)
  await shows('doc:1: 2, 2 of them unread, the last: two')
  await notes.mark(own)
  await shows('0 new, 0 unread: two')
  await notes.follow(own)
  assert.equal((await server.api('/notify', { topic_followers: 'releases', topic: 'release', data: { text: '1.0' } })).notified, 1)
  await shows('1 new, 1 unread: 1.0, two')
  for (let i = 0; i < 60; i++) await tell(`${i}`)
  const late = use(createClient({ url: server.url, runtime, token: token('ada') }))
  const there = notes.watch(late, () => {}).notes
  await until(() => there.view.current.items.length === 50, 'a page')
  await notes.older(there)
  assert.equal(there.view.current.items.length, 62)
  close()

  const end = notes.unread(client, show)
  await live(client.channel('chat:lobby'))
  const bob = use(createClient({ url: server.url, runtime, token: token('bob') }))
  const { position } = await bob.channel('chat:lobby').publish({ text: 'Hello' })
  await shows('1 unread in the lobby')
  await notes.read(late, position!.offset)
  await shows('0 unread in the lobby')
  end()
}, USERS)

example('Web Push: a button, and the end with the sign-out', async ({ server, use }) => {
  installDocument()
  const { show, shows } = screen()
  const client = use(createClient({ url: server.url, runtime, token: token('ada') }))
  let ended = false
  const keys = { p256dh: 'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4', auth: 'BTBZMqHH6r4Tts7J_aSIgg' }
  const made = { endpoint: 'https://push.example.com/1', toJSON: () => ({ endpoint: made.endpoint, keys }), unsubscribe: async () => ended = true }
  let allowed = false
  const pushManager = {
    async subscribe({ applicationServerKey }: { applicationServerKey: string }) {
      assert.match(applicationServerKey, /^B[\w-]{86}$/)
      if (!allowed) throw new DOMException('no', 'NotAllowedError')
      return made
    },
    getSubscription: async () => made,
  } as any
  const on = document.createElement('button')
  notes.button(client, on, show, { pushManager })
  on.click()
  await shows('Your browser does not allow it.')
  allowed = true
  on.click()
  await shows('You will be told here.')
  await notes.logout(client, { pushManager })
  assert.ok(ended)
  assert.equal(client.status.current.state, 'idle')
}, signedIn('[push]\nsubject = "mailto:operator@example.com"'))

example('chat: watch, change, and what a late joiner sees', async ({ connect }) => {
  const [ada, bob] = [connect().channel('chat:lobby'), connect().channel('chat:lobby')]
  const [first, late] = [screen(), screen()]
  chat.watch(ada, first.show)
  await live(ada)
  await chat.change(ada)
  await first.shows('1 is gone')
  assert.deepEqual(first.lines, ['1: Helo', '1 is now: Hello', '1 has 1 👍', '1 has 0 👍', '1 is gone'])
  const { position } = await ada.publish({ text: 'one' })
  await ada.react(position!.offset, '👍')
  chat.watch(bob, late.show)
  await late.shows('6 has 1 👍')
  assert.equal(position!.offset, 6)
  assert.deepEqual(late.lines, ['1: deleted', '1 has 1 👍', '1 has 0 👍', '1 is gone', '6: one', '👍 1', '6 has 1 👍'])
})

example('presence: enter, watch, ask, leave', async ({ connect }) => {
  const { show, shows } = screen()
  const [ada, bob] = [connect().channel('chat:lobby'), connect().channel('chat:lobby')]
  presence.watch(bob, show)
  await live(bob)
  await presence.enter(ada)
  await shows('Ada came')
  await shows('Ada (away)')
  assert.equal((await presence.ask(bob)).count, 1)
  await presence.leave(ada)
  await shows('Ada (away) left')
  assert.match((await presence.ask(bob)).lately[0]!, /^anon-\w+ at 20/)
})

example('outbox: stored, refused, withdrawn, and what is on its way', async ({ server, use, connect }) => {
  const { show, shows, lines } = screen()
  const client = connect()
  outbox.pending(client, show)
  const lobby = client.channel('chat:lobby')
  await outbox.publish(lobby, 'Hello', show)
  assert.ok(lines.includes('1 on their way') && lines.includes('0 on their way'), lines.join())
  await shows('stored at 1')
  await outbox.publish(lobby, 'x'.repeat(40_000), show)
  assert.match(lines.at(-1)!, /^refused: .*over its limit of 32768 bytes$/)
  client.disconnect()
  await assert.rejects(outbox.withdraw(lobby), /the user pressed Undo/)
  await assert.rejects(outbox.nowOrNever(client.channel('chat:c')), (error: TidingsError) => error.code === 'closed')
  const waiting = outbox.publish(lobby, 'offline', show)
  await shows('queued chat:lobby {"text":"offline"}')
  client.connect()
  await waiting
  await shows('stored at 2')
  const kept = use(outbox.persistent(server.url) as Client<any>)
  assert.equal((await kept.channel('chat:lobby').publish({ text: 'kept' })).position!.offset, 3)
})

example('React: the chat', async ({ connect }) => {
  installDocument()
  ;(globalThis as any).IS_REACT_ACT_ENVIRONMENT = false
  const { createRoot } = await import('react-dom/client')
  const { App, Typing } = await import('../../../examples/react/chat.js')
  const { TidingsProvider } = await import('tidings/react')
  const [ada, bob] = [connect(), connect()]
  const page = document.createElement('div')
  const root = createRoot(page)
  await bob.channel('chat:lobby').publish({ text: 'Hello from Bob' })
  root.render(<App client={ada} />)
  await until(() => page.textContent?.includes('1 here: Ada') && page.querySelector('li')?.textContent === 'Hello from Bob', () => page.innerHTML)
  const input = page.querySelector('input')!
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(input), 'value')!.set!.call(input, 'Hello Bob')
  input.dispatchEvent(new Event('input', { bubbles: true }))
  await until(() => input.value === 'Hello Bob', 'written')
  page.querySelector('form')!.dispatchEvent(new Event('submit', { bubbles: true, cancelable: true }))
  await until(() => page.querySelector('li:nth-child(2):not(.pending)')?.textContent === 'Hello Bob', () => page.innerHTML)
  root.render(<TidingsProvider client={ada}><Typing name="chat:lobby" /></TidingsProvider>)
  await until(() => page.querySelector('label'), 'the label')
  // Nothing says when React has run its effects, so he goes on typing.
  const type = () => bob.channel('chat:lobby').publish({}, { event: 'typing', ephemeral: true })
  const typing = setInterval(() => type().catch(() => {}), 20)
  await until(() => page.textContent?.endsWith('is typing'), () => page.innerHTML)
  clearInterval(typing)
  root.unmount()
})

example('React: the bell, the count of a room, and messages that change', async ({ server, use }) => {
  installDocument()
  ;(globalThis as any).IS_REACT_ACT_ENVIRONMENT = false
  const { createRoot } = await import('react-dom/client')
  const { Bell, Messages, ReadMarker, RoomLink } = await import('../../../examples/react/inbox.js')
  const { TidingsProvider } = await import('tidings/react')
  const [ada, bob] = ['ada', 'bob'].map(user => use(createClient({ url: server.url, runtime, token: token(user) }))) as [Client<any>, Client<any>]
  const page = document.createElement('div')
  const root = createRoot(page)
  const shows = (text: string): Promise<void> => until(() => page.textContent?.includes(text), () => `${text} in ${page.innerHTML}`)
  const name = 'chat:lobby'
  root.render(<TidingsProvider client={ada}><Bell /><RoomLink name={name} /></TidingsProvider>)
  await live(ada.channel(name))
  await server.api('/notify', { user: 'ada', topic: 'news', data: { text: 'Hello' } })
  await shows('Notifications (1)')
  await bob.channel(name).publish({ text: 'one' })
  await shows('chat:lobby (1)')
  const details = page.querySelector('details')!
  details.open = true
  details.dispatchEvent(new Event('toggle', { bubbles: true }))
  await until(() => page.querySelector('summary')!.textContent === 'Notifications ', () => page.innerHTML)
  page.querySelector<HTMLElement>('li.unread button')!.click()
  await until(() => page.querySelector('li.read'), () => page.innerHTML)
  await ada.channel(name).publish({ text: 'mine' })
  root.render(<TidingsProvider client={ada}><RoomLink name={name} /><Messages name={name} me="ada" /><ReadMarker name={name} /></TidingsProvider>)
  await until(() => page.querySelector('a')!.textContent === name, () => page.innerHTML)
  await shows('mine')
  page.querySelector<HTMLElement>('li button')!.click()
  await shows('one 👍 1')
  await bob.channel(name).edit(1, { text: 'two' })
  await shows('two (edited) 👍 1')
  const buttons = [...page.querySelectorAll<HTMLElement>('button')].filter(({ textContent }) => textContent === 'Delete')
  assert.equal(buttons.length, 1, 'her own')
  buttons[0]!.click()
  await shows('(deleted)')
  root.unmount()
}, USERS)

example('documents in React', async ({ connect }) => {
  installDocument()
  const { createRoot } = await import('react-dom/client')
  const { TidingsProvider } = await import('tidings/react')
  const { Plan } = await import('../../../examples/react/document.js')
  const page = document.createElement('div')
  const root = createRoot(page)
  ;(globalThis as any).IS_REACT_ACT_ENVIRONMENT = false
  root.render(<TidingsProvider client={connect()}><Plan name="doc:plan" me="Ada" /></TidingsProvider>)
  await until(() => /Saved.*Ada/.test(page.textContent!), () => page.innerHTML)
  page.querySelector('button')!.click()
  await until(() => /Saved/.test(page.textContent!), () => page.innerHTML)
  root.unmount()
  await until(() => !page.textContent, 'it is gone')
})

test('docs: a client is made in one line, and connects', async () => {
  for (const client of [connection.create(), (await import('../../../examples/react/client.js')).client]) {
    assert.equal(client.status.current.state, 'connecting')
    client.disconnect()
  }
})

test('docs: every block of code is an example, and every configuration is one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-docs-'))
  const reference = ['configuration.md', 'performance.md', 'protocol.md']
  for (const name of readdirSync(fromSdk('../docs')).filter(name => name.endsWith('.md') && !reference.includes(name))) {
    const text = readFileSync(fromSdk(`../docs/${name}`), 'utf8')
    for (const [, before, language, code] of text.matchAll(/^(.*)\n```(\w+)\n([^]*?)^```$/gm)) {
      if (language === 'toml') {
        writeFileSync(join(folder, 'tidings.toml'), code!)
        await promisify(execFile)(BIN, ['config', 'check', '--config', join(folder, 'tidings.toml')])
      } else if (!['sh', 'text'].includes(language!)) assert.match(before!, /^<!-- from (examples|crates)\//, `${name}: ${code}`)
    }
  }
  rmSync(folder, { recursive: true })
})

test('docs: every link inside the documentation leads somewhere', () => {
  const anchors = (text: string): string[] => [...text.matchAll(/^#+ (.*)$/gm)]
    .map(([, title]) => title!.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/ /g, '-'))
  const root = fromSdk('..')
  const files = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md',
    ...(readdirSync(join(root, 'docs'), { recursive: true }) as string[]).filter(name => name.endsWith('.md')).map(name => `docs/${name}`)]
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8').replace(/^```[^]*?^```$/gm, '')
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g), ...text.matchAll(/href="([^"]+)"/g)].map(([, link]) => link!)
    for (const link of links.filter(link => !/^(https?|mailto):/.test(link))) {
      const [path, anchor] = link.split('#') as [string, string?]
      const target = path ? join(root, dirname(file), path) : join(root, file)
      assert.ok(existsSync(target), `${file}: ${link}`)
      if (anchor) assert.ok(anchors(readFileSync(target, 'utf8')).includes(anchor), `${file}: ${link}`)
    }
  }
})
