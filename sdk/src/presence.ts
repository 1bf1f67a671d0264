import { TidingsError } from './error.js'
import type { Host } from './host.js'
import { Listeners, Value } from './observable.js'
import type { Member, Presence, PresenceSnapshot, Unsubscribe } from './types.js'
import { json, memberOf, time, type Frame, type WireMember } from './wire/frames.js'

const RETRY = 1000
/** How long the program has, on a page that goes on with a session, to say where it is present. */
const GRACE = 1000
type Action = 'enter' | 'update' | 'leave'
interface Waiting { done(): void; failed(error: unknown): void }

export class PresenceImpl<P> implements Presence<P> {
  declare readonly members: Value<readonly Member<P>[]>
  declare readonly count: Value<number>
  /** The subscription of now brings presence. */
  told = false
  readonly #channel: string
  readonly #host: Host
  readonly #listeners: Record<Action, Listeners<Member<P>>> =
    { enter: new Listeners(), update: new Listeners(), leave: new Listeners() }
  readonly #watched: () => void
  /** What we want to be here with. */
  #mine: { readonly data: P } | null = null
  /** Who waits for the server to know it. */
  #waiting: Waiting[] = []
  /** Members were told once, so changes are news. */
  #known = false

  constructor(channel: string, host: Host, watched: () => void) {
    this.#channel = channel
    this.#host = host
    this.#watched = watched
    this.members = new Value<readonly Member<P>[]>([], watched)
    this.count = new Value(0, watched)
  }

  /** Somebody would listen. */
  get wanted(): boolean {
    return this.#mine !== null
      || [this.members, this.count, ...Object.values(this.#listeners)].some(({ size }) => size)
  }

  on(event: Action, listener: (member: Member<P>) => void): Unsubscribe {
    const end = this.#listeners[event].add(listener)
    this.#watched()
    return end
  }

  enter(data: P): Promise<void> { return this.#say('enter', data) }
  update(data: P): Promise<void> { return this.#say(this.#mine ? 'update' : 'enter', data) }

  async leave(): Promise<void> {
    const was = this.#mine
    this.#mine = null
    this.#drop()
    if (was) await this.#leave()
  }

  /** Without a connection, `welcome` says whether there is something to leave. */
  #leave(): Promise<unknown> {
    const { commands } = this.#host.link
    return commands.ask({ type: 'leave', channel: this.#channel }, false).catch((error: TidingsError) => {
      if (error.code !== 'network' && error.code !== 'not_subscribed') throw error
    })
  }

  async get(): Promise<PresenceSnapshot<P>> {
    const frame = await this.#host.link.read({ type: 'presence', channel: this.#channel })
    this.snapshot(frame)
    const departed = (frame.departed ?? []).map(
      ({ user, last_seen }: WireMember) => ({ user, lastSeen: time(last_seen) }))
    return { members: this.members.current, count: frame.count, departed }
  }

  /** All members, out of a reply. What changed since the last time is told. */
  snapshot({ members, count }: Frame): void {
    if (count === undefined) return
    const before = byUser(this.members.current)
    const all: readonly Member<P>[] = (members ?? []).map(memberOf<P>)
    const known = this.#known && members
    this.#known = !!members
    this.#set(all, count)
    if (!known) return
    for (const member of all) {
      const was = before.get(member.user)
      before.delete(member.user)
      if (!was) this.#listeners.enter.tell(member)
      else if (said(was) !== said(member)) this.#listeners.update.tell(member)
    }
    before.forEach(member => this.#listeners.leave.tell(member))
  }

  push({ action, member: wire, count }: Frame): void {
    if (action === 'count') {
      // So many that nobody lists them.
      this.#known = false
      return this.#set([], count)
    }
    const member = memberOf<P>(wire)
    const all = byUser(this.members.current)
    if (action === 'leave') all.delete(member.user)
    else all.set(member.user, member)
    this.#set([...all.values()], count)
    this.#listeners[action as Action]?.tell(member)
    // Few enough again to be listed, but the list begins in the middle.
    if (!this.#known) this.get().catch(() => {})
  }

  /** `here`: for the server we are present, in a session that goes on. */
  welcome(here: boolean): void {
    if (this.#mine) {
      if (!here || this.#waiting.length) this.#send('enter')
    } else if (here) this.#host.runtime.setTimeout(() => this.#mine || this.#leave().catch(() => {}), GRACE)
  }

  /** The subscription has ended, and with it, for the server, our presence. */
  left(): void {
    if (this.#mine) this.#send('enter')
  }

  clear(): void {
    this.#mine = null
    this.#known = false
    this.#set([], 0)
    this.#drop()
  }

  #drop(): void {
    for (const { failed } of this.#waiting.splice(0)) failed(new TidingsError('closed'))
  }

  #set(members: readonly Member<P>[], count: number): void {
    if (members.length || this.members.current.length) this.members.set(members)
    this.count.set(count)
  }

  #say(type: Action, data: P): Promise<void> {
    const { link } = this.#host
    return new Promise((done, failed) => {
      this.#waiting.push({ done, failed })
      const before = this.#mine
      this.#mine = { data }
      if (link.ready) this.#send(type, before)
    })
  }

  /** `before`: what we were here with, if this is refused. */
  #send(type: Action, before: { readonly data: P } | null = null): void {
    const mine = this.#mine
    if (!mine || !this.#host.link.ready) return
    const waiting = this.#waiting.splice(0)
    const later = (): void => void this.#waiting.unshift(...waiting)
    this.#host.link.commands.push({
      body: json({ type, channel: this.#channel, data: mine.data ?? null }),
      done: () => waiting.forEach(({ done }) => done()),
      failed: error => {
        if (error.code === 'network') return later()
        if (error.code === 'not_subscribed' && type === 'update') {
          later()
          return this.#send('enter', before)
        }
        if (error.retryable) {
          later()
          return void this.#host.runtime.setTimeout(() => this.#send('enter', before), error.retryAfterMs ?? RETRY)
        }
        if (this.#mine === mine) this.#mine = before
        waiting.forEach(({ failed }) => failed(error))
      },
    })
  }
}

/** What an update is about. */
const said = ({ sessions, data }: Member): string => json([sessions, data])

const byUser = <P>(members: readonly Member<P>[]): Map<string, Member<P>> =>
  new Map(members.map(member => [member.user, member]))
