/** Web Locks of one origin, held by pages that can die. Who asks waits for its turn. */
export class Locks {
  readonly held = new Map<string, Page>()
  readonly queue: { name: string; page: Page; call: (lock: unknown) => unknown }[] = []
  page(): Page { return new Page(this) }
  next(): void {
    for (const one of [...this.queue]) {
      if (this.held.has(one.name)) continue
      this.held.set(one.name, one.page)
      this.queue.splice(this.queue.indexOf(one), 1)
      void one.call({ name: one.name })
    }
  }
}
export class Page {
  readonly #locks: Locks
  constructor(locks: Locks) { this.#locks = locks }
  request = (name: string, ...rest: any[]): Promise<void> => new Promise((done, failed) => {
    const [call, { ifAvailable, signal }] = [rest.pop(), rest[0] ?? {}]
    const { queue, held } = this.#locks
    if (ifAvailable && held.has(name)) return done(call(null))
    const one = {
      name, page: this,
      call: async (lock: unknown) => {
        signal?.removeEventListener('abort', give)
        done(await call(lock))
        held.delete(name)
        this.#locks.next()
      },
    }
    const give = (): void => {
      queue.splice(queue.indexOf(one), 1)
      failed(signal.reason)
    }
    signal?.addEventListener('abort', give)
    queue.push(one)
    this.#locks.next()
  })
  die(): void {
    const { held, queue } = this.#locks
    for (const [name, page] of held) if (page === this) held.delete(name)
    queue.splice(0, Infinity, ...queue.filter(({ page }) => page !== this))
    this.#locks.next()
  }
}
