import type { OutboxRecord, OutboxStore } from './types.js'

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
 * page is gone. The next client that loads takes over what has no living owner, so two tabs never
 * send the same entry. Where there are no Web Locks, nothing is taken over.
 */
export function indexedDbOutbox(options: IndexedDbOptions = {}): OutboxStore {
  const { name = 'tidings', indexedDB = globalThis.indexedDB, locks = globalThis.navigator?.locks } = options
  const owner = [...crypto.getRandomValues(new Uint32Array(4))].join('-')
  const lockOf = (client: string): string => `${name}/outbox/${client}`
  let database: Promise<IDBDatabase> | undefined
  const open = (): Promise<IDBDatabase> => database ??= openDatabase(indexedDB, name)

  /** Takes the lock of a client and keeps it while this page lives; false if someone else has it. */
  const own = (client: string): Promise<boolean> => new Promise((done, failed) => {
    if (!locks) return done(client === owner)
    locks.request(lockOf(client), { ifAvailable: true }, lock => {
      done(lock !== null)
      return lock && new Promise<never>(() => {})
    }).catch(failed)
  })

  // Before the first record is there to be found by others.
  let owned: Promise<boolean> | undefined
  const begin = (): Promise<boolean> => owned ??= own(owner)

  return {
    async load() {
      await begin()
      const db = await open()
      const rows = await result<Row[]>(entries(db, 'readonly').getAll())
      const adopted = new Set<string>()
      for (const client of new Set(rows.map(row => row.owner))) {
        if (client !== owner && await own(client)) adopted.add(client)
      }
      if (!adopted.size) return []
      // Read again: their owners may have settled some until they let go of the lock.
      const left = (await result<Row[]>(entries(db, 'readonly').getAll())).filter(row => adopted.has(row.owner))
      return left.sort((a, b) => a.createdAt - b.createdAt || a.key.localeCompare(b.key))
        .map(({ key, channel, body, createdAt }) => ({ key, channel, body, createdAt }))
    },
    async put(record) {
      await begin()
      const db = await open()
      await written(entries(db, 'readwrite').put({ ...record, owner } satisfies Row))
    },
    async remove(key) {
      await written(entries(await open(), 'readwrite').delete(key))
    },
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
