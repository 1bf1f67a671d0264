import { json } from '../wire/frames.js'
import type { Opening, Transport } from './transport.js'
import { overHttp } from './up.js'

/** How often a poll that failed is repeated: its batch is kept by the server. */
const REPEATS = 2

/** Down: a request that waits, again and again. */
export const openPoll = (opening: Opening): Transport => overHttp(opening, async up => {
  const tell = async (response: Response): Promise<any> => {
    const [head, ...lines] = (await response.text()).split('\n')
    const first = JSON.parse(head!)
    return [first, () => {
      opening.alive()
      for (const line of lines) if (line && !up.ended) opening.frame(line)
    }]
  }
  const [{ connection }, opened] = await tell(await up.open('/poll'))
  up.connection = connection
  void up.pump()
  opened()
  for (let ack = 0, failed = 0; !up.ended;) {
    try {
      const [{ batch }, next] = await tell(await up.ask('/poll', json({ connection, ack })))
      // Anything but the next one is a repetition of one that was handled.
      if (batch === ack + 1) {
        ack = batch
        next()
      }
      failed = 0
    } catch (error) {
      if (failed++ >= REPEATS) throw error
    }
  }
})
