import { report } from './observable.js'
import type { OutboxRecord, OutboxStore } from './types.js'

/** The page before a reload may hold its lock for a moment longer. */
const MOMENT = 500
/** A page that is reloaded takes over what was its own; another tab waits for as long as that may take. */
const RELOAD = 3000

/** A record, and the running client it belongs to. */
interface Row extends OutboxRecord { readonly owner: string }

/** What `indexedDbOutbox` takes; all of it can be left out. */
export interface IndexedDbOptions {
  /** The name of the database; one per app and user. Default `tidings`. */
  readonly name?: string
  /** Default: the page's `indexedDB`. */
  readonly indexedDB?: IDBFactory
  /** Default: the page's `navigator.locks`, which browsers have on secure origins only. */
  readonly locks?: Pick<LockManager, 'request'>
}

/**
 * Keeps an outbox over reloads and crashes: `outbox: { store: indexedDbOutbox() }`.
 *
 * Each client owns what it puts, as long as it runs, by a Web Lock that the browser takes back when the
 * page is gone. Whoever loads takes over what has no living owner, then or when its owner is gone, so
 * two tabs never send the same entry. Where there are no Web Locks, nothing is taken over.
 */
export function indexedDbOutbox(options: IndexedDbOptions = {}): OutboxStore {
  const { name = 'tidings', indexedDB = globalThis.indexedDB, locks = globalThis.navigator?.locks } = options
  const owner = [...crypto.getRandomValues(new Uint32Array(4))].join('-')
  const lockOf = (client: string): string => `${name}/outbox/${client}`
  let database: Promise<IDBDatabase> | undefined
  const open = (): Promise<IDBDatabase> => database ??= openDatabase(indexedDB, name)

  /** Takes the lock of a client and keeps it while this page lives; false if someone else has it. */
  const own = (client: string, options: LockOptions): Promise<boolean> => new Promise(done => {
    locks.request(lockOf(client), options, lock => {
      done(lock !== null)
      return lock && new Promise<never>(() => {})
    }).catch(() => done(false))
  })

  // Before the first record is there to be found by others.
  let owned: Promise<unknown> | undefined
  const begin = async (): Promise<void> => { if (locks) await (owned ??= own(owner, {})) }

  const all = async (): Promise<Row[]> => result(entries(await open(), 'readonly').getAll())
  /** What these clients left. Read once they are gone: until then they may settle some. */
  const left = async (clients: readonly string[]): Promise<OutboxRecord[]> =>
    (await all()).filter(row => clients.includes(row.owner))
      .sort((a, b) => a.createdAt - b.createdAt || a.key.localeCompare(b.key))
      .map(({ key, channel, body, createdAt }) => ({ key, channel, body, createdAt }))

  async function inherit(client: string): Promise<OutboxRecord[]> {
    do {
      await locks.request(lockOf(client), () => {})
      await new Promise(done => setTimeout(done, RELOAD))
    } while (!await own(client, { ifAvailable: true }))
    return left([client])
  }

  let work: ((store: IDBObjectStore) => IDBRequest)[] = []
  let writing: Promise<void> | undefined
  /** In order; what is written in one turn is stored as a whole. */
  const enqueue = (one: (store: IDBObjectStore) => IDBRequest): Promise<void> => {
    work.push(one)
    return writing ??= write()
  }
  async function write(): Promise<void> {
    let store: IDBObjectStore
    let all
    try {
      await begin()
      store = entries(await open(), 'readwrite')
    } finally {
      [all, work, writing] = [work, [], undefined]
    }
    const requests = all.map(one => one(store))
    await written(requests.at(-1)!)
  }

  return {
    async load(more) {
      await begin()
      const others = new Set((await all()).map(row => row.owner).filter(client => client !== owner))
      if (!locks) return []
      const adopted: string[] = []
      const patience = new AbortController()
      const timer = setTimeout(() => patience.abort(), MOMENT)
      await Promise.all([...others].map(async client => {
        if (await own(client, { signal: patience.signal })) adopted.push(client)
        else inherit(client).then(more).catch(report)
      }))
      clearTimeout(timer)
      return left(adopted)
    },
    put: record => enqueue(store => store.put({ ...record, owner } satisfies Row)),
    remove: key => enqueue(store => store.delete(key)),
  }
}

const entries = (db: IDBDatabase, mode: IDBTransactionMode): IDBObjectStore =>
  db.transaction('outbox', mode).objectStore('outbox')

async function openDatabase(factory: IDBFactory, name: string): Promise<IDBDatabase> {
  const request = factory.open(name, 1)
  request.onupgradeneeded = () => request.result.createObjectStore('outbox', { keyPath: 'key' })
  const db = await result<IDBDatabase>(request)
  // Another tab wants a newer version: let it, and fail here rather than there.
  db.onversionchange = () => db.close()
  return db
}

const result = <T>(request: IDBRequest<T>): Promise<T> => new Promise((done, failed) => {
  request.onsuccess = () => done(request.result)
  request.onerror = () => failed(request.error)
})

/** Resolves when the transaction is complete, not when the request is answered. */
const written = (request: IDBRequest): Promise<void> => new Promise((done, failed) => {
  const { transaction } = request
  transaction!.oncomplete = () => done()
  transaction!.onabort = transaction!.onerror = () => failed(transaction!.error ?? request.error)
})
