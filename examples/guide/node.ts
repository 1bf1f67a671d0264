// An example of docs/connection.md, which sdk/test/e2e/docs.test.tsx runs.
// region node
import { createClient } from 'tidings'
import WebSocket from 'ws'

export const connectTo = (url: string) => createClient({ url, runtime: { WebSocket } })
// endregion
