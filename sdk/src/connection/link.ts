import { TidingsError } from '../error.js'
import { Value } from '../observable.js'
import { available, recall, remember, swap } from '../transport/select.js'
import type { Transport, Transports } from '../transport/transport.js'
import type { ClientOptions, ConnectionStatus, PageEvent, Runtime, TokenReason, TokenSource } from '../types.js'
import { json, parse, type Command, type Frame } from '../wire/frames.js'
import { Commands, unsent } from './commands.js'
import { type Cause, type Effect, type Env, type Event, INITIAL, type State, step } from './machine.js'

const PAGE_EVENTS = 'visible hidden online offline resume leave return'.split(' ') as PageEvent[]

/** Who uses the connection. */
export interface User {
  /** Pushes the commands that every new connection begins with, behind `hello`. */
  flight(): void
  welcome(frame: Frame): void
  push(frame: Frame): void
  /** There is room for more commands. */
  more(): void
  /** The connection is gone. */
  lost(): void
}

/** Carries out what the machine decides: timers, transports, tokens. */
export class Link {
  readonly status = new Value<ConnectionStatus>({ state: 'idle' })
  declare readonly commands: Commands
  readonly #options: ClientOptions
  readonly #user: User
  readonly #runtime: Runtime
  readonly #transports: Transports
  #env: Env
  #state: State
  #events: Event[] = []
  #busy = false
  #timer: unknown = null
  #transport: Transport | null = null
  /** Counts transports and questions for tokens: an answer to an older one is dropped. */
  #turn = 0
  readonly #source: TokenSource | undefined
  #token: string | null = null
  /** What the token function threw, for the status. */
  #thrown: unknown
  /**
   * A secret that is our session. Stored from the page's end to the beginning of the next one in this
   * tab, and not while it lives: so a reload goes on with it, and a duplicated tab cannot take it over.
   */
  #ticket: string | null
  /** The newest hello's, larger each time: the server can tell a late one that was given up. */
  #attempt = 0
  #welcome: Frame | undefined

  constructor(options: ClientOptions, runtime: Runtime, user: User) {
    this.#options = options
    this.#runtime = runtime
    this.#user = user
    this.#source = options.token
    this.#transports = available(options.transports, runtime)
    if (!this.#transports.length) {
      throw new TidingsError('bad_request', 'no transport')
    }
    const { baseMs = 1000, maxMs = 30_000, jitter = 'full' } = options.backoff ?? {}
    this.#env = {
      backoff: { base: baseMs, max: maxMs, jitter },
      transports: this.#transports.length, token: options.token !== undefined,
    }
    this.#state = { ...INITIAL, ...recall(this.#transports, runtime), hidden: !runtime.page.visible }
    this.commands = new Commands(() => user.more())
    const key = `tidings.session ${options.url}`
    this.#ticket = swap(key, '', runtime)
    for (const type of PAGE_EVENTS) {
      runtime.page.on(type, () => {
        if (/leave|return/.test(type)) swap(key, type === 'leave' && this.#ticket || '', runtime)
        this.tell({ type })
      })
    }
  }

  /** The server has welcomed us and the connection stands. */
  get ready(): boolean { return this.#state.phase === 'connected' }

  /** Why something cannot be sent now. */
  refusal(): TidingsError {
    const { phase } = this.#state
    return unsent(phase === 'idle' || phase === 'closed')
  }

  /** Asks for what can be asked for again, on the next connection if need be. */
  async read(command: Command): Promise<Frame> {
    const error = this.refusal()
    if (error.code === 'closed') throw error
    return this.commands.ask(command, true)
  }

  logout(): void {
    this.tell({ type: 'logout' })
    this.#ticket = null
    this.#token = null
    // A fixed token is the user who has just left.
    if (typeof this.#source === 'string') this.#env = { ...this.#env, token: false }
  }

  tell(event: Event): void {
    this.#events.push(event)
    if (this.#busy) return // A listener called: after what is being done.
    this.#busy = true
    for (let next; (next = this.#events.shift());) this.#step(next)
    this.#busy = false
  }

  #step(event: Event): void {
    const before = this.#state
    const [state, effects] = step(before, event, this.#runtime.now(), this.#runtime.random(), this.#env)
    this.#state = state
    for (const effect of effects) this.#carryOut(effect)
    if (state.phase !== before.phase || state.since !== before.since) this.status.set(this.#statusOf(state))
  }

  #carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'open': return this.#open(effect.transport)
      case 'close': return this.#close()
      case 'ask_token': return void this.#ask(effect.reason)
      case 'refresh': return void this.commands.ask({ type: 'refresh', token: this.#token }, false).then(
        ({ expires_in }) => this.tell({ type: 'refreshed', expires_in }),
        () => {}, // The server ends the session when the old token ends, and that asks again.
      )
      case 'ping': return this.commands.push({ body: '{"type":"ping"}', done() {}, failed() {} })
      case 'timer': {
        this.#runtime.clearTimeout(this.#timer)
        if (effect.at === null) return
        this.#timer = this.#runtime.setTimeout(() => this.tell({ type: 'timer' }), effect.at - this.#runtime.now())
      }
    }
  }

  #open(index: number): void {
    const turn = ++this.#turn
    const [name, open] = this.#transports[index]!
    const current = (): boolean => turn === this.#turn
    const closed = (code: number, reason?: string, retry_after?: number): void => {
      if (current()) this.tell({ type: 'closed', code, reason, retry_after })
    }
    try {
      this.#transport = open({
        runtime: this.#runtime, url: this.#options.url.replace(/\/+$/, ''), token: this.#token,
        flight: () => this.#flight(name === 'websocket'),
        frame: text => { if (current()) this.#receive(text) },
        alive: () => { if (current()) this.#heard() },
        closed,
      })
    } catch (error) {
      closed(1006, String(error))
    }
  }

  /** `hello`, and all that shall follow it without waiting for the answer. */
  #flight(token: boolean): string[] {
    const frames: string[] = []
    let send = (text: string): void => void frames.push(text)
    const hello = {
      type: 'hello', client: this.#options.name ?? 'tidings-js', token: token && this.#token || undefined,
      ...this.#ticket
        ? { session: this.#ticket, attempt: this.#attempt = Math.max(this.#attempt + 1, this.#runtime.now()) }
        : {},
    }
    this.commands.start(text => send(text), {
      body: json(hello),
      done: frame => this.#welcomed(frame),
      failed() {}, // A `bye` says why.
    }, () => this.#user.flight())
    send = text => this.#transport?.send(text)
    return frames
  }

  #close(): void {
    this.#turn++
    const { phase } = this.#state
    const idle = phase === 'idle'
    this.#transport?.close(idle || phase === 'away')
    this.#transport = null
    const { open } = this.commands
    this.commands.stop(idle || phase === 'closed')
    if (open) this.#user.lost()
  }

  async #ask(reason: TokenReason): Promise<void> {
    const turn = this.#turn
    try {
      const source = this.#source!
      const token = await (typeof source === 'string' ? source : source({ reason }))
      if (turn !== this.#turn) return
      this.#token = token
      this.tell({ type: 'token' })
    } catch (error) {
      if (turn !== this.#turn) return
      this.#thrown = error
      const known = error instanceof TidingsError
      const cause: Cause = known ? error : { code: 'network', message: String(error) }
      this.tell({ type: 'token_failed', terminal: known && !error.retryable, cause })
    }
  }

  #heard(): void {
    const { heard, probed, phase } = this.#state
    if (phase === 'connected' && (probed !== null || heard !== this.#runtime.now())) this.tell({ type: 'heard' })
  }

  #receive(text: string): void {
    const frame = parse(text)
    if (!frame) return this.tell({ type: 'closed', code: 1007, reason: 'no frame' })
    this.#heard()
    if (frame.type === 'bye' || frame.type === 'expiring') this.tell(frame as unknown as Event)
    else if (frame.id !== undefined) this.commands.answer(frame)
    else this.#user.push(frame)
  }

  #welcomed(frame: Frame): void {
    this.#ticket = frame.session
    this.#welcome = frame
    this.commands.limit = frame.limits?.in_flight ?? this.commands.limit
    const [name] = this.#transports[this.#state.transport]!
    remember(name, this.#state.chosen_at, this.#runtime)
    this.tell({ type: 'welcome', heartbeat: frame.heartbeat, expires_in: frame.expires_in })
    this.#user.welcome(frame)
  }

  #statusOf(state: State): ConnectionStatus {
    const attempt = state.failures
    switch (state.phase) {
      case 'connecting': return { state: 'connecting', attempt }
      case 'connected': {
        const { user, session, resumed } = this.#welcome!
        const [transport] = this.#transports[state.transport]!
        return { state: 'connected', transport, user, session: session.split('.')[0], resumed: !!resumed }
      }
      case 'waiting': return { state: 'waiting', attempt, retryAt: state.retry_at, cause: this.#errorOf(state.cause!) }
      case 'closed': return { state: 'closed', cause: this.#errorOf(state.cause!) }
      default: return { state: 'idle' }
    }
  }

  #errorOf({ code, close_code, message, retry_after }: Cause): TidingsError {
    const cause = this.#thrown
    this.#thrown = undefined
    return new TidingsError(code, message, {
      closeCode: close_code, retryAfterMs: retry_after, cause, retryable: this.#state.phase === 'waiting',
    })
  }
}
