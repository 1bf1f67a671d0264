import type { PageEvent, PageEvents, Runtime } from './types.js'

// Looked up by name, so that this runs in browsers, workers and Node alike.
const world: any = globalThis

/** The page's events. In a worker only `online` and `offline` exist, in Node none. */
const page: PageEvents = {
  get visible() { return world.document?.visibilityState !== 'hidden' },
  on(event, listener) {
    const turns = event === 'visible' || event === 'hidden'
    const target = turns || event === 'resume' ? world.document : world
    const names: Partial<Record<PageEvent, string>> = { leave: 'pagehide', return: 'pageshow' }
    const name = turns ? 'visibilitychange' : names[event] ?? event
    const handler = (e: any): void => {
      // A page is also shown when it is new; then it does not return.
      if (turns ? page.visible === (event === 'visible') : event !== 'return' || e.persisted) listener()
    }
    target?.addEventListener?.(name, handler)
    return () => target?.removeEventListener?.(name, handler)
  },
}

/** 128 random bits. `randomUUID` is only there on secure origins. */
const uuid = (): string => world.crypto.getRandomValues(new Uint32Array(4)).join('-')

function storage(): Runtime['storage'] {
  try {
    return world.document ? world.sessionStorage : null
  } catch { // Cookies are blocked.
    return null
  }
}

/** What is around this program, with `parts` in place of what is found. */
export function runtimeWith(parts: Partial<Runtime> | undefined): Runtime {
  return {
    now: Date.now,
    random: Math.random,
    uuid,
    setTimeout: (call, ms) => world.setTimeout(call, ms),
    clearTimeout: timer => world.clearTimeout(timer),
    WebSocket: world.WebSocket ?? null,
    // Called without `this`, which is how browsers want it.
    fetch: world.fetch ? (input, init) => world.fetch(input, init) : null,
    page,
    storage: storage(),
    ...parts,
  }
}
