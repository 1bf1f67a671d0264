import { mergeUpdates } from 'yjs'
import type { TidingsError } from '../error.js'
import type { Host } from '../host.js'
import { json } from '../wire/frames.js'
import { toBase64 } from './bytes.js'

/** What is around the update in a frame, with a name of 255 bytes, and some. */
const ENVELOPE = 512
const LARGEST = 2 ** 20
/** Edits are made one up to here, well below what the server takes: one that is larger can never be stored. */
const BATCH = 2 ** 19

/** The same edits in fewer updates, each of at most 512 KiB, or one edit that is larger. */
export function grouped(updates: readonly Uint8Array[]): Uint8Array[] {
  const groups: Uint8Array[][] = []
  let size = Infinity
  for (const update of updates) {
    size += update.length
    if (size > BATCH) {
      groups.push([])
      size = update.length
    }
    groups.at(-1)!.push(update)
  }
  return groups.map(group => group.length > 1 ? mergeUpdates(group) : group[0]!)
}

/**
 * Sends an update, in as many frames as the server's limit asks for. `ended` is called once: when it is stored, or with
 * the first error.
 */
export function upload(
  { link, outbox }: Host, channel: string, epoch: string, update: Uint8Array, ended: (error?: TidingsError) => void,
): void {
  let frame = LARGEST
  while (frame > 2 * ENVELOPE && outbox.tooLarge(frame)) frame /= 2
  // Of 3 bytes, base64 makes 4.
  const size = Math.floor((frame - ENVELOPE) / 4) * 3
  let open = Math.ceil(update.length / size)
  let first: TidingsError | undefined
  const answered = (error?: TidingsError): void => {
    // The document is at a limit, and stays there until somebody removes something.
    if (/^document(_|$)/.test(error?.limit ?? '')) Object.assign(error!, { retryable: false })
    first ??= error
    if (!--open) ended(first)
  }
  // All in one turn: parts of another document's update cannot come between.
  for (let at = 0; at < update.length; at += size) {
    const more = at + size < update.length || undefined
    link.commands.push({
      body: json({ type: 'merge', channel, epoch, update: toBase64(update.subarray(at, at + size)), more }),
      done: () => answered(), failed: answered,
    })
  }
}
