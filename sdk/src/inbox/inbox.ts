import type { ChannelImpl } from '../channel.js'
import type { Host } from '../host.js'
import { Listeners } from '../observable.js'
import type { ChannelStatus, Client, Observable, Unsubscribe } from '../types.js'
import { json, type Command, type Frame } from '../wire/frames.js'
import { again } from './again.js'
import { Cursors, LANE } from './cursors.js'
import { itemOf, marked, taken, type As, type Box, type Mark } from './items.js'
import { pushOf } from './push.js'
import type { GroupsPage, GroupsQuery, Inbox, InboxPush, InboxView, Notification, Unread } from './types.js'

/** Of one command. */
const IDS = 1000
const PAGE = 100
const NOBODYS: Box = { items: [], unread: 0, unseen: 0 }

/** A mark that is on its way, or whose effect has not come back yet. */
interface Pending extends Mark { stored?: number }

export class InboxImpl implements Inbox<any> {
  readonly view: Observable<InboxView<any>>
  readonly push: InboxPush
  readonly #client: Client<any>
  readonly #host: Host
  readonly #size: number
  readonly #cursors: Cursors
  readonly #listeners = new Listeners<InboxView<any>>()
  readonly #received = new Listeners<Notification<any>>()
  #held = 0
  /** The inbox of the user who is there. */
  #channel: ChannelImpl<any, any> | null = null
  #release: Unsubscribe | null = null
  #unwatch: Unsubscribe | null = null
  #box: Box = NOBODYS
  #epoch = ''
  /** What the box is as of; above all offsets until the first page is here. */
  #at = Infinity
  #more = false
  #page: Promise<void> | null = null
  /** Counts first pages: an answer to an older question is dropped. */
  #turn = 0
  /** Frames that arrived while a page was on its way, which may not know of them. */
  #during: Frame[] = []
  #marks: Pending[] = []
  #failed: ChannelStatus | null = null
  #view: InboxView<any> | null = null

  constructor(client: Client<any>, host: Host, size: number) {
    this.#client = client
    this.#host = host
    this.#size = size
    this.push = pushOf(command => this.#ask(command))
    this.#cursors = new Cursors(client, host, this)
    const read = (): InboxView<any> => this.#view ??= this.#read()
    // Only what was read is told anew: whoever listens has read.
    this.view = { get current() { return read() }, subscribe: listener => (read(), this.#listeners.add(listener)) }
    client.status.subscribe(() => this.#attach())
  }

  open(): Unsubscribe {
    this.#held++
    this.#attach()
    this.#changed()
    let held = true
    return () => {
      if (!held) return
      held = false
      if (--this.#held) return
      this.#release?.()
      this.#release = null
    }
  }

  on(_: 'received', listener: (notification: Notification<any>) => void): Unsubscribe {
    return this.#received.add(listener)
  }

  markSeen(ids: readonly number[]): Promise<void> { return this.#mark('seen', ids) }
  markRead(ids: readonly number[]): Promise<void> { return this.#mark('read', ids) }
  markUnread(ids: readonly number[]): Promise<void> { return this.#mark('unread', ids) }
  archive(ids: readonly number[]): Promise<void> { return this.#mark('archived', ids) }
  markAllSeen(): Promise<void> { return this.#mark('seen') }
  markAllRead(): Promise<void> { return this.#mark('read') }

  async loadMore(): Promise<void> {
    // Without any, as all were archived, the next page is a first one.
    const before = this.#box.items.at(-1)?.id
    if (this.#more && !this.#page) this.#load({ before, limit: this.#size })
    await this.#page
  }

  async groups(query?: GroupsQuery): Promise<GroupsPage<any>> {
    const { groups, more } = await this.#ask({ type: 'inbox', group: true, ...query })
    return { groups: groups.map((group: Frame) => ({ ...group, latest: itemOf(group.latest) })), more: !!more }
  }

  async follow(topic: string): Promise<void> { await this.#ask({ type: 'follow', topic }) }
  async unfollow(topic: string): Promise<void> { await this.#ask({ type: 'unfollow', topic }) }
  unread(channel: string): Observable<Unread> { return this.#cursors.unread(channel) }
  readUpto(channel: string, offset: number): Promise<void> { return this.#cursors.readUpto(channel, offset) }

  #ask(command: Command): Promise<Frame> { return this.#host.link.read(command) }

  /** Follows the inbox of who is connected now. */
  #attach(): void {
    const status = this.#client.status.current
    if (!this.#held || status.state !== 'connected') return
    const name = `inbox:${status.user}`
    if (this.#channel && this.#channel.name !== name) this.#reset()
    if (!this.#channel) {
      const channel = this.#channel = this.#client.channel(name) as unknown as ChannelImpl<any, any>
      channel.plugin = frame => this.#take(frame)
      this.#unwatch = channel.status.subscribe(({ state }) => {
        if (state === 'idle') this.#reset() // Released, or logged out.
        else this.#changed()
      })
    }
    this.#release ??= this.#channel.subscribe()
  }

  #reset(): void {
    const [channel, release] = [this.#channel, this.#release]
    this.#channel = this.#release = this.#failed = this.#page = null
    this.#unwatch?.()
    if (channel) channel.plugin = undefined
    release?.()
    this.#box = NOBODYS
    this.#at = Infinity
    this.#turn++
    this.#more = false
    this.#settled()
  }

  #take(frame: Frame): void {
    const { type, epoch, offset } = frame
    if (type === 'subscribed' || type === 'gap') {
      // A gap has none here: what is missing may be marks of any item.
      if (epoch !== this.#epoch) this.#settled(this.#at = Infinity)
      this.#epoch = epoch
      this.#cursors.moved()
      return frame.recovered && this.#at < Infinity ? undefined : this.#first()
    }
    if (this.#page) this.#during.push(frame)
    if (offset > this.#at) this.#apply(frame)
    if (type === 'notification') this.#received.tell(itemOf(frame.item))
    else if (type === 'cursor') this.#cursors.moved(frame.of)
  }

  #apply(frame: Frame): void {
    this.#box = taken(this.#box, frame)
    if (frame.offset > this.#at) this.#at = frame.offset
    this.#settled()
  }

  /** What the box shows needs no guess any more. */
  #settled(at = this.#at): void {
    this.#marks = this.#marks.filter(({ stored }) => !stored || stored > at)
    this.#changed()
  }

  #first(): void {
    const turn = ++this.#turn
    this.#load({ limit: Math.min(PAGE, Math.max(this.#size, this.#box.items.length)) }).catch(error => {
      if (turn !== this.#turn || again(this.#host, error, () => turn === this.#turn && this.#first())) return
      this.#failed = { state: 'failed', cause: error }
      this.#changed()
    })
  }

  #load(query: { before?: number | undefined; limit: number }): Promise<void> {
    const turn = this.#turn
    this.#during = []
    const page = this.#ask({ type: 'inbox', ...query }).then(frame => {
      if (turn === this.#turn) this.#loaded(frame, query.before)
    }).finally(() => {
      if (this.#page === page) this.#page = null
      this.#changed()
    })
    this.#changed()
    return this.#page = page
  }

  #loaded({ items, offset, more, unread, unseen }: Frame, before: number | undefined): void {
    const page = items.map(itemOf)
    this.#more = !!more
    this.#failed = null
    if (before) this.#box = { ...this.#box, items: [...this.#box.items, ...page] }
    else {
      this.#box = { items: page, unread, unseen }
      this.#at = offset
    }
    for (const frame of this.#during) if (frame.offset > offset) this.#apply(frame)
    this.#settled()
  }

  async #mark(as: As, ids?: readonly number[]): Promise<void> {
    const upto = this.#box.items[0]?.id
    if (!ids) await (upto && this.#say({ as, upto }))
    else if (ids.length) await Promise.all([this.#say({ as, ids: ids.slice(0, IDS) }), this.#mark(as, ids.slice(IDS))])
  }

  #say(mark: Pending): Promise<void> {
    return new Promise((done, failed) => {
      const drop = (): void => {
        this.#marks = this.#marks.filter(one => one !== mark)
        this.#changed()
      }
      this.#marks.push(mark)
      this.#changed()
      this.#host.outbox.add(LANE, json({ type: 'mark', ...mark }), undefined, {}, ({ offset }) => {
        // Its frame may have been faster; and where nobody listens, none will come.
        if (offset > this.#at) mark.stored = offset
        else drop()
        done()
      }, error => {
        drop()
        failed(error)
      })
    })
  }

  #read(): InboxView<any> {
    const { items, unread, unseen } = this.#marks.reduce(marked, this.#box)
    const status: ChannelStatus = this.#channel?.status.current ?? { state: this.#held ? 'joining' : 'idle' }
    return {
      items: items.filter(({ archived }) => !archived), unread, unseen, more: this.#more, loading: !!this.#page,
      status: this.#failed ?? status,
    }
  }

  /** Listeners are told once per turn; `current` is right at once. */
  #changed(): void {
    if (this.#view) queueMicrotask(() => this.#listeners.tell(this.view.current))
    this.#view = null
  }
}
