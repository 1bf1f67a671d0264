import type { TidingsError } from '../error.js'
import type { Host } from '../host.js'
import { json } from '../wire/frames.js'
import { toBase64 } from './bytes.js'

/** What is around the update in a frame, with a name of 255 bytes, and some. */
const ENVELOPE = 512
const LARGEST = 2 ** 20

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
