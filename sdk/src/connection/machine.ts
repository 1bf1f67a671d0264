// The connection as a pure function: no clock, timer, socket or random number of its own. State, events
// and effects are plain JSON, described in testdata/README.md and tested by testdata/connection/*.json,
// here and in the Rust client. Moments are integers in milliseconds.

import { isFault, isTerminal, meaning } from '../wire/codes.js'
import type { ErrorCode, TokenReason } from '../types.js'
import { type Backoff, delay } from './backoff.js'

/** A connection that stood this long has proven itself: the next failure is the first again. */
const STABLE = 5000
/** A connection that is not welcome after this has failed. */
const CONNECT_TIMEOUT = 10_000
/** Grace on top of the server's heartbeat, before the client asks. */
const SILENCE = 10_000
/** How long the answer to a ping may take. */
const PROBE_TIMEOUT = 5000
/** Nobody looks at a hidden page: it waits at least this long. */
const HIDDEN_DELAY = 10_000
/** How long a fallback transport is kept before the first one is tried again. */
const FALLBACK_KEPT = 600_000
/** A token that ends within this is not worth connecting with. */
const TOKEN_MARGIN = 10_000
/** After so many failures even a transport that once worked is doubted: the network may be another one. */
const DOUBT = 7

export interface Env {
  readonly backoff: Backoff
  /** How many transports there are. */
  readonly transports: number
  /** There is something to ask for a token. */
  readonly token: boolean
}

export interface Cause {
  readonly code: ErrorCode
  readonly close_code?: number | undefined
  readonly message?: string | undefined
  readonly retry_after?: number | undefined
}

export interface State {
  readonly phase: 'idle' | 'away' | 'connecting' | 'connected' | 'waiting' | 'closed'
  /** When this phase began. */
  readonly since: number
  /** Attempts that failed in a row: the exponent of the back-off. */
  readonly failures: number
  /** Faults of the WebSocket protocol in a row. */
  readonly faults: number
  /** A token was refused since the last stable connection: the next time is the last. */
  readonly refused: boolean
  /** Why a token must be asked for before the next attempt; `null`: the one we have will do. */
  readonly ask: TokenReason | null
  /** When the token ends, if the server said so. */
  readonly expires_at: number | null
  /** Which transport, counted from 0. */
  readonly transport: number
  /** It was chosen then. */
  readonly chosen_at: number
  /** 1: the last attempt with it was not welcome. */
  readonly tries: number
  /** It was welcome at least once. */
  readonly proven: boolean
  readonly hidden: boolean
  /** connecting: the attempt began while the page was hidden, so its timers may not have run. */
  readonly asleep: boolean
  /** connected: when the server was last heard. */
  readonly heard: number
  /** connected: in milliseconds, as `welcome` says. */
  readonly heartbeat: number
  /** connected: a ping was sent then and nothing was heard since. */
  readonly probed: number | null
  /** waiting: until then. */
  readonly retry_at: number
  /** waiting, closed: why. */
  readonly cause: Cause | null
}

export type Event =
  | { readonly type: 'connect' | 'disconnect' | 'logout' | 'retry' | 'timer' | 'heard' }
  | { readonly type: 'hidden' | 'visible' | 'online' | 'offline' | 'resume' | 'leave' | 'return' }
  | { readonly type: 'token' | 'expiring' }
  | { readonly type: 'token_failed'; readonly terminal: boolean; readonly cause: Cause }
  | { readonly type: 'welcome'; readonly heartbeat: number; readonly expires_in?: number }
  | { readonly type: 'refreshed'; readonly expires_in?: number }
  | { readonly type: 'closed'; readonly code: number; readonly reason?: string | undefined; readonly retry_after?: number | undefined }
  | { readonly type: 'bye'; readonly code: number; readonly reason?: string; readonly reconnect: boolean; readonly retry_after?: number }

export type Effect =
  /** Open this transport; in its first flight go `hello` and all that waits. */
  | { readonly type: 'open'; readonly transport: number }
  /** Close the transport; what it or a question for a token still says is nobody's business. */
  | { readonly type: 'close' }
  | { readonly type: 'ask_token'; readonly reason: TokenReason }
  /** Send the token that was just given on the connection there is. */
  | { readonly type: 'refresh' }
  | { readonly type: 'ping' }
  /** Send `timer` then; replaces the timer before. `null`: none. */
  | { readonly type: 'timer'; readonly at: number | null }

export const INITIAL: State = {
  phase: 'idle', since: 0, failures: 0, faults: 0, refused: false, ask: 'connect', expires_at: null,
  transport: 0, chosen_at: 0, tries: 0, proven: false, hidden: false, asleep: false,
  heard: 0, heartbeat: 0, probed: null, retry_at: 0, cause: null,
}

type Step = readonly [State, readonly Effect[]]

/** What is next, and what to do. `random`, from 0 up to 1, is for this step alone. */
export function step(state: State, event: Event, now: number, random: number, env: Env): Step {
  const [next, effects] = decide(state, event, now, random, env)
  // A deadline that only moved away needs no new timer: an early one looks at the clock again.
  if (event.type === 'heard') return [next, effects]
  const at = deadline(next)
  return event.type === 'timer' || at !== deadline(state)
    ? [next, [...effects, { type: 'timer', at }]]
    : [next, effects]
}

function deadline(state: State): number | null {
  switch (state.phase) {
    case 'connecting': return state.since + CONNECT_TIMEOUT
    case 'waiting': return state.retry_at
    case 'connected': return state.probed !== null
      ? state.probed + PROBE_TIMEOUT
      : state.heard + state.heartbeat + SILENCE
    default: return null
  }
}

function decide(state: State, event: Event, now: number, random: number, env: Env): Step {
  const { phase } = state
  const waiting = phase === 'waiting'
  const connected = phase === 'connected'
  const connecting = phase === 'connecting'
  const active = connecting || connected
  const stay: Step = [state, []]
  switch (event.type) {
    case 'connect':
      if (active || waiting) return stay
      return begin({ ...fresh(state), ask: phase === 'closed' ? 'connect' : state.ask }, now, env)
    case 'disconnect':
      return stop(fresh(state), 'idle', null, now)
    case 'logout':
      return stop({ ...fresh(state), ask: 'connect', expires_at: null }, 'idle', null, now)
    case 'retry':
      return waiting ? begin(state, now, env) : stay
    case 'timer': return overdue(state, now, random, env)
    case 'heard':
      return connected ? [{ ...state, heard: now, probed: null }, []] : stay
    case 'hidden': return [{ ...state, hidden: true }, []]
    case 'visible': return wake({ ...state, hidden: false }, now, env)
    case 'resume': case 'return': return wake(state, now, env)
    case 'online': // Perhaps another network, through which other transports pass.
      return connecting ? stay : wake({ ...state, proven: false, tries: 0 }, now, env)
    case 'offline': return connected ? probe(state, now) : stay
    case 'leave':
      return active || waiting ? stop(state, 'away', null, now) : stay
    case 'token':
      if (connected) return [{ ...state, ask: null }, [{ type: 'refresh' }]]
      return connecting && state.ask
        ? [{ ...state, ask: null, expires_at: null }, [{ type: 'open', transport: state.transport }]]
        : stay
    case 'token_failed':
      if (active && event.terminal) return stop(state, 'closed', event.cause, now)
      return connecting ? wait(state, event.cause, now, random, env) : stay
    case 'expiring':
      return connected && env.token
        ? [{ ...state, ask: 'expiring' }, [{ type: 'ask_token', reason: 'expiring' }]]
        : stay
    case 'welcome':
      return !connecting || state.ask ? stay : [{
        ...state, phase: 'connected', since: now, heard: now, probed: null, tries: 0, proven: true,
        heartbeat: event.heartbeat, expires_at: ends(event, now), cause: null,
      }, []]
    case 'refreshed': return [{ ...state, expires_at: ends(event, now) }, []]
    case 'closed': case 'bye':
      return active ? ended(state, event, now, random, env) : stay
  }
}

const ends = (event: { expires_in?: number }, now: number): number | null =>
  event.expires_in === undefined ? null : now + event.expires_in

/** Without the failures of the past. */
const fresh = (state: State): State =>
  ({ ...state, failures: 0, faults: 0, refused: false, tries: 0, proven: false, cause: null })

/** What a connection that stood for a while has earned. */
const settled = (state: State, now: number): State =>
  state.phase === 'connected' && now - state.since >= STABLE
    ? { ...state, failures: 0, faults: 0, refused: false }
    : state

function begin(from: State, now: number, env: Env): Step {
  let state: State = { ...from, phase: 'connecting', since: now, asleep: from.hidden }
  if (state.transport && now - state.chosen_at >= FALLBACK_KEPT) {
    state = { ...state, transport: 0, chosen_at: now, tries: 0, proven: false }
  }
  if (state.expires_at !== null && state.expires_at - now < TOKEN_MARGIN) {
    state = { ...state, ask: state.ask ?? 'expiring' }
  }
  return env.token && state.ask
    ? [state, [{ type: 'ask_token', reason: state.ask }]]
    : [{ ...state, ask: null }, [{ type: 'open', transport: state.transport }]]
}

function stop(state: State, phase: State['phase'], cause: Cause | null, now: number): Step {
  return [{ ...state, phase, cause, since: now, probed: null }, [{ type: 'close' }]]
}

/** The attempt or the connection has failed: the next one after a while, perhaps in another way. */
function wait(from: State, cause: Cause, now: number, random: number, env: Env): Step {
  // While a token is asked for, no transport is tried.
  const state = from.phase === 'connecting' && !from.ask ? fallBack(from, now, env) : from
  // A transport is to blame if another one passes at the same moment; if none does, the server is down.
  const other = state.transport > from.transport
  const ms = cause.retry_after ?? (other ? 0 : delay(from.failures, env.backoff, random))
  return [{
    ...state, phase: 'waiting', since: now, cause, probed: null,
    failures: from.failures + (other ? 0 : 1),
    retry_at: now + (state.hidden ? Math.max(ms, HIDDEN_DELAY) : ms),
  }, [{ type: 'close' }]]
}

function fallBack(state: State, now: number, env: Env): State {
  const hopeless = state.proven ? state.failures >= DOUBT
    : state.transport || state.tries || now - state.since >= STABLE
  return hopeless
    ? { ...state, transport: (state.transport + 1) % env.transports, chosen_at: now, tries: 0 }
    : { ...state, tries: 1 }
}

/** The page is looked at again, or the network is back. */
function wake(state: State, now: number, env: Env): Step {
  switch (state.phase) {
    case 'waiting': case 'away': return begin(state, now, env)
    case 'connected': return probe(state, now)
    case 'connecting': {
      if (!state.asleep) return [state, []]
      const [next, effects] = begin(state, now, env)
      return [{ ...next, asleep: false }, [{ type: 'close' }, ...effects]]
    }
    default: return [state, []]
  }
}

const probe = (state: State, now: number): Step =>
  state.probed === null ? [{ ...state, probed: now }, [{ type: 'ping' }]] : [state, []]

function overdue(state: State, now: number, random: number, env: Env): Step {
  const at = deadline(state)
  if (at === null || now < at) return [state, []]
  if (state.phase === 'waiting') return begin(state, now, env)
  if (state.phase === 'connected' && state.probed === null) return probe(state, now)
  return wait(settled(state, now), { code: 'timeout' }, now, random, env)
}

function ended(state: State, event: Event & { type: 'closed' | 'bye' }, now: number, random: number, env: Env): Step {
  const { code, reason, retry_after } = event
  const cause: Cause = { code: meaning(code), close_code: code, message: reason || undefined, retry_after }
  if (isTerminal(code) || (event.type === 'bye' && !event.reconnect)) return stop(state, 'closed', cause, now)
  const calm = settled(state, now)
  if (code === 4501 && env.token) {
    if (calm.refused) return stop(state, 'closed', { ...cause, close_code: 4401 }, now)
    const over = calm.expires_at !== null && calm.expires_at - now < TOKEN_MARGIN
    const [next, effects] = begin({ ...calm, refused: true, ask: over ? 'expiring' : 'rejected' }, now, env)
    return [next, [{ type: 'close' }, ...effects]]
  }
  const faults = isFault(code) ? calm.faults + 1 : 0
  if (faults >= 3) return stop({ ...calm, faults }, 'closed', cause, now)
  return wait({ ...calm, faults }, cause, now, random, env)
}
