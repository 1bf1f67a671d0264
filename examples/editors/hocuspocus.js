// The example of docs/documents.md; e2e/test/editors.test.js does the same with the package as it is published.
// region hocuspocus
import { HocuspocusProvider } from '@hocuspocus/provider'

const provider = new HocuspocusProvider({
  url: 'wss://app.example.com/hocuspocus',
  name: 'doc:plan',
  token,                // or a function that gets one
})
// endregion
