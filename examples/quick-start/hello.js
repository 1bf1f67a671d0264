import { createClient } from 'tidings'

const client = createClient({ url: 'http://localhost:8000' })
client.connect()

const lobby = client.channel('chat:lobby')
lobby.on('message', message => console.log(`${message.user}: ${message.data.text}`))
lobby.subscribe({ rewind: 20 })

await lobby.publish({ text: process.argv[2] ?? 'Hello' })
console.log('stored')
