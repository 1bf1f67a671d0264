// The document once more, as an editor of somebody else has it: over the stock provider of Hocuspocus, with a
// connection and a Yjs document of its own. Nothing goes from this one to the page's but by way of the server.
import { HocuspocusProvider, WebSocketStatus } from '@hocuspocus/provider'
import { Doc, type Text } from 'yjs'
import { nameIn, rememberedToken } from '../../session.ts'
import { serverUrl } from '../../settings.ts'
import type { Neighbours } from '../who.ts'

export type LineState = 'opening' | 'synced' | 'syncing' | 'read' | 'offline' | 'refused'

export interface Line extends Neighbours {
  readonly provider: HocuspocusProvider
  readonly doc: Doc
  readonly text: Text
  state(): LineState
  /** Calls when the state may be another one. */
  follow(changed: () => void): () => void
  end(): void
}

export function openLine(name: string): Line {
  const doc = new Doc()
  const provider = new HocuspocusProvider({
    url: `${serverUrl.replace(/^http/, 'ws')}/hocuspocus`, name: `doc:${name}`, document: doc, token: rememberedToken() ?? '',
  })
  const awareness = provider.awareness!
  let [refused, connected, before] = [false, false, false]
  const followers = new Set<() => void>()
  const tell = () => followers.forEach(changed => changed())
  provider.on('status', ({ status }: { status: WebSocketStatus }) => {
    connected = status === WebSocketStatus.Connected
    tell()
  })
  provider.on('authenticated', () => {
    refused = false
    tell()
  })
  provider.on('authenticationFailed', () => {
    refused = true
    tell()
  })
  provider.on('synced', () => {
    before = true
    tell()
  })
  provider.on('unsyncedChanges', tell)
  return {
    provider, doc, awareness, text: doc.getText('text'),
    // Of who it is they say only a name.
    userOf: client => client === awareness.clientID ? undefined : nameIn(awareness.getStates().get(client), ''),
    state() {
      if (refused) return 'refused'
      if (!connected) return before ? 'offline' : 'opening'
      if (!provider.isSynced) return 'opening'
      if (provider.authorizedScope === 'readonly') return 'read'
      return provider.unsyncedChanges ? 'syncing' : 'synced'
    },
    follow(changed) {
      followers.add(changed)
      return () => followers.delete(changed)
    },
    end() {
      followers.clear()
      provider.destroy()
      doc.destroy()
    },
  }
}
