// The server that is compared with, as its documentation starts it. It stores nothing: that is to its advantage.
import { Server } from '@hocuspocus/server'

await new Server({ port: Number(process.argv[2]), address: '127.0.0.1', quiet: true }).listen()
