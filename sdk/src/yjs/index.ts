import { applyUpdate, encodeStateAsUpdate } from 'yjs'
import type { ChannelImpl } from '../channel.js'
import { TidingsError } from '../error.js'
import { HOST, type Host } from '../host.js'
import type { Client } from '../types.js'
import { Document } from './document.js'
import type { DocumentOptions, DocumentProvider } from './types.js'
import { versionsOf } from './versions.js'

export type {
  DocumentAccess, DocumentOptions, DocumentProvider, DocumentStatus, DocumentVersion, DocumentVersions, DocumentVersionsPage,
  DocumentVersionsQuery,
} from './types.js'

/** Those that are in use, or not stored yet. */
const documents = new WeakMap<object, Document>()

/**
 * Opens a document: joins the channel of kind `document`, and keeps a Yjs document and the server's the same. Whoever opens
 * it again before `destroy()` shares the `doc`. Throws `bad_request` for another `doc` or `awareness` than the one in use.
 */
export function openDocument(client: Client<any>, name: string, { doc, awareness }: DocumentOptions = {}): DocumentProvider {
  const channel = client.channel(name) as unknown as ChannelImpl<any, any>
  let found = documents.get(channel)
  if (found && doc && doc !== found.doc) {
    if (found.used) throw new TidingsError('bad_request', `${name}: in use with another doc`)
    // What was edited last is not stored yet: it goes on in this one.
    applyUpdate(doc, encodeStateAsUpdate(found.doc))
    found.end()
    found = undefined
  }
  const mine = found?.used ? found.peers?.awareness : undefined
  if (mine && awareness && awareness !== mine) throw new TidingsError('bad_request', `${name}: in use with another awareness`)
  const host = (client as unknown as { [HOST]: Host })[HOST]
  const document = found ?? new Document(channel, host, doc, over => {
    if (documents.get(channel) === over) documents.delete(channel)
  })
  documents.set(channel, document)
  document.hold(awareness)
  const { status, synced, unsaved, access, resets, peers } = document
  const { end, ...versions } = versionsOf(document, name, host)
  let held = true
  return {
    name, doc: document.doc, awareness: peers?.awareness ?? null, status, synced, unsaved, access, versions,
    userOf: id => peers?.users.get(id),
    on: (_, listener) => resets.add(listener),
    destroy() {
      end()
      if (held) document.release()
      held = false
    },
  }
}
