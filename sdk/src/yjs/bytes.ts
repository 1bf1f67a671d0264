import type { Frame } from '../wire/frames.js'

/** As `String.fromCharCode` takes them at once. */
const CHUNK = 0x8000

export function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += CHUNK) text += String.fromCharCode(...bytes.subarray(at, at + CHUNK))
  return btoa(text)
}

export const fromBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), char => char.charCodeAt(0))

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** Updates that come in parts. One is applied as a whole: in between Yjs would tidy up what looks superfluous. */
export class Parts {
  #parts: Uint8Array[] = []

  /** The update, with its last part; `null` before. */
  take({ update, more }: Frame): Uint8Array | null {
    this.#parts.push(fromBase64(update))
    return more ? null : joined(this.#parts.splice(0))
  }

  clear(): void { this.#parts = [] }
}
