// What must compile, and what must not. Checked by tsc, never run.
import { createClient, TidingsError, type Channel, type Client, type Message, type Observable, type Schema, type Typed } from '../src/index.js'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
const yes = <T extends true>(): T => true as T

interface Text { text: string }
interface Who { name: string }
interface App { 'room:*': { message: Text; presence: Who }; 'news:all': { message: string } }
interface Extended extends Schema { 'room:*': { message: Text } }

const app = createClient<App>({ url: 'https://example.com' })
const room = app.channel('room:1')
yes<Same<typeof room, Channel<Text, Who>>>()
void room.publish({ text: 'hi' })
// @ts-expect-error a message of a room is a Text
void room.publish({ txt: 'hi' })
// @ts-expect-error so is what comes
room.on('message', message => message.data.nothing)
room.on('message', message => message.data.text.length)
room.on('gap', ({ reason }) => { const known: 'expired' | 'new_epoch' | 'too_far' = reason; return known })
// @ts-expect-error there is no such event
room.on('state', () => {})
// @ts-expect-error data of a member is a Who
void room.presence.enter({ nam: 'Ada' })
room.presence.members.current[0]?.data.name.length

void app.channel('news:all').publish('extra')
// @ts-expect-error a pattern without a star is one name
void app.channel('news:some').publish('extra')
// @ts-expect-error a name that fits nothing carries nothing
void app.channel('rooms:1').publish({ text: 'hi' })
declare const name: string
yes<Same<Typed<App, typeof name, 'message'>, unknown>>()
void app.channel(name).publish({ any: 'thing' })

yes<Same<Typed<Extended, 'room:1', 'message'>, Text>>()
const untyped = createClient({ url: 'https://example.com' })
void untyped.channel('room:1').publish({ any: 'thing' })
untyped.channel('room:1').on('message', (message: Message<unknown>) => message.data)
const anything: Client<any> = app
anything.channel('room:1').on('message', message => message.data.text)

// Both halves of an observable can be handed to React alone.
const useStore = <T>(_: (listener: () => void) => () => void, get: () => T): T => get()
const status: Observable<{ readonly state: string }> = app.status
useStore(status.subscribe, () => status.current)

const { current } = app.status
if (current.state === 'waiting') current.retryAt.toFixed()
// @ts-expect-error only who waits has a time
current.retryAt
// @ts-expect-error a snapshot is not ours to change
app.outbox.current.push()
// @ts-expect-error there is no such code
new TidingsError('oops')
// @ts-expect-error the schema says what kinds of things a channel carries
createClient<{ 'room:*': string }>({ url: 'https://example.com' })
// @ts-expect-error a client needs to know where to
createClient({})
