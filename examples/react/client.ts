// The client of docs/react.md, which sdk/test/e2e/docs.test.tsx makes.
// region client
import { createClient } from 'tidings'

export const client = createClient({ url: 'http://localhost:8000' })
client.connect()
// endregion
