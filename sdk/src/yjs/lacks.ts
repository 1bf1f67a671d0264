import { createDeleteSetFromStructStore, decodeStateVector, decodeUpdate, encodeStateVector, mergeDeleteSets, Skip, type Doc } from 'yjs'

/** How far something is known, of each client. */
export type Vector = Map<number, number>

/**
 * Whether `doc` has what the server lacks: behind `stored`, or deleted here and not in `told`, the updates that came
 * from there, which begin with all it has deleted. `stored` grows by what is in `told`.
 */
export function lacks(doc: Doc, stored: Vector, told: readonly Uint8Array[]): boolean {
  const updates = told.map(update => decodeUpdate(update))
  for (const { structs } of updates) {
    for (const struct of structs) {
      const { client, clock } = struct.id
      const known = stored.get(client) ?? 0
      // Behind a hole it is not applied there, and not told by the vector.
      if (known >= clock && !(struct instanceof Skip)) stored.set(client, Math.max(known, clock + struct.length))
    }
  }
  for (const [client, clock] of decodeStateVector(encodeStateVector(doc))) if (clock > (stored.get(client) ?? 0)) return true
  const there = mergeDeleteSets(updates.map(({ ds }) => ds)).clients
  for (const [client, items] of createDeleteSetFromStructStore(doc.store).clients) {
    const known = there.get(client) ?? []
    let at = 0
    // Both are sorted, and nothing in them touches.
    for (const { clock, len } of items) {
      while (at < known.length && known[at]!.clock + known[at]!.len < clock + len) at++
      if (at === known.length || known[at]!.clock > clock) return true
    }
  }
  return false
}
