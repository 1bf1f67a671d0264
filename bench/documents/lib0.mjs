// As much of lib0's encoding as a loader needs.

export function varUint(number) {
  const bytes = []
  while (number > 127) {
    bytes.push((number & 127) | 128)
    number = Math.floor(number / 128)
  }
  bytes.push(number)
  return Uint8Array.from(bytes)
}

export function concat(...parts) {
  return Buffer.concat(parts.map(part => (typeof part === 'number' ? varUint(part) : part)))
}

export function prefixed(bytes) {
  return concat(bytes.length, bytes)
}

/** Reads numbers and pieces, one after the other. */
export class Reader {
  constructor(bytes) {
    this.bytes = bytes
    this.at = 0
  }

  number() {
    let [number, factor] = [0, 1]
    for (;;) {
      const byte = this.bytes[this.at++]
      number += (byte & 127) * factor
      if (byte < 128) return number
      factor *= 128
    }
  }

  piece() {
    const length = this.number()
    return this.bytes.subarray(this.at, (this.at += length))
  }
}

/** Who wrote the first struct of an update, and its clock there: no two updates of one author share it. */
export function stamp(update) {
  const reader = new Reader(update)
  if (reader.number() === 0) return undefined
  reader.number()
  return { client: reader.number(), clock: reader.number() }
}
