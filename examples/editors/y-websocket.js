// The example of docs/documents.md; e2e/test/editors.test.js does the same with the package as it is published.
// region y-websocket
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

const doc = new Y.Doc()
const provider = new WebsocketProvider('wss://app.example.com/yjs', 'doc:plan', doc, {
  protocols: ['yjs', `bearer.${token}`],
})
// endregion
