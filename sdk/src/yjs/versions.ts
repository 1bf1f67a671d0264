import { applyUpdate, Doc } from 'yjs'
import { TidingsError } from '../error.js'
import type { Host } from '../host.js'
import { Value } from '../observable.js'
import { json, time, type Command, type Frame } from '../wire/frames.js'
import { Parts } from './bytes.js'
import type { Document } from './document.js'
import type { DocumentVersion, DocumentVersions } from './types.js'

const versionOf = ({ version, timestamp, name, user, authors, bytes, epoch, offset }: Frame): DocumentVersion =>
  ({ version, at: time(timestamp), name, user, authors, bytes, position: { epoch, offset } })

/** What a command is. Reading is tried again with the next connection; the rest may have been done. */
const READ = 0
const CHANGE = 1
/** What is here is stored before. */
const STORE = 2

/**
 * The versions of `document`, for one who has it open. What is asked for waits for the document to be joined. `end` is
 * for whoever waits when they close it.
 */
export function versionsOf(document: Document, channel: string, { link }: Host): DocumentVersions & { end(): void } {
  const over = new Value(false)
  const { status, unsaved, access } = document

  /** Why it will never be answered, as it looks now. */
  const refusal = (kind: number): TidingsError | undefined => {
    const { current } = status
    if (over.current) return new TidingsError('closed')
    if (current.state === 'reset') return new TidingsError('document_reset')
    if (current.state === 'failed') return current.cause
    const error = link.refusal()
    if (error.code === 'closed') return error
    // What is here is not stored before somebody changes it.
    return kind === STORE && current.state === 'synced' && current.refused?.retryable === false ? current.refused : undefined
  }
  const ready = (kind: number): boolean => status.current.state === 'synced'
    // Who may not write has nothing that could be stored, and the server says so.
    && (kind !== STORE || !unsaved.current || access.current?.write === false)

  /** Resolves with what `take` makes of an answer; of one in parts it is called with each, and says `undefined` before the last. */
  const ask = <T>(kind: number, command: Command, take: (frame: Frame) => T | undefined): Promise<T> => new Promise((done, failed) => {
    let asked = false
    const end = <V>(settle: (value: V) => void, value: V): void => {
      ends.forEach(end => end())
      settle(value)
    }
    const look = (): void => {
      if (asked) return
      const error = refusal(kind)
      if (error) end(failed, error)
      else if (ready(kind)) {
        asked = true
        // In this turn: what is edited in the next one is sent behind it.
        link.commands.push({
          body: json({ ...command, channel }),
          done(frame) {
            const taken = take(frame)
            if (taken !== undefined) end(done, taken)
          },
          failed(error) {
            // A question is asked again when the connection is seen to have gone.
            asked = kind !== READ || !/network|subscribed/.test(error.code)
            // It may be over already, and nothing else tells.
            const never = asked ? error : refusal(kind)
            if (never) end(failed, never)
          },
        })
      }
    }
    const ends = [status, unsaved, access, link.status, over].map(one => one.subscribe(look))
    look()
  })

  return {
    list: ({ before, limit } = {}) => ask(READ, { type: 'versions', before, limit }, ({ versions, more, changed, authors }) =>
      ({ versions: versions.map(versionOf), more, changed, authors })),
    save: name => ask(STORE, { type: 'save_version', name }, versionOf),
    rename: (version, name) => ask(CHANGE, { type: 'name_version', version, name }, versionOf),
    async read(version) {
      const parts = new Parts()
      let asked: number | undefined
      const update = await ask(READ, { type: 'sync', version }, frame => {
        // Asked again, it begins anew.
        if (frame.id !== asked) parts.clear()
        asked = frame.id
        return parts.take(frame) ?? undefined
      })
      const doc = new Doc()
      applyUpdate(doc, update)
      return doc
    },
    restore: version => ask(STORE, { type: 'restore_version', version }, () => null).then(() => {}),
    end: () => over.set(true),
  }
}
